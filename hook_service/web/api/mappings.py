"""Which loop for which track."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Response

from hook_service.tracks.track_key import track_key
from hook_service.web import audit, models
from hook_service.web.api.common import answer, asking, fault, loop_of, page, the_services
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "mappings"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, put, post, delete = blueprint.get, blueprint.put, blueprint.post, blueprint.delete
    get("/mappings", summary="Mappings, by key", responses={200: models.Mappings})(mappings)
    put("/mappings", summary="Make or replace a mapping", responses={200: models.Mapping})(put_mapping)
    post("/mappings", summary="The same as PUT", responses={200: models.Mapping})(post_mapping)
    get("/mappings/<int:mapping_id>", summary="One mapping", responses={200: models.Mapping})(mapping)
    delete("/mappings/<int:mapping_id>", summary="Remove a mapping", responses={204: None})(delete_mapping)


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
