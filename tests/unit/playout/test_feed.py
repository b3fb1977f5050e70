"""One connection: what of it is new, and where its sound is in what FFmpeg makes of it."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.playout import mount
from hook_service.playout.feed import Before, Feed
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS
from tests.unit.playout.helpers import adts


def connection(kind: str = "audio/aac", before: Before | None = None) -> Feed:
    feed = Feed(mount.Stream(socket.socket(), {"content-type": kind}, b""), before)
    feed.stream.settimeout(0)
    return feed


def frame(number: int) -> bytes:
    return adts(b"%06d" % number + bytes((number * 7 + n) % 251 for n in range(300)))


SOUND = b"".join(frame(n) for n in range(600))
SIZE = len(frame(0))


def take(feed: Feed, data: bytes, portion: int = 5000) -> None:
    for at in range(0, len(data), portion):
        feed._take(data[at : at + portion])
        if feed.looks_for_its_begin and feed._before is not None:
            feed._align(feed._before)


@given(
    end=st.integers(8 * SIZE, 300 * SIZE),
    back=st.integers(0, 150 * SIZE),
    made=st.integers(0, 8),
    portion=st.integers(500, 20000),
)
@settings(max_examples=40, deadline=None)
def test_it_is_known_at_which_frame_it_goes_on(end: int, back: int, made: int, portion: int) -> None:
    """Whatever the connection before had sent, and wherever this one begins, if it reaches back to that end."""
    one = connection()
    take(one, SOUND[:end])
    one.frames = end // SIZE - made  # FFmpeg had not made the last ones yet
    start = max(0, end - 5000 - back)
    two = connection(before=one.ended())
    take(two, SOUND[start : end + 40 * SIZE], portion)
    first_whole = -(-start // SIZE)
    assert two.first == max(0, one.frames - first_whole)
    assert two.old_bytes == end - start
    two.ended()


def test_another_broadcast_has_nothing_of_it() -> None:
    one = connection()
    take(one, SOUND[: 200 * SIZE])
    two = connection(before=one.ended())
    take(two, b"".join(frame(n) for n in range(2000, 2100)))
    assert two.first is None
    assert two.looks_for_its_begin
    two.begins_anew()
    assert not two.looks_for_its_begin
    two.ended()


def test_a_connection_of_which_nothing_was_heard_leaves_the_one_before() -> None:
    one = connection()
    take(one, SOUND[: 200 * SIZE])
    one.frames = 200
    before = one.ended()
    two = connection(before=before)
    take(two, SOUND[190 * SIZE : 193 * SIZE])
    assert two.ended() is before
    three = connection(before=before)
    take(three, SOUND[100 * SIZE : 260 * SIZE])
    assert three.first == 100
    # It ended before FFmpeg had made what was new: the next one goes on there all the same.
    assert three.ended() == Before(three.sound, 100)


def test_what_cannot_be_counted_has_no_place() -> None:
    feed = connection("audio/flac")
    take(feed, SOUND[: 20 * SIZE])
    assert len(feed._waiting) == 20 * SIZE
    assert feed.doubt == 1.0
    assert feed.ended() is None
    strange = connection("audio/mpeg")
    take(strange, bytes(100_000))
    assert len(strange._waiting) == 100_000, "FFmpeg is left to judge it"
    assert strange.doubt == 1.0
    assert strange.ended() is None


def test_ffmpeg_gets_whole_frames_from_the_first_on() -> None:
    feed = connection()
    take(feed, SOUND[SIZE - 100 : 20 * SIZE], 77)
    assert bytes(feed._waiting) == SOUND[SIZE : 20 * SIZE]
    feed.ended()


@pytest.mark.parametrize("songs", [50, 400])
def test_a_little_at_every_song_does_not_add_up(songs: int) -> None:
    """FFmpeg gives a frame more than was counted, once in a while, for days."""
    feed = connection()
    for song in range(songs):
        for number in range(60):
            take(feed, SOUND[number * SIZE : (number + 1) * SIZE])
            feed._waiting.clear()
            if song or number >= 4:
                feed.encoded(adts(bytes(300)), (song * 60 + number) * AUDIO_FRAME_SECONDS * 10)
        feed.encoded(adts(bytes(300)), (song * 60 + 60) * AUDIO_FRAME_SECONDS * 10)
    due = feed.frame_at(feed.sound.seconds or 0.0) - 0.046 / AUDIO_FRAME_SECONDS
    assert due - feed.frames == pytest.approx(4.0, abs=3)
    feed.ended()


@pytest.mark.parametrize("off", [0, 30, -30])
def test_count_and_output_are_kept_together(off: int) -> None:
    """`off` frames were counted that FFmpeg did not make, or the other way round."""
    feed = connection()
    take(feed, SOUND[: max(0, off) * SIZE])
    feed._waiting.clear()
    for _ in range(max(0, -off)):
        feed.encoded(adts(bytes(300)), 0.0)
    sent = max(0, off)
    for number in range(400):
        take(feed, SOUND[(sent + number) * SIZE : (sent + number + 1) * SIZE])
        feed._waiting.clear()
        if number >= 4:
            feed.encoded(adts(bytes(300)), number * AUDIO_FRAME_SECONDS * 4)
    due = feed.frame_at(feed.sound.seconds or 0.0) - 0.046 / AUDIO_FRAME_SECONDS
    # FFmpeg is four or five frames behind.
    assert due - feed.frames == pytest.approx(4.5, abs=5)
    feed.ended()
