"""How much sound is in MP3 and AAC: every frame counted once, whatever lies between and however it arrives."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout import frames
from hook_service.playout.frames import KEPT_SECONDS, FrameCounter, Places
from tests.unit.playout.coded import mp3
from tests.unit.playout.helpers import adts
from tests.unit.playout.pieces import cuts, pieces

kinds = st.sampled_from((44100, 48000, 32000, 22050, 24000, 16000, 11025))
kbps = st.sampled_from((32, 64, 96, 128, 160))
# No 0xFF: rubbish in which no frame can seem to begin.
rubbish = st.lists(st.integers(0, 254), max_size=900).map(bytes)


def counted(counter: FrameCounter, stream: bytes, at: list[int]) -> FrameCounter:
    for piece in pieces(stream, at):
        counter.feed(piece)
    return counter


@given(kinds, st.lists(st.tuples(kbps, st.integers(0, 1)), min_size=2, max_size=60), cuts)
def test_any_chunking_counts_the_same_mp3(rate: int, shapes: list[tuple[int, int]], at: list[int]) -> None:
    parts = [mp3(kbps, rate, padding=padding) for kbps, padding in shapes]
    stream = b"".join(parts)
    counter = counted(frames.mp3(), stream, at)
    length = (1152 if rate >= 32000 else 576) / rate
    assert counter.seconds == pytest.approx(len(parts) * length)
    assert counter.begins == 0


@given(st.lists(st.binary(min_size=1, max_size=700), min_size=2, max_size=40), cuts)
def test_any_chunking_counts_the_same_aac(bodies: list[bytes], at: list[int]) -> None:
    counter = counted(frames.adts(), b"".join(map(adts, bodies)), at)
    assert counter.seconds == pytest.approx(len(bodies) * 1024 / 44100)


@given(st.lists(st.tuples(rubbish, st.integers(2, 6)), min_size=1, max_size=6), cuts)
def test_rubbish_is_no_sound_and_is_got_over(parts: list[tuple[bytes, int]], at: list[int]) -> None:
    stream = b"".join(noise + mp3() * count for noise, count in parts)
    counter = counted(frames.mp3(), stream, at)
    assert counter.seconds == pytest.approx(sum(count for _, count in parts) * 1152 / 44100)
    assert counter.begins == len(parts[0][0])


@given(st.integers(1, 416), st.integers(3, 30), cuts)
def test_a_connection_begins_within_a_frame(lost: int, count: int, at: list[int]) -> None:
    counter = counted(frames.mp3(), (mp3(fill=b"\x55") * count)[lost:], at)
    assert counter.seconds == pytest.approx((count - 1) * 1152 / 44100)
    assert counter.begins == 417 - lost


@given(st.lists(st.binary(max_size=2000), max_size=8))
def test_random_bytes_never_raise_and_never_pile_up(chunks: list[bytes]) -> None:
    for counter in (frames.mp3(), frames.adts()):
        for chunk in [*chunks, b"\xff" * 700, b"\xff\xfb\x90" * 300, b"\xff\xf1" * 300]:
            counter.feed(chunk)
            assert len(counter._buffer) < 8192 + len(chunk)
        before = counter.seconds
        counter.feed((mp3() if counter._header == 4 else adts(bytes(100))) * 100)
        # What looked like a frame may have swallowed a few, or more when it says to be the same kind.
        assert counter.seconds > before + 50 * 1024 / 44100


def test_the_place_of_each_byte() -> None:
    counter = frames.mp3()
    counter.feed(mp3() * 40)
    for number in range(40):
        assert counter.seconds_at(417 * number) == pytest.approx(number * 1152 / 44100, abs=1e-6)
    assert counter.seconds_at(417 * 10 + 208) == pytest.approx(10.5 * 1152 / 44100, abs=1e-4)


def test_a_frame_that_has_begun_is_counted_as_far_as_it_came() -> None:
    counter = frames.mp3()
    counter.feed(mp3() * 2 + mp3()[:210])
    assert counter.seconds == pytest.approx(2.5 * 1152 / 44100, abs=1e-3)


@given(st.lists(st.tuples(kbps, st.integers(0, 1)), min_size=200, max_size=400))
def test_places_of_a_variable_rate_are_off_by_a_tenth_of_a_second_at_most(shapes: list[tuple[int, int]]) -> None:
    counter, place, seconds = frames.mp3(), 0, 0.0
    told = []
    for kbps, padding in shapes:
        frame = mp3(kbps, padding=padding)
        counter.feed(frame)
        told.append((place, seconds))
        place, seconds = place + len(frame), seconds + 1152 / 44100
    for place, seconds in told:
        assert counter.seconds_at(place) == pytest.approx(seconds, abs=0.1)
    assert [counter.seconds_at(place) for place, _ in told] == sorted(counter.seconds_at(place) for place, _ in told)


def test_places_are_forgotten() -> None:
    places = Places()
    for number in range(100_000):
        places.add(number * 400, number * 0.026)
    assert len(places._bytes) < 2 * KEPT_SECONDS / 0.1
    assert places.seconds_at(0) == pytest.approx(99_999 * 0.026 - KEPT_SECONDS, abs=0.3)
    assert places.seconds_at(1 << 40) == pytest.approx(99_999 * 0.026)


@pytest.mark.parametrize(("codec", "kind"), [("libmp3lame", "mp3"), ("aac", "adts")])
@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_what_ffmpeg_writes(tmp_path: Path, codec: str, kind: str, rate: int) -> None:
    file = tmp_path / f"tone.{kind}"
    source = f"anoisesrc=sample_rate={rate}:duration=5"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-ac", "2", "-c:a", codec, "-b:a", "64k",
         *(["-write_xing", "0", "-id3v2_version", "0"] if kind == "mp3" else []), "-f", kind, str(file)],
        check=True, timeout=30,
    )  # fmt: skip
    counter = frames.mp3() if kind == "mp3" else frames.adts()
    stream = file.read_bytes()
    counter.feed(stream)
    # Encoders put in front what they need to begin, and fill their last frame.
    assert 5.0 <= counter.seconds <= 5.2
