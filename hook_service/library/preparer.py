"""Preparing loops for everybody who asks inside one process: who encodes what, and how far it is."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import catalog, intake
from .basics import ensure_basics, prepare_audio
from .crossfade import Change, render
from .dress import Dress, prune, touch
from .encode import Job, is_whole, prepare
from .errors import LibraryError, NotNow, Refused
from .profiles import Profile

__all__ = ["Preparer"]

log = logging.getLogger("radio.library")


class Preparer:
    """Prepares loops out of one directory. All methods may be called from any thread.

    Background work is done one loop at a time, urgent work at most `urgent_slots` at a time beside it.
    """

    def __init__(self, library: Path, loops: Path, profiles: Sequence[Profile]) -> None:
        self.library = library
        self.loops = loops
        self.profiles = tuple(dict.fromkeys(profiles))
        self._guard = threading.Condition()
        self._jobs: dict[tuple[str, str], list[Job]] = {}
        self._crossfades: dict[Change, Path | None] = {}
        self._slots = {
            True: threading.BoundedSemaphore(max(2, os.cpu_count() or 1)),
            False: threading.BoundedSemaphore(1),
        }
        # Cards have a lane of their own: they neither wait for a long film to be prepared nor hold up a loop.
        self._card_slot = threading.BoundedSemaphore(1)
        self._stopping = threading.Event()

    def profile(self, name: str, fade_in: float | None = None, fingerprint: str | None = None) -> Profile:
        """The profile in use under this name, with this fade and fingerprint if given; raises LibraryError."""
        for profile in self.profiles:
            same = fade_in in (None, profile.fade_in) and fingerprint in (None, profile.fingerprint())
            if profile.name == name and same:
                return profile
        known = ", ".join(sorted({profile.name for profile in self.profiles}))
        raise LibraryError(f"no station uses profile {name!r} with that fade; in use: {known}")

    def prepare(
        self,
        path: Path,
        profile: Profile,
        *,
        urgent: bool = False,
        on_encoding: Callable[[Path], None] | None = None,
    ) -> Path:
        """Prepare one file and return the directory of its loop. Blocks; raises LibraryError or Cancelled.

        `on_encoding` is called with the `.partial` directory as soon as FFmpeg runs, also when another caller had
        begun already: then that work is hurried if this is urgent.
        """
        fd = catalog.open_source(path, self.loops)
        try:
            source = catalog.identify_open(fd, path, self.library)
            final = catalog.prepared_dir(self.library, profile, source.sha256)
            if is_whole(final):
                return final
            reason = catalog.refusal(self.library, source.sha256, profile)
            if reason is not None:
                raise Refused(reason)
            ensure_basics(self.library, profile)
            job = Job(self.library, profile, source, fd, urgent=urgent, on_encoding=on_encoding)
            with self._registered(job), self._slots[urgent]:
                log.info("Preparing a loop", extra={"context": _context(job)})
                prepare(job)
                log.info("Loop prepared", extra={"context": _context(job)})
            return final
        finally:
            os.close(fd)

    def examine(self, path: Path) -> intake.Found:
        """What a file that is to become a loop is. Blocks; raises LibraryError or Cancelled."""
        return intake.examine(path, self.loops, self.library, self._stopping)

    def dress(self, path: Path, profile: Profile, dress: Dress, *, urgent: bool = False) -> Path:
        """Prepare one file's loop with a card, the loop itself first; return its directory.

        Blocks; raises LibraryError or Cancelled.
        """
        fd = catalog.open_source(path, self.loops)
        try:
            source = catalog.identify_open(fd, path, self.library)
            job = Job(self.library, profile, source, fd, urgent=urgent, dress=dress)
            if not is_whole(job.final):
                self.prepare(path, profile, urgent=urgent)
                with self._registered(job), self._card_slot:
                    log.info("Preparing a card", extra={"context": _context(job)})
                    prepare(job)
                    log.info("Card prepared", extra={"context": _context(job)})
                prune(self.library)
            touch(job.final)
            return job.final
        finally:
            os.close(fd)

    def prepare_audio(self, path: Path, kbps: int) -> Path:
        """Prepare a fallback audio and return its file. Blocks; raises LibraryError."""
        return prepare_audio(path, self.library, kbps, within=self.loops)

    def crossfade(self, change: Change, within: float, on_encoding: Callable[[Path], None] = lambda _: None) -> Path:
        """The file of a crossfade, see `render`; blocks for `within` seconds at most.

        Raises NotNow where it takes longer, LibraryError or Cancelled.
        """
        until = time.monotonic() + within
        with self._guard:
            # Asked for twice, it is made once: when the switch is foretold, and when it is ordered.
            if not self._guard.wait_for(lambda: self._crossfades.get(change, change) is not None, within):
                raise NotNow("another is at work on it")
            growing = self._crossfades.get(change)
        if growing is not None:
            on_encoding(growing)
        with self._guard:
            if not self._guard.wait_for(lambda: change not in self._crossfades, max(0.0, until - time.monotonic())):
                raise NotNow("another is at work on it")
            self._crossfades[change] = None

        def begun(file: Path) -> None:
            with self._guard:
                self._crossfades[change] = file
                self._guard.notify_all()
            on_encoding(file)

        try:
            if not self._slots[True].acquire(timeout=max(0.0, until - time.monotonic())):
                raise NotNow("loops that are wanted on the air are being prepared")
            try:
                return render(self.library, change, until - time.monotonic(), self._stopping, begun)
            finally:
                self._slots[True].release()
        finally:
            with self._guard:
                del self._crossfades[change]
                self._guard.notify_all()

    @contextmanager
    def _registered(self, job: Job) -> Iterator[None]:
        key = (job.profile.fingerprint(), job.final.name)
        with self._guard:
            if self._stopping.is_set():
                job.cancel.set()
            others = self._jobs.setdefault(key, [])
            others.append(job)
            if job.urgent:
                for other in others:
                    other.hurry()
        try:
            yield
        finally:
            with self._guard:
                others.remove(job)
                if not others:
                    del self._jobs[key]
                    self._guard.notify_all()

    def is_busy_with(self, profile: Profile, sha256: str) -> bool:
        """Whether this content is being prepared by this process."""
        with self._guard:
            return (profile.fingerprint(), sha256) in self._jobs

    def retry(self, path: Path) -> None:
        """Forget that the content of a file was refused. Raises LibraryError."""
        catalog.forget_refusal(self.library, catalog.identify(path, self.library, self.loops).sha256)

    def encoding(self) -> list[dict[str, Any]]:
        """What is being encoded: `path`, `profile`, `percent` (0 to 99) and `urgent`."""
        with self._guard:
            first = [jobs[0] for jobs in self._jobs.values() if jobs[0].dress is None]
        return [_context(job) | {"percent": job.percent, "urgent": job.urgent} for job in first]

    def stop(self, timeout: float) -> bool:
        """End everything at once; nothing begins any more. Whether all of it had ended within `timeout` seconds."""
        self._stopping.set()
        with self._guard:
            for jobs in self._jobs.values():
                for job in jobs:
                    job.cancel.set()
            return self._guard.wait_for(lambda: not self._jobs, timeout)


def _context(job: Job) -> dict[str, Any]:
    context = {"path": catalog.printable(job.source.path), "profile": job.profile.name}
    if job.dress is not None:
        context |= {"artist": job.dress.card.artist, "title": job.dress.card.title}
    return context
