"""Which loop for which track."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Response

from hook_service.store import bulk
from hook_service.tracks.track_key import track_key
from hook_service.web import audit, mappings_csv, models, models_songs
from hook_service.web.api.common import (
    answer,
    asking,
    fault,
    loop_name,
    loop_of,
    page,
    station_of,
    the_library,
    the_services,
)
from hook_service.web.api.songs import CSV, csv_answer, selection
from hook_service.web.asking import asking_the_store
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "mappings"
MOST_TOLD: Final = 1000
"""Bad lines of an import that are told; more are the same fault in each."""
MOST_MISSING: Final = 20


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, put, post, delete = blueprint.get, blueprint.put, blueprint.post, blueprint.delete
    get("/mappings", summary="Mappings, by key", responses={200: models.Mappings})(mappings)
    put("/mappings", summary="Make or replace a mapping", responses={200: models.Mapping})(put_mapping)
    post("/mappings", summary="The same as PUT", responses={200: models.Mapping})(post_mapping)
    get("/mappings/<int:mapping_id>", summary="One mapping", responses={200: models.Mapping})(mapping)
    delete("/mappings/<int:mapping_id>", summary="Remove a mapping", responses={204: None})(delete_mapping)
    put("/mappings/bulk", summary="One loop for many songs", responses={200: models_songs.Changes})(put_bulk)
    get("/mappings/export", summary="Mappings as CSV", responses={200: CSV})(export)
    post("/mappings/import", summary="Mappings from CSV", responses={200: models_songs.Imported})(take_import)


def mappings(query: models.MappingsQuery) -> Response:
    """Mappings."""
    with asking() as queries:
        return page(queries.mappings(**query.model_dump()))


def mapping(path: models.MappingPath) -> Response:
    """One mapping."""
    with asking() as queries:
        row = queries.mapping(path.mapping_id)
    if row is None:
        raise Problem(404, "There is no mapping with this number.")
    return answer(row)


def put_mapping(body: models.MappingIn) -> Response:
    """Make or replace the mapping of this station, kind and key."""
    services = the_services()
    if body.station != "*" and body.station not in services.directors:
        raise fault("station", "is not a configured station; '*' means all of them")
    loop_of(services, "loop_file_path", body.loop_file_path)
    key = body.track_key or (track_key(body.artist or "", body.title or "") if body.kind == "track" else None)
    if not key:
        raise fault("track_key", "is missing; a track may be named by artist and title instead")
    values = body.model_dump(exclude={"artist", "title", "track_key"})
    with asking() as queries:
        row = queries.upsert_mapping(track_key=key, **values)
    audit.record(
        "mapping.put", station=body.station, kind=body.kind, track_key=row["track_key"], loop=body.loop_file_path
    )
    return answer(row)


def post_mapping(body: models.MappingIn) -> Response:
    """The same, for clients that only POST."""
    return put_mapping(body)


def delete_mapping(path: models.MappingPath) -> Response:
    """Remove one; its plays stay in the history."""
    with asking() as queries:
        found = queries.delete_mapping(path.mapping_id)
    if not found:
        raise Problem(404, "There is no mapping with this number.")
    audit.record("mapping.delete", mapping_id=path.mapping_id)
    return Response(status=204)


def put_bulk(body: models_songs.BulkIn) -> Response:
    """Map many songs at once, or take their mappings away."""
    services = the_services()
    station = station_of(services, body.station)
    loop = None if body.loop_file_path is None else loop_name(services, "loop_file_path", body.loop_file_path)
    chosen = selection(services, station, body.filter or models_songs.SongsFilter(), body.songs)
    with asking_the_store() as store:
        done = bulk.assign(
            store.pool(),
            str(services.host.paths.loops),
            chosen,
            kind=body.kind,
            loop=loop,
            everywhere=body.everywhere,
            dry_run=body.dry_run,
        )
    if not body.dry_run:
        audit.record("mapping.bulk", station=station, kind=body.kind, loop=loop, **done.to_json())
    missing = _missing([] if loop is None else [loop])
    return answer({**done.to_json(), "missing_loops": missing, "dry_run": body.dry_run})


def export(query: models.StationQuery) -> Response:
    """Every mapping, of all stations or of one and "*"."""
    if query.station is not None:
        station_of(the_services(), query.station)
    with asking_the_store() as store:
        rows = bulk.mappings(store.pool(), query.station)
    return csv_answer(mappings_csv.written(mappings_csv.MAPPINGS, rows), "mappings.csv")


def take_import(body: models_songs.ImportIn) -> Response:
    """Make or replace the mappings of a CSV: the good lines, while the bad ones are told."""
    services = the_services()
    directory = str(services.host.paths.loops)
    try:
        parsed = mappings_csv.parse(body.csv, services.directors.keys(), directory, body.first_line)
    except ValueError as error:
        raise fault("csv", str(error)) from None
    with asking_the_store() as store:
        done = bulk.merge(store.pool(), parsed.mappings, dry_run=body.dry_run)
    if not body.dry_run:
        audit.record("mapping.import", bad=len(parsed.bad), created=done.created, replaced=done.replaced)
    return answer(
        {
            **done.to_json(),
            "lines": parsed.lines,
            "blank": parsed.blank,
            "bad": len(parsed.bad),
            "bad_lines": [{"line": line, "reason": reason} for line, reason in parsed.bad[:MOST_TOLD]],
            "missing_loops": _missing([line.loop_file_path for line in parsed.mappings]),
            "dry_run": body.dry_run,
        }
    )


def _missing(wanted: list[str]) -> list[str]:
    """Which of these loops are of no file yet, the first few: they may be uploaded later."""
    return sorted(set(wanted) - set(the_library().shelf.all()))[:MOST_MISSING] if wanted else []
