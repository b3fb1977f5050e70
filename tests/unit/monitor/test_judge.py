"""Black, still and silent, and what only looks like it for a moment."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.monitor.judge import LOWEST, PICTURE_BYTES, Levels, Pictures, Sound, is_black, same

BLACK, GREY, WHITE = (bytes([level]) * PICTURE_BYTES for level in (3, 128, 255))
A_LITTLE_LIGHT = WHITE[:40] + BLACK[40:]
MORE_LIGHT = WHITE[:80] + BLACK[80:]


def show(pictures: Pictures, *shown: bytes, begin: int = 0) -> Pictures:
    """One every two seconds."""
    for n, picture in enumerate(shown):
        pictures.take(begin + 2000 * n, bytes([n]), picture)
    return pictures


def test_black_is_nearly_all_dark() -> None:
    assert is_black(BLACK)
    assert is_black(A_LITTLE_LIGHT)
    assert not is_black(MORE_LIGHT)
    assert not is_black(GREY)


@given(st.binary(min_size=8, max_size=8), st.lists(st.integers(-2, 2), min_size=8, max_size=8))
def test_what_was_coded_anew_is_the_same(picture: bytes, noise: list[int]) -> None:
    other = bytes(min(255, max(0, a + b)) for a, b in zip(picture, noise, strict=True))
    assert same(picture, other)
    assert same(picture, picture)
    assert not same(picture, bytes([(picture[0] + 100) % 256]) + picture[1:])


def test_a_fade_is_not_black() -> None:
    assert not show(Pictures(), GREY, BLACK, BLACK, BLACK, GREY).black
    assert not show(Pictures(), GREY, BLACK, BLACK, BLACK).black
    assert show(Pictures(), GREY, BLACK, BLACK, BLACK, BLACK).black
    assert not show(Pictures(), BLACK, BLACK, BLACK, BLACK, GREY).black


def test_how_long_a_picture_is_still() -> None:
    still = show(Pictures(), GREY, WHITE, WHITE, WHITE).still
    assert still is not None
    assert (still.seconds, still.keyframe) == (4.0, b"\x01")
    changed = show(Pictures(), WHITE, WHITE, GREY).still
    assert changed is not None
    assert changed.seconds == 0


def test_another_loop_and_another_connection_begin_anew() -> None:
    pictures = show(Pictures(), BLACK, BLACK, BLACK, BLACK)
    pictures.changed()
    assert pictures.still is None
    assert pictures.black
    pictures.restart()
    assert not pictures.black
    # Whose times are others.
    show(pictures, BLACK, begin=100_000)
    show(pictures, BLACK, BLACK, begin=0)
    assert not pictures.black
    assert pictures.still is not None
    assert pictures.still.seconds == 2.0


def hear(sound: Sound, loudness: float, seconds: float) -> Sound:
    for _ in range(round(seconds * 10)):
        sound.take(loudness, loudness, loudness + 10)
    return sound


def test_a_pause_is_no_silence() -> None:
    sound = hear(Sound(), -20, 5)
    assert not hear(sound, -90, 9.8).silent
    assert hear(sound, -90, 0.3).silent
    assert hear(sound, -20, 0.5).silent
    assert not hear(sound, -20, 0.6).silent


def test_a_click_does_not_end_a_silence_nor_hide_one() -> None:
    sound = Sound()
    hear(hear(hear(sound, -90, 6), -20, 0.4), -90, 4.1)
    assert sound.silent
    hear(hear(hear(sound, -20, 3), -90, 5), -20, 2)
    assert not hear(sound, -90, 6).silent


def test_loudness_is_known_after_three_seconds_and_the_peak_for_ten() -> None:
    sound = Sound()
    heard = ((-20, 2), (-30, 5), (-30, 6))
    known = [(hear(sound, loudness, seconds).short_term, sound.peak) for loudness, seconds in heard]
    assert known == [(None, -10), (-30, -10), (-30, -20)]


PRINTED = b"""frame:%d    pts:4800    pts_time:0.1
lavfi.r128.M=%b
lavfi.r128.S=-23.100
lavfi.r128.I=-23.000
lavfi.astats.Overall.Peak_level=%b
"""


@given(st.integers(1, 200))
def test_levels_in_pieces_of_any_size(piece: int) -> None:
    text = PRINTED % (1, b"-22.5", b"-3.25") + PRINTED % (2, b"-120.691", b"-inf") + PRINTED % (3, b"nan", b"nan")
    levels = Levels()
    found = [block for at in range(0, len(text), piece) for block in levels.feed(text[at : at + piece])]
    assert found == [(-22.5, -23.1, -3.25), (LOWEST, -23.1, LOWEST), (LOWEST, -23.1, LOWEST)]


@given(st.lists(st.binary(max_size=60)))
def test_levels_of_anything(pieces: list[bytes]) -> None:
    levels = Levels()
    for piece in pieces:
        assert all(math.isfinite(value) for block in levels.feed(piece) for value in block)


@pytest.mark.parametrize("value", [b"inf", b"1e400"])
def test_no_level_is_endless(value: bytes) -> None:
    ((momentary, _, _),) = Levels().feed(PRINTED % (1, value, b"-3"))
    assert momentary == LOWEST
