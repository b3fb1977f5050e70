"""A person at the controls of a station: what is held, stopped and begun anew, as platform and history see it."""

from __future__ import annotations

import signal
from typing import Any

from hook_service import ipc
from tests.integration.onair import (
    BACKUP,
    BACKUP_KEY,
    assert_unbroken,
    captures,
    history,
    metric,
    show,
    shown,
    wait_frames,
    wait_healthy,
)
from tests.rig.net import wait_until
from tests.rig.station import Station


def order(station: Station, path: str, **document: Any) -> None:
    assert station.api(path, method="POST", body=document)["accepted"]


def told(station: Station) -> dict[str, Any]:
    """What the API says of the station."""
    found: dict[str, Any] = station.api("status")["stations"]["demo"]
    return found


def pid(station: Station, process: str) -> int | None:
    number: int | None = station.processes()[process]["pid"]
    return number


def test_a_held_loop_stays_and_the_history_goes_on(station: Station) -> None:
    first = show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    with captures(station) as (primary, _):
        order(station, "stations/demo/hold")
        wait_frames(primary, 30)
        second = show(station, "lagoon.mp4")
        wait_until(lambda: len(history(station, [first, second])) == 2, "the row of a track that is not seen", 10)
        wait_frames(primary, 45)
        order(station, "stations/demo/release")
        station.wait_on_air("lagoon.mp4")
        wait_frames(primary, 45)
        assert told(station)["override"] is None
        order(station, "stations/demo/switch", loop="meadow.mp4", seconds=1)
        station.wait_on_air("meadow.mp4")
        held = told(station)["override"]
        assert (held["kind"], held["by"]) == ("switch", "api-token")
        station.wait_on_air("lagoon.mp4")
        order(station, "stations/demo/slate")
        station.wait_on_air("slate")
        wait_frames(primary, 30)
        order(station, "stations/demo/release")
        station.wait_on_air("lagoon.mp4")
        wait_frames(primary, 30)
    assert_unbroken(primary)
    seen = [one.loop for one in shown(primary)]
    assert seen == ["coral", "lagoon", "meadow", "lagoon", None, "lagoon"], "a hold is not seen: no loop begins anew"
    one, two = history(station, [first, second])
    assert one["end"] == two["start"]
    wait_until(
        lambda: (
            station.sql(
                "SELECT loop_file_path LIKE '%%lagoon.mp4' FROM play_history WHERE title = %s", [second.title]
            )
            == [(True,)]
        ),
        "the row of the track that got its picture back",
        10,
    )


def test_what_is_held_outlives_the_services(station: Station) -> None:
    show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    order(station, "stations/demo/slate")
    station.wait_on_air("slate")
    for process in ("playout", "web"):
        station.send(process, signal.SIGKILL)
    wait_healthy(station)
    show(station, "lagoon.mp4")
    wait_until(
        lambda: (told(station)["track"] or {}).get("loop_path", "").endswith("lagoon.mp4"), "the next track", 10
    )
    assert station.on_air() == "slate"
    order(station, "stations/demo/release")
    station.wait_on_air("lagoon.mp4")


def test_a_stopped_destination_stays_so_and_alerts_nobody(station: Station) -> None:
    labels = {"station": "demo", "destination": BACKUP}

    def state(name: str = BACKUP) -> str:
        try:
            return str(station.processes()[f"destination:{name}"]["state"])
        except ipc.PeerDown:
            return "nobody tells"

    def publishing() -> bool:
        # The platform lists a stream also while it has readers alone, and this test is one.
        return any(session.end is None for session in station.platform.sessions(BACKUP_KEY))

    with captures(station) as (primary, _):
        outputs = station.services["output-demo"]
        order(station, f"destinations/demo/{BACKUP}/stop")
        try:
            wait_until(lambda: not publishing(), "the end of what is sent to the backup", 30, log=outputs.log)
            restarts = outputs.restarts
            outputs.send(signal.SIGKILL)
            wait_until(lambda: outputs.restarts > restarts and outputs.state == "RUNNING", "other outputs", 15)
            wait_until(lambda: state("platform") == "RUNNING", "the outputs", 20)
            assert (state(), publishing()) == ("STOPPED", False)
            assert metric(station, "radio_destination_wanted", labels) == 0
            assert f'radio_destination_up{{destination="{BACKUP}"' not in station.metrics()
        finally:
            order(station, f"destinations/demo/{BACKUP}/start")
        wait_until(publishing, "what is sent to the backup", 15)
    assert primary.finish(decode=False).non_monotonic == 0
    wait_healthy(station)
    assert metric(station, "radio_destination_up", labels) == 1
    actions = station.sql("SELECT action, details ->> 'destination' FROM audit_log ORDER BY id DESC LIMIT 2")
    assert actions == [("destination.start", BACKUP), ("destination.stop", BACKUP)]


def begin_anew(station: Station, process: str) -> None:
    before = pid(station, process)
    order(station, f"stations/demo/processes/{process}/restart")
    wait_until(lambda: pid(station, process) not in (None, before), f"another {process}", 10)
    wait_healthy(station)


def test_processes_begun_anew(station: Station) -> None:
    with captures(station) as (primary, backup):
        sessions = len(station.platform.sessions())
        for name in ("publisher", "audio"):
            begin_anew(station, name)
            wait_frames(primary, 30)
        order(station, "stations/demo/processes/decoder/restart")
        for capture in (primary, backup):
            assert capture.finish(decode=False).non_monotonic == 0
        assert len(station.platform.sessions()) == sessions, "the platform's session goes on"
