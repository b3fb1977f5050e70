"""Watches the platform lightly: notes each frame's arrival, time and checksum, and keeps no picture.

Cheap enough to watch a dozen stations on the machine that also runs them. What it can't say is whether the pictures
decode; `tests.rig.platform.Capture` is for that.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.rig import flvread
from tests.rig.flvread import AUDIO, VIDEO, Tag
from tests.rig.net import RigError
from tests.rig.reader import Reader

# So many frames in a row tell a loop: the first alone is black, and the same in every loop that fades in.
_PRINT = 4


class Seen(NamedTuple):
    """One frame: `at` is the Unix time of its last byte, `time` its timestamp in ms, `crc` that of its body."""

    at: float
    kind: int
    time: int
    key: bool
    crc: int


@dataclass(frozen=True, slots=True)
class Continuity:
    """Whether a stream has holes, by its timestamps alone. Steps in ms, `seconds` from first to last frame."""

    seconds: float
    video: int
    audio: int
    missing_video: int
    missing_audio: int
    max_video_step: int
    max_audio_step: int
    backwards: int

    @property
    def missing(self) -> int:
        """Frames of both kinds that should have been there."""
        return abs(self.missing_video) + abs(self.missing_audio)


def continuity(frames: Iterable[tuple[int, int]], fps: float = 30.0) -> Continuity:
    """Judge (kind, time in ms) of every frame in order of arrival. A frame too many counts as well, as negative."""
    times: dict[int, list[int]] = {AUDIO: [], VIDEO: []}
    for kind, time in frames:
        times[kind].append(time)
    rates = {VIDEO: fps, AUDIO: 44100 / 1024}
    missing, largest, span = {}, {}, 0
    for kind, values in times.items():
        between = (values[-1] - values[0]) if values else 0
        missing[kind] = round(between / 1000 * rates[kind]) + 1 - len(values) if values else 0
        largest[kind] = max((b - a for a, b in pairwise(values)), default=0)
        span = max(span, between)
    return Continuity(
        span / 1000, len(times[VIDEO]), len(times[AUDIO]), missing[VIDEO], missing[AUDIO], largest[VIDEO],
        largest[AUDIO], sum(b <= a for values in times.values() for a, b in pairwise(values)),
    )  # fmt: skip


def fingerprint(path: Path) -> tuple[int, ...]:
    """What tells the beginning of a prepared loop in a stream: checksums of the first frames of its FLV file."""
    frames = [tag for tag in flvread.read_file(path) if tag.kind == VIDEO and tag.is_frame]
    return tuple(zlib.crc32(tag.body) for tag in frames[:_PRINT])


class Viewer(Reader):
    """Reads one key of the platform in a thread, from the first keyframe on."""

    def __init__(self, url: str, timeout: float = 15.0) -> None:
        super().__init__(url, timeout)
        self.frames: list[Seen] = []

    def take(self, at: float, tag: Tag) -> None:
        """Note it."""
        if tag.is_frame:
            self.frames.append(Seen(at, tag.kind, tag.time, tag.is_keyframe, zlib.crc32(tag.body)))

    def continuity(self, fps: float = 30.0) -> Continuity:
        """Judge what came until now; RigError when the reading broke off."""
        if self.error:
            raise RigError(f"the reading of {self.url} broke off: {self.error}") from self.error
        return continuity(((seen.kind, seen.time) for seen in list(self.frames)), fps)

    def video(self, after: float = 0.0) -> list[Seen]:
        """The pictures that came after a Unix time."""
        return [seen for seen in list(self.frames) if seen.kind == VIDEO and seen.at > after]

    def sounds(self, crcs: Iterable[int]) -> int:
        """How many of the sound frames have one of these checksums."""
        wanted = set(crcs)
        return sum(seen.kind == AUDIO and seen.crc in wanted for seen in list(self.frames))


def find(pictures: Sequence[Seen], wanted: Sequence[int]) -> Seen | None:
    """The first frame at which the loop with this fingerprint begins; None when it does not, or not all of it yet."""
    for place, seen in enumerate(pictures):
        if seen.key and seen.crc == wanted[0]:
            here = pictures[place : place + len(wanted)]
            if len(here) == len(wanted) and all(one.crc == crc for one, crc in zip(here, wanted, strict=True)):
                return seen
    return None
