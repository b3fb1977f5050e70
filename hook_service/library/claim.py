"""Who encodes what: a directory that grows is locked by its encoder, in whatever thread or process that is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .child import Cancelled
from .names import PLAN

__all__ = ["claimed", "clean"]

# Files are written under such a name before they get their own. Nobody writes one for so long.
_DRAFT_SECONDS = 86400.0


@contextmanager
def claimed(partial: Path, cancel: threading.Event, busy: Callable[[], None]) -> Iterator[Path | None]:
    """Make the directory and hold its lock; None when another encoder had it first (and has ended by now).

    `busy` is called while another is at work there. Raises Cancelled, OSError.
    """
    partial.mkdir(parents=True, exist_ok=True)
    try:
        fd = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        waited = False
        while not _lock(fd):
            waited = True
            if (partial / PLAN).exists():
                busy()
            if cancel.wait(0.05):
                raise Cancelled
        # Renamed or removed by its owner while we waited: whatever there is now, it is not this.
        if waited or not _is_same(fd, partial):
            yield None
            return
        for leftover in partial.iterdir():
            leftover.unlink()
        yield partial
    finally:
        os.close(fd)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def clean(library: Path) -> int:
    """Remove what dead encoders left behind, and loops put aside as damaged; encoders at work hold a lock.

    Returns how many directories went.
    """
    for draft in library.glob("*/.*"):
        with contextlib.suppress(OSError):
            if time.time() - draft.lstat().st_mtime < _DRAFT_SECONDS:
                continue
            if draft.is_dir():
                shutil.rmtree(draft)
            else:
                draft.unlink()
    gone = 0
    for directory in (*library.glob("*/*.partial"), *library.glob("*/*.old-*"), *library.glob("*/*.damaged-*")):
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if _lock(fd) and _is_same(fd, directory):
                shutil.rmtree(directory, ignore_errors=True)
                gone += 1
        finally:
            os.close(fd)
    return gone
