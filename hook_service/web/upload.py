"""One upload: what is known of it, and how a piece of it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Final, Literal

_READ: Final = 64 * 1024

State = Literal["receiving", "checking", "done", "duplicate", "refused"]


class UploadError(Exception):
    """An upload can't go on; the text is for whoever uploads, `status` the HTTP status of it."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Upload:
    """`length` and `offset` (what came) in bytes. `name` is what it is to be called; what it is called once `state`
    is `done`; and with `duplicate` the loop that has this very content. `reason` says why it was refused, or what
    the check waits for.
    """

    id: str
    name: str
    length: int
    created_at: float
    created_by: str
    state: State = "receiving"
    reason: str | None = None
    sha256: str | None = None
    offset: int = 0


def write_piece(stream: IO[bytes], fd: int, offset: int, length: int) -> int:
    """Write what comes behind `offset`; the new length. Raises UploadError for more than was announced."""
    while data := stream.read(_READ):
        if offset + len(data) > length:
            raise UploadError(413, f"The upload was announced with {length} bytes.")
        view = memoryview(data)
        while view:
            count = os.pwrite(fd, view, offset)
            view, offset = view[count:], offset + count
    return offset
