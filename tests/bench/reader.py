"""A light reader at the platform: notes each frame's arrival, time and checksum, and keeps no picture.

Cheap enough to watch a dozen stations on the machine that also runs them. What it can't say is whether the pictures
decode; `tests.rig.platform.Capture` is for that.
"""

import socket
import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.rig import flvread
from tests.rig.flvread import AUDIO, VIDEO
from tests.rig.net import RigError
from tests.rig.rtmp import Player

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


class Reader:
    """Reads one key of the platform in a thread, from the first keyframe on."""

    def __init__(self, url: str, timeout: float = 15.0) -> None:
        self.url = url
        self.frames: list[Seen] = []
        self.error: Exception | None = None
        self._began = threading.Event()
        self._end = threading.Event()
        self._player = Player(url, timeout)
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self, seconds: float = 15.0) -> None:
        """Connect and wait for the first keyframe."""
        self._thread.start()
        if not self._began.wait(seconds) or self.error:
            self.stop()
            raise RigError(f"no keyframe from {self.url} within {seconds:g} s: {self.error or 'nothing came'}")

    def _run(self) -> None:
        try:
            with self._player as player:
                for at, tag in player:
                    if self._end.is_set():
                        return
                    key = tag.is_keyframe
                    if key:
                        self._began.set()
                    if self._began.is_set() and tag.is_frame:
                        self.frames.append(Seen(at, tag.kind, tag.time, key, zlib.crc32(tag.body)))
            self._broke_off(RigError("the platform ended the stream"))
        except OSError as error:
            self._broke_off(error)

    def _broke_off(self, error: Exception) -> None:
        if not self._end.is_set():
            self.error = error
            self._began.set()

    def stop(self) -> None:
        """Hang up."""
        self._end.set()
        try:
            # Closing alone would not wake a thread that waits in recv.
            self._player.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._player.close()
        if self._thread.ident is not None:
            self._thread.join(15)

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

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def find(pictures: Sequence[Seen], wanted: Sequence[int]) -> Seen | None:
    """The first frame at which the loop with this fingerprint begins; None when it does not, or not all of it yet."""
    for place, seen in enumerate(pictures):
        if seen.key and seen.crc == wanted[0]:
            here = pictures[place : place + len(wanted)]
            if len(here) == len(wanted) and all(one.crc == crc for one, crc in zip(here, wanted, strict=True)):
                return seen
    return None
