"""Uploads by tus 1.0: the file goes up in pieces, and what breaks off goes on where it was."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from hook_service.ctl.client import Api, Refused, Trouble, Unreachable

PIECE = 4 << 20
"""Bytes of one request: well below the 8 MB that the service takes."""
PATIENCE = 60.0
"""Seconds without a byte more after which an upload is given up."""
PAUSE = 1.0
_TUS = {"Tus-Resumable": "1.0.0"}
_PASSING = (409, 423, 429, 502, 503, 504)
"""What may be over in a moment. A conflict is about the offset: what seemed lost had arrived after all."""


def send(api: Api, file: Path, name: str, tell: Callable[[int], None]) -> dict[str, Any]:
    """Upload `file` under `name`; `tell` is given the bytes that have arrived. What became of it, as /uploads has it.

    Raises Trouble, also for what is no video. What was sent is given up then, except where the service is away.
    """
    with file.open("rb") as source:
        length = source.seek(0, 2)
        coded = base64.b64encode(name.encode()).decode()
        headers = {**_TUS, "Upload-Length": str(length), "Upload-Metadata": f"filename {coded}"}
        location = api.raw("POST", "/api/v1/uploads", headers).headers.get("location")
        if location is None:
            raise Unreachable("The service tells no place for an upload: is the address right?")
        # Its path alone, below the address that was given: the token goes to nobody else.
        path = urlsplit(location).path
        path = path[path.index("/api/v1/") :] if "/api/v1/" in path else path
        try:
            _pieces(api, path, source, length, tell)
        except KeyboardInterrupt:
            _give_up(api, path)
            raise
    return _verdict(api, path)


def _pieces(api: Api, path: str, source: BinaryIO, length: int, tell: Callable[[int], None]) -> None:
    offset, moved = 0, time.monotonic()
    while offset < length:
        source.seek(offset)
        piece = source.read(PIECE)
        if not piece:
            _give_up(api, path)
            raise Trouble("The file became shorter while it was sent.")
        headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        try:
            now = _offset(api.raw("PATCH", path, headers, piece).headers, offset + len(piece))
        except Trouble as trouble:
            if not _passes(trouble) or time.monotonic() - moved > PATIENCE:
                raise
            time.sleep(PAUSE)
            now = _arrived(api, path, offset)
        if now != offset:
            moved = time.monotonic()
        offset = now
        tell(offset)


def _passes(trouble: Trouble) -> bool:
    return trouble.status in _PASSING if isinstance(trouble, Refused) else isinstance(trouble, Unreachable)


def _arrived(api: Api, path: str, before: int) -> int:
    """How much has; `before` while nobody answers."""
    try:
        return _offset(api.raw("HEAD", path, _TUS).headers, before)
    except Trouble as trouble:
        if _passes(trouble):
            return before
        raise


def _offset(headers: Mapping[str, str], otherwise: int) -> int:
    said = headers.get("upload-offset", "")
    return int(said) if said.isdecimal() else otherwise


def _verdict(api: Api, path: str) -> dict[str, Any]:
    """What the upload has become: a large file is looked at for longer than its last piece's answer waits."""
    while True:
        found: dict[str, Any] = api.raw("GET", path).json()
        if found["state"] in ("done", "duplicate"):
            return found
        if found["state"] == "refused":
            raise Trouble(f"{found['name']} can't become a loop: {found['reason']}")
        time.sleep(PAUSE)


def _give_up(api: Api, path: str) -> None:
    try:
        api.raw("DELETE", path, _TUS)
    except Trouble:
        # The service removes by itself what nobody goes on with.
        return
