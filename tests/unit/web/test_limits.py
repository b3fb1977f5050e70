from __future__ import annotations

import pytest

from hook_service.web.limits import Buckets, client_of


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    buckets = Buckets(rate=2, burst=3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.wait("a") == 0.5
    clock.now += 0.5
    assert buckets.wait("a") == 0
    assert buckets.take("a") == 0
    assert buckets.take("b") == 0
    clock.now += 3600
    assert [buckets.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_many_addresses_take_no_more_room() -> None:
    buckets = Buckets(rate=1, burst=1, keep=100)
    for number in range(10_000):
        buckets.take(f"10.0.{number >> 8}.{number & 255}")
        buckets.wait(f"192.0.2.{number}")
    assert len(buckets) == 100
    # The last ones seen are remembered.
    assert buckets.take(f"10.0.{9_999 >> 8}.{9_999 & 255}") > 0


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("[2001:db8:1:2::9]", "20010db800010002"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("no:address", "no:address"),
        ("", "?"),
        (None, "?"),
    ],
)
def test_who_counts_as_one_client(address: str | None, client: str) -> None:
    assert client_of(address) == client
