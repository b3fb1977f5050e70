"""The database is away, or hangs, while webhooks come: every switch happens, every play is in the history later."""

import os
import signal
import time

import pytest

from tests.integration.onair import assert_history, assert_unbroken, history, metric, show, shown, wait_frames
from tests.rig.azuracast import Track
from tests.rig.net import http, wait_until
from tests.rig.platform import Capture
from tests.rig.station import Station

LOOPS = ["coral", "lagoon", "meadow", "violet", "honey", "coral"]
# As in test_on_air.py: what is late because of a database is late by seconds more.
SOON = 2


def switch(station: Station, capture: Capture, loop: str) -> tuple[Track, float]:
    """Send a webhook, wait for its picture; the track, and when it was sent."""
    sent = time.time()
    track = show(station, f"{loop}.mp4")
    station.wait_on_air(f"{loop}.mp4")
    wait_frames(capture, 15)
    return track, sent


def wait_written(station: Station, tracks: list[Track]) -> None:
    """Return when the history has them all; more than one row for one of them fails later."""
    wait_until(lambda: len(history(station, tracks)) >= len(tracks), "every play in the history", 30, every=0.2)
    wait_until(lambda: metric(station, "radio_outbox_pending") == 0, "an empty outbox", 10)


def health(station: Station) -> tuple[int, str]:
    """The status of /health, and what it says of the database."""
    status, body = http(f"{station.base_url}/health")
    return status, "down" if b'"database": {"status": "down"}' in body else "up"


@pytest.mark.parametrize(("how", "seconds"), [("stops", 60.0), ("hangs", 20.0)])
def test_database_is_away(station: Station, how: str, seconds: float) -> None:
    show(station, "default.mp4")
    station.wait_on_air("default.mp4")
    database = station.database
    tracks, sent = [], []
    with station.capture() as capture:
        begun = time.monotonic()
        if how == "stops":
            database.stop("immediate")
        else:
            database.pause()
        try:
            for number, loop in enumerate(LOOPS):
                track, when = switch(station, capture, loop)
                tracks.append(track)
                sent.append(when)
                due = begun + seconds * (number + 1) / len(LOOPS)
                time.sleep(max(0.0, due - time.monotonic()))
            wait_until(lambda: health(station) == (200, "down"), "a word of it in /health", 10)
        finally:
            if how == "stops":
                database.start()
            else:
                database.resume()
        track, when = switch(station, capture, "honey")
        tracks.append(track)
        sent.append(when)
    assert_unbroken(capture)
    seen = shown(capture)
    assert [one.loop for one in seen] == ["default", *LOOPS, "honey"]
    delays = [one.at - when for one, when in zip(seen[1:], sent, strict=True)]
    print("webhook to picture:", [round(delay, 3) for delay in delays])
    assert max(delays) < SOON
    wait_written(station, tracks)
    assert_history(history(station, tracks), tracks, seen[1:])
    wait_until(lambda: health(station) == (200, "up"), "/health as before", 10)


def test_web_dies_while_the_database_is_away(station: Station) -> None:
    show(station, "default.mp4")
    station.wait_on_air("default.mp4")
    tracks = []
    with station.capture() as capture:
        station.database.stop("immediate")
        try:
            tracks.append(switch(station, capture, "coral")[0])
            tracks.append(switch(station, capture, "lagoon")[0])
            pid = station.pid("web")
            os.kill(pid, signal.SIGKILL)
            web = station.services["web"]
            wait_until(lambda: web.running and web.pid != pid and web.ready.is_set(), "the web process", 20)
            tracks.append(switch(station, capture, "meadow")[0])
        finally:
            station.database.start()
    assert_unbroken(capture)
    seen = shown(capture)
    assert [one.loop for one in seen] == ["default", "coral", "lagoon", "meadow"]
    wait_written(station, tracks)
    assert_history(history(station, tracks), tracks, seen[1:])
