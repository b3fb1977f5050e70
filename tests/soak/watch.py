"""Watches the platform for hours: every frame's time, every change of the picture, and the sound on disk.

Nothing is decoded meanwhile, and no more is kept in memory than what was wrong: it runs beside what it watches.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rig import flvread
from tests.rig.alignment import Seen
from tests.rig.flvread import AUDIO, VIDEO, Tag
from tests.rig.reader import Reader

FRAME_MS = {VIDEO: 1000 / 30, AUDIO: 1024 / 44.1}
# The longest step between two frames of a kind while none is missing, in whole milliseconds.
_STEP = {VIDEO: 34, AUDIO: 24}
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Hole:
    """Frames that never came: how many, and the Unix times of the frames before and after."""

    kind: int
    missing: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Wait:
    """A time in which the platform's readers got no frame of a kind, as Unix times; nothing need be missing."""

    kind: int
    begin: float
    end: float


class Ledger:
    """What is noted of a stream, frame by frame; pure.

    `prints` are the fingerprints by which a loop's first frames are known (tests.bench.viewer.fingerprint).
    """

    def __init__(self, prints: Mapping[str, Sequence[int]]) -> None:
        self.frames = {AUDIO: 0, VIDEO: 0}
        self.holes: list[Hole] = []
        self.waits: list[Wait] = []
        self.backwards = 0
        self.pictures: list[tuple[int, str]] = []
        """Each loop that came on the air: the time of its first frame in the stream (ms), and its name."""
        self.apart: list[tuple[float, int]] = []
        """Minute by minute: its Unix time, and how far (ms) sound and picture stood apart at most."""
        self._loops = {tuple(crcs): name for name, crcs in prints.items()}
        self._length = max(map(len, self._loops), default=0)
        self._last: dict[int, tuple[float, int]] = {}
        self._begun: list[int] = []
        self._begun_ms = 0

    def take(self, at: float, tag: Tag) -> None:
        """Note one frame that came at `at` (Unix seconds)."""
        self.frames[tag.kind] += 1
        if (last := self._last.get(tag.kind)) is not None:
            self._compare(last, at, tag)
        self._last[tag.kind] = (at, tag.time)
        if len(self._last) == len(FRAME_MS):
            self._stand_apart(at)
        if tag.kind == VIDEO:
            self._look(tag)

    def _compare(self, last: tuple[float, int], at: float, tag: Tag) -> None:
        came, ms = last
        step = tag.time - ms
        if step <= 0:
            self.backwards += 1
        elif step > _STEP[tag.kind]:
            self.holes.append(Hole(tag.kind, round(step / FRAME_MS[tag.kind]) - 1, came, at))
        if at - came > _WAIT_SECONDS:
            self.waits.append(Wait(tag.kind, came, at))

    def _stand_apart(self, at: float) -> None:
        apart = abs(self._last[AUDIO][1] - self._last[VIDEO][1])
        minute = at - at % 60
        if not self.apart or self.apart[-1][0] != minute:
            self.apart.append((minute, apart))
        elif apart > self.apart[-1][1]:
            self.apart[-1] = (minute, apart)

    def _look(self, tag: Tag) -> None:
        if tag.is_keyframe:
            self._begun, self._begun_ms = [], tag.time
        elif not self._begun:
            return
        self._begun.append(zlib.crc32(tag.body))
        if len(self._begun) == self._length:
            if (loop := self._loops.get(tuple(self._begun))) is not None:
                self.pictures.append((self._begun_ms, loop))
            self._begun = []

    def seen(self) -> list[Seen]:
        """The loops one after the other, as `tests.rig.alignment` takes them."""
        found: list[Seen] = []
        ends = [ms for ms, _ in self.pictures[1:]] + [self._last[VIDEO][1] if VIDEO in self._last else 0]
        for (ms, loop), end in zip(self.pictures, ends, strict=True):
            if found and found[-1].loop == loop:
                found[-1] = Seen(loop, found[-1].begin, end)
            else:
                found.append(Seen(loop, ms, end))
        return found


class Watcher(Reader):
    """Reads one key of a platform in a thread; its sound goes to `sound` as FLV, for later."""

    def __init__(self, url: str, prints: Mapping[str, Sequence[int]], sound: Path) -> None:
        # A relay or a platform's session that is cut is quiet for seconds, and that is what is to be seen.
        super().__init__(url, timeout=60)
        self.ledger = Ledger(prints)
        self.sound = sound

    def read(self) -> None:
        """With the file open."""
        with self.sound.open("wb") as self._file:
            self._file.write(flvread.HEADER)
            super().read()

    def take(self, at: float, tag: Tag) -> None:
        """Note it; keep the sound."""
        if tag.kind == AUDIO:
            self._file.write(flvread.encode(tag))
        if tag.is_frame:
            self.ledger.take(at, tag)
