"""radio-web and a YouTube on loopback: what it tells of a broadcast, and that it makes one that ended anew."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_web import ROOT, WebProcess
from tests.rig.net import wait_until
from tests.rig.youtube import CLIENT_ID, CLIENT_SECRET, REFRESH, Knobs, YouTube
from tests.rig.youtube_channel import STREAM
from tests.unit.web.doubles import KEY

# Google's addresses are in the program, and nobody configures them. Nor does a test wait a minute for each look.
QUICK = """
import sys
from hook_service.web import main
from hook_service.youtube import client, watcher
client.GOOGLE = client.Endpoints(*sys.argv[1:4])
watcher.EVERY = 0.1
watcher.UNIT_SECONDS = 0.0
sys.exit(main.main(sys.argv[4:]))
"""
URL = "rtmps://a.example.org:443/live2"


class Web(WebProcess):
    """radio-web that asks this YouTube."""

    def __init__(self, directory: Path, youtube: YouTube) -> None:
        settings = {"url": URL, "youtube": {"stream": STREAM, "rebind": True}}
        station = {"audio": {"url": "http://127.0.0.1:9/radio.mp3"}, "destinations": {"tube": settings}}
        # No database: it is none of this.
        super().__init__(directory, "host=127.0.0.1 port=9 dbname=none", stations={"demo": station})
        secret = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH}
        (directory / "credentials" / "demo.tube.youtube").write_text(json.dumps(secret))
        self.youtube = youtube

    def start(self, **_: str) -> None:
        google = self.youtube.endpoints
        command = [sys.executable, "-c", QUICK, google.api, google.token, google.device, "--config", str(self.config)]
        with self.seen.open("ab") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        wait_until(self._answers, "radio-web to answer", 30)

    def told(self) -> dict[str, Any]:
        """What the API tells of the destination."""
        [destination] = self.api("GET", "destinations")["items"]
        found: dict[str, Any] = destination["youtube"]
        return found

    def health(self) -> str:
        """What /health says of YouTube."""
        found: str = json.loads(self.get("/health")[2])["stations"]["demo"]["destinations"]["tube"]["youtube"]
        return found

    def metrics(self) -> dict[str, float]:
        """The series about YouTube."""
        lines = self.get("/metrics")[2].decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("radio_youtube_"))
        # The labels that every series has say nothing here.
        same = 'destination="tube",', 'station="demo",', 'destination="tube"', 'station="demo"'
        return {
            functools.reduce(lambda text, part: text.replace(part, ""), same, name): float(n) for name, n in pairs
        }


@pytest.fixture
def youtube() -> Iterator[YouTube]:
    with YouTube(Knobs()) as site:
        site.add_broadcast("vid1", "live")
        yield site


@pytest.fixture
def web(youtube: YouTube, tmp_path: Path) -> Iterator[Web]:
    process = Web(tmp_path, youtube)
    process.start()
    yield process
    process.end()


def until(web: Web, life_cycle: str) -> dict[str, Any]:
    wait_until(lambda: ((web.told()["broadcast"] or {}).get("life_cycle")) == life_cycle, f"{life_cycle}", 15)
    return web.told()


def test_a_broadcast_that_ends_is_told_bound_anew_and_told_again(web: Web, youtube: YouTube) -> None:
    told = until(web, "live")
    assert (told["state"], told["error"], told["trouble"]) == ("connected", None, None)
    assert told["stream"] == {"title": "Radio", "status": "active", "health": "good", "issues": []}
    assert told["broadcast"]["watch"] == "https://www.youtube.com/watch?v=vid1"
    of_station = web.api("GET", "status")["stations"]["demo"]["youtube"]
    assert {name: its["broadcast"] for name, its in of_station.items()} == {"tube": told["broadcast"]}
    shown = {name for name, value in web.metrics().items() if value == 1}
    assert shown == {
        "radio_youtube_up{}",
        'radio_youtube_stream_health{health="good",}',
        'radio_youtube_stream_status{status="active"}',
        'radio_youtube_broadcast{life_cycle="live",}',
    }

    youtube.turn("vid1", "complete")
    wait_until(lambda: (web.told()["broadcast"] or {})["watch"].endswith("=made1"), "another broadcast", 15)
    assert until(web, "live")["rebound_at"] is not None
    assert youtube.broadcasts["made1"]["contentDetails"]["boundStreamId"] == STREAM
    assert web.metrics()["radio_youtube_rebinds_total{}"] == 1

    # The next process knows of it: it ends within the hour, and no other is made.
    assert web.end() == 0
    web.start()
    until(web, "live")
    wait_until(lambda: web.health() == "up", "/health, which is made once a second", 15)
    youtube.turn("made1", "complete")
    wait_until(lambda: web.health() == "degraded", "the trouble in /health", 15)
    assert "another follows, one in an hour at most" in until(web, "complete")["trouble"]
    looks = len(youtube.asked)
    wait_until(lambda: len(youtube.asked) > looks + 10, "more looks", 15)
    assert sum(asked.startswith("POST /youtube/v3/liveBroadcasts?") for asked in youtube.asked) == 1


def test_an_api_that_is_away_costs_nothing_but_what_it_tells(web: Web, youtube: YouTube) -> None:
    until(web, "live")
    youtube.knobs = Knobs(revoked=True)
    youtube.forget_tokens()
    wait_until(lambda: web.told()["state"] == "away", "the loss of the authorisation", 15)
    told = web.told()
    assert "YouTube refuses (400 invalid_grant): the authorisation has ended" in told["error"]
    assert web.metrics()["radio_youtube_up{}"] == 0
    youtube.knobs = Knobs(hang=True)
    looks = len(youtube.asked)
    wait_until(lambda: len(youtube.asked) > looks, "a look that hangs", 15)
    assert web.get("/health")[0] in (200, 503)
    assert web.end() == 0, "an end waits for nobody"
    everything = web.seen.read_text() + (web.directory / "app.log").read_text()
    for secret in (CLIENT_SECRET, REFRESH, "ya29.", KEY, "abcd-efgh-ijkl-mnop-qrst"):
        assert secret not in everything
