"""The loops directory in memory: which files there are, their content, and how far each is prepared.

Thousands of loops are looked through for every search. Reading what is kept of each from the disk takes 0.3 s of CPU
for 2,000 of them; comparing what is remembered with the directory takes 0.04 s.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hook_service.config import Host
from hook_service.library import catalog
from hook_service.library.names import PARTIAL
from hook_service.library.profiles import RECIPE
from hook_service.library.scanner import files

State = Literal["pending", "encoding", "prepared", "refused"]
FRESH = 1.0
"""Seconds that a look at the directory is good for."""
# The first that any profile of a loop is in is what the loop is in.
_WORST: tuple[State, ...] = ("refused", "encoding", "pending", "prepared")


@dataclass(frozen=True, slots=True)
class Loop:
    """A file below the loops directory. `sha256` is None until radio-prepare has read it; `size` is in bytes."""

    name: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str | None
    states: dict[str, State]
    reason: str | None = None

    @property
    def state(self) -> State:
        """Of all profiles together."""
        return next(state for state in _WORST if state in self.states.values())


@dataclass(slots=True)
class _Library:
    """What the library directory says, one look into each of its directories."""

    prepared: dict[str, frozenset[str]]
    refused: dict[str, str]
    pictured: frozenset[str]

    def states(self, profiles: list[tuple[str, str]], sha256: str | None) -> tuple[dict[str, State], str | None]:
        """The state for each profile, given by name and fingerprint, and why it was refused."""
        states: dict[str, State] = {}
        reason = self.refused.get(sha256 or "")
        for name, fingerprint in profiles:
            there = self.prepared[fingerprint]
            own = self.refused.get(f"{sha256}-{fingerprint}")
            if sha256 is None:
                state: State = "pending"
            elif sha256 in there:
                state = "prepared"
            elif reason is not None or own is not None:
                state, reason = "refused", reason or own
            else:
                state = "encoding" if sha256 + PARTIAL in there else "pending"
            # Stations of one profile may differ in their fade: what is missing for one of them is missing.
            states[name] = min(states.get(name, state), state, key=_WORST.index)
        return states, reason if "refused" in states.values() else None


class Shelf:
    """Of one host, for all threads. Nothing is read before it is first asked."""

    def __init__(self, host: Host) -> None:
        self._loops, self._library = host.paths.loops, host.paths.library
        profiles = {host.station_profile(name) for name in host.stations}
        # Worked out once: a fingerprint takes as long as looking at a loop.
        self._profiles = sorted((profile.name, profile.fingerprint()) for profile in profiles)
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._found: dict[str, Loop] = {}
        self._pictured: frozenset[str] = frozenset()
        self._refusals: dict[str, tuple[int, str]] = {}

    def all(self, *, fresh: bool = False) -> dict[str, Loop]:
        """Every loop by its name, in the order of names; not older than a second. `fresh`: as it is now."""
        with self._lock:
            if fresh or time.monotonic() - self._at > FRESH:
                library = self._look()
                self._pictured = library.pictured
                self._found = {loop.name: loop for loop in sorted(self._files(library), key=lambda loop: loop.name)}
                self._at = time.monotonic()
            return self._found

    def has_poster(self, sha256: str | None) -> bool:
        """Whether this content had its pictures at the last look."""
        return sha256 in self._pictured

    def _files(self, library: _Library) -> Iterator[Loop]:
        base = os.path.join(self._loops, "")  # noqa: PTH118 - with the slash behind it
        for path, stat in files(self._loops):
            name = os.fspath(path)[len(base) :]
            known = self._found.get(name)
            key = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
            if known is not None and known.sha256 and (known.size, known.mtime_ns, known.inode) == key:
                sha256: str | None = known.sha256
            else:
                source = catalog.recall(path, self._library)
                sha256 = source.sha256 if source is not None else None
            states, reason = library.states(self._profiles, sha256)
            yield Loop(name, *key, sha256, states, reason)

    def _look(self) -> _Library:
        prepared = {each: frozenset(_names(self._library / each)) for _, each in self._profiles}
        refused = {name.removesuffix(".json"): self._refusal(name) for name in _names(self._library / "refused")}
        pictured = (name[:64] for name in _names(self._library / "posters") if name.endswith(".jpg"))
        return _Library(prepared, {name: why for name, why in refused.items() if why}, frozenset(pictured))

    def _refusal(self, name: str) -> str | None:
        """What a refusal says; None for one that no longer counts."""
        path = self._library / "refused" / name
        with suppress(OSError):
            written = path.stat().st_mtime_ns
            if self._refusals.get(name, (0, ""))[0] != written:
                value = catalog.notes(path)
                why = str(value.get("reason", "refused")) if value and value.get("recipe") == RECIPE else ""
                self._refusals[name] = (written, why)
            return self._refusals[name][1] or None
        self._refusals.pop(name, None)
        return None


def _names(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(directory)]
    except OSError:
        return []
