"""Sound, titles and their places: the same however the bytes arrive."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.playout.mountstream import Mark, MountStream, Recent
from tests.unit.playout.coded import mp3
from tests.unit.playout.pieces import cuts, pieces
from tests.unit.playout.test_icy import block
from tests.unit.playout.test_ogg import song

FRAME = 1152 / 44100
INTERVAL = 4000


def with_titles(sound: bytes, told: dict[int, str], interval: int = INTERVAL) -> bytes:
    """What a mount sends: `told` is which title comes after how many intervals."""
    raw = b""
    for number in range(len(sound) // interval + 1):
        raw += sound[number * interval : (number + 1) * interval]
        if (number + 1) * interval <= len(sound):
            raw += block(told.get(number + 1))
    return raw


def fed(stream: MountStream, raw: bytes, at: list[int]) -> tuple[bytes, list[Mark]]:
    sound, marks = b"", []
    for piece in pieces(raw, at):
        more, seen = stream.feed(piece)
        sound += more
        marks += seen
    return sound, marks


@given(st.dictionaries(st.integers(1, 10), st.sampled_from(["A - B", "Ä - Don't", "C"])), cuts)
def test_any_chunking_gives_the_same_marks_and_sound(told: dict[int, str], at: list[int]) -> None:
    sound = b"".join(mp3(fill=bytes((n % 250,))) for n in range(100))
    raw = with_titles(sound, told)
    stream = MountStream(INTERVAL, "mp3")
    found, marks = fed(stream, raw, at)
    assert found == sound == stream.recent.read(0)
    assert stream.bytes == len(sound)
    assert stream.seconds == pytest.approx(100 * FRAME)
    assert [(mark.byte, mark.text) for mark in marks] == [(n * INTERVAL, told[n]) for n in sorted(told)]
    for mark in marks:
        assert mark.since_byte == mark.byte - INTERVAL
        assert mark.seconds == pytest.approx(mark.byte / 417 * FRAME, abs=1e-3)
        assert mark.since_seconds == pytest.approx(mark.since_byte / 417 * FRAME, abs=1e-3)
        assert stream.seconds_at(mark.byte) == pytest.approx(mark.seconds, abs=1e-3)


def test_artist_and_title() -> None:
    _, marks = fed(MountStream(10, "aac"), with_titles(bytes(20), {1: "A - B - C", 2: "Alone"}, 10), [])
    assert [(mark.artist, mark.title) for mark in marks] == [("A", "B - C"), (None, "Alone")]


@given(cuts)
def test_the_titles_of_ogg_are_exact(at: list[int]) -> None:
    first, second = song(1, "A", "B", 3), song(2, "C", "D", 2)
    stream = MountStream(0, "ogg")
    sound, marks = fed(stream, first + second, at)
    assert sound == first + second
    assert [(mark.text, mark.byte, mark.since_byte) for mark in marks] == [
        ("A - B", 0, 0),
        ("C - D", len(first), len(first)),
    ]
    assert [mark.seconds for mark in marks] == [pytest.approx(0.0), pytest.approx(3.0)]
    assert marks[1].since_seconds == marks[1].seconds


def test_an_unknown_format_has_titles_but_no_seconds() -> None:
    stream = MountStream(10, None)
    sound, marks = stream.feed(with_titles(b"0123456789abcdefghij", {2: "A - B"}, 10))
    assert sound == b"0123456789abcdefghij"
    assert marks == [Mark("A - B", "A", "B", 20, None, 10, None)]
    assert stream.seconds is None
    assert stream.seconds_at(5) is None


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=5000), max_size=60))
def test_recent_bytes_by_their_place(parts: list[bytes]) -> None:
    recent = Recent(limit=8000)
    whole = b""
    for part in parts:
        recent.add(part)
        whole += part
        assert recent.end == len(whole)
        assert recent.read(0) == whole[recent.start :]
        assert recent.read(recent.start + 7, 5) == whole[recent.start + 7 : recent.start + 12]
        assert len(recent.read(0)) >= min(len(whole), 8000)
        assert len(recent.read(0)) <= 8000 + (64 << 10)


def test_what_is_there_twice_is_not_found() -> None:
    recent = Recent()
    recent.add(bytes(5000) + b"once" + bytes(5000))
    assert recent.find(bytes(400)) is None
    assert recent.find(b"\0once\0") == 4999
    assert recent.find(b"never") is None
    assert recent.find(b"") is None
