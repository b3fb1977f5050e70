"""Whether a process grows."""

import random

import pytest

from tests.soak.weigh import Life, Weight, fit, growth


def life(slope: float, *, hours: float = 1.0, noise: float = 0.0, files: float = 0.0) -> Life:
    """A process that grows `slope` MB and `files` descriptors an hour."""
    rhythm = random.Random(3)
    found = Life("web", 1)
    for number in range(round(hours * 360)):
        at = number / 360
        mb = 40 + slope * at + rhythm.uniform(-noise, noise)
        found.weights.append(Weight(at * 3600, mb, mb, 20 + int(files * at), 9))
    return found


def test_a_straight_line() -> None:
    assert fit([(0, 1), (1, 3), (2, 5), (3, 7)]) == pytest.approx((2, 0))
    slope, error = fit([(0, 0), (1, 1), (2, 0), (3, 1)])
    assert slope == pytest.approx(0.2)
    assert error == pytest.approx(0.2828, abs=1e-4)
    assert fit([(1, 1), (1, 2), (1, 3)]) == (0, 0)


@pytest.mark.parametrize(("slope", "noise", "grows"), [(0, 1, False), (1.5, 1, False), (4, 1, True), (-5, 1, False)])
def test_growth_and_noise(slope: float, noise: float, grows: bool) -> None:
    found = growth(life(slope, noise=noise))
    assert found is not None
    assert found.grows is grows
    assert found.allowed == 2.0


def test_a_short_run_is_judged_by_what_it_grew_in_all() -> None:
    found = growth(life(3, hours=0.2))
    assert found is not None
    assert not found.grows
    found = growth(life(9, hours=0.2))
    assert found is not None
    assert found.grows


def test_warming_up_is_not_growing() -> None:
    warm = life(0)
    for number in range(140):
        warm.weights[number] = Weight(number * 10.0, 10.0 + number / 5, 10.0, 5, 2)
    found = growth(warm)
    assert found is not None
    assert not found.grows
    assert not found.leaks


@pytest.mark.parametrize(("files", "leaks"), [(0, False), (2, False), (15, True)])
def test_descriptors(files: float, leaks: bool) -> None:
    found = growth(life(0, files=files))
    assert found is not None
    assert found.leaks is leaks


def test_a_process_that_lived_for_a_minute_says_nothing() -> None:
    assert growth(life(0, hours=0.02)) is None
