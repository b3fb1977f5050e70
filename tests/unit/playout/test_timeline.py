"""The timeline's arithmetic, against exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.playout.timeline import (
    AUDIO_FRAME,
    AUDIO_RATE,
    LEVEL_SMOOTHING_SECONDS,
    NS,
    RATE_GAIN_PPM,
    RATE_LIMIT_PPM,
    Clock,
    FrameRate,
    Kind,
    RateControl,
    Timeline,
    audio_ms,
    audio_ns,
)

YEAR = 365 * 86_400 * NS
FLV_END = 2**31 * 1_000_000  # 2^31 ms, in ns

RATES = [FrameRate(30), FrameRate(25), FrameRate(60), FrameRate(1), FrameRate(30000, 1001), FrameRate(24000, 1001)]
rates = st.sampled_from(RATES)
indices = st.integers(0, 10**13)  # far beyond a hundred years of either kind
positions = st.one_of(
    st.integers(0, 100 * NS), st.integers(FLV_END - 10 * NS, FLV_END + 10 * NS), st.integers(0, 50 * YEAR)
)


def audio_time(index: int) -> Fraction:
    return Fraction(index * AUDIO_FRAME, AUDIO_RATE)


def video_time(rate: FrameRate, index: int) -> Fraction:
    return Fraction(index * rate.den, rate.num)


@given(indices)
def test_audio_slots_are_exact(index: int) -> None:
    assert audio_ns(index) == math.ceil(audio_time(index) * NS)
    assert abs(audio_ms(index) - audio_time(index) * 1000) <= Fraction(1, 2)


@given(rates, indices)
def test_video_slots_are_exact(rate: FrameRate, index: int) -> None:
    assert rate.ns(index) == math.ceil(video_time(rate, index) * NS)
    assert abs(rate.ms(index) - video_time(rate, index) * 1000) <= Fraction(1, 2)


@given(indices)
def test_steps_of_the_written_times(index: int) -> None:
    assert audio_ms(index + 1) - audio_ms(index) in (23, 24)
    assert FrameRate(30).ms(index + 1) - FrameRate(30).ms(index) in (33, 34)
    assert FrameRate(30000, 1001).ms(index + 1) - FrameRate(30000, 1001).ms(index) in (33, 34)
    assert FrameRate(25).ms(index + 1) - FrameRate(25).ms(index) == 40


def test_nothing_accumulates_over_a_year() -> None:
    frames = 365 * 86_400 * 30
    assert FrameRate(30).ms(frames) == 365 * 86_400 * 1000
    # 44,100 audio frames last exactly 1,024 s.
    assert audio_ms(44_100 * 30_000) == 1_024_000 * 30_000
    # 30,000 frames at 30000/1001 last exactly 1,001 s.
    assert FrameRate(30000, 1001).ms(30_000 * 30_000) == 1_001_000 * 30_000


@given(rates, positions)
def test_first_frame_at_a_position(rate: FrameRate, position: int) -> None:
    index = rate.index_at(position)
    assert rate.ns(index) >= position
    assert index == 0 or rate.ns(index - 1) < position
    timeline = Timeline(rate, position)
    assert timeline.next_video_due >= position
    assert timeline.video_index == index
    assert audio_ns(timeline.audio_index) >= position
    assert timeline.audio_index == 0 or audio_ns(timeline.audio_index - 1) < position


def take(timeline: Timeline, position: int) -> list[tuple[Kind, int, int]]:
    return list(timeline.due(position))


# Seconds between two looks: on time, late, jumping far ahead, and back.
looks = st.lists(
    st.one_of(
        st.integers(-3 * NS, NS // 10),
        st.integers(0, NS // 20),
        st.integers(0, 3 * NS),
        st.just(0),
        st.just(33_333_333),
    ),
    max_size=25,
)


@given(rates, positions, looks)
@settings(max_examples=60, deadline=None)
def test_never_repeats_skips_or_steps_back(rate: FrameRate, start: int, steps: list[int]) -> None:
    timeline = Timeline(rate, start)
    first = {"audio": timeline.audio_index, "video": timeline.video_index}
    got: list[tuple[Kind, int, int]] = []
    position = farthest = start
    for step in steps:
        position += step
        farthest = max(farthest, position)
        new = take(timeline, position)
        got += new
        assert timeline.next_video_due > position
        assert timeline.next_video_due > farthest or not new
        assert timeline.next_video_due == rate.ns(timeline.video_index)
        assert take(timeline, position) == []
    for kind in ("audio", "video"):
        seen = [index for each, index, _ in got if each == kind]
        assert seen == list(range(first[kind], first[kind] + len(seen)))
    when = [audio_time(index) if kind == "audio" else video_time(rate, index) for kind, index, _ in got]
    assert all(a <= b for a, b in pairwise(when)), "not in order of time"
    assert all(a <= b for a, b in pairwise(ms for _, _, ms in got)), "written times step back"
    assert all(time * NS <= farthest for time in when), "given before its time"
    for kind in ("audio", "video"):
        times = [ms for each, _, ms in got if each == kind]
        assert all(a < b for a, b in pairwise(times)), "a written time repeats"


@given(rates, positions, st.lists(st.integers(0, 4 * NS), min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_how_often_it_is_asked_does_not_matter(rate: FrameRate, start: int, steps: list[int]) -> None:
    often, once = Timeline(rate, start), Timeline(rate, start)
    position, bit_by_bit = start, []
    for step in steps:
        position += step
        bit_by_bit += take(often, position)
    assert bit_by_bit == take(once, position)


@pytest.mark.parametrize("boundary", [2**24, 2**31, 2**32, 2**40])
def test_flv_and_counter_boundaries_are_nothing_to_the_timeline(boundary: int) -> None:
    start = boundary * 1_000_000 - NS
    got = take(Timeline(FrameRate(30), start), start + 2 * NS)
    times = {kind: [ms for each, _, ms in got if each == kind] for kind in ("audio", "video")}
    assert {b - a for a, b in pairwise(times["video"])} <= {33, 34}
    assert {b - a for a, b in pairwise(times["audio"])} <= {23, 24}
    assert times["video"][0] < boundary < times["video"][-1]


class TestClock:
    @given(
        st.integers(0, 50 * YEAR),
        st.lists(st.tuples(st.integers(-NS, 10 * NS), st.integers(-RATE_LIMIT_PPM, RATE_LIMIT_PPM)), max_size=30),
    )
    def test_follows_the_host_at_its_rate_and_never_steps_back(
        self, start: int, steps: list[tuple[int, int]]
    ) -> None:
        now = latest = 5 * NS
        clock = Clock(start, now)
        exact, before = Fraction(start), start
        for count, (step, ppm) in enumerate(steps, 1):
            clock.rate_ppm = ppm
            now += step
            if now > latest:
                exact += Fraction(now - latest) * (1_000_000 + ppm) / 1_000_000
                latest = now
            position = clock.advance(now)
            assert position >= before
            assert exact - count <= position <= exact
            before = position

    @given(st.integers(0, 50 * YEAR), st.integers(0, 2 * NS), st.integers(-RATE_LIMIT_PPM, RATE_LIMIT_PPM), positions)
    def test_when_is_the_inverse_of_advance(self, start: int, ahead: int, ppm: int, now: int) -> None:
        clock = Clock(start, now)
        clock.rate_ppm = ppm
        when = clock.when(start + ahead)
        # First order in the rate: a quarter of a millionth of the way ahead.
        assert abs(clock.advance(when) - (start + ahead)) <= 2 + ahead // 4_000_000

    def test_a_late_caller_is_told_that_it_is_due(self) -> None:
        clock = Clock(10 * NS, 100 * NS)
        assert clock.when(9 * NS) == 99 * NS

    def test_ten_hours_at_a_rate_cost_no_rounding(self) -> None:
        clock = Clock(0, 0)
        clock.rate_ppm = 300
        now = 0
        for _ in range(10_000):
            now += 33_333_337
            clock.advance(now)
        assert now + now * 300 // 1_000_000 - clock.advance(now) <= 10_000  # a nanosecond a step at most


class TestRateControl:
    @given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), max_size=50))
    def test_the_rate_is_bounded(self, levels: list[tuple[float, float]]) -> None:
        control = RateControl(1.0)
        for level, elapsed in levels:
            assert -RATE_LIMIT_PPM <= control.update(level, elapsed) <= RATE_LIMIT_PPM
            assert control.level is not None
            assert 0.0 <= control.level <= max(1.0, *(seen for seen, _ in levels)) * (1 + 1e-9)

    def test_a_full_buffer_makes_the_clock_faster_and_an_empty_one_slower(self) -> None:
        assert RateControl(1.0).update(1.0, 0.03) == 0
        assert RateControl(1.0).update(5.0, 60.0) == RATE_LIMIT_PPM
        assert RateControl(1.0).update(0.0, 60.0) == -RATE_LIMIT_PPM
        full, empty = RateControl(1.0), RateControl(1.0)
        assert [full.update(1.2, 1.0) > 0 for _ in range(3)] == [True] * 3
        assert [empty.update(0.8, 1.0) < 0 for _ in range(3)] == [True] * 3

    def test_how_far_and_how_fast(self) -> None:
        assert (RATE_GAIN_PPM, LEVEL_SMOOTHING_SECONDS) == (3_000, 60.0)
        control = RateControl(1.0)
        assert control.update(1.1, 6.0) == 30  # a tenth of the smoothing has passed
        assert control.update(1.1, 1e6) == 300

    @pytest.mark.parametrize("ppm", [300, -300, 100])
    def test_the_buffer_settles_a_tenth_of_a_second_from_its_target(self, ppm: int) -> None:
        control, level, rate, farthest = RateControl(1.0), 1.0, 0, 0.0
        for _ in range(3600):
            level += (ppm - rate) / 1_000_000
            rate = control.update(level, 1.0)
            farthest = max(farthest, abs(level - 1.0))
        assert abs(rate - ppm) <= 1
        assert level - 1.0 == pytest.approx(ppm / RATE_GAIN_PPM, abs=0.002)
        assert farthest <= abs(ppm) / RATE_GAIN_PPM * 1.02, "overshoots"

    def test_one_lump_does_not_steer(self) -> None:
        control = RateControl(1.0)
        assert abs(control.update(1.3, 0.033)) <= 1

    def test_reset_forgets_the_mount(self) -> None:
        control = RateControl(1.0)
        control.update(3.0, 100.0)
        control.reset()
        assert control.level is None
        assert control.update(1.0, 0.03) == 0
