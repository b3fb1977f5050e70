"""Profiles: their numbers, what they refuse, and what makes them differ."""

from dataclasses import replace
from typing import Any

import pytest

from hook_service.library.profiles import BUILT_IN, Profile

P720 = BUILT_IN["720p30"]


def test_what_ships() -> None:
    assert (P720.width, P720.height, int(P720.fps), P720.video_kbps, P720.level) == (1280, 720, 30, 3000, "3.1")
    big = BUILT_IN["1080p30"]
    assert (big.width, big.height, int(big.fps), big.video_kbps, big.level) == (1920, 1080, 30, 4500, "4.0")
    assert (P720.gop_frames, P720.fade_frames) == (60, 30)


def test_rates_that_are_no_whole_number() -> None:
    film = Profile("film", 1280, 720, 24000, 1001, 3000)
    assert (film.gop_frames, film.fade_frames) == (48, 24)
    assert Profile("fast", 1280, 720, 60, 1, 6000).level == "3.2"


def test_the_fingerprint_is_over_what_changes_the_bytes() -> None:
    same = [replace(P720, name="other"), replace(P720, audio_kbps=128), P720.with_fade(1.0)]
    assert {profile.fingerprint() for profile in same} == {P720.fingerprint()}
    other = [
        replace(P720, width=1278),
        replace(P720, fps_num=25),
        replace(P720, video_kbps=2999),
        replace(P720, encoder="h264_nvenc"),
        replace(P720, gop_seconds=1),
        P720.with_fade(0),
    ]
    assert len({profile.fingerprint() for profile in [P720, *other]}) == len(other) + 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../x"),
        ("width", 1281),
        ("height", 0),
        ("fps_num", 0),
        ("fps_den", 0),
        ("fps_num", 500),
        ("video_kbps", 5),
        ("audio_kbps", 1000),
        ("gop_seconds", 10),
        ("fade_in", 3),
        ("encoder", "libx265"),
    ],
)
def test_values_that_no_loop_can_have(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field.split("_", maxsplit=1)[0]):
        replace(P720, **{field: value})


def test_a_picture_that_no_level_carries() -> None:
    with pytest.raises(ValueError, match="level"):
        _ = Profile("x", 4096, 4096, 120, 1, 3000).level
