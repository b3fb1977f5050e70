"""What a platform received, seen by a reader that comes back when it is cut off, and what of it was missing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tests.rig.flvread import AUDIO, VIDEO
from tests.rig.rtmp import Player

PAUSE = 1.0
"""Seconds without a picture from which on a station counts as off the air. No platform shows less."""
# A step longer than this is another timeline, such as a host that was booted anew begins.
_JUMP_MS = 600_000
_RATES = {VIDEO: 30.0, AUDIO: 44100 / 1024}


class Frame(NamedTuple):
    """One frame: the Unix time of its last byte, FLV's kind, its timestamp in ms."""

    at: float
    kind: int
    time: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One stretch of time at a platform. Frames count pictures and sound; times in seconds."""

    off_air: float
    """The pauses without a picture that are longer than PAUSE, together."""
    longest: float
    """The longest of all pauses, also of those that count as none."""
    lost: int
    """Frames that are missing, by the timestamps of those before and after; in a pause that lasts, by the clock."""
    backwards: int
    """Timestamps that do not advance."""
    shift: float
    """How much later, by the clock, its timestamps come at the end than at the beginning. What was lost shifts
    nothing; what is late does, and a timeline that begins anew."""
    back_at: float | None
    """When the last such pause ended, in Unix seconds; None without one, infinite while it lasts."""


def judge(frames: Sequence[Frame], begin: float, end: float) -> Seen:
    """What was missing between two Unix times. The frames around that time belong to it: a pause may begin before."""
    pictures = [frame.at for frame in frames if frame.kind == VIDEO]
    before = [at for at in pictures if at <= begin][-1:] or [begin]
    after = [at for at in pictures if at >= end][:1]
    arrivals = [*before, *(at for at in pictures if begin < at < end), *(after or [end])]
    pauses = [(b - a, b) for a, b in pairwise(arrivals)]
    long = [(pause, until) for pause, until in pauses if pause > PAUSE]
    lasts = not after and bool(long) and long[-1][1] == end
    lost = backwards = 0
    shift = 0.0
    for kind, rate in _RATES.items():
        until_end = [frame for frame in frames if frame.kind == kind and frame.at <= end]
        # With the last one before: a platform that is gone at once is gone from that one on.
        inside = until_end[-1 - sum(frame.at >= begin for frame in until_end) :]
        if kind == VIDEO and inside:
            shift = (inside[-1].at - inside[0].at) - (inside[-1].time - inside[0].time) / 1000
        for one, two in pairwise(inside):
            step = two.time - one.time
            backwards += step <= 0
            # Where the timeline begins anew only the clock says what is missing.
            seconds = step / 1000 if 0 < step < _JUMP_MS else two.at - one.at
            lost += max(0, round(seconds * rate) - 1)
        if lasts:
            lost += round((end - max([begin, *(frame.at for frame in inside)])) * rate)
    return Seen(
        sum(pause for pause, _ in long), max((pause for pause, _ in pauses), default=0.0), lost, backwards, shift,
        None if not long else float("inf") if lasts else long[-1][1],
    )  # fmt: skip


class Watcher:
    """Reads one key of a platform in a thread until it is stopped, and connects again whenever it is cut off."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._frames: list[Frame] = []
        self._end = threading.Event()
        self._player: Player | None = None
        self._thread = threading.Thread(target=self._run, name=f"watcher of {url}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up."""
        self._end.set()
        if self._player is not None:
            with contextlib.suppress(OSError):
                self._player.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)

    def frames(self, since: float) -> list[Frame]:
        """What came from a Unix time on; what is older is forgotten."""
        self._frames = [frame for frame in self._frames if frame.at >= since]
        return list(self._frames)

    def age(self) -> float:
        """Seconds since the last picture; infinite before the first."""
        for frame in reversed(self._frames):
            if frame.kind == VIDEO:
                return time.time() - frame.at
        return float("inf")

    def _run(self) -> None:
        while not self._end.is_set():
            # The platform keeps its readers while nobody publishes: only one that is away cuts this off.
            with contextlib.suppress(OSError), Player(self._url, timeout=15) as player:
                self._player = player
                for at, tag in player:
                    if self._end.is_set():
                        return
                    if tag.is_frame:
                        self._frames.append(Frame(at, tag.kind, tag.time))
            self._end.wait(0.2)
