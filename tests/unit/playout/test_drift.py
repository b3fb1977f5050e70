"""Ten hours with a station whose clock is off, in virtual time: nothing dropped, nothing doubled, buffer bounded."""

from __future__ import annotations

import pytest

from hook_service.playout.audio import CUSHION_SECONDS
from tests.unit.playout.mount import Mount, Rig, number

HOUR = 3600
JITTER = 0.3


@pytest.mark.parametrize("ppm", [300, -300, 0])
def test_ten_hours(ppm: int) -> None:
    rig = Rig(Mount(ppm=ppm, jitter=JITTER), tick=1 / 5)
    rig.connect()
    start = rig.run(60)
    assert start.changes[-1][1] == "mount"
    last = max(map(number, start.frames))
    rates = []
    for hour in range(10):
        heard = rig.run(HOUR)
        rates.append(rig.rate_ppm)
        # Every slot has the mount's next frame, in its order: none left out, none twice.
        assert list(map(number, heard.frames)) == list(range(last + 1, last + 1 + len(heard.frames))), f"hour {hour}"
        last = number(heard.frames[-1])
        assert [source for _, source in heard.changes] == ["mount"]
        assert heard.levels[0] > CUSHION_SECONDS - 0.9, "nearly dry"
        assert heard.levels[1] < CUSHION_SECONDS + 1.0, "piles up"
    assert rig.slots() == len(rig.heard.frames)
    assert all(abs(rate - ppm) <= 200 for rate in rates[1:]), rates
    assert abs(sum(rates[2:]) / len(rates[2:]) - ppm) <= 60


@pytest.mark.parametrize("ppm", [300, -300])
def test_at_the_playouts_own_ticks_after_months(ppm: int) -> None:
    rig = Rig(Mount(ppm=ppm, jitter=JITTER), start_ns=(2**31 - 600_000) * 1_000_000)
    rig.connect()
    rig.run(30)
    heard = rig.run(1200)
    assert set(heard.steps()) == {1}
    assert heard.counts.keys() == {"mount"}
    assert CUSHION_SECONDS - 0.9 < heard.levels[0] <= heard.levels[1] < CUSHION_SECONDS + 1.0
