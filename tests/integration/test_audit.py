"""Everything that a person can do by hand to a station on the air, and what the audit log says of it afterwards."""

from __future__ import annotations

from typing import Any

from tests.integration.onair import BACKUP, show, wait_healthy
from tests.integration.test_radioctl import ctl, loop_on_air
from tests.rig.azuracast import Track
from tests.rig.net import wait_until
from tests.rig.station import Station


def entries(station: Station, after: int = 0) -> list[dict[str, Any]]:
    """The audit log after an entry, in the order in which it was written."""
    found: list[dict[str, Any]] = station.api("audit?limit=500")["items"]
    return [entry for entry in reversed(found) if entry["id"] > after]


def seen(station: Station, loop: str) -> None:
    wait_until(lambda: loop_on_air(station) == loop, f"{loop} on the air", 20)


def begun_anew(station: Station, process: str, *order: str) -> None:
    """Order it, and wait until there is another of it and all is well."""
    before = station.processes()[process]["pid"]
    ctl(station, *order, "--yes")
    wait_until(lambda: station.processes()[process]["pid"] not in (None, before), f"another {process}", 20)
    wait_healthy(station)


def test_every_manual_control_is_in_the_audit_log(station: Station) -> None:
    show(station, "coral.mp4", next=Track("Audited", "What follows", loop="meadow.mp4"))
    seen(station, "coral.mp4")
    last = max((entry["id"] for entry in entries(station)), default=0)

    ctl(station, "hold", "lagoon.mp4", "--yes")
    seen(station, "lagoon.mp4")
    ctl(station, "release", "--yes")
    seen(station, "coral.mp4")
    ctl(station, "next", "--yes")
    seen(station, "meadow.mp4")
    ctl(station, "switch", "violet.mp4", "--yes")
    seen(station, "violet.mp4")
    ctl(station, "slate", "--seconds", "600", "--yes")
    seen(station, "slate")
    ctl(station, "release", "--yes")
    wait_until(lambda: loop_on_air(station) != "slate", "the end of the slate", 20)
    begun_anew(station, "audio", "restart", "audio")
    destination = f"destination:{BACKUP}"
    try:
        ctl(station, "destinations", "stop", BACKUP, "--yes")
        wait_until(lambda: station.processes()[destination]["state"] == "STOPPED", "the backup stopped", 30)
    finally:
        ctl(station, "destinations", "start", BACKUP, "--yes")
    wait_healthy(station)
    begun_anew(station, destination, "destinations", "restart", BACKUP)
    # What was refused was not done.
    ctl(station, "switch", "../credentials/api-token", "--yes", status=1)
    ctl(station, "restart", "nothing", "--yes", status=1)
    ctl(station, "destinations", "stop", "nowhere", "--yes", status=1)

    expected = [
        ("station.hold", {"loop": "lagoon.mp4", "seconds": None}),
        ("station.release", {"held": True}),
        ("station.next", {"loop": str(station.loops / "meadow.mp4")}),
        ("station.switch", {"loop": "violet.mp4", "seconds": None}),
        ("station.slate", {"seconds": 600}),
        ("station.release", {"held": True}),
        ("process.restart", {"process": "audio"}),
        ("destination.stop", {"destination": BACKUP}),
        ("destination.start", {"destination": BACKUP}),
        ("destination.restart", {"destination": BACKUP}),
    ]
    # A row waits in the outbox for its turn.
    wait_until(lambda: len(entries(station, last)) >= len(expected), "the rows of the audit log", 10)
    found = entries(station, last)
    assert [(entry["action"], entry["details"]) for entry in found] == expected
    assert {(entry["actor"], entry["station"]) for entry in found} == {("api-token", "demo")}
    assert len({entry["request_id"] for entry in found}) == len(expected), "each row leads to its request in the log"
