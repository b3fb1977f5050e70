import json
import time
from typing import Any

import pytest

from hook_service.tracks.nowplaying import Song, TrackEvent, ValidationError, parse, parse_json

from .bodies import body, offline_body, small_body


def both(document: dict[str, Any]) -> TrackEvent:
    event = parse(document)
    assert parse_json(json.dumps(document).encode()) == event
    return event


def fields(document: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        parse(document)
    with pytest.raises(ValidationError) as again:
        parse_json(json.dumps(document))
    assert [f["field"] for f in caught.value.fields] == [f["field"] for f in again.value.fields]
    return {fault["field"]: fault["reason"] for fault in caught.value.fields}


ART = "https://radio.example/api/station/demo/art/5f3c0a1b2d4e6f708192a3b4-1754000000.jpg"


def test_real_body() -> None:
    assert both(body()) == TrackEvent(
        station="demo",
        sh_id=182736,
        played_at=1754000005.0,
        elapsed=1.0,
        song_id="23b53c7dd0d2b8f4f41a5dcc8a6a8a2f",
        media_id="5f3c0a1b2d4e6f708192a3b4",
        artist="Daft Punk",
        title="One More Time",
        album="Discovery",
        playlist="Heavy Rotation",
        duration=320.0,
        video_loop=None,
        art=ART,
        is_live=False,
        online=True,
        next=Song(
            art=ART,
            song_id="9f0c",
            media_id="5f3c0a1b2d4e6f708192a3b4",
            artist="Daft Punk",
            title="Aerodynamic",
            album="Discovery",
            playlist="Heavy Rotation",
            duration=224.53,
        ),
    )


def test_escapes_and_bytes_of_php() -> None:
    document = json.dumps(body()).replace("One More Time", "\\u00dcber\\/alles \\ud83d\\ude00").replace("/", "\\/", 3)
    assert parse_json(document.encode()).title == "Über/alles 😀"


def test_offline() -> None:
    event = both(offline_body())
    assert (event.online, event.sh_id, event.played_at, event.elapsed) == (False, 0, 0.0, 1754000400.0)
    assert (event.playlist, event.duration, event.media_id, event.next) == ("", None, None, None)
    document = offline_body() | {"is_online": True}
    assert not both(document).online


def test_live_show() -> None:
    document = body()
    document["live"] = {"is_live": True, "streamer_name": "DJ", "broadcast_start": 1754000000, "art": None}
    document["now_playing"] |= {"duration": 0, "playlist": "", "streamer": "DJ"}
    document["now_playing"]["song"]["art"] = "https://radio.example/api/station/demo/streamer/1/art-1754.jpg"
    event = both(document)
    assert event.is_live
    assert (event.duration, event.playlist, event.media_id) == (None, "", None)


@pytest.mark.parametrize(
    ("custom", "loop"),
    [
        ([], None),
        (None, None),
        ({}, None),
        ({"video_loop": None}, None),
        ({"video_loop": " "}, None),
        ({"video_loop": " loops/a.mp4 ", "other": 5}, "loops/a.mp4"),
    ],
)
def test_custom_fields(custom: object, loop: str | None) -> None:
    document = body()
    document["now_playing"]["song"]["custom_fields"] = custom
    assert both(document).video_loop == loop


def test_nulls_and_absent_fields() -> None:
    document = body()
    document["now_playing"]["song"] = {"title": "Alone", "artist": None, "album": None, "art": None, "id": None}
    document["now_playing"] |= {"playlist": None, "streamer": None, "elapsed": None}
    for name in ("playing_next", "live", "is_online", "listeners", "song_history", "cache"):
        document[name] = None
    event = both(document)
    assert (event.artist, event.title, event.album, event.song_id, event.online) == ("", "Alone", "", None, True)
    for name in ("playing_next", "live", "is_online", "listeners", "song_history", "cache"):
        del document[name]
    assert both(document) == event


def test_text_alone_is_taken_apart() -> None:
    document = small_body()
    document["song"] = {"text": "Daft Punk - One More - Time"}
    event = both(document)
    assert (event.artist, event.title) == ("Daft Punk", "One More - Time")
    document["song"] = {"text": "Morning Show"}
    event = both(document)
    assert (event.artist, event.title) == ("", "Morning Show")


@pytest.mark.parametrize(
    ("station", "name"),
    [
        ({"shortcode": "demo", "name": "Demo FM", "id": 1}, "demo"),
        ({"name": "Demo FM", "id": 1}, "Demo FM"),
        ({"id": 1}, "1"),
        ({"id": "1", "name": None}, "1"),
    ],
)
def test_small_body(station: dict[str, Any], name: str) -> None:
    event = both(small_body() | {"station": station})
    assert event == TrackEvent(
        station=name, song_id="abc123", artist="Daft Punk", title="One More Time", album="Discovery"
    )
    assert (event.sh_id, event.played_at) == (None, None)


def test_faults_are_named_without_their_values() -> None:
    document = body()
    document["now_playing"]["sh_id"] = "secret"
    document["now_playing"]["played_at"] = -1
    document["now_playing"]["song"]["artist"] = {"secret": 1}
    found = fields(document)
    assert set(found) == {"now_playing.sh_id", "now_playing.played_at", "now_playing.song.artist"}
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, ["station"]),
        ([], [""]),
        ("text", [""]),
        ({"station": "demo"}, ["station"]),
        ({"station": {"shortcode": "demo"}}, ["now_playing"]),
        ({"station": {}, "song": {"title": "x"}}, ["station.shortcode"]),
        ({"station": {"name": "Demo FM"}, "now_playing": {"song": {"title": "x"}}}, ["station.shortcode"]),
        ({"station": {"shortcode": "demo"}, "now_playing": {}}, ["now_playing.song"]),
        ({"station": {"shortcode": "demo"}, "now_playing": {"song": {}}}, ["now_playing.song"]),
        ({"station": {"shortcode": "demo"}, "song": {}}, ["song"]),
        ({"station": {"shortcode": "demo"}, "song": []}, ["song"]),
        ({"station": {"shortcode": "d" * 200}, "song": {"title": "x"}}, ["station.shortcode"]),
        ({"station": {"shortcode": "demo"}, "song": {"title": "x", "custom_fields": [1]}}, ["song.custom_fields"]),
    ],
)
def test_wrong_shapes(document: Any, named: list[str]) -> None:
    assert list(fields(document)) == named


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"station": "\\ud800"}', b"[" * 5000])
def test_what_is_not_json(text: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_json(text)
    assert caught.value.fields[0]["field"] == ""


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "253402300800"])
def test_numbers_that_are_no_time(number: str) -> None:
    document = json.dumps(body()).replace("1754000005", number)
    with pytest.raises(ValidationError) as caught:
        parse_json(document)
    assert [fault["field"] for fault in caught.value.fields] == ["now_playing.played_at"]


def test_overlong_texts_are_cut() -> None:
    document = body()
    document["now_playing"]["song"] |= {"artist": "a" * 5000, "title": "b" * 5000}
    event = both(document)
    assert (len(event.artist), len(event.title)) == (512, 512)


def test_fast_enough_for_a_thousand_a_second() -> None:
    text = json.dumps(body()).encode()
    assert len(text) > 5000
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(200):
            parse_json(text)
        best = min(best, (time.perf_counter() - start) / 200)
    # The aim is 60 microseconds; the rest is for a machine that does other things meanwhile.
    assert best < 240e-6, f"{best * 1e6:.0f} microseconds"
