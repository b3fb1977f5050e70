"""What was heard at the platform, frame by frame: which source it came from, and when it was made."""

import subprocess
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from tests.integration.onair import FALLBACK_HERTZ, Frame, frames
from tests.rig import child
from tests.rig.flvread import AUDIO
from tests.rig.icecast import Icecast, Source
from tests.rig.platform import Capture

SWEEP_SECONDS = 40.0
_LOWEST, _SLOPE = 400.0, 50.0  # Hz, Hz a second
_PITCH = 15.0


class Sweep(Source):
    """A source whose pitch tells the time: it rises, and begins anew every SWEEP_SECONDS of Unix time."""

    def __init__(self, icecast: Icecast, rate: int = 44100, channels: int = 2) -> None:
        encoded = ["-ac", str(channels), "-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0"]
        super().__init__(icecast, ["-re", "-f", "lavfi", "-i", "", *encoded], name="sweep")
        self._rate = rate
        self._input = self.process.argv.index("-i") + 1

    def start(self) -> None:
        """Start it at the present time's pitch."""
        into = f"mod(t+{time.time() % SWEEP_SECONDS:.3f}\\,{SWEEP_SECONDS})"
        phase = f"2*PI*({_LOWEST}*{into}+{_SLOPE / 2}*{into}*{into})"
        self.process.argv[self._input] = f"aevalsrc=0.5*sin({phase}):s={self._rate}"
        super().start()


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame of sound at the platform. `source`: sweep, fallback, quiet or other; `clock`: the sweep's time."""

    at: float
    ms: int
    source: str
    clock: float | None
    hertz: float
    level: float


def listen(capture: Capture) -> list[Heard]:
    """What was heard, frame by frame. The capture must be over, and no frame of sound missing in it."""
    done = subprocess.run(
        [child.find_program("ffmpeg"), "-v", "error", "-nostdin", "-i", str(capture.path), "-map", "0:a:0",
         "-ac", "1", "-f", "s16le", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    samples = array("h", done.stdout)
    came = frames(capture, AUDIO)[: len(samples) // 1024]
    assert len(came) >= len(frames(capture, AUDIO)) - 1
    heard = [_heard(frame, samples[place * 1024 : place * 1024 + 1024]) for place, frame in enumerate(came)]
    # What overlaps with the frame before the first can't be decoded.
    return _borne_out(heard[2:])


def _borne_out(heard: list[Heard]) -> list[Heard]:
    """Where two sources meet, the mixture may have any pitch: a sweep's time counts where a neighbour bears it out.

    And where the sweep begins anew there is a frame without a pitch, which is the sweep's all the same.
    """
    found = list(heard)
    for place, frame in enumerate(heard):
        before, after = heard[max(0, place - 1)], heard[min(place + 1, len(heard) - 1)]
        if _follows(before, frame) or _follows(frame, after):
            continue
        if frame.source in ("sweep", "other"):
            source = "sweep" if _follows(before, after) else "other"
            found[place] = replace(frame, source=source, clock=None)
    return found


def _follows(one: Heard, two: Heard) -> bool:
    """Whether these two, of the sweep, are as far apart as they were sent."""
    if one.clock is None or two.clock is None or one is two:
        return False
    apart = two.clock - one.clock - (two.ms - one.ms) / 1000
    return abs((apart + SWEEP_SECONDS / 2) % SWEEP_SECONDS - SWEEP_SECONDS / 2) < 0.02


def story(heard: Sequence[Heard]) -> str:
    """What was heard, in a line for each source: for a message."""
    lines = []
    for source, group in groupby(heard, lambda frame: frame.source):
        run = list(group)
        told = f"{run[0].ms / 1000:9.3f} s  {source:8} {len(run) * 1024 / 44100:7.3f} s"
        if run[0].clock is not None and run[-1].clock is not None:
            told += f"  late by {lateness(run[0]):.3f} to {lateness(run[-1]):.3f} s"
        lines.append(told)
    return "\n".join(["", *lines])


def _heard(frame: Frame, samples: "array[int]") -> Heard:
    level = (sum(s * s for s in samples) / len(samples)) ** 0.5 / 32768
    crossings = [place + a / (a - b) for place, (a, b) in enumerate(pairwise(samples)) if a < 0 <= b]
    hertz = 0.0
    if len(crossings) > 2:
        hertz = (len(crossings) - 1) / (crossings[-1] - crossings[0]) * 44100
    clock = None
    if level < 0.01:
        source = "quiet"
    elif abs(hertz - FALLBACK_HERTZ) < _PITCH:
        source = "fallback"
    elif _LOWEST - _PITCH < hertz < _LOWEST + _SLOPE * SWEEP_SECONDS + _PITCH:
        source, clock = "sweep", (hertz - _LOWEST) / _SLOPE
    else:
        source = "other"
    return Heard(frame.at, frame.ms, source, clock, hertz, level)


def lateness(heard: Heard) -> float:
    """How old the sound was when it came, in seconds: from its making at the station to the platform."""
    assert heard.clock is not None
    return (heard.at - heard.clock) % SWEEP_SECONDS


def silences(heard: Sequence[Heard]) -> list[float]:
    """How long, each time, neither the station nor its fallback was heard (seconds)."""
    starts = [place for place in range(len(heard)) if not _audible(heard[place])]
    runs: list[list[int]] = []
    for place in starts:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return [(heard[run[-1]].ms - heard[run[0]].ms) / 1000 + 1024 / 44100 for run in runs]


def _audible(heard: Heard) -> bool:
    return heard.source in ("sweep", "fallback")


def steps_back(heard: Sequence[Heard]) -> float:
    """By how much the station's sound went back at most (seconds): what was heard is heard again, or an older one."""
    worst = 0.0
    newest: Heard | None = None
    for frame in heard:
        if frame.clock is None:
            continue
        if newest is not None and newest.clock is not None:
            passed = (frame.ms - newest.ms) / 1000
            # The sweep's time is known but for whole rounds: between two frames about as much was sent as was heard.
            ahead = frame.clock - newest.clock - passed
            moved = passed + (ahead + SWEEP_SECONDS / 2) % SWEEP_SECONDS - SWEEP_SECONDS / 2
            worst = max(worst, -moved)
            if moved < 0:
                continue
        newest = frame
    return worst
