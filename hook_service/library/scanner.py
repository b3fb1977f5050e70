"""Finding what there is to prepare, and what has not been needed for a long time."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import catalog
from .encode import is_whole
from .errors import LibraryError, SourceMissing
from .names import PARTIAL
from .profiles import Profile

__all__ = ["KEEP_DAYS", "Item", "Scanner", "prune"]

log = logging.getLogger("radio.library")

# Files in the loops directory with other names are somebody's notes, sources or uploads in progress.
# fmt: off
SUFFIXES = frozenset((
    ".3gp", ".apng", ".asf", ".avi", ".bmp", ".flv", ".gif", ".jpeg", ".jpg", ".jxl", ".m2ts", ".m4v", ".mkv",
    ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".png", ".qt", ".tif", ".tiff", ".ts",
    ".vob", ".webm", ".webp", ".wmv", ".y4m",
))
# fmt: on
# A file that is still being copied changes its time or size between two looks, or has just done so.
_SETTLED_SECONDS = 2.0
KEEP_DAYS = 14
_UNUSED = ".unused"


@dataclass(frozen=True, slots=True)
class Item:
    """One file and what has become of it for one profile.

    `state` is "ready", "refused", "queued" or "unreadable", `reason` why it was refused or can't be read.
    """

    path: Path
    profile: Profile
    sha256: str
    state: str
    reason: str | None = None


class Scanner:
    """Looks through a directory of loops. `first` are the files that a station can't do without."""

    def __init__(self, loops: Path, library: Path, profiles: Sequence[Profile], first: Sequence[Path]) -> None:
        self._loops = loops
        self._library = library
        self._profiles = tuple({profile.fingerprint(): profile for profile in profiles}.values())
        self._first = frozenset(first)
        self._seen: dict[Path, tuple[int, int]] = {}
        self._whole: set[Path] = set()

    def scan(self) -> list[Item]:
        """Everything there is now, what a station can't do without first, then by name. New files are hashed here."""
        seen: dict[Path, tuple[int, int]] = {}
        items: list[Item] = []
        for path, stat in sorted(files(self._loops), key=lambda found: (found[0] not in self._first, found[0])):
            seen[path] = (stat.st_size, stat.st_mtime_ns)
            age = time.time() - stat.st_mtime
            if 0 <= age < _SETTLED_SECONDS or self._seen.get(path, seen[path]) != seen[path]:
                continue
            items += self._items(path)
        self._seen = seen
        return items

    def _items(self, path: Path) -> Iterator[Item]:
        try:
            source = catalog.identify(path, self._library, self._loops)
        except SourceMissing as error:
            for profile in self._profiles:
                yield Item(path, profile, "", "unreadable", str(error))
            return
        except LibraryError:
            return  # being written to: next time
        for profile in self._profiles:
            final = catalog.prepared_dir(self._library, profile, source.sha256)
            if self._is_ready(final):
                yield Item(path, profile, source.sha256, "ready")
            elif (reason := catalog.refusal(self._library, source.sha256, profile)) is not None:
                yield Item(path, profile, source.sha256, "refused", reason)
            else:
                yield Item(path, profile, source.sha256, "queued")

    def _is_ready(self, final: Path) -> bool:
        """Whether a loop is whole: looked at closely once, after that only whether it is still there."""
        if final in self._whole and final.is_dir():
            return True
        self._whole.discard(final)
        if is_whole(final):
            self._whole.add(final)
            return True
        return False


def files(loops: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The media files below a directory: regular, not hidden, no links out of it followed, no error raised."""
    try:
        entries = list(os.scandir(loops))
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(OSError):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from files(Path(entry.path))
            elif entry.is_file() and Path(entry.name).suffix.lower() in SUFFIXES:
                yield Path(entry.path), entry.stat()


def prune(library: Path, profiles: Sequence[Profile], items: Sequence[Item], keep_days: float = KEEP_DAYS) -> int:
    """Remove prepared loops that no file has needed for `keep_days` days; returns how many went.

    The first time a loop is not needed, a mark is put into its directory; the mark's age is what counts, and it
    goes when the loop is needed again.
    """
    needed = {(item.profile.fingerprint(), item.sha256) for item in items}
    needed |= {(profile.fingerprint(), catalog.slate_sha256()) for profile in profiles}
    used_names = {item.sha256 for item in items}
    used_names |= {catalog.memory(item.path, library).stem for item in items}
    gone = 0
    for directory in library.glob("*/*"):
        if len(directory.name) != 64 or directory.name.endswith(PARTIAL) or not directory.is_dir():
            continue
        mark = directory / _UNUSED
        with contextlib.suppress(OSError):
            if (directory.parent.name, directory.name) in needed:
                mark.unlink(missing_ok=True)
            elif not mark.exists():
                mark.touch()
            elif time.time() - mark.stat().st_mtime > keep_days * 86400:
                shutil.rmtree(directory)
                gone += 1
    used = {profile.fingerprint() for profile in profiles}
    for place in library.glob("crossfades/*"):
        if place.name not in used:
            shutil.rmtree(place, ignore_errors=True)
    for memory in (*library.glob("sources/*.json"), *library.glob("refused/*.json"), *library.glob("posters/*")):
        with contextlib.suppress(OSError):
            # Age alone decides, except of what is in use: to read a library again takes hours, and no loop could be
            # shown before its turn came.
            if memory.stem[:64] not in used_names and time.time() - memory.stat().st_mtime > 10 * keep_days * 86400:
                memory.unlink()
    if gone:
        log.info("Removed prepared loops that nothing needs any more", extra={"context": {"loops": gone}})
    return gone
