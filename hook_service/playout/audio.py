"""The sound: the mount, behind it the operator's fallback, behind that a quiet floor.

Pure: frames go in as they arrive, one frame comes out for every slot of the timeline, whatever happens. AAC frames
can be joined at any frame: every source is encoded alike.

The mount's frames wait in a cushion of `CUSHION_SECONDS`. It absorbs the network's jitter and a reconnect, steers
the clock, and is what makes a reconnect inaudible: Icecast sends a burst of old sound to a new listener, of which
the newest `CUSHION_SECONDS` are kept, so that the sound goes on where it would have been. A mount that hangs sends
that burst as well, and then nothing: unless it was well a moment ago, only what follows its burst is taken for the
present.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from hook_service.playout.timeline import AUDIO_FRAME_SECONDS, RateControl

CUSHION_SECONDS = 1.0
# Beyond this the mount is not read on: it sends faster than anyone listens (a file, not a live mount).
FULL_SECONDS = 4.0
# A connection's burst is over when no more than this much has arrived in so long: twice real time is a burst, a lump
# of 4 KB at 64 kb/s is not.
SETTLE_SECONDS = 0.3
SETTLED_SECONDS = 0.55
# … and at the latest after this: the lumps of a slower mount are longer.
SETTLE_LIMIT_SECONDS = 2.0
# A mount that was heard so recently does not hang: a process that reads one that does is only replaced later.
RECENT_SECONDS = 2.0
# What was still on its way at the join (FFmpeg starts haltingly on a busy host) is found by the lowest level of each
# second, which lumps do not touch, and left out as well; after this long the level is the clock's business.
SURPLUS_WATCH_SECONDS = 5.0
SURPLUS_SECONDS = 0.3
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
        self._began: float | None = None
        self._arrived: float | None = None
        self._lived = float("-inf")
        self._lumps: deque[tuple[float, float]] = deque()
        self._watch_until = 0.0
        self._window_ends = 0.0
        self._lowest = 0.0
        self.trimmed = 0
        """Frames of old sound that were left out at reconnects."""

    @property
    def seconds(self) -> float:
        """How much sound is waiting to be played."""
        return len(self._playing) * AUDIO_FRAME_SECONDS

    @property
    def full(self) -> bool:
        """Whether the mount should not be read on for now."""
        return self.seconds > FULL_SECONDS and self._joined

    @property
    def joined(self) -> bool:
        """Whether what is playing is the present connection (and its level says something about its clock)."""
        return self._joined

    def reconnect(self) -> None:
        """A new connection begins: what it sends is held back until its burst of old sound is over."""
        self._arriving.clear()
        self._lumps.clear()
        self._joined = False
        self._began = self._arrived = None

    def add(self, frames: Iterable[bytes], now: float) -> None:
        """Frames that arrived at `now` (seconds, monotonic)."""
        if self._joined:
            self._playing.extend(frames)
            self._lived = now
            return
        if self._arrived is not None and now - self._arrived > CUSHION_SECONDS:
            # The mount hung: what it sent before that is old, and what comes now may be a burst once more.
            self.trimmed += len(self._arriving)
            self.reconnect()
        before = len(self._arriving)
        self._arriving.extend(frames)
        arrived = (len(self._arriving) - before) * AUDIO_FRAME_SECONDS
        if not arrived:
            return
        while len(self._arriving) > _CUSHION:
            self._arriving.popleft()
            self.trimmed += 1
        self._arrived = now
        self._began = self._began if self._began is not None else now
        self._lumps.append((now, arrived))
        self._join(now)

    def settle(self, now: float) -> None:
        """To be called often: takes over a connection that is up to date, and leaves out what was still too much."""
        if self._joined:
            self._leave_out_surplus(now)
        elif now - self._lived < RECENT_SECONDS:
            # Moments ago the mount was well, and the sound before it may last until then: the quiet after the burst
            # is enough. Otherwise what comes after the burst must show that the mount does not hang.
            self._join(now)

    def _join(self, now: float) -> None:
        """Take over the present connection's newest sound, if it has enough and its burst is over."""
        if self._began is None or len(self._arriving) < _CUSHION:
            return
        while self._lumps and self._lumps[0][0] <= now - SETTLE_SECONDS:
            self._lumps.popleft()
        bursting = sum(seconds for _, seconds in self._lumps) > SETTLED_SECONDS
        if now < self._began + (SETTLE_LIMIT_SECONDS if bursting else SETTLE_SECONDS):
            return
        # What is left of the connection before is the same sound: both end at the mount's present.
        self._playing, self._arriving = self._arriving, deque()
        self._joined = True
        self._watch_until = now + SURPLUS_WATCH_SECONDS
        self._window_ends, self._lowest = now + 1.0, self.seconds

    def _leave_out_surplus(self, now: float) -> None:
        if now > self._watch_until:
            return
        self._lowest = min(self._lowest, self.seconds)
        if now < self._window_ends:
            return
        surplus = self._lowest - CUSHION_SECONDS
        if surplus > SURPLUS_SECONDS:
            for _ in range(round(surplus / AUDIO_FRAME_SECONDS)):
                self._playing.popleft()
                self.trimmed += 1
        self._window_ends, self._lowest = now + 1.0, self.seconds

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
