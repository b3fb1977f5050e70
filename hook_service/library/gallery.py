"""Sees to it that every prepared loop has its pictures, one after the other, in a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from . import posters
from .child import BACKGROUND_NICE, Cancelled, ChildFailed
from .loopfile import LoopDamaged
from .profiles import Profile
from .scanner import Item

__all__ = ["Gallery"]

log = logging.getLogger("radio.library")


class Gallery:
    """`start`, then `want` whenever it is known what is prepared; `stop` ends it at once."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._changed = threading.Condition()
        self._wanted: dict[str, Profile] = {}
        # What has its pictures, or will not get any from this process.
        self._done: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gallery")

    def start(self) -> None:
        """Begin to make pictures."""
        self._thread.start()

    def stop(self) -> None:
        """Make no more, and end the one that is being made."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout)

    def want(self, items: Sequence[Item]) -> None:
        """What there is now: what is ready and has no pictures gets them."""
        with self._changed:
            ready = {item.sha256: item.profile for item in items if item.state == "ready"}
            self._wanted = {sha: profile for sha, profile in ready.items() if sha not in self._done}
            self._changed.notify_all()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICE)
        while (found := self._next()) is not None:
            sha256, profile = found
            try:
                if not posters.path_of(self._library, sha256).exists():
                    posters.make(self._library, profile, sha256, self._stopping)
            except Cancelled:
                return
            except (ChildFailed, LoopDamaged, OSError) as error:
                # A loop without a picture plays as well as any; the next start tries again.
                context = {"sha256": sha256, "reason": str(error)}
                log.warning("A loop's picture can't be made", extra={"context": context})
            self._done.add(sha256)

    def _next(self) -> tuple[str, Profile] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._stopping.is_set())
            return None if self._stopping.is_set() else self._wanted.popitem()
