from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.tracks.matching import is_song, matches, same_title, split
from hook_service.tracks.nowplaying import Song

SONG = Song(artist="Daft Punk", title="One More Time", album="Discovery")


@pytest.mark.parametrize(
    "text",
    [
        "Daft Punk - One More Time",
        "  daft punk  -  ONE MORE TIME! ",
        "Daft Punk - One More Time (Discovery)",
        "Daft Punk - One More Time [Discovery]",
        "Daft Punk - One More Time - Discovery",
        "Daft Punk feat. Romanthony - One More Time",
        "Daft Punk - One More Time (feat. Romanthony)",
        "Daft Punk - One More Time ft. Romanthony",
        "Daft Punk - One More Time ft. Romanthony - Discovery",
        "Daft Punk - One More Time [featuring Romanthony] (Discovery)",
    ],
)
def test_the_same_song(text: str) -> None:
    assert matches(text, SONG)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " - ",
        "Daft Punk",
        "One More Time",
        "Daft Punk - Aerodynamic",
        "Daft Punk - One More Time (Remix)",
        "Daft Punk - One More Time (Live)",
        "Daft Punk - One More Time (Homework)",
        "Left - Featherweight",
    ],
)
def test_another_song(text: str) -> None:
    assert not matches(text, SONG)


def test_guests_that_only_the_event_names() -> None:
    song = Song(artist="Gorillaz", title="Clint Eastwood (feat. Del)")
    assert matches("Gorillaz - Clint Eastwood", song)
    assert not matches("Gorillaz - Clint Eastwood (Ed Case Refix)", song)


def test_words_that_only_look_like_guests() -> None:
    assert matches("Left - Featherweight", Song(artist="Left", title="Featherweight"))
    assert not matches("Left - Feather", Song(artist="Left", title="Featherweight"))


def test_signs_alone() -> None:
    assert matches("!!! - ???", Song(artist="!!!", title="???"))
    assert not matches("!!! - ???", Song(artist="???", title="!!!"))


def test_a_title_without_artist() -> None:
    assert matches("Morning Show", Song(title="Morning Show"))
    assert not matches("Morning Show", Song())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A - B", ("A", "B")),
        ("A - B - C", ("A", "B - C")),
        ("B", ("", "B")),
        ("A-ha", ("", "A-ha")),
        (" - B", ("", "B")),
    ],
)
def test_splitting(text: str, parts: tuple[str, str]) -> None:
    assert split(text) == parts


def test_what_is_no_song() -> None:
    names = {"demo fm", "demo"}
    assert not any(is_song(text, names) for text in ("", " ", " - ", "Demo FM", "demo", "DEMO  FM!"))
    assert is_song("Demo FM - Song", names)


@given(artist=st.text(max_size=40), title=st.text(max_size=40))
def test_a_title_made_of_a_song_is_that_song(artist: str, title: str) -> None:
    text = " - ".join(part for part in (artist, title) if part)
    assert matches(text, Song(artist=artist, title=title)) or not text.strip()
    assert same_title(text, text)
