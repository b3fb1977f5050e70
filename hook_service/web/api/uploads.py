"""Uploads of loops by tus 1.0.0, with its extensions creation and termination (https://tus.io/protocols)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flask import Response, g, request

from hook_service.web import audit
from hook_service.web import models_library as models
from hook_service.web.api.common import answer, the_library
from hook_service.web.problems import Problem
from hook_service.web.server import MAX_PIECE
from hook_service.web.upload import Upload, UploadError
from hook_service.web.uploads import LARGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "library"
JSON_ALONE: Final = False
VERSION: Final = "1.0.0"
PIECE: Final = "application/offset+octet-stream"
VERDICT_SECONDS: Final = 10.0
"""For which the last piece's answer waits, so that what is refused is refused in it."""


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, post, patch, delete = blueprint.get, blueprint.post, blueprint.patch, blueprint.delete
    get("/uploads", summary="Uploads", responses={200: models.Uploads})(uploads)
    post("/uploads", summary="Begin an upload (tus)", responses={201: None})(create)
    get("/uploads/<upload_id>", summary="How far one is", responses={200: models.Upload})(upload)
    patch("/uploads/<upload_id>", summary="Send a piece (tus)", responses={204: None})(append)
    delete("/uploads/<upload_id>", summary="Give one up (tus)", responses={204: None})(remove)
    blueprint.add_url_rule("/uploads", "discover", discover, methods=["OPTIONS"])


def discover() -> Response:
    """What this server can do."""
    return _tus(Response(status=204), {"Tus-Extension": "creation,termination", "Tus-Max-Size": str(LARGEST)})


def uploads() -> Response:
    """Every upload."""
    return answer({"items": [_told(each) for each in the_library().uploads.all()]})


def upload(path: models.UploadPath) -> Response:
    """One, as JSON; its headers are what tus asks for with HEAD."""
    found = the_library().uploads.find(path.upload_id)
    if found is None:
        raise _unknown()
    headers = {"Upload-Offset": str(_offset(found)), "Upload-Length": str(found.length), "Cache-Control": "no-store"}
    return _tus(answer(_told(found)), headers)


def create(header: models.UploadHeaders) -> Response:
    """Begin an upload: `Upload-Length`, and a `filename` in `Upload-Metadata`. `Location` is where its pieces go."""
    _speaks()
    name = _metadata(header.metadata).get("filename", "")
    try:
        found = the_library().uploads.create(name, header.length, g.actor.name)
    except UploadError as error:
        raise Problem(error.status, str(error)) from None
    audit.record("loop.upload", name=found.name, size=found.length, id=found.id)
    return _tus(Response(status=201), {"Location": f"{request.path.rstrip('/')}/{found.id}"})


def append(path: models.UploadPath, header: models.PieceHeaders) -> Response:
    """A piece of at most 8 MB. With the last one the file is looked at: what is no video is refused here (422)."""
    _speaks()
    if request.mimetype != PIECE:
        raise Problem(415, f"Send the piece as {PIECE}.", {"Accept-Patch": PIECE})
    # The server sees to it that no piece is longer. Werkzeug refuses to find the end of a body of exactly its limit.
    request.max_content_length = MAX_PIECE + 1
    library = the_library()
    try:
        found = library.uploads.append(path.upload_id, header.offset, request.stream)
    except UploadError as error:
        raise Problem(error.status, str(error)) from None
    if found is None:
        raise _unknown()
    offset = _offset(found)
    if offset == found.length:
        found = library.uploads.wait(found.id, VERDICT_SECONDS) or found
        if found.state == "refused":
            raise Problem(422, f"This can't become a loop: {found.reason}.", upload=_told(found))
    return _tus(Response(status=204), {"Upload-Offset": str(offset)})


def remove(path: models.UploadPath) -> Response:
    """Give an upload up, or forget one that ended: the loop that it has become stays."""
    try:
        found = the_library().uploads.remove(path.upload_id)
    except UploadError as error:
        raise Problem(error.status, str(error)) from None
    if found is None:
        raise _unknown()
    if found.state in ("receiving", "checking"):
        audit.record("loop.upload-cancel", name=found.name, id=found.id)
    return _tus(Response(status=204), {})


def _speaks() -> None:
    """Raise Problem for a client that speaks another version of the protocol."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise Problem(412, f"Say Tus-Resumable: {VERSION}.", {"Tus-Version": VERSION})


def _tus(response: Response, headers: Mapping[str, str]) -> Response:
    response.headers.update({"Tus-Resumable": VERSION, "Tus-Version": VERSION, **headers})
    return response


def _metadata(text: str) -> dict[str, str]:
    """What `Upload-Metadata` says: pairs of a word and its value in Base64, with commas between them."""
    found = {}
    for pair in text.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            raise Problem(422, f"Upload-Metadata: what is said of {key[:40]!r} is not Base64.") from None
    return found


def _offset(found: Upload) -> int:
    return found.offset if found.state == "receiving" else found.length


def _told(found: Upload) -> dict[str, Any]:
    at = datetime.fromtimestamp(found.created_at, UTC)
    return {**asdict(found), "offset": _offset(found), "created_at": at.isoformat()}


def _unknown() -> Problem:
    return Problem(404, "There is no such upload (any more).")
