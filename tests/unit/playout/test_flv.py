"""What is written, read back by a parser that was written apart from it."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout import flv
from tests.rig import flvread

times = st.one_of(
    st.integers(0, flv.LAST_MS),
    st.sampled_from([0, 1, 2**24 - 1, 2**24, 2**24 + 1, 2**30, 2**31 - 2, 2**31 - 1]),
)
tags = st.lists(st.tuples(st.sampled_from([flv.AUDIO, flv.VIDEO, flv.SCRIPT]), times, st.binary(max_size=300)))


@given(tags)
def test_round_trip(wanted: list[tuple[int, int, bytes]]) -> None:
    stream = flv.HEADER + b"".join(flv.tag(*each) for each in wanted)
    assert [(tag.kind, tag.time, tag.body) for tag in flvread.read(io.BytesIO(stream))] == wanted


@given(st.sampled_from([flv.AUDIO, flv.VIDEO]), times, st.binary(max_size=100))
def test_a_tag_is_its_header_its_body_and_its_trailer(kind: int, time: int, body: bytes) -> None:
    parts = flv.tag_header(kind, len(body), time) + body + flv.tag_trailer(len(body))
    assert flv.tag(kind, time, body) == parts
    assert len(parts) == len(body) + 15


def test_the_largest_body() -> None:
    body = bytes(2**24 - 1)
    [tag] = flvread.read(io.BytesIO(flv.HEADER + flv.tag(flv.VIDEO, flv.LAST_MS, body)))
    assert (tag.time, len(tag.body)) == (2**31 - 1, 2**24 - 1)


def test_sequence_headers_are_taken_for_such() -> None:
    avcc = bytes.fromhex("0164001fffe1")
    stream = flv.HEADER + flv.tag(flv.VIDEO, 5, flv.video_sequence_header(avcc))
    stream += flv.tag(flv.AUDIO, 5, flv.AUDIO_SEQUENCE_HEADER) + flv.tag(flv.AUDIO, 6, flv.AUDIO_PREFIX + b"frame")
    video, audio, frame = flvread.read(io.BytesIO(stream))
    assert video.is_header
    assert video.body[5:] == avcc
    assert audio.is_header
    assert frame.is_frame
    # AudioSpecificConfig: object type 2 (LC), frequency index 4 (44.1 kHz), 2 channels.
    bits = int.from_bytes(audio.body[2:4], "big")
    assert (bits >> 11, bits >> 7 & 15, bits >> 3 & 15) == (2, 4, 2)


def amf0(data: bytes) -> list[object]:
    """A small AMF0 reader (numbers, booleans, strings, ECMA arrays); raises on anything left over or broken."""
    values: list[object] = []
    at = 0

    def text() -> str:
        nonlocal at
        (size,) = struct.unpack_from(">H", data, at)
        at += 2 + size
        return data[at - size : at].decode("ascii")

    def value() -> object:
        nonlocal at
        kind = data[at]
        at += 1
        if kind == 0:
            (number,) = struct.unpack_from(">d", data, at)
            at += 8
            return float(number)
        if kind == 1:
            at += 1
            return bool(data[at - 1])
        if kind == 2:
            return text()
        assert kind == 8, f"type {kind}"
        (count,) = struct.unpack_from(">I", data, at)
        at += 4
        array: dict[str, object] = {}
        while True:
            name = text()
            if not name:
                assert data[at] == 9
                at += 1
                assert len(array) == count
                return array
            array[name] = value()

    while at < len(data):
        values.append(value())
    return values


@pytest.mark.parametrize(("fps", "size"), [(30.0, (1280, 720)), (30000 / 1001, (1920, 1080))])
def test_metadata_says_what_is_sent(fps: float, size: tuple[int, int]) -> None:
    name, values = amf0(flv.metadata(*size, fps, 3000, 192))
    assert name == "onMetaData"
    assert isinstance(values, dict)
    assert (values["width"], values["height"]) == size
    assert values["framerate"] == fps
    assert (values["videocodecid"], values["audiocodecid"]) == (7, 10)
    assert (values["videodatarate"], values["audiodatarate"]) == (3000, 192)
    assert (values["audiosamplerate"], values["audiosamplesize"], values["stereo"]) == (44100, 16, True)
    # A live stream has no end: a duration would make a reader stop at it.
    assert "duration" not in values
