"""Looking at a file that is to become a loop before it gets a name among them: what it is, or why it is refused."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from . import catalog
from .child import BACKGROUND_NICE
from .errors import Refused
from .media import MAX_SECONDS, MIN_SECONDS
from .probe import probe

__all__ = ["Found", "examine"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that can become a loop: its content, its size in pixels, and how long it is where it says so."""

    sha256: str
    width: int
    height: int
    seconds: float | None
    still: bool


def examine(path: Path, loops: Path, library: Path, cancel: threading.Event | None = None) -> Found:
    """Probe and hash a file below `loops`; reads all of it, at low priority.

    Raises SourceMissing, Refused (also where the same content was refused before), NotNow or Cancelled. That a file
    passes is no promise: damage in its midst is found by the encoder alone.
    """
    fd = catalog.open_source(path, loops)
    try:
        media = probe(fd, BACKGROUND_NICE, cancel)
        seconds = None if media.seconds is None or media.still else float(media.seconds)
        if seconds is not None and seconds > MAX_SECONDS + 1:
            raise Refused(f"too long: {seconds:.0f} s, a loop lasts at most {MAX_SECONDS} s")
        if seconds is not None and seconds < MIN_SECONDS * 0.9:
            raise Refused(f"too short: {seconds:.2f} s, a loop lasts at least {MIN_SECONDS} s")
        digest = catalog.digest(fd, path)
        reason = catalog.refusal(library, digest)
        if reason is not None:
            raise Refused(reason)
        return Found(digest, media.width, media.height, seconds, media.still)
    finally:
        os.close(fd)
