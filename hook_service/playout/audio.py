"""The sound: the mount, behind it the operator's fallback, behind that a quiet floor.

Pure: frames go in as they arrive, one frame comes out for every slot of the timeline, whatever happens. AAC frames
can be joined at any frame: every source is encoded alike.

The mount's frames wait in a cushion of `CUSHION_SECONDS`. It absorbs the network's jitter and a reconnect, steers
the clock, and is what makes a reconnect inaudible: Icecast sends a burst of old sound to a new listener, of which
the newest `CUSHION_SECONDS` are kept, so that the sound goes on where it would have been.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from hook_service.playout.timeline import AUDIO_FRAME_SECONDS, RateControl

CUSHION_SECONDS = 1.0
# Beyond this the mount is not read on: it sends faster than anyone listens (a file, not a live mount).
FULL_SECONDS = 4.0
# A connection's burst is over when this long has passed without more arriving than is played meanwhile.
SETTLE_SECONDS = 0.3
# … and at the latest after this: a slow mount's ordinary lumps are as long as that.
SETTLE_LIMIT_SECONDS = 2.0
# The floor bridges a moment before the fallback begins, so that a hiccup does not put music on the air.
MOMENT_SECONDS = 0.2

_CUSHION = round(CUSHION_SECONDS / AUDIO_FRAME_SECONDS)

Source = Literal["mount", "fallback", "floor"]


class Cushion:
    """The mount's frames between their arrival and their slot."""

    def __init__(self) -> None:
        self._playing: deque[bytes] = deque()
        self._arriving: deque[bytes] = deque()
        self._joined = False
        self._settled_at: float | None = None
        self._settle_limit = 0.0
        self.trimmed = 0
        """Frames of old sound that were left out at reconnects."""

    @property
    def seconds(self) -> float:
        """How much sound is waiting to be played."""
        return len(self._playing) * AUDIO_FRAME_SECONDS

    @property
    def full(self) -> bool:
        """Whether the mount should not be read on for now."""
        return max(self.seconds, len(self._arriving) * AUDIO_FRAME_SECONDS) > FULL_SECONDS

    @property
    def joined(self) -> bool:
        """Whether what is playing is the present connection (and its level says something about its clock)."""
        return self._joined

    def reconnect(self) -> None:
        """A new connection begins: what it sends is held back until its burst of old sound is over."""
        self._arriving.clear()
        self._joined = False
        self._settled_at = None

    def add(self, frames: Iterable[bytes], now: float) -> None:
        """Frames that arrived at `now` (seconds, monotonic)."""
        if self._joined:
            self._playing.extend(frames)
            return
        before = len(self._arriving)
        self._arriving.extend(frames)
        arrived = (len(self._arriving) - before) * AUDIO_FRAME_SECONDS
        if arrived == 0:
            return
        # Each arrival moves the moment at which the connection would be up to date: it settles that long after
        # the arrivals have become no more than real time.
        if self._settled_at is None:
            self._settle_limit = now + SETTLE_LIMIT_SECONDS
            self._settled_at = now + SETTLE_SECONDS
        elif arrived > SETTLE_SECONDS:
            self._settled_at = min(now + SETTLE_SECONDS, self._settle_limit)

    def join(self, now: float) -> bool:
        """Take over the present connection's newest sound, if it has enough and its burst is over."""
        if self._joined or self._settled_at is None or now < self._settled_at or len(self._arriving) < _CUSHION:
            return False
        while len(self._arriving) > _CUSHION:
            self._arriving.popleft()
            self.trimmed += 1
        # What is left of the connection before is the same sound: both end at the mount's present.
        self._playing, self._arriving = self._arriving, deque()
        self._joined = True
        return True

    def take(self) -> bytes | None:
        """The frame for the next slot, or None when there is none."""
        if self._playing:
            return self._playing.popleft()
        if self._joined:
            # Ran dry with the connection still there: it has to gather a cushion again, and its backlog is trimmed.
            self.reconnect()
        return None


class Mixer:
    """Decides which source each slot's sound comes from."""

    def __init__(self, floor: list[bytes], fallback: Callable[[], bytes | None]) -> None:
        """`floor` is played over and over; `fallback` gives its next frame, or None where there is none (now)."""
        self.cushion = Cushion()
        self.rate = RateControl(CUSHION_SECONDS)
        self.source: Source = "floor"
        self._floor = floor
        self._floor_at = 0
        self._fallback = fallback
        self._dry = MOMENT_SECONDS  # at the very beginning the fallback need not wait

    def frame(self) -> bytes:
        """The sound of the next slot."""
        frame = self.cushion.take()
        if frame is not None:
            self.source = "mount"
            self._dry = 0.0
            return frame
        self._dry += AUDIO_FRAME_SECONDS
        if self._dry > MOMENT_SECONDS:
            frame = self._fallback()
            if frame is not None:
                self.source = "fallback"
                return frame
        self.source = "floor"
        frame = self._floor[self._floor_at]
        self._floor_at = (self._floor_at + 1) % len(self._floor)
        return frame

    def rate_ppm(self, elapsed: float) -> int:
        """What the clock's rate should be after another `elapsed` seconds."""
        if not self.cushion.joined:
            self.rate.reset()
            return 0
        return self.rate.update(self.cushion.seconds, elapsed)
