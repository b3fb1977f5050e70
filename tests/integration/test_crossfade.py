"""Crossfades at the platform: both loops in one picture, each frame in its place, and a fade where none is ready."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.onair import assert_unbroken, metric, on_air, show, wait_frames
from tests.rig import media
from tests.rig.layout import Options
from tests.rig.net import wait_until
from tests.rig.nginx import ROOT
from tests.rig.station import Station

# A switch is known so long ahead: far more than a crossfade takes to be made.
DELAY = 5.0
GOP = 60


@pytest.fixture(scope="module")
def crossing(prepared: Path) -> Iterator[Station]:
    """A station that crossfades."""

    def configure(config: dict[str, Any]) -> None:
        config["stations"]["demo"]["transition"] = "crossfade"

    with on_air(prepared, Options(automation=False, switch_delay=DELAY, configure=configure)) as station:
        station.wait_on_air("default.mp4")
        yield station


def backgrounds(path: Path) -> list[tuple[int, int, int]]:
    """The colour of each picture's upper left corner, where the demo loops show nothing but their own."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-vf", "crop=64:64:16:16,scale=1:1:flags=area", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    return [(raw[at], raw[at + 1], raw[at + 2]) for at in range(0, len(raw), 3)]


def keep(path: Path, begin: int) -> None:
    """Put pictures of the crossfade that begins at this picture into the documentation."""
    chosen = "+".join(f"eq(n,{begin + n})" for n in (0, 15, 30, 45, GOP))
    picture = ROOT / "docs/pictures/crossfade.png"
    picture.parent.mkdir(exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(path), "-frames:v", "1"]
    chain = f"select='{chosen}',scale=384:-2,tile=5x1:padding=6:color=white"
    subprocess.run([*command, "-vf", chain, str(picture)], check=True, timeout=60)


def count(station: Station, transition: str) -> float:
    return metric(station, "radio_transitions_total", {"station": "demo", "transition": transition})


def test_one_loop_gives_way_to_the_next(crossing: Station) -> None:
    if not crossing.status()["on_air"]["loop"].endswith("default.mp4"):
        # It is tried again.
        show(crossing, "default.mp4")
        crossing.wait_on_air("default.mp4", seconds=DELAY + 5)
    before = count(crossing, "crossfade")
    with crossing.capture() as capture:
        for loop in ("coral.mp4", "lagoon.mp4"):
            show(crossing, loop)
            crossing.wait_on_air(loop, seconds=DELAY + 5)
            wait_frames(capture, GOP + 30)
    assert_unbroken(capture)
    assert len(crossing.platform.sessions(crossing.key())) == 1
    pictures, colours = media.read_pictures(capture.path), backgrounds(capture.path)
    for leaving, coming in (("default", "coral"), ("coral", "lagoon")):
        # The second GOP of the loop that comes follows its crossfade.
        begin = pictures.index(media.Picture(coming, GOP)) - GOP
        places = range(begin, begin + GOP)
        assert [pictures[at] for at in places[50:]] == [media.Picture(coming, n) for n in range(50, GOP)]
        first = pictures[begin - 1]
        assert first.loop == leaving
        assert [pictures[at] for at in places[:20]] == [
            media.Picture(leaving, (first.frame + 1 + n) % 300) for n in range(20)
        ], "it begins at the very frame where the loop was left"
        one, two = colours[begin - 1], colours[begin + GOP]
        for n, at in enumerate(places):
            mixed = [a + (b - a) * n / GOP for a, b in zip(one, two, strict=True)]
            off = max(abs(seen - wanted) for seen, wanted in zip(colours[at], mixed, strict=True))
            assert off < 8, f"picture {n} of the crossfade from {leaving} to {coming} is {colours[at]}, not {mixed}"
    if os.environ.get("SCREENSHOTS") == "1":
        keep(capture.path, begin)
    wait_until(lambda: count(crossing, "crossfade") == before + 2, "both counted", 5)
    assert crossing.status()["on_air"]["transition"] == "crossfade"


def test_a_switch_at_once_fades(crossing: Station) -> None:
    before = count(crossing, "fade")
    with crossing.capture() as capture:
        wait_frames(capture, 15)
        asked = time.time()
        crossing.api("stations/demo/switch", body={"loop": "meadow.mp4"})
        crossing.wait_on_air("meadow.mp4", seconds=2)
        assert time.time() - asked < 1.5, "nothing waits for a crossfade"
        wait_frames(capture, GOP + 15)
    assert_unbroken(capture)
    colours = backgrounds(capture.path)
    assert min(max(colour) for colour in colours) < 16, "it fades in from black"
    wait_until(lambda: count(crossing, "fade") == before + 1, "counted", 5)
