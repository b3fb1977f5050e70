"""Reading prepared loops from disk, by index, one GOP at a time. Standard library only: the playout imports it.

A prepared loop is a directory `<library>/<profile fingerprint>/<sha256 of the source>/` with `body.flv` (the loop),
`entry.flv` (its first GOP again, with the fade-in; absent when the fade-in is 0) and `index.json`, which is written
last. While it is being encoded the directory is called `<sha256>.partial`, holds `plan.json` instead of an index, and
may be followed with `GrowingLoop`. Renaming the directory is what makes a loop whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .flv import FILE_HEADER, Frame, LoopDamaged, Tag, as_frame, frames_of, scan

__all__ = ["PARTIAL", "Frame", "GrowingLoop", "LoopDamaged", "PreparedLoop", "open_loop"]

BODY = "body.flv"
ENTRY = "entry.flv"
INDEX = "index.json"
PLAN = "plan.json"
PARTIAL = ".partial"

_CHUNK = 1 << 20
# The index of a two-hour loop with one-second GOPs is about 200 KB, and no GOP of any profile comes near 64 MB:
# limits, so that a damaged index costs an error and not the host's memory.
_INDEX_LIMIT = 4 << 20
_GOP_LIMIT = 64 << 20


def open_loop(directory: Path) -> PreparedLoop:
    """Open a whole prepared loop. Raises LoopDamaged when it is absent, half-written or inconsistent."""
    return PreparedLoop(directory)


class _Directory:
    """A directory held by descriptor, so that what is in it stays reachable when it is renamed under its reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, int] = {}
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise LoopDamaged(f"{path}: {error.strerror}") from error

    def file(self, name: str) -> int | None:
        """A descriptor of a file inside, opened once; None while there is none."""
        if name not in self._files:
            if self._fd < 0:
                raise LoopDamaged(f"{self.path}: already closed")
            try:
                self._files[name] = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise LoopDamaged(f"{self.path}/{name}: {error.strerror}") from error
        return self._files[name]

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer at the end of the file, none without it."""
        fd = self.file(name)
        try:
            return b"" if fd is None else os.pread(fd, length, offset)
        except OSError as error:
            raise LoopDamaged(f"{self.path}/{name}: {error.strerror}") from error

    def size(self, name: str) -> int:
        fd = self.file(name)
        return 0 if fd is None else os.fstat(fd).st_size

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON object from a file inside; None when there is no such file."""
        data = self.read(name, 0, _INDEX_LIMIT)
        if not data and self.file(name) is None:
            return None
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise LoopDamaged(f"{self.path}/{name} is not JSON") from error
        if not isinstance(value, dict):
            raise LoopDamaged(f"{self.path}/{name} is not a JSON object")
        return value

    def is_at(self, path: Path) -> bool:
        """Whether this very directory is now found at `path`."""
        if self._fd < 0:
            return False
        try:
            return os.path.samestat(os.fstat(self._fd), path.stat())
        except OSError:
            return False

    def is_removed(self) -> bool:
        return self._fd < 0 or os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        for fd in [self._fd, *self._files.values()]:
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._fd = -1
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self.close()


class PreparedLoop(_Directory):
    """A whole prepared loop, read from disk one GOP at a time; never more than one GOP in memory.

    Attributes: `frames` (in one pass), `gops` (in one pass), `gop_sizes` are frames per GOP as the index implies,
    `avcc` (AVCDecoderConfigurationRecord), `sha256` (of the source), `source` (its path), `has_entry`, `encoder`.
    Keeps its files open: a loop that is replaced or removed on disk plays on until it is closed.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        index = self.json(INDEX)
        if index is None:
            self.close()
            raise LoopDamaged(f"{directory} has no {INDEX}: it was never finished")
        try:
            self.frames = _count(index["frames"])
            self.avcc = bytes.fromhex(index["avcc"])
            self.sha256 = str(index["sha256"])
            self.source = str(index["source"])
            self.encoder = str(index.get("encoder", ""))
            self._offsets = [_count(offset) for offset in index["gops"]]
            self._entry = None if index["entry"] is None else [_count(offset) for offset in index["entry"]]
            self._crcs = [_count(crc) for crc in index["crc"]]
            self._entry_crc = None if index["entry"] is None else _count(index["entry_crc"])
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise LoopDamaged(f"{directory}/{INDEX} is incomplete: {error}") from error
        self.gops = len(self._offsets) - 1
        self.has_entry = self._entry is not None
        self._check_shape()

    def _check_shape(self) -> None:
        rising = all(a < b <= a + _GOP_LIMIT for a, b in zip(self._offsets, self._offsets[1:], strict=False))
        whole = self._offsets and self.size(BODY) == self._offsets[-1]
        if not (self.gops >= 1 and rising and whole and self.frames >= self.gops and len(self._crcs) == self.gops):
            self.close()
            raise LoopDamaged(f"{self.path}: {BODY} is not what {INDEX} says")
        if self._entry is not None:
            start, end = [*self._entry, 0, 0][:2]
            if not (len(self._entry) == 2 and start < end <= start + _GOP_LIMIT and self.size(ENTRY) == end):
                self.close()
                raise LoopDamaged(f"{self.path}: {ENTRY} is not what {INDEX} says")

    def read_gop(self, n: int, entry: bool = False) -> list[Frame]:
        """GOP `n` (0 to `gops` - 1) with one pread. `entry` asks for the faded-in first GOP where there is one.

        Raises LoopDamaged when the data is short, altered or unreadable, IndexError for a GOP that does not exist.
        """
        if not 0 <= n < self.gops:
            raise IndexError(f"GOP {n} of {self.gops}")
        if entry and n == 0 and self._entry is not None:
            name, start, end, crc = ENTRY, self._entry[0], self._entry[1], self._entry_crc
        else:
            name, start, end, crc = BODY, self._offsets[n], self._offsets[n + 1], self._crcs[n]
        data = self.read(name, start, end - start)
        # The checksum also catches what a power cut leaves behind: blocks of zeros in a file of the right length.
        if len(data) != end - start or zlib.crc32(data) != crc:
            raise LoopDamaged(f"{self.path}/{name}: GOP {n} is short or altered")
        return frames_of(data)


class _Track:
    """The frames of one growing file: where each tag of the GOP being read lies."""

    def __init__(self, directory: _Directory, name: str) -> None:
        self._directory = directory
        self._name = name
        self.avcc: bytes | None = None
        self.gops: list[list[tuple[int, int]]] = []
        self._offset = len(FILE_HEADER)

    def advance(self) -> None:
        """Index every tag that has become complete since last time."""
        while True:
            if self._offset == len(FILE_HEADER):
                head = self._directory.read(self._name, 0, len(FILE_HEADER))
                if head != FILE_HEADER[: len(head)]:
                    raise LoopDamaged(f"{self._directory.path}/{self._name} is not FLV")
            data = self._directory.read(self._name, self._offset, _CHUNK)
            before = self._offset
            for tag in scan(data):
                self._take(tag, before)
                self._offset = before + tag.end
            if self._offset == before:
                if len(data) == _CHUNK:
                    raise LoopDamaged(f"{self._directory.path}/{self._name}: a frame of more than {_CHUNK} bytes")
                return

    def _take(self, tag: Tag, base: int) -> None:
        if self.avcc is None:
            if not tag.is_header:
                raise LoopDamaged(f"{self._directory.path}/{self._name} does not begin with a sequence header")
            self.avcc = tag.body[5:]
            return
        _, key = as_frame(tag)
        if key:
            self.gops.append([])
        if not self.gops:
            raise LoopDamaged(f"{self._directory.path}/{self._name} does not begin with a keyframe")
        self.gops[-1].append((base + tag.start, base + tag.end))

    def frames(self, gop: int, start: int) -> list[Frame]:
        """The frames of a GOP from its frame `start` on, as far as they are complete."""
        spans = self.gops[gop][start:] if gop < len(self.gops) else []
        if not spans:
            return []
        first, last = spans[0][0], spans[-1][1]
        data = self._directory.read(self._name, first, last - first)
        frames = [as_frame(tag) for tag in scan(data)]
        if len(frames) != len(spans):
            raise LoopDamaged(f"{self._directory.path}/{self._name}: frames vanished")
        return frames


class GrowingLoop(_Directory):
    """A loop that is still being encoded (`<sha256>.partial`), followed while it grows.

    Keeps working on the same bytes after the directory has been renamed. `expected_frames` is an estimate from the
    source's duration (None when that is unknown), `gop_frames` is exact.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        plan = self.json(PLAN)
        if plan is None:
            self.close()
            raise LoopDamaged(f"{directory} has no {PLAN}")
        try:
            self.gop_frames = _count(plan["gop_frames"])
            self.sha256 = str(plan["sha256"])
            self.source = str(plan["source"])
            self.has_entry = bool(plan["entry"])
            expected = plan.get("expected_frames")
            self.expected_frames = None if expected is None else _count(expected)
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise LoopDamaged(f"{directory}/{PLAN} is incomplete: {error}") from error
        if self.gop_frames < 1:
            self.close()
            raise LoopDamaged(f"{directory}/{PLAN}: gop_frames is 0")
        self._body = _Track(self, BODY)
        self._faded = _Track(self, ENTRY)

    @property
    def final(self) -> Path:
        """Where the loop will be found when it is finished."""
        return self.path.with_name(self.path.name.removesuffix(PARTIAL))

    @property
    def finished(self) -> bool:
        """Whether the loop is whole: hand over to `open_loop(loop.final)` at the next GOP."""
        return self.is_at(self.final)

    @property
    def abandoned(self) -> bool:
        """Whether the encoder gave up (refused, failed or killed and cleaned): nothing more will come."""
        return self.is_removed()

    @property
    def avcc(self) -> bytes | None:
        """The AVCDecoderConfigurationRecord, None until the encoder has written it."""
        for track in (self._faded, self._body):
            if track.avcc is None:
                track.advance()
            if track.avcc is not None:
                return track.avcc
        return None

    def frames_ready(self, entry: bool = False) -> int:
        """How many whole frames of the body (or of the entry) can be read by now."""
        track = self._track(entry)
        track.advance()
        return sum(len(gop) for gop in track.gops)

    def read_part(self, n: int, entry: bool = False, start: int = 0) -> list[Frame]:
        """The frames of GOP `n` from its frame `start` on that are complete by now, perhaps none.

        For the first seconds of a loop, when waiting for a whole GOP would cost two of them.
        """
        track = self._track(entry and n == 0)
        if n >= len(track.gops) or len(track.gops[n]) < self.gop_frames:
            track.advance()
        return track.frames(n, start)

    def read_gop(self, n: int, entry: bool = False) -> list[Frame] | None:
        """GOP `n` as `PreparedLoop.read_gop` gives it, or None while it is not complete yet.

        A last GOP shorter than the others is known to be complete only when the loop is `finished`.
        """
        track = self._track(entry and n == 0)
        if n >= len(track.gops) or len(track.gops[n]) < self.gop_frames:
            track.advance()
        whole = n < len(track.gops) and (len(track.gops[n]) >= self.gop_frames or n + 1 < len(track.gops))
        if not whole and not (n < len(track.gops) and self.finished):
            return None
        return track.frames(n, 0)

    def _track(self, entry: bool) -> _Track:
        return self._faded if entry and self.has_entry else self._body


def _count(value: object) -> int:
    """A whole number that is not negative, else ValueError: JSON has room for much else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value
