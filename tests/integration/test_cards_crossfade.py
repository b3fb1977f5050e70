"""Cards and crossfades together, as most stations will have them: both songs' cards are in the crossfade."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.onair import assert_unbroken, on_air, wait_frames
from tests.integration.test_cards import DARK, brightness, cards, on_air_with_card
from tests.integration.test_crossfade import DELAY, GOP, backgrounds
from tests.rig import media
from tests.rig.azuracast import Track
from tests.rig.layout import Options
from tests.rig.net import wait_until
from tests.rig.nginx import ROOT
from tests.rig.station import Station


@pytest.fixture(scope="module")
def station(prepared: Path) -> Iterator[Station]:
    """A station that crossfades, with cards."""

    def configure(config: dict[str, Any]) -> None:
        config["stations"]["demo"]["transition"] = "crossfade"
        config["stations"]["demo"]["card"] = {"template": "band"}

    with on_air(prepared, Options(automation=False, switch_delay=DELAY, configure=configure)) as running:
        running.wait_on_air("default.mp4")
        yield running


def keep(video: Path, begin: int) -> None:
    """Put pictures of the crossfade that begins at this picture into the documentation."""
    chosen = "+".join(f"eq(n,{begin + n})" for n in (-1, 30, GOP))
    picture = ROOT / "docs/pictures/cards-crossfade.png"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(video), "-frames:v", "1"]
    chain = f"select='{chosen}',scale=640:360:flags=area,tile=3x1:padding=6:color=white"
    subprocess.run([*command, "-vf", chain, str(picture)], check=True, timeout=60)


def test_a_song_with_its_card_gives_way_to_the_next_with_its_own(station: Station) -> None:
    # Songs that had no card yet, also when this is tried again.
    year = 1900 + secrets.randbelow(100)
    first = Track("The Tidewaiters", f"Coral Bloom {year}", "Soundings", loop="coral.mp4")
    second = Track("Lantern Parish", f"Still Lagoon {year}", "Low Water", loop="lagoon.mp4")
    assert station.webhook(Track("Nobody", f"Before {year}", loop="meadow.mp4")) == 202
    wait_until(lambda: on_air_with_card(station, "meadow.mp4"), "the song before", DELAY + 40)
    had = cards(station)
    with station.capture() as capture:
        assert station.webhook(first, next=second) == 202
        station.wait_on_air("coral.mp4", seconds=DELAY + 10)
        wait_until(lambda: on_air_with_card(station, "coral.mp4"), "the first card", 40)
        wait_until(lambda: cards(station) >= had + 2, "the card of the next track", 40)
        wait_frames(capture, GOP)
        assert station.webhook(second) == 202
        station.wait_on_air("lagoon.mp4", seconds=DELAY + 10)
        wait_frames(capture, GOP + 30)
    assert_unbroken(capture)
    on_air = station.status()["on_air"]
    assert (on_air["transition"], bool(on_air["card"])) == ("crossfade", True)
    assert len(station.platform.sessions(station.key())) == 1
    pictures, colours, light = media.read_pictures(capture.path), backgrounds(capture.path), brightness(capture.path)
    begin = max(at for at, picture in enumerate(pictures) if picture == media.Picture("lagoon", GOP)) - GOP
    assert pictures[begin - 1].loop == "coral"
    one, two = colours[begin - 1], colours[begin + GOP]
    for n in range(GOP):
        mixed = [a + (b - a) * n / GOP for a, b in zip(one, two, strict=True)]
        off = max(abs(seen - wanted) for seen, wanted in zip(colours[begin + n], mixed, strict=True))
        assert off < 8, f"picture {n} of the crossfade is {colours[begin + n]}, not {mixed}"
    assert max(light[begin - 1 :]) < DARK, "a picture without a card"
    if os.environ.get("SCREENSHOTS") == "1":
        keep(capture.path, begin)
