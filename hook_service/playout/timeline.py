"""The timeline: when each audio frame and each video frame of the broadcast is due, for ever.

Pure. Positions are integers (nanoseconds of media time since the timeline's origin); audio frame k is due at
k * 1024 / 44100 s and video frame n at n * fps_den / fps_num s, in exact rationals, so that nothing accumulates
over months. They are rounded to FLV's milliseconds only when a tag is written.

The clock is the audio's: its rate follows the level of the mount's buffer by a few hundred ppm (`rate_ppm`), so
that the station's clock and this host's may differ for months with nothing dropped and nothing doubled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

NS = 1_000_000_000
AUDIO_RATE = 44_100
AUDIO_FRAME = 1_024  # samples in one AAC-LC access unit
AUDIO_FRAME_SECONDS = AUDIO_FRAME / AUDIO_RATE

# The most that the rate may leave the host's clock: a crystal is within 100 ppm, a bad VPS within 300.
RATE_LIMIT_PPM = 500
# ppm for each second that the buffer is off its target. The loop's time constant is 1e6 / 3000 s, far above that
# of the smoothing, so it can't overshoot; at 300 ppm the buffer settles 0.1 s from its target.
RATE_GAIN_PPM = 3_000
# The mount delivers in lumps of some 200 ms: the level is smoothed over many of them before it steers anything.
LEVEL_SMOOTHING_SECONDS = 60.0

Kind = Literal["audio", "video"]


def audio_ns(index: int) -> int:
    """When audio frame `index` is due, in nanoseconds, rounded up."""
    return -(-index * AUDIO_FRAME * NS // AUDIO_RATE)


def audio_ms(index: int) -> int:
    """The same in FLV's milliseconds, rounded to the nearest: steps are 23 or 24."""
    return (2 * index * AUDIO_FRAME * 1_000 + AUDIO_RATE) // (2 * AUDIO_RATE)


@dataclass(frozen=True, slots=True)
class FrameRate:
    """Frames a second as a rational, such as 30000/1001."""

    num: int
    den: int = 1

    def ns(self, index: int) -> int:
        """When video frame `index` is due, in nanoseconds, rounded up."""
        return -(-index * self.den * NS // self.num)

    def ms(self, index: int) -> int:
        """The same in FLV's milliseconds, rounded to the nearest: at 30 a second, steps are 33 or 34."""
        return (2 * index * self.den * 1_000 + self.num) // (2 * self.num)

    def index_at(self, position: int) -> int:
        """The first frame due at `position` (ns) or later."""
        return -(-position * self.num // (NS * self.den))


class Timeline:
    """The order in which frames are due. It never stops, never repeats and never steps back."""

    def __init__(self, rate: FrameRate, position: int = 0) -> None:
        """Begin with the first frames due at `position` (ns) or later."""
        self.rate = rate
        self.audio_index = -(-position * AUDIO_RATE // (NS * AUDIO_FRAME))
        self.video_index = rate.index_at(position)
        self._audio_due = audio_ns(self.audio_index)
        self._video_due = rate.ns(self.video_index)

    @property
    def next_video_due(self) -> int:
        """The position (ns) of the next video frame."""
        return self._video_due

    def due(self, position: int) -> Iterator[tuple[Kind, int, int]]:
        """Everything due up to `position` (ns), in order of time: kind, index, milliseconds.

        What was not taken before is given again: a late caller gets it all, and nothing is skipped.
        """
        while True:
            if self._video_due <= self._audio_due:
                if self._video_due > position:
                    return
                index = self.video_index
                self.video_index += 1
                self._video_due = self.rate.ns(self.video_index)
                yield "video", index, self.rate.ms(index)
            else:
                if self._audio_due > position:
                    return
                index = self.audio_index
                self.audio_index += 1
                self._audio_due = audio_ns(self.audio_index)
                yield "audio", index, audio_ms(index)


class Clock:
    """Media time: the host's monotonic clock, made faster or slower by `rate_ppm`."""

    def __init__(self, position: int, now: int) -> None:
        """`position` (ns of media time) is what it shows at `now` (ns of the monotonic clock)."""
        self._position = position
        self._now = now
        self.rate_ppm = 0

    def advance(self, now: int) -> int:
        """The position (ns) at `now`. A `now` before the last one leaves the position where it is."""
        elapsed = max(0, now - self._now)
        self._position += elapsed + elapsed * self.rate_ppm // 1_000_000
        self._now = max(now, self._now)
        return self._position

    def when(self, position: int) -> int:
        """The monotonic time (ns) at which the clock will show `position`, at the present rate."""
        ahead = position - self._position
        return self._now + ahead - ahead * self.rate_ppm // 1_000_000


class RateControl:
    """Steers the clock by the level of the mount's buffer, so that it stays near its target."""

    def __init__(self, target: float) -> None:
        """`target` is the wanted level in seconds."""
        self._target = target
        self._level: float | None = None

    @property
    def level(self) -> float | None:
        """The smoothed level in seconds; None while there is no mount to follow."""
        return self._level

    def reset(self) -> None:
        """The mount is away: follow the host's clock."""
        self._level = None

    def update(self, level: float, elapsed: float) -> int:
        """Take the level (seconds) seen after `elapsed` seconds; the rate in ppm to run at from now on."""
        if self._level is None:
            self._level = self._target
        weight = min(1.0, elapsed / LEVEL_SMOOTHING_SECONDS)
        self._level += (level - self._level) * weight
        ppm = round((self._level - self._target) * RATE_GAIN_PPM)
        return max(-RATE_LIMIT_PPM, min(RATE_LIMIT_PPM, ppm))
