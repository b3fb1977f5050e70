import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hook_service.tracks.gate import Gate
from hook_service.tracks.nowplaying import TrackEvent, parse

from .bodies import offline_body

NOW = 1_754_000_000.0


def gate() -> Gate:
    return Gate(clock=lambda: NOW)


def event(sh_id: int | None, played_at: float | None, song: str = "", **more: Any) -> TrackEvent:
    return TrackEvent(station="demo", sh_id=sh_id, played_at=played_at, song_id=song or f"song-{sh_id}", **more)


def offline(at: float | None = None, station: str = "demo") -> TrackEvent:
    return TrackEvent(station=station, sh_id=0, played_at=0.0, elapsed=at, title="Station Offline", online=False)


def test_newer_again_and_older() -> None:
    g = gate()
    assert g.admit(event(10, NOW - 100)) == "fresh"
    assert g.admit(event(10, NOW - 100)) == "duplicate"
    assert g.admit(event(11, NOW - 50)) == "fresh"
    assert g.admit(event(10, NOW - 100)) == "stale"
    assert g.admit(event(11, NOW - 50)) == "duplicate"


def test_stations_are_apart() -> None:
    g = gate()
    other = TrackEvent(station="other", sh_id=1, played_at=NOW - 500, song_id="x")
    assert g.admit(event(10, NOW)) == "fresh"
    assert g.admit(other) == "fresh"
    assert g.admit(other) == "duplicate"


def test_the_row_settles_what_began_in_one_second() -> None:
    g = gate()
    assert g.admit(event(10, NOW)) == "fresh"
    assert g.admit(event(11, NOW)) == "fresh"
    assert g.admit(event(10, NOW)) == "stale"


def test_restored_database_counts_rows_anew() -> None:
    g = gate()
    assert g.admit(event(5000, NOW - 900)) == "fresh"
    assert g.admit(event(17, NOW - 600)) == "fresh"
    assert g.admit(event(5000, NOW - 900)) == "stale"
    assert g.admit(event(18, NOW - 300)) == "fresh"


def test_clock_set_back_does_not_silence_the_station() -> None:
    g = gate()
    ahead = NOW + 7200
    assert g.admit(event(10, ahead)) == "fresh"
    assert g.admit(event(11, NOW)) == "fresh"
    assert g.admit(event(10, ahead - 50_000)) == "stale"
    assert g.admit(event(12, NOW + 200)) == "fresh"


def test_live_metadata() -> None:
    g = gate()
    assert g.admit(event(10, NOW, "a", elapsed=5.0)) == "fresh"
    assert g.admit(event(10, NOW, "a", elapsed=20.0)) == "duplicate"
    assert g.admit(event(10, NOW, "b", elapsed=40.0)) == "fresh"
    assert g.admit(event(10, NOW, "a", elapsed=20.0)) == "stale"
    assert g.admit(event(10, NOW, "a", elapsed=60.0)) == "fresh"
    # Without elapsed there is nothing to order them by: what is new counts.
    assert g.admit(event(10, NOW, "b")) == "fresh"


def test_restart() -> None:
    g = gate()
    playing = event(10, NOW - 100, elapsed=30.0, duration=200.0)
    assert g.admit(playing) == "fresh"
    assert g.admit(offline(NOW - 50)) == "offline"
    assert g.admit(offline(NOW - 40)) == "duplicate"
    # A copy from before the station went away.
    assert g.admit(playing) == "duplicate"
    assert g.admit(event(9, NOW - 400)) == "stale"
    # The same track, seen after it: the station is back.
    back = event(10, NOW - 100, elapsed=90.0, duration=200.0)
    assert g.admit(back) == "fresh"
    assert g.admit(back) == "duplicate"
    assert g.admit(event(11, NOW)) == "fresh"


def test_old_offline_after_the_real_track() -> None:
    g = gate()
    assert g.admit(event(11, NOW, elapsed=30.0)) == "fresh"
    assert g.admit(offline(NOW - 60)) == "stale"
    assert g.admit(event(11, NOW, elapsed=30.0)) == "duplicate"
    assert g.admit(offline(NOW + 60)) == "offline"


def test_offline_without_a_time_is_believed() -> None:
    g = gate()
    assert g.admit(event(11, NOW, elapsed=30.0)) == "fresh"
    assert g.admit(offline()) == "offline"
    assert g.admit(event(11, NOW, elapsed=30.0)) == "fresh"


def test_offline_first_of_all() -> None:
    g = gate()
    assert g.admit(parse(offline_body())) == "offline"
    assert g.admit(event(1, NOW)) == "fresh"


def test_small_body() -> None:
    g = gate()
    one = TrackEvent(station="demo", artist="Daft Punk", title="One More Time")
    assert g.admit(one) == "fresh"
    assert g.admit(TrackEvent(station="demo", artist="DAFT PUNK", title="One  More Time!")) == "duplicate"
    assert g.admit(TrackEvent(station="demo", artist="Daft Punk", title="Aerodynamic")) == "fresh"
    assert g.admit(one) == "fresh"


def test_titles_made_of_signs() -> None:
    g = gate()
    assert g.admit(TrackEvent(station="demo", title="???")) == "fresh"
    assert g.admit(TrackEvent(station="demo", title="???")) == "duplicate"
    assert g.admit(TrackEvent(station="demo", title="!!!")) == "fresh"


def test_small_body_between_real_ones() -> None:
    g = gate()
    assert g.admit(event(10, NOW - 100)) == "fresh"
    assert g.admit(TrackEvent(station="demo", title="By hand")) == "fresh"
    assert g.admit(event(9, NOW - 200)) == "stale"
    assert g.admit(event(11, NOW)) == "fresh"


def test_state_survives_a_restart() -> None:
    g = gate()
    g.admit(event(10, NOW - 100, elapsed=3.0))
    after = gate()
    after.restore(json.loads(json.dumps(g.state())))
    assert after.admit(event(10, NOW - 100, elapsed=3.0)) == "duplicate"
    assert after.admit(event(9, NOW - 200)) == "stale"
    assert after.admit(event(11, NOW)) == "fresh"
    after.restore({"demo": {"of": "another version"}})
    assert after.admit(event(11, NOW)) == "duplicate"


@st.composite
def delivered(draw: st.DrawFn) -> tuple[list[TrackEvent], list[int]]:
    """Plays in their order (rows restart at times), and an arbitrary delivery of them: repeated, delayed, lost."""
    plays = []
    at, row = NOW - 5000.0, draw(st.integers(1, 10_000))
    for _ in range(draw(st.integers(1, 12))):
        # Only rows that go on can share a second; a restore takes longer.
        reset = draw(st.integers(0, 9)) == 0
        at += draw(st.integers(60, 400)) if reset else draw(st.integers(0, 400))
        row = draw(st.integers(1, 100)) if reset else row + draw(st.integers(1, 3))
        plays.append(event(row, at, draw(st.sampled_from("abc"))))
    order = draw(st.lists(st.integers(0, len(plays) - 1), min_size=1, max_size=40))
    return plays, order


@given(delivered())
def test_any_delivery_ends_with_the_newest_and_never_goes_back(case: tuple[list[TrackEvent], list[int]]) -> None:
    plays, order = case
    g = gate()
    acted = [index for index in order if g.admit(plays[index]) == "fresh"]
    assert acted == sorted(set(acted))
    assert acted[-1] == max(order)


@given(st.integers(0, 2**32), st.integers(2, 30))
def test_live_updates_in_any_order_end_with_the_last(seed: int, count: int) -> None:
    updates = [event(10, NOW, f"song-{n % 4}", elapsed=float(10 * n)) for n in range(count)]
    shuffled = [*random.Random(seed).choices(updates, k=3 * count), updates[-1]]
    g = gate()
    acted = [update for update in shuffled if g.admit(update) == "fresh"]
    elapsed = [update.elapsed for update in acted]
    assert elapsed == sorted(elapsed, key=lambda value: value or 0.0)
    assert acted[-1].song_id == updates[-1].song_id
