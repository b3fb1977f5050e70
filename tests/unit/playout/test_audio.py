"""The cushion and the mixer against a mount that bursts, drops and comes back, in virtual time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.playout.audio import (
    CUSHION_SECONDS,
    FULL_SECONDS,
    MOMENT_SECONDS,
    SETTLE_LIMIT_SECONDS,
    SETTLE_SECONDS,
    SURPLUS_WATCH_SECONDS,
    Cushion,
    Mixer,
)
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS
from tests.unit.playout.mount import FALLBACK, FLOOR, Heard, Mount, Rig, number

CUSHION = round(CUSHION_SECONDS / AUDIO_FRAME_SECONDS)
BACK = -round(0.2 / AUDIO_FRAME_SECONDS)  # how far the sound may go back at a reconnect, in frames


def playing(mount: Mount, seconds: float = 60.0, *, fallback: bool = True) -> Rig:
    """A rig that has been on the mount for a while; the mount was there before it."""
    rig = Rig(mount, fallback=fallback)
    rig.run(10)
    rig.connect()
    heard = rig.run(seconds)
    assert heard.changes[-1][1] == "mount"
    return rig


def test_the_burst_at_connect_is_trimmed() -> None:
    rig = Rig(Mount())
    rig.run(10)
    rig.connect()
    heard = rig.run(5)
    assert heard.changes[-1][1] == "mount"
    assert heard.changes[-1][0] - 10 < 0.7, "on the air soon after the connect"
    assert rig.mixer.cushion.trimmed > 0.9 / AUDIO_FRAME_SECONDS  # 4 s of burst, 3 s of cushion
    assert heard.levels[1] < CUSHION_SECONDS + 0.5
    assert set(heard.steps()) == {1}


def test_without_a_burst_it_waits_for_a_cushion() -> None:
    rig = Rig(Mount(burst=0))
    rig.connect()
    heard = rig.run(8)
    assert heard.changes[-1][1] == "mount"
    assert CUSHION_SECONDS - 0.1 < heard.changes[-1][0] < CUSHION_SECONDS + 0.7
    assert rig.mixer.cushion.trimmed <= 0.3 / AUDIO_FRAME_SECONDS


@pytest.mark.parametrize("outage", [0.5, 1.0, 20.0])
def test_outages_after_which_nothing_is_recognised(outage: float) -> None:
    rig = playing(Mount())
    before, trimmed, slots = max(map(number, rig.heard.frames)), rig.mixer.cushion.trimmed, rig.slots()
    rig.disconnect()
    away = rig.run(outage)
    rig.connect()
    back = rig.run(20)
    mount = [n for n in (number(f) for f in away.frames + back.frames) if n >= 0]
    steps = [b - a for a, b in zip([before, *mount], mount, strict=False)]
    assert min(steps) >= BACK, f"the sound went back by {min(steps)} frames"
    # From the reconnect on, one join and then the mount without a break.
    assert [step for step in steps if step != 1][1:] == []
    assert back.changes[-1][1] == "mount"
    assert back.changes[-1][0] - (70 + outage) < 1.0
    assert rig.mixer.cushion.trimmed - trimmed > 0.9 / AUDIO_FRAME_SECONDS
    assert back.levels[1] < CUSHION_SECONDS + 0.5, "old sound piled up"
    assert rig.slots() - slots == len(away.frames) + len(back.frames)
    if outage <= 1.0:
        assert (away.counts + back.counts).keys() == {"mount"}, "the cushion bridges it"


@given(outage=st.floats(0.0, 2.5), jitter=st.sampled_from([0.0, 0.1]), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_short_outage_is_not_heard_at_all(outage: float, jitter: float, seed: int) -> None:
    rig = playing(Mount(jitter=jitter, seed=seed), 10)
    rig.disconnect()
    rig.run(outage)
    rig.connect(found=True)
    back = rig.run(10)
    assert set(rig.heard.steps()) == {1}, "nothing lost, nothing twice"
    assert back.counts.keys() == {"mount"}
    assert rig.mixer.cushion.seconds == pytest.approx(CUSHION_SECONDS, abs=0.5)


@given(outage=st.floats(2.5, 6.0), kbps=st.sampled_from([96, 128, 192, 320]))
@settings(max_examples=15, deadline=None)
def test_what_was_recognised_after_a_longer_outage_is_never_heard_twice(outage: float, kbps: int) -> None:
    rig = playing(Mount(kbps=kbps), 10)
    rig.disconnect()
    rig.run(outage)
    rig.connect(found=True)
    back = rig.run(12)
    assert min(rig.heard.steps()) >= 1
    assert back.changes[-1][1] == "mount"
    assert back.levels[1] < CUSHION_SECONDS + 0.5, "old sound piled up"


def test_fallback_begins_soon_after_the_cushions_end() -> None:
    rig = playing(Mount())
    rig.disconnect()
    heard = rig.run(20)
    assert [source for _, source in heard.changes] == ["mount", "floor", "fallback"]
    silent = heard.counts["floor"] * AUDIO_FRAME_SECONDS
    assert silent <= 0.3
    assert silent >= MOMENT_SECONDS - 2 * AUDIO_FRAME_SECONDS, "a hiccup must not put music on the air"
    assert heard.changes[1][0] - 70 < CUSHION_SECONDS + 0.5
    assert len(heard.frames) == pytest.approx(20 / AUDIO_FRAME_SECONDS, abs=3)


def test_for_good_and_without_a_fallback_the_floor_goes_on() -> None:
    rig = playing(Mount(), fallback=False)
    rig.disconnect()
    heard = rig.run(60)
    assert [source for _, source in heard.changes] == ["mount", "floor"]
    assert len(heard.frames) == pytest.approx(60 / AUDIO_FRAME_SECONDS, abs=3)


@given(
    outage=st.floats(0.05, 30.0),
    warm=st.floats(5.0, 15.0),
    jitter=st.sampled_from([0.0, 0.05, 0.1]),
    kbps=st.sampled_from([96, 128, 192, 320]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_any_outage(outage: float, warm: float, jitter: float, kbps: int, seed: int) -> None:
    rig = playing(Mount(kbps=kbps, jitter=jitter, seed=seed), warm)
    rig.disconnect()
    rig.run(outage)
    rig.connect()
    back = rig.run(8)
    steps = rig.heard.steps()
    assert min(steps) >= BACK
    # One join; what was still on its way at that moment may be left out right after it.
    assert all(step > 1 for step in [step for step in steps if step != 1][1:])
    assert back.changes[-1][1] == "mount"
    assert back.levels[1] < CUSHION_SECONDS + 1.0
    assert rig.slots() == len(rig.heard.frames), "a slot without a frame"


@pytest.mark.parametrize("ppm", [300, -300])
def test_a_reconnect_after_an_hour_of_drift(ppm: int) -> None:
    rig = playing(Mount(ppm=ppm), 3600)
    rig.disconnect()
    away = rig.run(0.3)
    rig.connect()
    back = rig.run(10)
    assert (away.counts + back.counts).keys() == {"mount"}, "a short outage is bridged by the cushion"
    assert min(rig.heard.steps()) >= BACK


@pytest.mark.parametrize("speed", [3.0, 5.0, 8.0, 15.0])
def test_a_burst_over_a_slow_line_is_trimmed_as_well(speed: float) -> None:
    """64 KB over a home's uplink of 1 Mb/s arrive at eight times real time."""
    mount = Mount()
    rig = playing(mount)
    rig.disconnect()
    rig.run(0.5)
    mount.speed = speed
    rig.connect()
    rig.run(10)
    assert min(rig.heard.steps()) >= BACK, "old sound again"
    assert rig.mixer.cushion.seconds < CUSHION_SECONDS + 0.5, "behind the station for hours"


@pytest.mark.parametrize("kbps", [32, 48, 64])
def test_a_long_burst_of_a_low_bitrate_is_trimmed_as_well(kbps: int) -> None:
    """Icecast's burst counts bytes: 64 KB are 8 s at 64 kb/s."""
    rig = Rig(Mount(kbps=kbps))
    rig.run(30)
    rig.connect()
    rig.run(20)
    assert rig.mixer.cushion.seconds < CUSHION_SECONDS + 1.1, "behind the station for hours"


def test_a_mount_that_sends_a_file_at_once_is_not_read_on() -> None:
    cushion = Cushion()
    sent = 0
    for tick in range(300):
        if not cushion.full:
            cushion.add([b"%d" % (sent + n) for n in range(40)], tick / 30)
            sent += 40
        cushion.settle(tick / 30)
        cushion.take()
    assert cushion.seconds < FULL_SECONDS + 2.0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 200)),
            st.tuples(st.just("wait"), st.floats(0, 3)),
            st.tuples(st.just("take"), st.integers(0, 120)),
            st.tuples(st.just("reconnect"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_every_slot_has_a_frame_and_no_frame_is_played_twice(orders: list[tuple[str, float]]) -> None:
    fallback = iter(range(10**9))
    mixer = Mixer([b"a-floor", b"b-floor"], lambda: b"f%d" % next(fallback))
    now, sent, heard = 100.0, 0, []
    for order, amount in orders:
        if order == "add":
            mixer.cushion.add([b"%d" % (sent + n) for n in range(int(amount))], now)
            sent += int(amount)
        elif order == "wait":
            now += amount
        elif order == "reconnect":
            mixer.cushion.reconnect()
        else:
            heard += [mixer.frame() for _ in range(int(amount))]
        mixer.cushion.settle(now)
        assert mixer.cushion.seconds >= 0
    assert all(heard)
    mount = [number(frame) for frame in heard if frame.isdigit()]
    assert mount == sorted(set(mount)), "out of order or doubled"
    rest = [int(frame[1:]) for frame in heard if frame[:1] == b"f"]
    assert rest == list(range(len(rest))), "the fallback goes on where it was"


def test_a_fallback_that_has_nothing_now_leaves_the_floor() -> None:
    frames: list[bytes | None] = [None, None, FALLBACK, None, FALLBACK]
    feed = iter(frames)
    mixer = Mixer([FLOOR], lambda: next(feed))
    assert [mixer.frame() for _ in frames] == [FLOOR, FLOOR, FALLBACK, FLOOR, FALLBACK]


def test_the_floor_is_played_round_and_round() -> None:
    mixer = Mixer([b"0", b"1", b"2"], lambda: None)
    assert [mixer.frame() for _ in range(7)] == [b"0", b"1", b"2", b"0", b"1", b"2", b"0"]


def test_the_clock_is_left_alone_while_the_mount_is_away() -> None:
    mixer = Mixer([FLOOR], lambda: None)
    assert mixer.rate_ppm(1.0) == 0
    mixer.cushion.add([b"x"] * 300, 1.0)
    mixer.cushion.add([b"x"], 2.0)
    assert mixer.cushion.joined
    mixer.cushion.add([b"x"] * 300, 2.0)
    assert mixer.rate_ppm(10.0) > 0
    mixer.cushion.reconnect()
    assert mixer.rate_ppm(1.0) == 0


class TestAnotherBroadcast:
    """The mount's source was started anew: there is no burst of it, and nothing of it was heard before."""

    def restarted(self, away: float) -> Heard:
        rig = playing(Mount(), 20)
        rig.disconnect()
        heard = rig.run(away)
        rig.mount = Mount(made=30 + away)
        rig.connect(other=True)
        back = rig.run(8)
        heard.frames += back.frames
        heard.changes += back.changes
        return heard

    @pytest.mark.parametrize("away", [0.2, 1.0, 1.6])
    def test_follows_the_last_of_the_one_before(self, away: float) -> None:
        heard = self.restarted(away)
        assert heard.counts.keys() == {"mount"}, "the cushion bridges it"
        steps = [b - a for a, b in pairwise(map(number, heard.frames))]
        assert len([step for step in steps if step != 1]) == 1, "one whole after the other"

    def test_gathers_a_cushion_where_there_is_next_to_nothing_of_it(self) -> None:
        heard = self.restarted(2.8)
        assert heard.changes[-1][1] == "mount"
        assert heard.changes[-1][0] - 32.8 > CUSHION_SECONDS - 0.1


class TestSettle:
    """When a connection is taken over, and what is left out of it afterwards."""

    def test_after_the_burst_and_a_moment_of_quiet(self) -> None:
        assert SETTLE_SECONDS == 0.3
        cushion, _ = self.after_the_join(0.0)
        cushion.reconnect()
        while cushion.take():
            pass
        assert CUSHION_SECONDS == 3.0
        cushion.add([b"%d" % n for n in range(200)], 11.0)
        cushion.settle(11.0 + SETTLE_SECONDS - 0.01)
        assert not cushion.joined
        assert cushion.take() is None, "held back"
        cushion.settle(11.0 + SETTLE_SECONDS)
        assert cushion.joined
        assert cushion.seconds == pytest.approx(CUSHION_SECONDS - SETTLE_SECONDS, abs=AUDIO_FRAME_SECONDS)
        assert cushion.take() == b"%d" % (200 - CUSHION + 13), "the newest seconds of it"

    def test_a_mount_that_hangs_sends_its_burst_and_is_not_taken_for_the_present(self) -> None:
        cushion = Cushion()
        for connection in range(10, 30, 4):
            cushion.reconnect()
            cushion.add([b"%d" % n for n in range(200)], connection)
            for tenth in range(1, 39):
                cushion.settle(connection + tenth / 10)
            assert cushion.take() is None, "what was heard before, again"
        now = 33.9
        first = 200
        while not cushion.joined and now < 40:
            now += 0.1
            cushion.add([b"%d" % n for n in range(first, first + 5)], now)
            first += 5
        assert now < 34.0 + CUSHION_SECONDS
        frame = cushion.take()
        assert frame is not None
        assert number(frame) >= 200, "only what was never sent before"

    def test_at_the_latest_after_its_limit(self) -> None:
        cushion, now = Cushion(), 10.0
        while not cushion.joined and now < 20:
            now += 0.1
            cushion.add([b"x"] * 43, now)  # ten times real time, without an end
            cushion.settle(now)
        assert now - 10.1 == pytest.approx(SETTLE_LIMIT_SECONDS, abs=0.11)

    def test_not_without_a_cushion(self) -> None:
        cushion = Cushion()
        cushion.settle(1.0)
        cushion.add([b"x"] * (CUSHION - 1), 1.0)
        cushion.settle(100.0)
        assert not cushion.joined

    def after_the_join(self, late: float) -> tuple[Cushion, float]:
        """A cushion that is joined; `late` seconds afterwards another second of sound arrives at once."""
        cushion = Cushion()
        cushion.add([b"x"] * CUSHION, 10.0)
        cushion.add([b"x"], 10.0 + SETTLE_SECONDS)
        assert cushion.joined
        now = 10.0 + SETTLE_SECONDS + late
        cushion.settle(now)
        cushion.add([b"x"] * 43, now)
        return cushion, now

    def test_what_was_still_on_its_way_is_left_out(self) -> None:
        cushion, now = self.after_the_join(0.05)
        for n in range(25):
            cushion.settle(now + n / 10)
        assert cushion.seconds == pytest.approx(CUSHION_SECONDS, abs=0.05)
        assert cushion.trimmed == pytest.approx(44, abs=2)

    def test_later_it_is_the_clocks_business(self) -> None:
        cushion, now = self.after_the_join(SURPLUS_WATCH_SECONDS + 0.1)
        for n in range(60):
            cushion.settle(now + n / 10)
        assert cushion.seconds == pytest.approx(CUSHION_SECONDS + 1.0, abs=0.05)
        assert cushion.trimmed == 1, "of the burst"
