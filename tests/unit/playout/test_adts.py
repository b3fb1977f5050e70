"""Frames out of a byte stream: whole, in order, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout.adts import AdtsReader, split
from tests.unit.playout.helpers import adts

BODY = b"\x21" * 50
bodies = st.lists(st.binary(min_size=1, max_size=400), max_size=12)
# No 0xFF: rubbish in which no frame can seem to begin.
rubbish = st.lists(st.integers(0, 254), max_size=60).map(bytes)


def feed_in_pieces(stream: bytes, cuts: list[int]) -> tuple[list[bytes], AdtsReader]:
    reader, frames, at = AdtsReader(), [], 0
    for cut in [*sorted(c % (len(stream) + 1) for c in cuts), len(stream)]:
        frames += reader.feed(stream[at:cut])
        at = cut
    return frames, reader


@given(bodies, st.lists(st.integers(0, 10_000), max_size=20), st.booleans())
def test_any_split_gives_the_same_frames(wanted: list[bytes], cuts: list[int], mpeg2: bool) -> None:
    stream = b"".join(adts(body, mpeg2=mpeg2) for body in wanted)
    frames, reader = feed_in_pieces(stream, cuts)
    assert frames == wanted
    assert reader.skipped == 0


def test_byte_by_byte() -> None:
    wanted = [bytes([n]) * (n + 1) for n in range(200)]
    stream = b"".join(map(adts, wanted))
    assert feed_in_pieces(stream, list(range(len(stream))))[0] == wanted


@given(st.lists(st.tuples(rubbish, st.binary(min_size=1, max_size=100)), max_size=10), st.lists(st.integers(0, 9999)))
def test_rubbish_in_between_is_skipped(parts: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(noise + adts(body) for noise, body in parts)
    frames, reader = feed_in_pieces(stream, cuts)
    assert frames == [body for _, body in parts]
    assert reader.skipped == sum(len(noise) for noise, _ in parts)


@given(st.binary(max_size=60), st.lists(st.binary(max_size=3000), max_size=6))
def test_random_bytes_never_raise_and_never_pile_up(tail: bytes, chunks: list[bytes]) -> None:
    reader = AdtsReader()
    taken = 0
    for chunk in [*chunks, b"\xff" * 500, b"\xff\xf1" * 300, tail]:
        taken += sum(len(frame) + 7 for frame in reader.feed(chunk))
    given_in = sum(map(len, chunks)) + 500 + 600 + len(tail)
    assert 0 <= given_in - taken - reader.skipped < 8192  # at most one frame is waited for


@pytest.mark.parametrize(
    "other",
    [
        adts(BODY, frequency=3),  # 48 kHz
        adts(BODY, frequency=7),  # 22.05 kHz
        adts(BODY, channels=1),
        adts(BODY, channels=6),
        adts(BODY, profile=0),  # AAC Main
        adts(BODY, profile=3),
    ],
    ids=lambda frame: frame[:7].hex(),
)
def test_other_shapes_of_sound_are_no_frames(other: bytes) -> None:
    reader = AdtsReader()
    assert reader.feed(other * 5) == []
    assert reader.feed(adts(b"good") + adts(b"next")) == [b"good", b"next"]


def test_a_frame_with_a_checksum_is_not_ours() -> None:
    with_crc = bytearray(adts(b"\0\0" + b"x" * 20))
    with_crc[1] &= 0xFE
    assert AdtsReader().feed(bytes(with_crc)) == []


def test_a_frame_of_no_length_does_not_stop_the_reader() -> None:
    broken = bytearray(adts(b""))
    broken[3] &= 0xFC
    broken[4] = 0
    broken[5] &= 0x1F  # a length of 0
    assert AdtsReader().feed(bytes(broken) + adts(b"good")) == [b"good"]
    assert AdtsReader().feed(adts(b"") + adts(b"good")) == [b"good"]  # a header and nothing in it


def test_the_longest_frame() -> None:
    longest = bytes(8191 - 7)
    assert split(adts(longest) + adts(b"after")) == [longest, b"after"]
