"""Now-playing cards on a station that is on the air: there from the first picture, and never in a switch's way."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hook_service.ipc import PeerDown
from hook_service.library.dress import dressed
from tests.integration.onair import assert_unbroken, frames, on_air, shown, wait_frames
from tests.rig import media
from tests.rig.azuracast import Track
from tests.rig.covers import Covers, jpeg
from tests.rig.layout import Options
from tests.rig.net import wait_until
from tests.rig.nginx import ROOT
from tests.rig.station import Station

# The panel of the design `band`, without its cover: dark where the demo's loops are not, at 1280x720.
PANEL = "crop=560:20:560:504"
# What the panel leaves of the light of coral's and lagoon's ground.
DARK = 45


@pytest.fixture(scope="module")
def covers() -> Iterator[Covers]:
    files = {"/coral.jpg": jpeg("CORAL"), "/lagoon.jpg": jpeg("LAGOON", ("0x22aa55", "0x113355"))}
    with Covers({**files, "/none.jpg": b"<html>no cover</html>"}) as site:
        yield site


@pytest.fixture(scope="module")
def station(prepared: Path, covers: Covers) -> Iterator[Station]:
    def configure(config: dict[str, Any]) -> None:
        config["paths"]["cards"] = f"{config['paths']['state']}/cards"
        config["stations"]["demo"]["card"] = {"template": "band", "art_hosts": [covers.host]}

    with on_air(prepared, Options(automation=False, switch_delay=0.0, fade_in=0.0, configure=configure)) as running:
        yield running


def cards(station: Station) -> int:
    """How many loops with a card there are."""
    return len(dressed(station.run_dir / "library"))


def brightness(video: Path) -> list[int]:
    """How light the panel's place is in each picture."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(video), "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-vf", f"{PANEL},scale=1:1:flags=area,format=gray", "-f", "rawvideo", "-"]
    return list(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def keep(video: Path, switch: int) -> None:
    """What the platform received around a switch: the picture before it, the first one, and one a second later."""
    chosen = "+".join(f"eq(n\\,{switch + step})" for step in (-1, 0, 30))
    picture = ROOT / "docs/pictures/cards-on-air.png"
    picture.parent.mkdir(exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(video), "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-vf", f"select='{chosen}',scale=640:360:flags=area,tile=3x1", "-frames:v", "1", str(picture)]
    subprocess.run(command, check=True, timeout=60)


def on_air_with_card(station: Station, loop: str) -> bool:
    try:
        found = station.status()["on_air"]
    except PeerDown:
        return False
    return bool(found["card"]) and str(found["loop"]).endswith(loop)


def test_the_next_track_enters_with_its_card(station: Station, covers: Covers) -> None:
    # Songs that had no card yet, also when this is tried again.
    year = secrets.randbelow(9000)
    first = Track(
        "The Tidewaiters", f"Coral Bloom {year}", "Soundings", loop="coral.mp4", art=covers.url("/coral.jpg")
    )
    second = Track("Ида Ветрова", f"Фиалка 🎵 {year}", "Сумерки", loop="lagoon.mp4", art=covers.url("/lagoon.jpg"))
    third = Track("فيروز", f"نسم علينا الهوا {year}", loop="coral.mp4", art=covers.url("/none.jpg"))
    assert station.webhook(Track("Nobody", f"Before {year}", loop="meadow.mp4")) == 202
    wait_until(lambda: on_air_with_card(station, "meadow.mp4"), "the song before", 40)
    had = cards(station)
    with station.capture() as capture:
        # Nothing was known of it: its loop is shown at once, without the card, which follows when it is made.
        assert station.webhook(first, next=second) == 202
        station.wait_on_air("coral.mp4")
        wait_until(lambda: on_air_with_card(station, "coral.mp4"), "the first card", 40)
        wait_until(lambda: cards(station) >= had + 2, "the card of the next track", 40)
        # This one was known of; a cover that is none is left out.
        assert station.webhook(second, next=third) == 202
        station.wait_on_air("lagoon.mp4")
        assert station.status()["on_air"]["card"]
        wait_until(lambda: cards(station) >= had + 3, "the card of the track after it", 40)
        assert station.webhook(third) == 202
        station.wait_on_air("coral.mp4")
        assert station.status()["on_air"]["card"]
        wait_frames(capture, 30)
    assert_unbroken(capture)
    seen = shown(capture)
    assert [one.loop for one in seen][-3:] == ["coral", "lagoon", "coral"]
    light = brightness(capture.path)
    assert len(light) == len(frames(capture))
    start = len(light) - sum(one.frames for one in seen[-3:])
    assert light[start] > DARK, "the first track's first picture has a card already"
    entered = len(light) - sum(one.frames for one in seen[-2:])
    assert max(light[entered:]) < DARK, "a picture of the tracks that were known of has no card"
    if os.environ.get("SCREENSHOTS"):
        keep(capture.path, entered)
    assert {"/coral.jpg", "/lagoon.jpg", "/none.jpg"} <= set(covers.asked)


def test_a_card_that_can_not_be_made_costs_nothing(station: Station) -> None:
    """The operator's own design goes before the one that ships, and has a fault."""
    own = station.run_dir / "state/cards"
    own.mkdir()
    try:
        (own / "band.svg.j2").write_text("{% for")
        had = cards(station)
        with station.capture() as capture:
            assert station.webhook(Track("Nobody", "Nothing", loop="meadow.mp4")) == 202
            station.wait_on_air("meadow.mp4")
            wait_frames(capture, 90)
        assert_unbroken(capture)
        assert not station.status()["on_air"]["card"]
        assert cards(station) == had
        assert [loop for loop, _ in media.runs(media.read_pictures(capture.path))][-1] == "meadow"
    finally:
        for file in own.iterdir():
            file.unlink()
        own.rmdir()


def test_the_card_survives_a_playout_that_is_killed(station: Station) -> None:
    track = Track("Grün & Söhne", "Wiesengrund", "Feldwege", loop="honey.mp4")
    assert station.webhook(track) == 202
    station.wait_on_air("honey.mp4")
    wait_until(lambda: on_air_with_card(station, "honey.mp4"), "its card", 40)
    station.services["playout-demo"].kill()
    wait_until(lambda: on_air_with_card(station, "honey.mp4"), "its card, after the playout came back", 20)
