"""The operator's API, `/api/v1`: its routes and its OpenAPI document."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Response, current_app, g, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import ValidationError

from hook_service import __version__, ipc
from hook_service.observe.metrics import processes
from hook_service.store.pool import DatabaseAway
from hook_service.tracks.loops import LoopNameError, loop_path
from hook_service.tracks.track_key import track_key
from hook_service.web import loops, models
from hook_service.web.problems import Problem, documented
from hook_service.web.webhook import is_json, too_many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hook_service.store.paging import Page
    from hook_service.store.queries import Queries
    from hook_service.web.app import Services

PREFIX = "/api/v1"
_OPEN = "openapi"


def openapi_app() -> OpenAPI:
    """A Flask application with the API in it, still without its services."""
    app = OpenAPI(
        __name__,
        info=Info(title="Steadycast", version=__version__),
        security_schemes={"bearer": {"type": "http", "scheme": "bearer"}},
        validation_error_model=models.ProblemDocument,
        validation_error_callback=_invalid,
        doc_ui=False,
        static_folder=None,
    )
    blueprint = APIBlueprint(
        "api",
        __name__,
        url_prefix=PREFIX,
        abp_security=[{"bearer": []}],
        abp_responses=dict.fromkeys((401, 403, 503), models.ProblemDocument),
    )
    blueprint.before_request(_authorise)
    get, put, post, delete = blueprint.get, blueprint.put, blueprint.post, blueprint.delete
    get("/status", summary="Every station, now", responses={200: models.Status})(status)
    get("/history", summary="Plays, the latest first", responses={200: models.Plays})(history)
    get("/errors", summary="The error log, the latest first", responses={200: models.Errors})(errors)
    get("/mappings", summary="Mappings, by key", responses={200: models.Mappings})(mappings)
    put("/mappings", summary="Make or replace a mapping", responses={200: models.Mapping})(put_mapping)
    post("/mappings", summary="The same as PUT", responses={200: models.Mapping})(post_mapping)
    get("/mappings/<int:mapping_id>", summary="One mapping", responses={200: models.Mapping})(mapping)
    delete("/mappings/<int:mapping_id>", summary="Remove a mapping", responses={204: None})(delete_mapping)
    get("/loops", summary="Loops and their preparation", responses={200: models.Loops})(list_loops)
    get("/destinations", summary="Destinations", responses={200: models.Destinations})(destinations)
    get("/analytics/tracks-per-hour", summary="Plays by hour", responses={200: models.Rows})(tracks_per_hour)
    get("/analytics/most-played", summary="Most played tracks", responses={200: models.Rows})(most_played)
    get("/analytics/error-rate", summary="Errors by hour", responses={200: models.Rows})(error_rate)
    post("/stations/<station>/switch", summary="Show a loop until the next track", responses={202: None})(switch)
    app.register_api(blueprint)
    # Open, like any manual: it holds nothing of the host.
    app.add_url_rule(f"{PREFIX}/openapi.json", _OPEN, lambda: _json(documented(app.api_doc)), methods=["GET"])
    return app


def status() -> Response:
    """Every station as its processes tell it."""
    services = _services()
    found = {}
    seen = services.stations.onair() or {}
    for name, (playout, outputs) in services.stations.statuses().items():
        told = playout or {}
        found[name] = {
            "name": services.host.stations[name].name or name,
            "profile": services.host.stations[name].profile,
            "track": services.directors[name].track(),
            **{part: told.get(part) for part in ("on_air", "next", "audio", "frames", "switches")},
            **services.sources.status(name),
            "onair": seen.get(name),
            "youtube": services.youtube.statuses(name),
            "processes": [_process(process) for process in (*processes(playout), *processes(outputs))],
        }
    overall = services.health.check()[1]["status"]
    return _json({"status": overall, "version": __version__, "stations": found})


def history(query: models.HistoryQuery) -> Response:
    """Plays."""
    with _asking() as queries:
        return _page(queries.history(**query.model_dump()))


def errors(query: models.ErrorsQuery) -> Response:
    """The error log."""
    with _asking() as queries:
        return _page(queries.errors(**query.model_dump()))


def mappings(query: models.MappingsQuery) -> Response:
    """Mappings."""
    with _asking() as queries:
        return _page(queries.mappings(**query.model_dump()))


def mapping(path: models.MappingPath) -> Response:
    """One mapping."""
    with _asking() as queries:
        row = queries.mapping(path.mapping_id)
    if row is None:
        raise Problem(404, "There is no mapping with this number.")
    return _json(row)


def put_mapping(body: models.MappingIn) -> Response:
    """Make or replace the mapping of this station, kind and key."""
    services = _services()
    if body.station != "*" and body.station not in services.directors:
        raise _fault("station", "is not a configured station; '*' means all of them")
    _loop(services, "loop_file_path", body.loop_file_path)
    key = body.track_key or (track_key(body.artist or "", body.title or "") if body.kind == "track" else None)
    if not key:
        raise _fault("track_key", "is missing; a track may be named by artist and title instead")
    values = body.model_dump(exclude={"artist", "title", "track_key"})
    with _asking() as queries:
        return _json(queries.upsert_mapping(track_key=key, **values))


def post_mapping(body: models.MappingIn) -> Response:
    """The same, for clients that only POST."""
    return put_mapping(body)


def delete_mapping(path: models.MappingPath) -> Response:
    """Remove one; its plays stay in the history."""
    with _asking() as queries:
        found = queries.delete_mapping(path.mapping_id)
    if not found:
        raise Problem(404, "There is no mapping with this number.")
    return Response(status=204)


def list_loops(query: models.LoopsQuery) -> Response:
    """The loops directory."""
    return _json(loops.listing(_services().host, query.after, query.limit))


def destinations() -> Response:
    """Every destination and its state."""
    services = _services()
    items = []
    for station, (_, outputs) in services.stations.statuses().items():
        told = {process["name"]: process for process in processes(outputs)}
        for name, destination in services.host.stations[station].destinations.items():
            # A path or a query may hold what amounts to a key.
            parts = urlsplit(destination.url)
            process = told.get(f"destination:{name}", {"state": "STOPPED"})
            items.append(
                {
                    **_process(process),
                    "station": station,
                    "name": name,
                    "ingest": f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else ""),
                    "backup_of": destination.backup_of,
                    "progress": process.get("progress") or {},
                    "youtube": services.youtube.status(station, name),
                    "queue_bytes": process.get("queue_bytes"),
                    "lag_seconds": process.get("lag_seconds"),
                }
            )
    return _json({"items": items})


def tracks_per_hour(query: models.HoursQuery) -> Response:
    """The original architecture's first analytics query."""
    with _asking() as queries:
        return _json({"items": queries.tracks_per_hour(**query.model_dump())})


def most_played(query: models.MostPlayedQuery) -> Response:
    """Its second."""
    with _asking() as queries:
        return _json({"items": queries.most_played(**query.model_dump())})


def error_rate(query: models.HoursQuery) -> Response:
    """Its third."""
    with _asking() as queries:
        return _json({"items": queries.error_rate(**query.model_dump())})


def switch(path: models.StationPath, body: models.SwitchIn) -> Response:
    """Show a loop by hand. It enters no history: no track belongs to it."""
    services = _services()
    director = services.directors.get(path.station)
    if director is None:
        raise Problem(404, "This station is not configured here.", stations=sorted(services.directors))
    try:
        answer = director.show(_loop(services, "loop", body.loop), g.request_id)
    except ipc.PeerDown:
        raise Problem(503, "The station's playout does not answer.", {"Retry-After": "5"}) from None
    if not answer.get("ok"):
        raise _fault("loop", str(answer.get("error")))
    return _json({"request_id": g.request_id, "accepted": True}, 202)


def _authorise() -> None:
    services = _services()
    wait = services.failures.wait(g.client)
    if wait:
        raise too_many(wait, "Too many failed authentications from this address.")
    scope = services.guard.scope(request.headers.get("Authorization"))
    if scope is None:
        services.failures.take(g.client)
        raise Problem(401, "Send a token: Authorization: Bearer …", {"WWW-Authenticate": 'Bearer realm="api"'})
    if scope == "read" and request.method not in ("GET", "HEAD"):
        # RFC 6750, 3.1: the token is right, and not enough.
        refused = 'Bearer realm="api", error="insufficient_scope", scope="operate"'
        raise Problem(403, "This token may only read.", {"WWW-Authenticate": refused})
    if request.method in ("POST", "PUT"):
        if not request.is_json:
            raise Problem(415, "Send the body as application/json.", {"Accept": "application/json"})
        if not is_json(request.get_data()) or not _is_kept():
            raise Problem(400, "The body is not JSON.")


def _is_kept() -> bool:
    """Whether the body could be read. The request keeps it: what is nested as deeply as can just be read here could
    not be read again further down the stack.
    """
    try:
        request.get_json()
    except RecursionError:
        return False
    return True


def _invalid(error: ValidationError) -> Response:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    raise Problem(
        422,
        "Something in the request is not as it must be; see errors.",
        errors=[{"field": ".".join(map(str, fault["loc"])), "reason": fault["msg"]} for fault in faults],
    )


def _fault(field: str, reason: str) -> Problem:
    return Problem(
        422,
        "Something in the request is not as it must be; see errors.",
        errors=[{"field": field, "reason": reason}],
    )


def _loop(services: Services, field: str, name: str) -> str:
    try:
        return loop_path(str(services.host.paths.loops), name)
    except LoopNameError as error:
        raise _fault(field, str(error)) from None


def _process(process: dict[str, Any]) -> dict[str, Any]:
    since = process.get("since")
    return {
        "name": process.get("name"),
        "state": process.get("state"),
        "pid": process.get("pid"),
        "restarts": process.get("restarts") or 0,
        "since": datetime.fromtimestamp(since, UTC) if since else None,
        "last_error": process.get("last_error"),
    }


@contextmanager
def _asking() -> Iterator[Queries]:
    """The queries, with their troubles as problems."""
    try:
        yield _services().store.queries()
    except DatabaseAway:
        raise Problem(503, "The database does not answer.", {"Retry-After": "5"}) from None
    except ValueError as error:
        raise Problem(422, str(error)) from None


def _services() -> Services:
    services: Services = current_app.extensions["radio"]
    return services


def _page(page: Page) -> Response:
    return _json({"items": page.items, "next": page.next})


def _json(document: Any, status: int = 200) -> Response:
    text = json.dumps(document, default=_plain)
    # Processes keep keys out of what they tell; this is the second lock on that door.
    services = current_app.extensions.get("radio")
    for key in services.keys if services else ():
        text = text.replace(key, "***")
    return Response(text + "\n", status, mimetype="application/json")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
