"""Pieces of MP4 made of FLV's messages: FFmpeg finds every frame in them at its time, and no message does harm."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.library.profiles import BUILT_IN
from hook_service.monitor import fmp4
from hook_service.monitor.cutter import Cutter, Piece
from hook_service.monitor.flow import is_frame, is_keyframe
from hook_service.monitor.rtmp import AUDIO, VIDEO, Message
from hook_service.playout import flv
from tests.unit.library.samples import AVCC

PROFILE = BUILT_IN["720p30"]
CONFIGURATION = [
    Message(VIDEO, 0, flv.video_sequence_header(AVCC)),
    Message(AUDIO, 0, flv.AUDIO_SEQUENCE_HEADER),
]


@lru_cache(maxsize=1)
def broadcast() -> list[Message]:
    """Six seconds of a stream such as ours, small: a keyframe every two seconds, no B-frames, filled up."""
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=1280x720:r=30:d=6", "-f", "lavfi", "-i",
         "sine=r=44100:d=6", "-ac", "2", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "60",
         "-x264-params", "nal-hrd=cbr:filler=1", "-b:v", "1M", "-maxrate", "1M", "-bufsize", "1M", "-pix_fmt",
         "yuv420p", "-c:a", "aac", "-b:a", "96k", "-f", "flv", "-"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    return list(_messages(made))


def _messages(data: bytes) -> Iterator[Message]:
    at = 13
    while at < len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        ms = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        if kind in (AUDIO, VIDEO):
            yield Message(kind, ms, data[at + 11 : at + 11 + size])
        at += 15 + size


def pieces(messages: list[Message], cutter: Cutter | None = None) -> list[Piece]:
    cutter = cutter or Cutter(PROFILE)
    return [piece for message in messages if (piece := cutter.take(message)) is not None]


def packets(file: bytes, kind: str) -> list[dict[str, Any]]:
    """What FFmpeg reads of one kind; nothing may be wrong with any of it."""
    command = [
        "ffprobe",
        "-v",
        "warning",
        "-show_entries",
        "packet=pts_time,duration_time,size,flags",
        "-select_streams",
    ]
    found = subprocess.run([*command, kind, "-of", "json", "-"], input=file, capture_output=True, check=True)
    assert not found.stderr, found.stderr.decode()
    packets: list[dict[str, Any]] = json.loads(found.stdout)["packets"]
    return packets


def shifted(messages: list[Message], ms: int) -> list[Message]:
    return [Message(m.kind, m.ms + ms, m.body) for m in messages]


@pytest.mark.parametrize("begin", [0, 2**31 - 100_000], ids=["at its zero", "before its end"])
def test_every_frame_is_in_it_at_its_time(begin: int) -> None:
    messages = shifted(broadcast(), begin)
    found = pieces(messages)
    assert [piece.initialisation is not None for piece in found] == [True, False]
    assert [round(piece.seconds, 3) for piece in found] == [2.0, 2.0]
    whole = (found[0].initialisation or b"") + b"".join(piece.data for piece in found)
    video = packets(whole, "v")
    assert len(video) == 120
    assert [n for n, packet in enumerate(video) if packet["flags"].startswith("K")] == [0, 60]
    sent = [message.ms - begin for message in messages if message.kind == VIDEO and is_frame(message)][:120]
    assert [round(float(packet["pts_time"]) * 1000) - 1000 for packet in video] == [ms - sent[0] for ms in sent]
    audio = packets(whole, "a")
    assert len(audio) > 160
    # Rounded milliseconds went in; not a sample is missing or doubled between two frames.
    for one, other in pairwise(audio):
        step = float(other["pts_time"]) - float(one["pts_time"])
        assert step == pytest.approx(1024 / 44100, abs=2e-6)
    sounds = [m.ms - begin for m in messages if m.kind == AUDIO and is_frame(m)]
    assert float(audio[0]["pts_time"]) - 1 == pytest.approx((sounds[0] - sent[0]) / 1000, abs=0.025)


def test_it_decodes_and_what_only_fills_is_left_out() -> None:
    found = pieces(broadcast())
    whole = (found[0].initialisation or b"") + b"".join(piece.data for piece in found)
    decoded = subprocess.run(
        ["ffmpeg", "-v", "warning", "-xerror", "-i", "-", "-f", "framemd5", "-"],
        input=whole,
        capture_output=True,
        check=True,
    )
    assert not decoded.stderr, decoded.stderr.decode()
    assert len([line for line in decoded.stdout.splitlines() if line.startswith(b"0,")]) == 120
    assert len(whole) < 0.9 * sum(len(message.body) for message in broadcast()[:-60])


def test_a_still_is_a_whole_film_of_one_picture() -> None:
    cutter = Cutter(PROFILE)
    messages = broadcast()
    keyframe = next(message for message in messages if is_keyframe(message))
    assert cutter.still(keyframe) is None
    pieces(messages[:4], cutter)
    file = cutter.still(keyframe)
    assert file is not None
    assert len(packets(file, "v")) == 1
    shown = subprocess.run(
        ["ffmpeg", "-v", "warning", "-i", "-", "-f", "rawvideo", "-pix_fmt", "gray", "-"],
        input=file,
        capture_output=True,
        check=True,
    )
    assert not shown.stderr, shown.stderr.decode()
    assert len(shown.stdout) == 1280 * 720
    assert len(set(shown.stdout)) > 20


def frame(ms: int, key: bool = False) -> Message:
    nal = (b"\x65" if key else b"\x41") + b"abc"
    return Message(VIDEO, ms, (b"\x17" if key else b"\x27") + b"\x01\0\0\0" + len(nal).to_bytes(4, "big") + nal)


def gops(count: int, begin: int = 0) -> list[Message]:
    return [frame(begin + n * 40, n % 50 == 0) for n in range(count * 50 + 1)]


def test_what_does_not_follow_is_another_stretch() -> None:
    cutter = Cutter(PROFILE)
    before = [piece.initialisation is not None for piece in pieces([*CONFIGURATION, *gops(2)], cutter)]
    back = [piece.initialisation is not None for piece in pieces(gops(2), cutter)]
    later = [piece.initialisation is not None for piece in pieces(gops(2, 20_000), cutter)]
    assert (before, back, later) == ([True, False],) * 3
    other = [Message(VIDEO, 0, flv.video_sequence_header(AVCC + b"x"))]
    again = pieces([*CONFIGURATION, *gops(1, 24_040)], cutter)
    assert again
    assert not any(piece.initialisation for piece in again)
    (changed,) = pieces([*other, *gops(1, 30_000)], cutter)
    assert AVCC + b"x" in (changed.initialisation or b"")


def test_sound_that_pauses_goes_on_at_its_time() -> None:
    sounds = [Message(AUDIO, ms, flv.AUDIO_PREFIX + b"sound") for ms in (5, 28, 51, 551, 574)]
    messages = sorted([*gops(1), *sounds], key=lambda message: message.ms)
    (piece,) = pieces([*CONFIGURATION, *messages])
    at = piece.data.index(b"trun", piece.data.index(b"trun") + 4)
    (count,) = struct.unpack_from(">I", piece.data, at + 8)
    durations = [struct.unpack_from(">I", piece.data, at + 16 + 8 * n)[0] for n in range(count)]
    assert durations[:2] == [1024, 1024]
    assert sum(durations[:3]) == pytest.approx(0.546 * 44100, abs=100)


def test_a_keyframe_that_never_comes_takes_no_memory() -> None:
    cutter = Cutter(PROFILE)
    assert not pieces([*CONFIGURATION, frame(0, key=True), *(frame(n * 40) for n in range(1, 1000))], cutter)
    assert len(cutter._pictures) == 0
    sounds = [Message(AUDIO, n * 23, flv.AUDIO_PREFIX + b"sound") for n in range(5000)]
    pieces([frame(0, key=True), *sounds], cutter)
    assert len(cutter._sounds) < 500


bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([m.body for m in (*CONFIGURATION, frame(0, key=True), frame(0))]),
    st.binary(max_size=20).map(lambda data: b"\x17\x01\0\0\0" + data),
    st.binary(max_size=300).map(lambda data: b"\xaf\0" + data),
    st.binary(max_size=20).map(lambda data: b"\xaf\x01" + data),
)
times = st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 3000))


@given(st.lists(st.builds(Message, st.sampled_from([AUDIO, VIDEO]), times, bodies), max_size=60))
def test_no_message_does_harm(messages: list[Message]) -> None:
    for piece in pieces([*CONFIGURATION, *messages]):
        assert 0 < piece.seconds <= 12
        for data in (piece.initialisation or b"", piece.data):
            assert boxes(data)[-1:] in (["moov"], ["mdat"], [])


def boxes(data: bytes) -> list[str]:
    """The outermost ones; they fill all of it."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 8].decode())
        assert size >= 8
        at += size
    assert at == len(data)
    return found


@given(st.binary(max_size=60))
def test_nothing_but_filler_is_ever_left_out(data: bytes) -> None:
    kept = fmp4.without_filler(data)
    assert kept == data or len(kept) < len(data)
    nal = len(data).to_bytes(4, "big") + data
    if data:
        filler = (3).to_bytes(4, "big") + b"\x0c\xff\x80"
        assert fmp4.without_filler(nal + filler) == (nal if data[0] & 31 != 12 else nal + filler)
