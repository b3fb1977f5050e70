"""How much sound is in Ogg, and its titles: chained streams, listeners that join late, any chunking."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout import ogg
from hook_service.playout.icy import MAX_TITLE
from hook_service.playout.ogg import OggCounter, Tags, codec_of
from tests.unit.playout.coded import comments, flac_head, opus_head, page, vorbis_head
from tests.unit.playout.pieces import cuts, pieces

PACKET = bytes(300)


def song(serial: int, artist: str, title: str, pages: int, *, begin: int = 0, rate: int = 48000) -> bytes:
    """An Opus stream of so many pages of a second each; with `begin` its first second of sound is a later one."""
    head = page(serial, 0, [opus_head()], flags=2)
    head += page(serial, 0, [comments(b"OpusTags", {"ARTIST": artist, "title": title})])
    return head + b"".join(page(serial, 312 + (begin + n + 1) * rate, [PACKET] * 20) for n in range(pages))


def fed(stream: bytes, at: list[int]) -> tuple[OggCounter, list[Tags]]:
    counter = OggCounter()
    return counter, [tags for piece in pieces(stream, at) for tags in counter.feed(piece)]


@given(st.lists(st.integers(2, 5), min_size=1, max_size=4), cuts)
def test_a_chain_in_any_chunks(lengths: list[int], at: list[int]) -> None:
    streams = [song(n, f"Artist {n}", f"Title {n}", pages) for n, pages in enumerate(lengths)]
    counter, found = fed(b"".join(streams), at)
    assert counter.seconds == pytest.approx(sum(lengths))
    for n, tags in enumerate(found):
        assert (tags.artist, tags.title) == (f"Artist {n}", f"Title {n}")
        assert tags.byte == sum(map(len, streams[:n]))
        assert tags.seconds == pytest.approx(sum(lengths[:n]))
    assert len(found) == len(lengths)


@given(st.integers(1, 100_000), cuts)
def test_a_listener_joins_late(begin: int, at: list[int]) -> None:
    counter, found = fed(song(7, "A", "B", 4, begin=begin), at)
    assert [(tags.artist, tags.title, tags.seconds) for tags in found] == [("A", "B", 0.0)]
    # Of the first page only the end is known: it is as long as the next one.
    assert counter.seconds == pytest.approx(4.0, abs=0.01)


def test_a_short_first_page_is_no_late_listener() -> None:
    stream = song(1, "A", "B", 0) + page(1, 312 + 4800, [PACKET] * 2) + page(1, 312 + 52800, [PACKET] * 20)
    assert fed(stream, [])[0].seconds == pytest.approx(1.1)


def test_pages_are_counted_where_a_part_was_lost() -> None:
    counter, _ = fed(song(1, "A", "B", 3) + b"rubbish OggS OggS\0" + page(1, 312 + 4 * 48000, [PACKET] * 20), [])
    assert counter.seconds == pytest.approx(4.0)
    # The mount moved to another place of the same stream: what lies between was not heard.
    counter.feed(page(1, 312 + 1000 * 48000, [PACKET] * 20) + page(1, 312 + 1001 * 48000, [PACKET] * 20))
    assert counter.seconds == pytest.approx(6.0, abs=0.01)


def test_pages_of_other_streams_are_not_counted() -> None:
    stream = page(9, 0, [b"fishead\0" + bytes(60)], flags=2) + song(1, "A", "B", 2)
    counter, found = fed(stream + page(9, 10**9, [PACKET]), [])
    assert counter.seconds == pytest.approx(2.0)
    assert len(found) == 1


@pytest.mark.parametrize("size", [10, 70_000])
@given(at=cuts)
def test_a_comment_over_several_pages(size: int, at: list[int]) -> None:
    packet = comments(b"OpusTags", {"METADATA_BLOCK_PICTURE": "x" * size, "TITLE": "Behind the picture"})
    full = 255 * 254
    stream = page(1, 0, [opus_head()], flags=2)
    while len(packet) > full:
        stream += page(1, -1, [packet[:full]], whole=False)
        packet = packet[full:]
    stream += page(1, 0, [packet])
    assert [tags.title for tags in fed(stream, at)[1]] == ["Behind the picture"]


def test_a_comment_without_an_end_is_not_kept() -> None:
    counter = OggCounter()
    counter.feed(page(1, 0, [opus_head()], flags=2))
    for _ in range(100):
        counter.feed(page(1, -1, [bytes(255 * 254)], whole=False))
    assert counter._comment is not None
    assert len(counter._comment) <= 1 << 18
    assert len(counter._buffer) < 1 << 17


@given(st.lists(st.binary(max_size=500), max_size=6), st.binary(max_size=200))
def test_random_bytes_never_raise(chunks: list[bytes], packet: bytes) -> None:
    counter = OggCounter()
    for chunk in chunks:
        counter.feed(b"OggS" + chunk)
        counter.feed(
            page(1, 0, [packet], flags=2) + page(1, 0, [b"OpusTags" + chunk[:255]]) + page(1, 5, [chunk[:255]])
        )
    assert counter.seconds >= 0.0
    assert len(counter._buffer) < 1 << 17


def test_codecs() -> None:
    for head, rate in ((vorbis_head(32000), 32000), (flac_head(96000), 96000), (opus_head(), 48000)):
        codec = codec_of(head)
        assert codec is not None
        assert codec.rate == rate
        for length in range(len(head)):
            codec_of(head[:length])
    assert codec_of(vorbis_head(0)) is None
    assert codec_of(b"Speex   ") is None


@pytest.mark.parametrize("codec", ["libopus", "libvorbis", "flac"])
def test_what_ffmpeg_writes(tmp_path: Path, codec: str) -> None:
    chain = b""
    for number in range(2):
        file = tmp_path / f"{number}.ogg"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=sample_rate=48000:duration=5", "-ac", "2",
             "-c:a", codec, "-metadata", f"artist=Ärtist {number}", "-metadata", f"title=Title {number}",
             "-serial_offset", str(number), "-f", "ogg", str(file)],
            check=True, timeout=30,
        )  # fmt: skip
        chain += file.read_bytes()
    counter, found = fed(chain, [n * 1400 for n in range(1, 300)])
    assert counter.seconds == pytest.approx(10.0, abs=0.05)
    assert [(tags.artist, tags.title) for tags in found] == [("Ärtist 0", "Title 0"), ("Ärtist 1", "Title 1")]
    assert found[1].seconds == pytest.approx(5.0, abs=0.03)


def test_a_page_that_says_it_is_longer_is_taken_for_what_it_says_in_any_chunks() -> None:
    """Its end lies in the next page's mark: what belongs to one is not looked at as the beginning of another."""
    stream = bytearray(song(1, "Artist", "One", 0))
    stream[27] += 1
    for cut in range(len(stream)):
        _, found = fed(bytes(stream), [cut])
        assert found == OggCounter().feed(bytes(stream)), cut


def test_no_comment_is_longer_than_a_title_may_be() -> None:
    many = b"OpusTags" + bytes(4) + (40_000).to_bytes(4, "little") + (b"\x07\0\0\0TITLE=x" * 40_000)
    assert len(ogg.comments(many[: 1 << 18], b"OpusTags")["TITLE"]) <= MAX_TITLE
    assert ogg.comments(comments(b"OpusTags", {"TITLE": "a" + " " * 200_000 + "b"}), b"OpusTags") == {"TITLE": "a"}
