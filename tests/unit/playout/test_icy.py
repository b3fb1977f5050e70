"""Titles between the bytes of the sound: none lost, none invented, and the sound untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout.icy import MAX_TITLE, IcyReader, split, title_of
from tests.unit.playout.pieces import cuts, pieces

# What a title may be: anything without NULs; a block that ends in a part of "';" would end elsewhere.
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=200)
titles = texts.map(str.strip).filter(lambda text: text and not text.endswith("'") and "';" not in text)


def block(title: str | bytes | None, rest: bytes = b"") -> bytes:
    """A metadata block, as Icecast makes it; None for one that says nothing new."""
    if title is None:
        return b"\0"
    text = b"StreamTitle='" + (title.encode() if isinstance(title, str) else title) + b"';" + rest
    size = (len(text) + 15) // 16
    return bytes((size,)) + text.ljust(size * 16, b"\0")


def joined(found: list[bytes | str]) -> tuple[bytes, list[tuple[int, str]]]:
    """The sound, and each title with the bytes of sound before it."""
    sound, seen = b"", []
    for piece in found:
        if isinstance(piece, str):
            seen.append((len(sound), piece))
        else:
            sound += piece
    return sound, seen


@given(st.lists(st.none() | titles, max_size=8), st.integers(1, 50), st.integers(0, 40), cuts)
def test_any_chunking_gives_the_same(told: list[str | None], interval: int, tail: int, at: list[int]) -> None:
    sound = bytes(n % 251 for n in range(interval * len(told) + tail % interval))
    raw = (
        b"".join(sound[n * interval : (n + 1) * interval] + block(title) for n, title in enumerate(told))
        + sound[interval * len(told) :]
    )
    reader = IcyReader(interval)
    found = joined([piece for part in pieces(raw, at) for piece in reader.feed(part)])
    assert found == (sound, [((n + 1) * interval, title) for n, title in enumerate(told) if title])


def test_without_an_interval_all_is_sound() -> None:
    reader = IcyReader(0)
    assert reader.feed(b"") == []
    assert reader.feed(b"\0StreamTitle='x';") == [b"\0StreamTitle='x';"]


def test_the_longest_block() -> None:
    title = "é" * ((255 * 16 - 16) // 2)
    reader = IcyReader(10)
    raw = b"0123456789" + block(title) + b"abc"
    assert raw[10] == 255
    assert reader.feed(raw) == [b"0123456789", title[:MAX_TITLE], b"abc"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (b"StreamTitle='Don't Stop';", "Don't Stop"),
        (b"StreamTitle='Rock 'n' Roll';StreamUrl='http://x/?a=';';", "Rock 'n' Roll"),
        (b"StreamTitle='It's'; he said';StreamUrl='';", "It's'; he said"),
        (b"StreamTitle='A';\0\0\0", "A"),
        (b"StreamTitle='A';  \0", "A"),
        (b"StreamTitle='';StreamUrl='x';", ""),
        (b"StreamTitle='  ';", ""),
        (b"StreamTitle='Caf\xe9';", "Café"),
        ("StreamTitle='Café';".encode(), "Café"),
        (b"StreamTitle='cut off in the mid", "cut off in the mid"),
        (b"StreamTitle='A\0B';", "A"),
        (b"StreamTitle='two\nlines';", "two\nlines"),
        (b"StreamUrl='x';StreamTitle='Late';", "Late"),
        (b"StreamTitle='A';adw_ad='true';durationMilliseconds='1';", "A"),
        (b"StreamUrl='x';", ""),
        (b"", ""),
    ],
)
def test_titles(text: bytes, title: str) -> None:
    assert title_of(text) == title


@given(st.binary(max_size=300))
def test_no_block_is_too_strange(text: bytes) -> None:
    assert "\0" not in title_of(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A - B", ("A", "B")),
        ("A - B - C", ("A", "B - C")),
        ("A-B", (None, "A-B")),
        (" - B", (None, "B")),
        ("A - ", ("A", None)),
        ("", (None, None)),
    ],
)
def test_artist_and_title(text: str, parts: tuple[str | None, str | None]) -> None:
    assert split(text) == parts


def test_a_title_is_cut_where_it_is_too_long() -> None:
    assert title_of(b"StreamTitle='" + b"x" * 4000 + b"';") == "x" * MAX_TITLE
    assert title_of(b"StreamTitle='a" + b" " * 3000 + b"b';") == "a"
