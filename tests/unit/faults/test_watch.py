"""What counts as off the air, and what as lost."""

import math

from tests.faults.watch import Frame, judge
from tests.rig.flvread import AUDIO, VIDEO


def stream(seconds: float, *, at: float = 1000.0, time: int = 0) -> list[Frame]:
    """Frames as they come without a fault: each at its own time."""
    video = [Frame(at + n / 30, VIDEO, time + round(n * 1000 / 30)) for n in range(round(seconds * 30))]
    audio = [Frame(at + n * 1024 / 44100, AUDIO, time + round(n * 1024 / 44.1)) for n in range(round(seconds * 43))]
    return sorted(video + audio)


def test_nothing_is_missing() -> None:
    seen = judge(stream(20), 1005, 1015)
    assert (seen.off_air, seen.lost, seen.backwards, seen.back_at) == (0, 0, 0, None)
    assert seen.longest < 0.04
    assert abs(seen.shift) < 0.01


def test_frames_that_never_came() -> None:
    frames = [frame for frame in stream(20) if not 1008 <= frame.at < 1010]
    seen = judge(frames, 1005, 1015)
    assert abs(seen.off_air - 2) < 0.05
    assert seen.lost in range(145, 148)  # 60 pictures, 86 of sound
    assert seen.back_at is not None
    assert abs(seen.back_at - 1010) < 0.05
    assert abs(seen.shift) < 0.05


def test_frames_that_came_late_are_not_lost() -> None:
    frames = [frame._replace(at=1010.0) if 1008 <= frame.at < 1010 else frame for frame in stream(20)]
    seen = judge(frames, 1005, 1015)
    assert abs(seen.off_air - 2) < 0.05
    assert seen.lost == 0


def test_a_short_pause_is_none() -> None:
    frames = [frame for frame in stream(20) if not 1008 <= frame.at < 1008.9]
    seen = judge(frames, 1005, 1015)
    assert seen.off_air == 0
    assert 0.9 <= seen.longest < 1
    assert seen.lost > 60


def test_a_pause_that_lasts_at_the_end() -> None:
    seen = judge([frame for frame in stream(20) if frame.at < 1010], 1005, 1015)
    assert abs(seen.off_air - 5) < 0.05
    assert seen.back_at == math.inf
    assert seen.lost in range(362, 368)


def test_a_pause_that_began_before() -> None:
    frames = [frame for frame in stream(20) if not 1002 <= frame.at < 1008]
    seen = judge(frames, 1005, 1015)
    assert abs(seen.off_air - 6) < 0.05
    assert abs(seen.lost - 6 * (30 + 44100 / 1024)) <= 2


def test_nothing_at_all() -> None:
    seen = judge([], 1005, 1015)
    assert (seen.off_air, seen.lost, seen.back_at) == (10, 731, math.inf)


def test_a_timeline_that_begins_anew_is_judged_by_the_clock() -> None:
    before = [frame._replace(time=frame.time + 5_000_000) for frame in stream(8)]
    seen = judge([*before, *stream(10, at=1011.0)], 1005, 1015)
    assert abs(seen.off_air - 3) < 0.05
    assert seen.lost in range(215, 223)
    assert seen.backwards == 2
