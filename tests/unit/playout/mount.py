"""A station in virtual time: an Icecast mount with its own clock, and the playout's tick that plays it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from hook_service.playout.audio import Mixer
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS, NS, Clock, FrameRate, Timeline

FLOOR = b"floor"
FALLBACK = b"fallback"
_LUMP_BYTES = 4096
_BURST_BYTES = 65536
# What one poll of the audio process gives at most: a 64 KB pipe of AAC at 192 kb/s.
_POLL_FRAMES = int(65536 * 8 / 192_000 / AUDIO_FRAME_SECONDS)


def number(frame: bytes) -> int:
    """Which of the mount's frames this is; -1 for one that is not the mount's."""
    return int(frame) if frame.isdigit() else -1


@dataclass
class Mount:
    """Makes frame k at k frame lengths of its own clock, and sends it in lumps of 4 KB, late by some jitter."""

    ppm: float = 0.0
    kbps: int = 128
    jitter: float = 0.0
    burst: int = _BURST_BYTES
    speed: float = 1e9
    """How many times faster than real time a burst arrives."""
    seed: int = 1
    made: float = 0.0
    """When its source was started: there is no sound of before that."""

    @property
    def frame_bytes(self) -> float:
        return self.kbps * 125 * AUDIO_FRAME_SECONDS

    def made_at(self, frame: float) -> float:
        return frame * AUDIO_FRAME_SECONDS / (1 + self.ppm / 1e6)

    def lumps(self, start: float, first: int = 0) -> Iterator[tuple[float, int, int]]:
        """From `start` on: when a lump arrives, its first frame, and the frame after its last."""
        jitter = random.Random(self.seed)
        lump = int(first * self.frame_bytes // _LUMP_BYTES)
        arrived, done = start, first
        while True:
            lump += 1
            end = int(lump * _LUMP_BYTES / self.frame_bytes)
            if end <= done:
                continue
            arrived = max(arrived, self.made_at(end) + jitter.random() * self.jitter)
            yield arrived, done, end
            done = end

    def connect(self, now: float) -> Iterator[tuple[float, int, int]]:
        """What a new listener gets: the burst (at most what there is), then the lumps as they come."""
        made = now / AUDIO_FRAME_SECONDS * (1 + self.ppm / 1e6)
        end = int(int(made * self.frame_bytes / _LUMP_BYTES) * _LUMP_BYTES / self.frame_bytes)
        at, frame = now, max(0, int(self.made / AUDIO_FRAME_SECONDS), end - int(self.burst / self.frame_bytes))
        step = max(1, int(0.02 * self.speed / AUDIO_FRAME_SECONDS)) if self.speed < 1e6 else end
        while frame < end:
            upto = min(end, frame + step)
            at += (upto - frame) * AUDIO_FRAME_SECONDS / self.speed
            yield at, frame, upto
            frame = upto
        yield from self.lumps(at, end)


@dataclass
class Heard:
    """What went on the air."""

    frames: list[bytes] = field(default_factory=list)
    changes: list[tuple[float, str]] = field(default_factory=list)
    """When the source became another, and which."""
    levels: tuple[float, float] = (9e9, 0.0)
    video: int = 0

    @property
    def counts(self) -> Counter[str]:
        return Counter("mount" if number(f) >= 0 else f.decode() for f in self.frames)

    def steps(self) -> list[int]:
        """From each of the mount's frames to the next that was played, whatever was between; 1 is as it should be."""
        mount = [n for n in map(number, self.frames) if n >= 0]
        return [b - a for a, b in pairwise(mount)]


class Rig:
    """The playout's tick, in virtual time, over the real mixer, clock, rate control and timeline."""

    def __init__(self, mount: Mount, *, fallback: bool = True, tick: float = 1 / 30, start_ns: int = 0) -> None:
        self.mount = mount
        self.mixer = Mixer([FLOOR], lambda: FALLBACK if fallback else None)
        self.now = 0
        self._tick = int(tick * NS)
        self._clock = Clock(start_ns, 0)
        self.timeline = Timeline(FrameRate(round(1 / tick)), start_ns)
        self._first = self.timeline.audio_index
        self.heard = Heard()
        self._arrivals: Iterator[tuple[float, int, int]] | None = None
        self._next: tuple[float, int, int] | None = None
        self._pipe: list[bytes] = []
        self._begin = self._sent = self._came = 0
        self._sought: tuple[int, int] | None = None
        self._other = False

    @property
    def seconds(self) -> float:
        return self.now / NS

    def connect(self, *, found: bool = False, other: bool = False) -> None:
        """As the source does. `found`: it finds the end of the connection before, if the burst reaches back to it.

        `other`: it is sure that what comes is other sound.
        """
        self._other = other
        self.mixer.cushion.reconnect()
        self._arrivals = self.mount.connect(self.seconds)
        self._next = next(self._arrivals)
        self._begin = self._next[1]
        # The connection before: how far it was sent, and how far it came.
        self._sought = (self._sent, self._came) if found and self._sent > self._begin else None
        self._pipe = []

    def disconnect(self) -> None:
        """As the source does when the mount has ended."""
        self._arrivals = self._next = None
        self._pipe = []
        self.mixer.cushion.reconnect()

    def run(self, seconds: float) -> Heard:
        """Tick for so long; what was heard meanwhile."""
        end = self.now + int(seconds * NS)
        heard = Heard()
        while self.now < end:
            self.now += self._tick
            self._poll()
            position = self._clock.advance(self.now)
            self._clock.rate_ppm = self.mixer.rate_ppm(self._tick / NS)
            self._play(position, heard)
        self.heard.frames += heard.frames
        return heard

    def _poll(self) -> None:
        now, cushion = self.seconds, self.mixer.cushion
        while self._next is not None and self._arrivals is not None and self._next[0] <= now:
            _, first, end = self._next
            self._pipe += [b"%d" % k for k in range(first, end)]
            self._next = next(self._arrivals)
            if self._sought is not None and end >= self._sought[0] and not cushion.joined:
                cushion.resume(max(0, self._sought[1] - self._begin), now)
                self._sought = None
            self._sent = end
        if self._pipe and not cushion.full:
            cushion.add(self._pipe[:_POLL_FRAMES], now)
            self._came = max(self._came, int(self._pipe[:_POLL_FRAMES][-1]) + 1)
            del self._pipe[:_POLL_FRAMES]
        cushion.settle(now, other=self._other)

    def _play(self, position: int, heard: Heard) -> None:
        mixer = self.mixer
        for kind, _, _ in self.timeline.due(position):
            if kind == "audio":
                heard.frames.append(mixer.frame())
                if not heard.changes or heard.changes[-1][1] != mixer.source:
                    heard.changes.append((self.seconds, mixer.source))
            else:
                heard.video += 1
        level = mixer.cushion.seconds
        heard.levels = (min(heard.levels[0], level), max(heard.levels[1], level))

    @property
    def rate_ppm(self) -> int:
        return self._clock.rate_ppm

    def slots(self) -> int:
        """Audio slots of the timeline that have been due."""
        return self.timeline.audio_index - self._first
