import json
import time as clock
from dataclasses import replace
from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.tracks.loops import LoopNameError, loop_path
from hook_service.tracks.nowplaying import Song, TrackEvent
from hook_service.tracks.resolver import RULES, Resolver, StationDefaults
from hook_service.tracks.snapshot import Daypart, DefaultRow, MappingRow, Snapshot

SONG = TrackEvent(
    station="demo",
    song_id="SONG1",
    media_id="5f3c0a1b2d4e6f708192a3b4",
    artist="Daft Punk",
    title="One More Time",
    album="Discovery",
    playlist="Heavy Rotation",
    video_loop="field.mp4",
)
NOON = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


def row(
    number: int,
    key: str,
    loop: str,
    *,
    station: str = "*",
    kind: str = "track",
    song_id: str | None = None,
    media_id: str | None = None,
) -> MappingRow:
    return MappingRow(number, station, kind, key, song_id, media_id, loop)


def resolver(*rows: MappingRow, defaults: tuple[DefaultRow, ...] = (), **stations: StationDefaults) -> Resolver:
    return Resolver(Snapshot.build(rows, defaults, 1.0), "/srv/loops", stations)


EVERY_RULE = (
    row(1, "by song id", "song.mp4", song_id="song1"),
    row(2, "by media id", "media.mp4", media_id="5F3C0A1B2D4E6F708192A3B4"),
    row(3, "daft punk - one more time", "key.mp4"),
    row(4, "discovery", "album.mp4", kind="album"),
    row(5, "daft punk", "artist.mp4", kind="artist"),
    row(6, "heavy rotation", "playlist.mp4", kind="playlist"),
)


def test_order_of_the_rules() -> None:
    night = StationDefaults(dayparts=(Daypart(time(0), time(0), "noon.mp4"),))
    loops = ["field", "song", "media", "key", "album", "artist", "playlist", "noon", "default"]
    song = SONG
    for number, (rule, loop) in enumerate(zip(RULES, loops, strict=True)):
        rows = [r for r in EVERY_RULE if r.id >= number]
        configured = StationDefaults() if rule == "default" else night
        if number:
            song = replace(SONG, video_loop=None)
        found = resolver(*rows, demo=configured).resolve(song, NOON)
        assert (found.rule, found.loop) == (rule, f"/srv/loops/{loop}.mp4")
        assert found.mapping_id == (number if 1 <= number <= 6 else None)
        assert found.default == ("/srv/loops/default.mp4" if rule == "default" else "/srv/loops/noon.mp4")
        assert found.problems == ()


def test_own_mapping_goes_before_every_stations() -> None:
    rows = (
        row(1, "daft punk - one more time", "all.mp4"),
        row(2, "daft punk - one more time", "own.mp4", station="demo"),
        row(3, "daft punk - one more time", "theirs.mp4", station="other"),
        row(4, "x", "id.mp4", station="other", song_id="song1"),
    )
    song = replace(SONG, video_loop=None)
    assert resolver(*rows).resolve(song, NOON).mapping_id == 2
    assert resolver(*rows).resolve(replace(song, station="third"), NOON).mapping_id == 1
    assert resolver(*rows).resolve(replace(song, station="other"), NOON).mapping_id == 4


def test_keys_written_by_hand() -> None:
    song = replace(SONG, video_loop=None)
    assert resolver(row(1, "DAFT PUNK  - One More Time!", "a.mp4")).resolve(song, NOON).mapping_id == 1
    assert resolver(row(1, "Daft Punk - Discovery", "a.mp4", kind="album")).resolve(song, NOON).rule == "album"
    both = (row(1, "Discovery", "a.mp4", kind="album"), row(2, "Daft Punk - Discovery", "b.mp4", kind="album"))
    assert resolver(*both).resolve(song, NOON).mapping_id == 2


def test_the_later_of_two_that_claim_the_same() -> None:
    rows = (row(7, "b", "b.mp4", song_id="song1"), row(3, "a", "a.mp4", song_id="SONG1"))
    assert resolver(*rows).resolve(replace(SONG, video_loop=None), NOON).mapping_id == 7


def test_nothing_matches_an_empty_key() -> None:
    found = resolver(row(1, "???", "a.mp4"), row(2, "!", "b.mp4", kind="artist")).resolve_song("demo", Song(), NOON)
    assert found.rule == "default"
    assert len(resolver(row(1, "???", "a.mp4")).snapshot.problems) == 1


@pytest.mark.parametrize(
    "name", ["../secret.mp4", "/etc/passwd", "a/../../b.mp4", "", "  ", "http://x/y.mp4", "a\x00.mp4", "dir/", "."]
)
def test_rejected_names_pass_the_turn_on(name: str) -> None:
    song = replace(SONG, video_loop=name or None)
    rows = (row(1, "x", name, song_id="song1"), row(2, "daft punk - one more time", "key.mp4"))
    found = resolver(*rows).resolve(song, NOON)
    assert (found.rule, found.mapping_id) == ("track_key", 2)
    assert found.problems
    assert all(problem.startswith(("video_loop: ", "song_id: ")) for problem in found.problems)


def test_rejected_defaults_pass_the_turn_on() -> None:
    defaults = (
        DefaultRow("demo", "default_loop", "/outside.mp4"),
        DefaultRow("*", "default_loop", "db.mp4"),
        DefaultRow("*", "default_loop 00:00-24:00", "../x.mp4"),
        DefaultRow("*", "default_loop 25:00-26:00", "never.mp4"),
        DefaultRow("*", "other", "never.mp4"),
    )
    bad = StationDefaults(default_loop="/etc/x.mp4")
    found = resolver(defaults=defaults, demo=bad).resolve(replace(SONG, video_loop=None), NOON)
    assert (found.loop, found.rule, len(found.problems)) == ("/srv/loops/db.mp4", "default", 2)
    found = resolver(demo=bad).resolve(replace(SONG, video_loop=None), NOON)
    assert (found.loop, len(found.problems)) == ("/srv/loops/default.mp4", 1)


def test_database_defaults_go_before_the_configuration() -> None:
    configured = StationDefaults("mine.mp4", "UTC", (Daypart(time(6), time(18), "day.mp4"),))
    plain = resolver(demo=configured)
    assert plain.default_loop("demo", NOON) == "/srv/loops/day.mp4"
    assert plain.default_loop("demo", NOON.replace(hour=18)) == "/srv/loops/mine.mp4"
    defaults = (
        DefaultRow("*", "default_loop", "all.mp4"),
        DefaultRow("demo", "default_loop", "own.mp4"),
        DefaultRow("*", "default_loop 10:00-14:00", "noon.mp4"),
        DefaultRow("*", "default_loop 09:00-16:00", "wide.mp4"),
    )
    found = resolver(defaults=defaults, demo=configured)
    assert found.default_loop("demo", NOON) == "/srv/loops/noon.mp4"
    assert found.default_loop("demo", NOON.replace(hour=9)) == "/srv/loops/wide.mp4"
    assert found.default_loop("demo", NOON.replace(hour=7)) == "/srv/loops/day.mp4"
    assert found.default_loop("demo", NOON.replace(hour=20)) == "/srv/loops/own.mp4"
    assert found.default_loop("unknown", NOON.replace(hour=20)) == "/srv/loops/all.mp4"


@pytest.mark.parametrize(
    ("utc", "loop"),
    [
        # Berlin is two hours ahead in summer, one in winter.
        (datetime(2026, 8, 1, 19, 59, tzinfo=UTC), "default"),
        (datetime(2026, 8, 1, 20, 0, tzinfo=UTC), "night"),
        (datetime(2026, 8, 2, 3, 59, tzinfo=UTC), "night"),
        (datetime(2026, 8, 2, 4, 0, tzinfo=UTC), "default"),
        (datetime(2026, 1, 1, 20, 59, tzinfo=UTC), "default"),
        (datetime(2026, 1, 1, 21, 0, tzinfo=UTC), "night"),
        (datetime(2026, 1, 2, 4, 59, 59, tzinfo=UTC), "night"),
        (datetime(2026, 1, 2, 5, 0, tzinfo=UTC), "default"),
        # The night on which clocks go back: 02:30 comes twice and is night both times.
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "night"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "night"),
    ],
)
def test_time_of_day_over_midnight_in_the_stations_zone(utc: datetime, loop: str) -> None:
    night = StationDefaults(timezone="Europe/Berlin", dayparts=(Daypart(time(22), time(6), "night.mp4"),))
    found = resolver(demo=night).resolve(replace(SONG, video_loop=None), utc)
    assert found.loop == f"/srv/loops/{loop}.mp4"
    assert found.rule == ("time_of_day" if loop == "night" else "default")


def test_next_song() -> None:
    coming = Song(artist="Daft Punk", title="Aerodynamic")
    found = resolver(row(1, "daft punk - aerodynamic", "next.mp4")).resolve_next(replace(SONG, next=coming), NOON)
    assert found is not None
    assert found.loop == "/srv/loops/next.mp4"
    assert resolver().resolve_next(SONG, NOON) is None


@pytest.mark.parametrize(
    "text", ["", "22:00", "24:00-06:00", "22:00-06:60", "9:00-10:00", "22:00 - 06:00", "22:00-24:30"]
)
def test_parts_of_the_day_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="HH:MM-HH:MM"):
        Daypart.parse(text, "x.mp4")


@given(st.times(), st.times(), st.times())
def test_a_part_and_the_rest_of_the_day_share_no_moment(start: time, end: time, at: time) -> None:
    if start != end:
        assert Daypart(start, end, "a").covers(at) != Daypart(end, start, "b").covers(at)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.mp4", "/srv/loops/a.mp4"),
        ("./sub//a b.mp4", "/srv/loops/sub/a b.mp4"),
        ("/srv/loops/Ä.mp4", "/srv/loops/Ä.mp4"),
        (" ..a..mp4 ", "/srv/loops/..a..mp4"),
    ],
)
def test_names_of_loops(name: str, path: str) -> None:
    assert loop_path("/srv/loops/", name) == path


@given(st.text(st.sampled_from("./a\\~ \n:"), max_size=12))
def test_no_name_leads_out(name: str) -> None:
    try:
        path = loop_path("/srv/loops", name)
    except LoopNameError:
        return
    assert path.startswith("/srv/loops/")
    assert ".." not in path.split("/")


def test_snapshot_survives_json() -> None:
    snapshot = Snapshot.build(EVERY_RULE, [DefaultRow("*", "default_loop 22:00-06:00", "n.mp4")], 5.0)
    assert Snapshot.from_json(json.loads(json.dumps(snapshot.to_json()))) == snapshot
    for broken in ({}, {"version": 2}, {"version": 1, "mappings": [[1]], "defaults": [], "loaded_at": 1}):
        with pytest.raises(ValueError):
            Snapshot.from_json(broken)


def test_fast_with_ten_thousand_mappings() -> None:
    rows = [row(n, f"artist {n} - title {n}", f"{n}.mp4", song_id=f"id{n}") for n in range(10_000)]
    found = resolver(*rows)
    song = TrackEvent(station="demo", artist="Artist 9999", title="Title 9999", song_id="none")
    start = clock.perf_counter()
    for _ in range(1000):
        assert found.resolve(song, NOON).mapping_id == 9999
    assert (clock.perf_counter() - start) / 1000 < 200e-6
