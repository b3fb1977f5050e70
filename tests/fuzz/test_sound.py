"""What a mount sends: titles and sound, from a server that may be damaged, or hostile. The playout reads it."""

from __future__ import annotations

import contextlib
import math

from hypothesis import strategies as st

from hook_service.playout import adts, frames, icy
from hook_service.playout.frames import FrameCounter
from hook_service.playout.looks import Blocks, IceBlocks
from hook_service.playout.mount import Chunks
from hook_service.playout.mountstream import MountStream
from hook_service.playout.ogg import OggCounter
from hook_service.tracks import matching
from hook_service.tracks.nowplaying import Song
from tests.fuzz.cases import LONG_TEXT, TEXT, fuzz, spoiled
from tests.unit.playout.coded import comments, mp3, opus_head, page, vorbis_head
from tests.unit.playout.helpers import adts as adts_frame
from tests.unit.playout.pieces import cuts, pieces

INTERVAL = 64
SOUND = bytes(range(64))


def block(text: bytes) -> bytes:
    padded = text + bytes(-len(text) % 16)
    return bytes([len(padded) // 16]) + padded


TITLES = (
    b"StreamTitle='Artist - One';StreamUrl='';",
    b"StreamTitle='it''s';odd';",
    "StreamTitle='Ä';".encode("latin-1"),
)
ICY = [SOUND + b"".join(block(title) + SOUND for title in (*TITLES, b"", b"StreamTitle='" + b"x" * 4000 + b"';"))]
OGG = [
    page(1, 0, [head], flags=2)
    + page(1, 0, [comments(begin, {"ARTIST": "Artist", "title": "One"})])
    + b"".join(page(1, 312 + n * 48000, [bytes(300)] * 5) for n in range(1, 6))
    for head, begin in ((opus_head(), b"OpusTags"), (vorbis_head(44100), b"\x03vorbis"))
]
MP3 = [mp3() * 8, mp3(64, 22050) * 8, mp3(320, 48000, padding=1) * 3]
AAC = [b"".join(adts_frame(bytes([n]) * (10 + 40 * n)) for n in range(12))]


@fuzz("ICY metadata", 8, data=spoiled(ICY), interval=st.integers(0, 100), at=cuts)
def test_icy(data: bytes, interval: int, at: list[int]) -> None:
    whole = icy.IcyReader(interval).feed(data)
    reader = icy.IcyReader(interval)
    parts = [part for piece in pieces(data, at) for part in reader.feed(piece)]
    assert b"".join(p for p in parts if isinstance(p, bytes)) == b"".join(p for p in whole if isinstance(p, bytes))
    titles = [p for p in parts if isinstance(p, str)]
    assert titles == [p for p in whole if isinstance(p, str)]
    for title in titles:
        title.encode()
        assert len(title) <= icy.MAX_TITLE
        icy.split(title)


@fuzz("Ogg", 10, data=spoiled(OGG), at=cuts)
def test_ogg(data: bytes, at: list[int]) -> None:
    whole, counter = OggCounter(), OggCounter()
    tags = whole.feed(data)
    assert [found for piece in pieces(data, at) for found in counter.feed(piece)] == tags
    assert counter.seconds == whole.seconds
    assert 0 <= whole.seconds < math.inf
    assert all(len(text or "") <= icy.MAX_TITLE for found in tags for text in (found.artist, found.title))
    assert 0 <= whole.seconds_at(len(data) // 2) <= whole.seconds


def count(make: object, data: bytes, at: list[int]) -> None:
    assert callable(make)
    counter: FrameCounter = make()
    before = 0.0
    for piece in pieces(data, at):
        counter.feed(piece)
        # Between two places bytes are taken to be evenly full.
        assert counter.seconds >= before - 0.1
        before = counter.seconds
    # No more than the frames of the least size that could be in so many bytes.
    assert before <= len(data) / 8 * 4096 / 7350 + 0.1
    assert 0 <= counter.seconds_at(len(data) // 2) <= before


@fuzz("MP3 counting", 8, data=spoiled(MP3), at=cuts)
def test_mp3(data: bytes, at: list[int]) -> None:
    count(frames.mp3, data, at)


@fuzz("AAC counting", 8, data=spoiled(AAC), at=cuts)
def test_aac(data: bytes, at: list[int]) -> None:
    count(frames.adts, data, at)


@fuzz("AAC frames", 5, data=spoiled(AAC), at=cuts)
def test_adts(data: bytes, at: list[int]) -> None:
    reader = adts.AdtsReader()
    found = [frame for piece in pieces(data, at) for frame in reader.feed(piece)]
    assert found == adts.AdtsReader().feed(data)
    assert sum(map(len, found)) <= len(data)


@fuzz(
    "a mount's stream",
    6,
    data=spoiled([*ICY, *OGG, *MP3, *AAC]),
    interval=st.sampled_from((0, 1, 64, 8192)),
    demuxer=st.sampled_from(("mp3", "aac", "ogg", None)),
    at=cuts,
)
def test_mount_stream(data: bytes, interval: int, demuxer: str | None, at: list[int]) -> None:
    stream = MountStream(interval, demuxer)
    sound = b""
    for piece in pieces(data, at):
        part, marks = stream.feed(piece)
        sound += part
        for mark in marks:
            assert 0 <= mark.since_byte <= mark.byte <= stream.bytes
    assert len(sound) == stream.bytes <= len(data)


@fuzz("second looks", 4, data=spoiled(ICY), interval=st.integers(0, 100), at=cuts)
def test_looks(data: bytes, interval: int, at: list[int]) -> None:
    for reader in (Blocks(interval), IceBlocks()):
        for piece in pieces(data, at):
            reader.feed(piece)
        assert len(reader.sound) <= len(data)
        assert [byte for byte, _ in reader.titles] == sorted(byte for byte, _ in reader.titles)


CHUNKED = [b"5\r\nhello\r\n40;x=y\r\n" + SOUND + b"\r\n0\r\n\r\n", b"a\n0123456789\n0\n\n"]


@fuzz("chunked bodies", 4, data=spoiled(CHUNKED), at=cuts)
def test_chunks(data: bytes, at: list[int]) -> None:
    reader = Chunks()
    with contextlib.suppress(ConnectionError):
        found = b"".join(reader.feed(piece) for piece in pieces(data, at))
        assert len(found) <= len(data)


@fuzz("titles against songs", 6, said=TEXT, artist=TEXT, title=TEXT, longer=st.booleans(), more=LONG_TEXT)
def test_matching(said: str, artist: str, title: str, longer: bool, more: str) -> None:
    """A title of any length that a mount may send."""
    text = (said + more if longer else said)[: icy.MAX_TITLE]
    song = Song(artist=artist[:512], title=title[:512], album=more[:512])
    assert matching.matches(text, song) in (True, False)
    assert matching.same_title(text, text)
    matching.is_song(text, ())
    matching.split(text)
