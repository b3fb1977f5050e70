"""The sound: the mount, behind it the operator's fallback, behind that a quiet floor.

Pure: frames go in as they arrive, one frame comes out for every slot of the timeline, whatever happens. AAC frames
can be joined at any frame: every source is encoded alike.

The mount's frames wait in a cushion of `CUSHION_SECONDS`. It absorbs the network's jitter and a reconnect, steers
the clock, leaves time to find out where a title's sound begins, and is what makes a reconnect inaudible. Icecast
sends a burst of old sound to a new listener. Where the end of the connection before is found in it, the sound goes on
right there (`resume`). Where it isn't, the newest `CUSHION_SECONDS` of the burst are kept. A mount that hangs sends
that burst as well, and then nothing: unless it was well a moment ago, only what follows its burst is taken for the
present.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from hook_service.playout.timeline import AUDIO_FRAME_SECONDS, RateControl

CUSHION_SECONDS = 3.0
# Beyond this the mount is not read on: it sends faster than anyone listens (a file, not a live mount).
FULL_SECONDS = 7.0
# A connection's burst is over when no more than this much has arrived in so long: twice real time is a burst, a lump
# of 4 KB at 64 kb/s is not.
SETTLE_SECONDS = 0.3
SETTLED_SECONDS = 0.55
# … and at the latest after this: the lumps of a slower mount are longer.
SETTLE_LIMIT_SECONDS = 2.0
# A mount that was heard so recently does not hang: a process that reads one that does is only replaced later.
RECENT_SECONDS = 2.0
# What hung for so long while a cushion was gathered sent old sound before. Lumps of a slow mount are a second long.
HUNG_SECONDS = 2.0
# Where another broadcast is on the mount now (its source was started anew), there is no burst that could fill the
# cushion. Rather than to run dry, what there is of it follows the last of what was before, if there is so much.
LOW_SECONDS = 0.25
ENOUGH_SECONDS = 0.5
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
        self._count = 0
        self._first = 0
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

    def ahead(self, frame: float) -> float | None:
        """In how many slots this connection's frame number `frame` is played: 0 is the next slot, below is the past.

        None while the connection is held back.
        """
        return len(self._playing) + frame - max(self._count, self._first) if self._joined else None

    def reconnect(self) -> None:
        """A new connection begins: what it sends is held back until its burst of old sound is over."""
        self._hold_back()
        self._count = self._first = 0

    def resume(self, first: int, now: float) -> None:
        """Frame `first` of this connection is the one that follows what came of the connection before."""
        self._first = first
        held = self._count - len(self._arriving)
        for _ in range(min(first - held, len(self._arriving))):
            self._arriving.popleft()
            self.trimmed += 1
        # What ran dry gathers a cushion first, lest it runs dry again and again.
        if self._playing:
            # There is as much of it as before: none of it is surplus.
            self._playing.extend(self._arriving)
            self._arriving.clear()
            self._joined, self._lived = True, now

    def add(self, frames: Sequence[bytes], now: float) -> None:
        """Frames that arrived at `now` (seconds, monotonic)."""
        old = min(max(0, self._first - self._count), len(frames))
        self._count += len(frames)
        self.trimmed += old
        frames = frames[old:] if old else frames
        if not frames:
            return
        if self._joined:
            self._playing.extend(frames)
            self._lived = now
            return
        if self._arrived is not None and now - self._arrived > HUNG_SECONDS:
            # The mount hung: what it sent before that is old, and what comes now may be a burst once more.
            self.trimmed += len(self._arriving)
            self._hold_back()
        self._arriving.extend(frames)
        arrived = len(frames) * AUDIO_FRAME_SECONDS
        while len(self._arriving) > _CUSHION:
            self._arriving.popleft()
            self.trimmed += 1
        self._arrived = now
        self._began = self._began if self._began is not None else now
        self._lumps.append((now, arrived))
        self._join(now)

    def settle(self, now: float, *, other: bool = False) -> None:
        """To be called often: takes over a connection that is up to date, and leaves out what was still too much.

        `other`: what arrives is not the sound of the connection before.
        """
        if self._joined:
            self._leave_out_surplus(now)
            return
        low = other and 0.0 < self.seconds < LOW_SECONDS
        if low or now - self._lived < RECENT_SECONDS:
            # Moments ago the mount was well, and the sound before it may last until then: the quiet after the burst
            # is enough. Otherwise what comes after the burst must show that the mount does not hang.
            self._join(now, ENOUGH_SECONDS if low else CUSHION_SECONDS)

    def _join(self, now: float, enough: float = CUSHION_SECONDS) -> None:
        """Take over the present connection's newest sound, if it has enough and its burst is over."""
        if self._began is None or len(self._arriving) < round(enough / AUDIO_FRAME_SECONDS):
            return
        while self._lumps and self._lumps[0][0] <= now - SETTLE_SECONDS:
            self._lumps.popleft()
        bursting = sum(seconds for _, seconds in self._lumps) > SETTLED_SECONDS
        if now < self._began + (SETTLE_LIMIT_SECONDS if bursting else SETTLE_SECONDS):
            return
        if enough == CUSHION_SECONDS:
            # What is left of the connection before is taken for the same sound: both end at the mount's present.
            self._playing.clear()
            passed = round((now - (self._arrived or now)) / AUDIO_FRAME_SECONDS)
            for _ in range(min(passed, len(self._arriving) - 1)):
                self._arriving.popleft()  # by now it would have been played
        self._playing.extend(self._arriving)
        self._arriving.clear()
        self._joined, self._lived = True, now
        self._watch_until = now + SURPLUS_WATCH_SECONDS
        self._window_ends, self._lowest = now + 1.0, self.seconds

    def _hold_back(self) -> None:
        self._arriving.clear()
        self._lumps.clear()
        self._joined = False
        self._began = self._arrived = None

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
            self._hold_back()
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
