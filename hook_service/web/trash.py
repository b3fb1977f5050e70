"""Loops that were deleted, kept for a while so that they can come back.

Each is a directory below `<loops>/.trash/` with the file and a note of what it was called. They are on the loops' own
file system, so that deleting and restoring are one rename each, however large the file is.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from hook_service.library import catalog
from hook_service.web.naming import move

KEEP_DAYS = 14
"""As long as what was prepared of it is kept: until then a loop that is restored is ready at once."""
TRASH = ".trash"
_FILE, _NOTE = "file", "note.json"
_NUMBER = re.compile(r"[0-9a-f]{32}")


class Occupied(Exception):
    """There is a loop of this name already."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deleted loop: its number in the trash, its name before, when (Unix seconds) and by whom it was deleted."""

    id: str
    name: str
    size: int
    sha256: str | None
    deleted_at: float
    deleted_by: str


def delete(loops: Path, name: str, sha256: str | None, by: str) -> Deleted:
    """Take a loop out of the directory. Raises OSError, FileNotFoundError where it is not there (any more)."""
    source = loops / name
    size = source.lstat().st_size
    found = Deleted(uuid4().hex, name, size, sha256, time.time(), by)
    place = loops / TRASH / found.id
    place.mkdir(parents=True)
    try:
        (place / _NOTE).write_text(json.dumps(asdict(found)), encoding="utf-8")
        source.rename(place / _FILE)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return found


def restore(loops: Path, number: str) -> Deleted | None:
    """Put a deleted loop back under its name; None where it is not in the trash. Raises Occupied, OSError."""
    found = _read(loops / TRASH / number) if _NUMBER.fullmatch(number) else None
    if found is None:
        return None
    target = loops / found.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        move(loops / TRASH / number / _FILE, target)
    except FileExistsError as error:
        raise Occupied(found.name) from error
    shutil.rmtree(loops / TRASH / number, ignore_errors=True)
    return found


def listing(loops: Path) -> list[Deleted]:
    """What is in the trash, the latest first."""
    return sorted(_all(loops), key=lambda found: -found.deleted_at)


def empty(loops: Path, older_than: float = 0.0) -> int:
    """Remove for good what has been in the trash for longer than this many seconds; how many bytes that gave back."""
    gone = 0
    for found in _all(loops):
        if time.time() - found.deleted_at >= older_than:
            shutil.rmtree(loops / TRASH / found.id, ignore_errors=True)
            gone += found.size
    return gone


def _all(loops: Path) -> Iterator[Deleted]:
    with suppress(OSError):
        for place in (loops / TRASH).iterdir():
            found = _read(place)
            if found is not None:
                yield found


def _read(place: Path) -> Deleted | None:
    value = catalog.notes(place / _NOTE)
    if value is None or not (place / _FILE).exists():
        return None
    try:
        found = Deleted(**value)
    except TypeError:
        return None
    # The note is ours, but the directory is the operator's: a name that leads elsewhere is none.
    good = found.id == place.name and ".." not in Path(found.name).parts and not Path(found.name).is_absolute()
    return found if good else None
