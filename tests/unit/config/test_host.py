"""What a configuration is read as."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from hook_service import config
from tests.unit.configs import DEMO, dump, loaded, problems, put, whole


def test_a_whole_one_is_read(path: Path) -> None:
    host = loaded(path, whole())
    demo = host.stations["demo"]
    assert demo.dayparts[0].from_ == time(22)
    assert demo.dayparts[0].to == time(6)
    assert host.station_profile("demo").fps_den == 1001
    assert host.station_profile("demo").fade_in == 0.5
    assert host.paths.loops == Path("/srv/loops")
    assert list(demo.destinations) == ["youtube", "backup", "srt"]


def test_youtube_is_asked_where_it_is_wanted(path: Path) -> None:
    raw = whole()
    put(raw, f"{DEMO}.destinations.youtube.youtube", {"stream": "Ab_-1"})
    [(key, settings)] = loaded(path, raw).youtube()
    assert (key, settings.stream, settings.rebind) == ("demo.youtube", "Ab_-1", False)


def test_a_setting_of_youtubes_is_not_mistaken_for_the_destination_of_that_name(path: Path) -> None:
    raw = whole()
    put(raw, f"{DEMO}.destinations.youtube.youtube", {"streem": "Ab-1", "rebind": False})
    missing, unknown = sorted(problems(path, dump(raw)))
    assert missing == f"{DEMO}.destinations.youtube.youtube.stream: is missing; add it"
    assert unknown == f"{DEMO}.destinations.youtube.youtube.streem: is not a setting; did you mean 'stream'?"


def test_one_stream_is_watched_once(path: Path) -> None:
    raw = whole()
    put(raw, f"{DEMO}.destinations.youtube.youtube", {"stream": "Ab-1"})
    put(raw, f"{DEMO}.destinations.backup.youtube", {"stream": "Ab-1"})
    [problem] = problems(path, dump(raw))
    assert problem.startswith("stations.demo.destinations.backup.youtube.stream: is the same as stations.demo.")


def test_a_stream_key_is_not_shown(path: Path) -> None:
    raw = whole()
    put(raw, f"{DEMO}.destinations.youtube.youtube", {"stream": "abcd-efgh-ijkl-mnop-qrst"})
    [problem] = problems(path, dump(raw))
    assert "looks like a stream key" in problem
    assert "abcd" not in problem


def test_whole_seconds_are_seconds(path: Path) -> None:
    raw = whole()
    put(raw, f"{DEMO}.switch_delay", 5)
    put(raw, f"{DEMO}.fade_in", 0)
    demo = loaded(path, raw).stations["demo"]
    assert (demo.switch_delay, demo.fade_in) == (5.0, 0.0)


@pytest.mark.parametrize(
    ("given", "way", "fade"),
    [
        ({}, "fade", 1.0),
        ({"fade_in": 0}, "fade", 0.0),  # as it was before there was a choice
        ({"transition": "cut"}, "cut", 0.0),
        ({"transition": "fade", "fade_in": 0.5}, "fade", 0.5),
        ({"transition": "crossfade"}, "crossfade", 1.0),
        ({"transition": "crossfade", "fade_in": 0}, "crossfade", 0.0),
    ],
)
def test_how_a_loop_enters(path: Path, given: dict[str, Any], way: str, fade: float) -> None:
    raw = whole()
    del raw["stations"]["demo"]["fade_in"]
    raw["stations"]["demo"] |= given
    host = loaded(path, raw)
    assert (host.stations["demo"].transition, host.station_profile("demo").fade_in) == (way, fade)


def test_a_fade_that_takes_no_time_is_no_fade(path: Path) -> None:
    raw = whole()
    raw["stations"]["demo"] |= {"transition": "fade", "fade_in": 0}
    [problem] = problems(path, dump(raw))
    assert "a fade of 0 s is a cut; write transition: cut" in problem


def test_a_small_one_is_enough(path: Path) -> None:
    path.write_text('stations: {demo: {audio: {url: "http://127.0.0.1:8000/radio.mp3"}}}\n')
    host = config.load(path)
    demo = host.stations["demo"]
    assert (demo.profile, demo.default_loop, demo.switch_delay, demo.fade_in) == ("720p30", "default.mp4", 3.0, 1.0)
    assert (demo.azuracast, demo.policies.offline, demo.policies.live) == (None, "hold", "track")
    assert (demo.policies.jingles.playlists, demo.policies.jingles.show) == ([], "hold")
    assert host.web.listen == "127.0.0.1:9000"
    assert host.station_profile("demo").fade_in == 1.0
