"""The stations as they are now, and orders to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from flask import Response, g

from hook_service import __version__, ipc
from hook_service.observe.metrics import processes
from hook_service.web import audit, models
from hook_service.web.api.common import answer, fault, loop_of, process_of, the_services
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "control"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, post = blueprint.get, blueprint.post
    get("/status", summary="Every station, now", responses={200: models.Status})(status)
    get("/destinations", summary="Destinations", responses={200: models.Destinations})(destinations)
    post("/stations/<station>/switch", summary="Show a loop until the next track", responses={202: None})(switch)


def status() -> Response:
    """Every station as its processes tell it."""
    services = the_services()
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
            "processes": [process_of(process) for process in (*processes(playout), *processes(outputs))],
        }
    overall = services.health.check()[1]["status"]
    return answer({"status": overall, "version": __version__, "stations": found})


def destinations() -> Response:
    """Every destination and its state."""
    services = the_services()
    items = []
    for station, (_, outputs) in services.stations.statuses().items():
        told = {process["name"]: process for process in processes(outputs)}
        for name, destination in services.host.stations[station].destinations.items():
            # A path or a query may hold what amounts to a key.
            parts = urlsplit(destination.url)
            process = told.get(f"destination:{name}", {"state": "STOPPED"})
            items.append(
                {
                    **process_of(process),
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
    return answer({"items": items})


def switch(path: models.StationPath, body: models.SwitchIn) -> Response:
    """Show a loop by hand. It enters no history: no track belongs to it."""
    services = the_services()
    director = services.directors.get(path.station)
    if director is None:
        raise Problem(404, "This station is not configured here.", stations=sorted(services.directors))
    try:
        shown = director.show(loop_of(services, "loop", body.loop), g.request_id)
    except ipc.PeerDown:
        raise Problem(503, "The station's playout does not answer.", {"Retry-After": "5"}) from None
    if not shown.get("ok"):
        raise fault("loop", str(shown.get("error")))
    audit.record("station.switch", station=path.station, loop=body.loop)
    return answer({"request_id": g.request_id, "accepted": True}, 202)
