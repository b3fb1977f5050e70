"""A page of AzuraCast's library: what is used of it, and what a song that is not as it should be costs."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.tracks.library import MAX_PLAYLISTS, LibrarySong, parse_page
from hook_service.tracks.nowplaying import ValidationError
from tests.rig.azuracast_files import files
from tests.rig.nowplaying import Track, encode_for_api

SONG: dict[str, Any] = {"unique_id": "0123456789ABCDEF01234567", "artist": "A", "title": "T"}


def page(*rows: Any, **fields: Any) -> bytes:
    return json.dumps({"rows": rows, "total": len(rows), "total_pages": 1, **fields}).encode()


def song(**fields: Any) -> LibrarySong:
    [one] = parse_page(page({**SONG, **fields}), "/srv/loops").songs
    return one


def test_a_page_as_azuracast_writes_it() -> None:
    track = Track("Ann", "Öne!", "Album", playlist="Day", more_playlists=("Night",), loop="a/b.mp4", genre="Pop")
    found = parse_page(encode_for_api(files("demo", [track], "rowCount=50&current=1")), "/srv/loops")
    assert (found.total, found.pages, found.refused) == (1, 1, 0)
    [one] = found.songs
    assert one.playlists == ("Day", "Night")
    assert one.video_loop == "a/b.mp4"
    assert (one.track_key, one.artist_album_key) == ("ann - öne", "ann - album")
    assert one.words == "ann öne album pop day night"
    assert one.length_seconds == 180


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"custom_fields": []}, {"video_loop": None}),
        ({"custom_fields": {"video_loop": "../x.mp4"}}, {"video_loop": None}),
        ({"custom_fields": {"video_loop": "/srv/loops/x.mp4"}}, {"video_loop": "x.mp4"}),
        ({"artist": None, "title": None, "text": " - "}, {"artist": "", "title": ""}),
        ({"artist": None, "title": None, "text": "A file"}, {"title": "A file"}),
        ({"title": "a\0b" + "x" * 600}, {"title": "ab" + "x" * 510}),
        ({"art": "javascript:alert(1)"}, {"art": None}),
        ({"art": "https://h/a.jpg"}, {"art": "https://h/a.jpg"}),
        ({"length": 0}, {"length_seconds": None}),
        ({"playlists": [{"name": "A"}, {"name": "A"}, {"name": None}]}, {"playlists": ("A",)}),
        ({"playlists": [{"name": str(n)} for n in range(300)]}, {"playlists": tuple(map(str, range(MAX_PLAYLISTS)))}),
    ],
)
def test_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    one = song(**fields)
    assert {name: getattr(one, name) for name in expected} == expected


def test_a_song_that_can_not_be_used_costs_itself() -> None:
    found = parse_page(page(SONG, {}, None, {**SONG, "unique_id": ""}, {**SONG, "length": "x"}), "/srv/loops")
    assert (len(found.songs), found.refused) == (1, 4)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", page(total=-1), b"[" * 10_000])
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(ValidationError):
        parse_page(body, "/srv/loops")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(fields=st.dictionaries(st.sampled_from([*SONG, "playlists", "custom_fields", "art", "album"]), VALUES))
def test_no_field_is_more_than_a_song_left_out(fields: dict[str, Any]) -> None:
    try:
        found = parse_page(page({**SONG, **fields}), "/srv/loops")
    except ValidationError:
        return
    assert len(found.songs) + found.refused == 1
    assert all("\0" not in one.words for one in found.songs)
