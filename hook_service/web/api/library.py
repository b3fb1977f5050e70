"""The loops: what there is, pictures, tags, deleting and having them back, preparing them again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from flask import Response, g, send_file

from hook_service import ipc
from hook_service.library.posters import path_of
from hook_service.store.pool import DatabaseAway
from hook_service.web import audit, trash
from hook_service.web import models_library as models
from hook_service.web.api.common import answer, the_library
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope
    from hook_service.web.shelf import Loop

SCOPE: Final[Scope] = "library"
_FOR_GOOD = 365 * 24 * 3600


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, put, post, delete = blueprint.get, blueprint.put, blueprint.post, blueprint.delete
    get("/loops", summary="Loops and their preparation", responses={200: models.Loops})(list_loops)
    delete("/loops", summary="Delete a loop; it can come back", responses={200: models.DeletedLoop})(delete_loop)
    get("/loops/disk", summary="Room on the disk", responses={200: models.Disk})(disk)
    get("/loops/poster", summary="A still of a loop, JPEG", responses={200: _media("image/jpeg")})(poster)
    get("/loops/preview", summary="A moving picture, MP4", responses={200: _media("video/mp4")})(preview)
    get("/loops/tags", summary="All tags", responses={200: models.Tags})(list_tags)
    put("/loops/tags", summary="Set a loop's tags", responses={200: models.Tagged})(put_tags)
    post("/loops/prepare", summary="Try a refused loop again", responses={202: None})(prepare)
    get("/loops/trash", summary="Deleted loops", responses={200: models.Trash})(list_trash)
    delete("/loops/trash", summary="Remove deleted loops for good", responses={204: None})(empty_trash)
    post("/loops/restore", summary="Have a deleted loop back", responses={200: models.DeletedLoop})(restore)


def _media(kind: str) -> dict[str, Any]:
    return {"content": {kind: {"schema": {"type": "string", "format": "binary"}}}}


def list_loops(query: models.LoopsQuery) -> Response:
    """The loops directory."""
    try:
        return answer(the_library().page(**query.model_dump()))
    except DatabaseAway:
        raise _away() from None


def disk() -> Response:
    """Room on the disk."""
    return answer(the_library().disk())


def delete_loop(query: models.DeleteQuery) -> Response:
    """Put a loop into the trash, from where it comes back under its name. What uses it falls back to the default."""
    library = the_library()
    loop = _loop(query.name)
    uses = library.uses().get(loop.name)
    if uses is not None and (uses.fixed or not query.force):
        used = {key: value for key, value in asdict(uses).items() if key != "fixed"}
        why = (
            "The configuration names this loop; change that first."
            if uses.fixed
            else "This loop is used; send force=true if it is to go all the same."
        )
        raise Problem(409, why, used=used, may_be_forced=not uses.fixed)
    try:
        found = trash.delete(library.paths.loops, loop.name, loop.sha256, g.actor.name)
    except OSError as error:
        raise _unwritable(error) from None
    library.shelf.all(fresh=True)
    audit.record("loop.delete", loop=loop.name, id=found.id, size=found.size, forced=uses is not None)
    return answer(_deleted(found))


def list_trash() -> Response:
    """Deleted loops."""
    return answer({"items": [_deleted(each) for each in trash.listing(the_library().paths.loops)]})


def empty_trash() -> Response:
    """Give back the room that deleted loops take. They don't come back from this."""
    gone = trash.empty(the_library().paths.loops)
    audit.record("loop.empty-trash", bytes=gone)
    return Response(status=204)


def restore(body: models.DeletedIn) -> Response:
    """Have a deleted loop back under its name."""
    library = the_library()
    try:
        found = trash.restore(library.paths.loops, body.id)
    except trash.Occupied as error:
        raise Problem(409, f"There is a loop called {error} again; delete that one first.") from None
    except OSError as error:
        raise _unwritable(error) from None
    if found is None:
        raise Problem(404, "This loop is not in the trash.")
    library.shelf.all(fresh=True)
    audit.record("loop.restore", loop=found.name, id=found.id)
    return answer(_deleted(found))


def list_tags() -> Response:
    """Every tag and how many loops have it; tags of loops that are gone are not among them."""
    library = the_library()
    tags = library.tags()
    if tags is None:
        raise _away()
    there = library.shelf.all()
    counts: dict[str, int] = {}
    for name in tags.keys() & there.keys():
        for tag in tags[name]:
            counts[tag] = counts.get(tag, 0) + 1
    return answer({"items": [{"tag": tag, "loops": counts[tag]} for tag in sorted(counts, key=str.casefold)]})


def put_tags(body: models.TagsIn) -> Response:
    """Set a loop's tags."""
    loop = _loop(body.name)
    try:
        now = the_library().set_tags(loop.name, list(dict.fromkeys(body.tags)))
    except DatabaseAway:
        raise _away() from None
    audit.record("loop.tag", loop=loop.name, tags=now)
    return answer({"name": loop.name, "tags": now})


def prepare(body: models.LoopIn) -> Response:
    """Forget that a loop was refused: its preparation is tried again within seconds. One that is ready stays."""
    library = the_library()
    loop = _loop(body.name)
    try:
        told = ipc.request(
            library.paths.run / "prepare.sock", {"op": "retry", "path": str(library.paths.loops / loop.name)}, 30.0
        )
    except ipc.PeerDown:
        raise Problem(503, "The preparation does not answer.", {"Retry-After": "5"}) from None
    if told.get("state") != "ready":
        raise Problem(409, f"It can't be prepared: {told.get('reason')}.")
    audit.record("loop.prepare", loop=loop.name)
    return answer({"request_id": g.request_id, "accepted": True}, 202)


def poster(query: models.PictureQuery) -> Response:
    """A still, 320 pixels wide."""
    return _picture(query, moving=False)


def preview(query: models.PictureQuery) -> Response:
    """Some seconds of it, 320 pixels wide, without sound."""
    return _picture(query, moving=True)


def _picture(query: models.PictureQuery, *, moving: bool) -> Response:
    library = the_library()
    loop = _loop(query.name)
    path = path_of(library.paths.library, loop.sha256 or "", moving)
    if loop.sha256 is None or not path.is_file():
        raise Problem(404, "This loop has no picture yet.")
    kind = "video/mp4" if moving else "image/jpeg"
    found = send_file(
        path, kind, conditional=True, etag=loop.sha256, max_age=_FOR_GOOD if query.v == loop.sha256[:16] else 0
    )
    # For this browser alone: whoever else may see loops is not for a cache on the way to know.
    found.cache_control.public = False
    found.cache_control.private = True
    return found


def _loop(name: str) -> Loop:
    loop = the_library().shelf.all().get(name)
    if loop is None:
        raise Problem(404, "There is no loop of this name.")
    return loop


def _deleted(found: trash.Deleted) -> dict[str, Any]:
    at = datetime.fromtimestamp(found.deleted_at, UTC)
    return {
        "id": found.id,
        "name": found.name,
        "size": found.size,
        "deleted_at": at,
        "deleted_by": found.deleted_by,
        "until": at + timedelta(days=trash.KEEP_DAYS),
    }


def _away() -> Problem:
    return Problem(503, "The database does not answer.", {"Retry-After": "5"})


def _unwritable(error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(404, "The loop has gone meanwhile.")
    # Such as a directory that belongs to somebody else.
    return Problem(403, f"The loops directory can't be changed there: {error.strerror}.")
