"""The command line at a station that is on the air: what it says is so, and what it orders is seen."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration import onair
from tests.integration.onair import BACKUP, show, wait_healthy
from tests.rig import media, nginx
from tests.rig.layout import service_environment
from tests.rig.net import wait_until
from tests.rig.station import Station

LOOPS = [f"{name}.mp4" for name in onair.LOOPS]


def program(station: Station, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "hook_service.ctl", "--config", str(station.config), *arguments]


def ctl(station: Station, *arguments: str, status: int = 0, environment: dict[str, str] | None = None) -> str:
    """What it says on stdout; it must end with `status`."""
    done = subprocess.run(
        program(station, *arguments),
        cwd=nginx.ROOT, env={**service_environment(), **(environment or {})}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def told(station: Station, *arguments: str, status: int = 0) -> Any:
    """The same as JSON."""
    return json.loads(ctl(station, *arguments, "--json", status=status))


def loop_on_air(station: Station) -> str:
    return Path(station.status()["on_air"]["loop"]).name


def test_status_says_what_is_on_the_air(station: Station) -> None:
    track = show(station, LOOPS[0])
    wait_until(lambda: loop_on_air(station) == LOOPS[0], "the track's loop", 20)
    text = ctl(station, "status")
    assert "\x1b" not in text
    for part in (track.title, LOOPS[0], "RUNNING", "platform", BACKUP, "publisher", "mount"):
        assert part in text
    found = told(station, "status")
    assert found["stations"]["demo"]["on_air"]["loop"].endswith(LOOPS[0])
    assert found["health"]["stations"]["demo"]["status"] in ("up", "degraded")
    wait_until(
        lambda: any(play["title"] == track.title for play in told(station, "history", "-q", track.title)["items"]),
        "the play in the history",
        20,
    )
    assert track.title in ctl(station, "history", "--limit", "5")


def test_a_watch_follows_and_is_coloured_on_a_terminal_alone(station: Station) -> None:
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        ours, theirs = pty.openpty()
        watch = subprocess.Popen(
            program(station, "status", "--watch"),
            cwd=nginx.ROOT, env={**service_environment(), "TERM": "xterm", **environment},
            stdin=theirs, stdout=theirs,
        )  # fmt: skip
        os.close(theirs)
        try:
            seen = b""
            while seen.count(b"\x1b[H") < 2:
                assert select.select([ours], [], [], 20)[0], seen
                seen += os.read(ours, 65536)
            assert (b"\x1b[32m" in seen) is coloured
        finally:
            watch.send_signal(signal.SIGINT)
            assert watch.wait(10) == 0
            os.close(ours)


def test_a_switch_is_asked_first_and_seen_at_the_platform(station: Station) -> None:
    wanted = next(loop for loop in LOOPS if loop != loop_on_air(station))
    assert ctl(station, "switch", wanted, status=2) == ""
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        program(station, "switch", wanted),
        cwd=nginx.ROOT, env=service_environment(), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.write(ours, b"y\n")
    said, question = asked.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert asked.returncode == 0, question
    assert f"Show {wanted} on demo now".encode() in question
    assert f"{wanted} is shown on demo".encode() in said
    wait_until(lambda: loop_on_air(station) == wanted, "the loop that was ordered", 20)


def test_a_loop_is_held_whatever_is_played_and_given_back(station: Station) -> None:
    held, other = [loop for loop in LOOPS if loop != loop_on_air(station)][:2]
    ctl(station, "hold", held, "--yes")
    try:
        wait_until(lambda: loop_on_air(station) == held, "the loop that is held", 20)
        track = show(station, other)
        wait_until(lambda: told(station, "history", "-q", track.title)["items"], "the track in the history", 20)
        assert loop_on_air(station) == held
        assert f"by hand  {held}, by api-token, until it is released" in ctl(station, "status")
    finally:
        ctl(station, "release", "--yes")
    wait_until(lambda: loop_on_air(station) == other, "the track's own loop", 20)
    ctl(station, "slate", "--seconds", "1", "--yes")
    wait_until(lambda: loop_on_air(station) == "slate", "the slate", 20)
    wait_until(lambda: loop_on_air(station) == other, "the track's own loop again", 20)


def test_a_destination_is_stopped_and_started(station: Station) -> None:
    def state() -> str:
        items = told(station, "destinations")["items"]
        return next(str(one["state"]) for one in items if one["name"] == BACKUP)

    ctl(station, "destinations", "stop", BACKUP, "--yes")
    try:
        wait_until(lambda: state() == "STOPPED", "the destination stopped", 20)
        # What was stopped by hand is as it should be.
        assert findings(station)["sending"] == []
    finally:
        ctl(station, "destinations", "start", BACKUP, "--yes")
    wait_until(lambda: state() == "RUNNING", "the destination started", 20)
    ctl(station, "destinations", "stop", "nowhere", "--yes", status=1)


def test_a_video_is_uploaded_prepared_removed_and_restored(station: Station, tmp_path: Path) -> None:
    source = station.loops / LOOPS[0]
    again = told(station, "loops", "add", str(source), "--name", "again.mp4")["items"][0]
    assert (again["state"], again["name"]) == ("duplicate", LOOPS[0])
    own = media.make(
        tmp_path, "grün.mp4",
        ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=3", "-c:v", "libx264", "-preset", "ultrafast"],
    )  # fmt: skip
    assert "is now grün.mp4." in ctl(station, "loops", "add", str(own), "--name", "grün.mp4", "--wait")
    (found,) = told(station, "loops", "list", "-q", "grün")["items"]
    assert found["state"] == "prepared"
    assert "can be restored" in ctl(station, "loops", "remove", "grün.mp4")
    assert told(station, "loops", "list", "-q", "grün")["items"] == []
    ctl(station, "loops", "restore", "grün.mp4")
    assert (station.loops / "grün.mp4").read_bytes() == own.read_bytes()
    ctl(station, "loops", "remove", "grün.mp4")
    text = tmp_path / "no-video.mp4"
    text.write_text("this is none")
    ctl(station, "loops", "add", str(text), status=1)


def test_a_token_opens_what_it_is_for_until_it_is_revoked(station: Station, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(ctl(station, "tokens", "create", "laptop", "--days", "1"))
    elsewhere = {"RADIOCTL_URL": f"{station.base_url}/api/v1", "RADIOCTL_TOKEN_FILE": str(token)}
    assert "platform" in ctl(station, "status", environment=elsewhere)
    ctl(station, "hold", "--yes", status=1, environment=elsewhere)
    (made,) = [one for one in told(station, "tokens")["items"] if one["name"] == "laptop"]
    assert made["scopes"] == ["read"]
    assert token.read_text().strip() not in ctl(station, "tokens")
    ctl(station, "tokens", "revoke", str(made["id"]))
    ctl(station, "status", status=1, environment=elsewhere)


def test_mappings_are_set_listed_and_removed(station: Station) -> None:
    made = told(station, "map", "set", LOOPS[1], "--artist", "Sigur Rós", "--title", "Hoppípolla")
    assert made["track_key"] == "sigur rós - hoppípolla"
    assert f"{made['id']}" in ctl(station, "map", "list", "-q", "sigur")
    ctl(station, "map", "remove", str(made["id"]))
    assert told(station, "map", "list", "-q", "sigur") == {"items": []}
    ctl(station, "map", "remove", str(made["id"]), status=1)
    ctl(station, "map", "set", "../../etc/passwd", "--key", "x", status=1)


def test_mappings_go_out_and_in_as_csv(station: Station, tmp_path: Path) -> None:
    file = tmp_path / "mappings.csv"
    file.write_text(f"artist,title,loop_file_path\nÁsgeir,Torrent,{LOOPS[3]}\n,,{LOOPS[3]}\n", encoding="utf-8")
    would = told(station, "map", "import", str(file), status=1)
    assert (would["created"], would["dry_run"], [line["line"] for line in would["bad_lines"]]) == (1, True, [3])
    assert told(station, "map", "list", "-q", "torrent") == {"items": []}
    ctl(station, "map", "import", str(file), "--apply", status=1)
    assert f"ásgeir - torrent,{LOOPS[3]}" in ctl(station, "map", "export")
    (made,) = told(station, "map", "list", "-q", "torrent")["items"]
    ctl(station, "map", "remove", str(made["id"]))


def test_the_doctor_finds_nothing_at_a_station_that_is_well(station: Station) -> None:
    # Tests before may have mapped what there is no file for.
    for mapping in station.api("mappings?limit=500")["items"]:
        if not (station.loops / mapping["loop_file_path"]).exists():
            station.api(f"mappings/{mapping['id']}", method="DELETE")
    show(station, LOOPS[2])
    found = told_anyway(station)
    # Of the machine that the tests run on nothing is claimed.
    ours = [check for check in found["checks"] if check["check"] not in ("clock", "disks", "units")]
    assert [check for check in ours if check["findings"]] == []
    assert {"configuration", "credentials", "sockets", "mounts", "destinations", "health", "loops"} <= {
        check["check"] for check in ours if check["state"] == "well"
    }


def told_anyway(station: Station) -> Any:
    done = subprocess.run(
        program(station, "doctor", "--json"),
        cwd=nginx.ROOT, env=service_environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def findings(station: Station) -> dict[str, list[str]]:
    """What the doctor finds, by check."""
    checks = told_anyway(station)["checks"]
    return {check["check"]: [f"{one['where']} {one['what']}" for one in check["findings"]] for check in checks}


def test_the_doctor_finds_each_thing_that_is_wrong(station: Station) -> None:
    secret = station.run_dir / "credentials/api-token"
    monitor = station.services["monitor"]
    expected = {
        "credentials": f"{secret} mode 0644: everyone can read it",
        "sockets": "monitor.sock its process does not answer",
        "destinations": "can't be connected to",
        "sending": "destination platform of demo is",
        "health": "monitor is down",
    }

    def missed() -> list[str]:
        found = findings(station)
        return [part for check, part in expected.items() if not any(part in line for line in found[check])]

    try:
        secret.chmod(0o644)
        station.platform.stop()
        station.supervisor.stop(monitor)
        wait_until(lambda: not missed(), "all of it found", 30, every=0.5)
    finally:
        secret.chmod(0o600)
        station.platform.start()
        station.supervisor.start(monitor)
    wait_healthy(station, 60)
