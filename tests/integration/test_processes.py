"""Every process is killed, and every process is stopped: it is back in time, and nobody else notices."""

import os
import signal
import time

import pytest

from tests.integration.hearing import lateness, listen, silences, steps_back, story
from tests.integration.onair import (
    BACKUP_KEY,
    assert_unbroken,
    captures,
    first_after,
    running,
    show,
    wait_frames,
    wait_healthy,
    widest,
)
from tests.rig.flvread import AUDIO, VIDEO
from tests.rig.net import http, wait_until
from tests.rig.platform import Capture
from tests.rig.station import Station

KILLED, STOPPED = signal.SIGKILL, signal.SIGSTOP
# Seconds until it is back, from the issue.
BACK, BACK_RELAY, BACK_PLAYOUT, MENDED = 2.0, 4.0, 4.0, 15.0
GAP_PUBLISHER, GAP_PLAYOUT = 1.0, 4.0
# From one keyframe to the next.
KEYFRAMES = 2.0
KINDS = (AUDIO, VIDEO)


def sessions(station: Station) -> list[tuple[int, float | None]]:
    """Every session at the platform there has been."""
    return [(one.connection, one.end) for one in station.platform.sessions()]


def hit(station: Station, process: str, number: signal.Signals) -> float:
    """Signal a process by its name; when that was."""
    pid = station.relay_worker() if process == "relay worker" else station.pid(process)
    when = time.time()
    os.kill(pid, number)
    return when


def destinations(station: Station) -> list[int | None]:
    """The FFmpegs of both destinations."""
    return [station.processes()[f"destination:{name}"]["pid"] for name in ("platform", "backup")]


def wait_both(each: tuple[Capture, Capture], when: float, seconds: float) -> None:
    """Return when pictures and sound come again to both after a Unix time, and a second more of them."""
    wait_until(
        lambda: all((frame := first_after(c, when + 0.2, kind)) and frame.at for c in each for kind in KINDS),
        "pictures and sound at the platform",
        seconds,
    )
    for capture in each:
        wait_frames(capture, 30)


def gaps(each: tuple[Capture, Capture], since: float) -> float:
    """The longest wait of any reader for a picture or for sound, in seconds."""
    found = [widest(capture, kind, since - 1) for capture in each for kind in KINDS]
    print("waits:", [round(gap.seconds, 3) for gap in found], "missing:", [round(gap.missing, 3) for gap in found])
    return max(max(gap.seconds, gap.missing) for gap in found)


def assert_times_go_on(capture: Capture) -> None:
    """No time comes twice, none steps back; what is missing, is missing whole."""
    analysis = capture.finish(decode=False)
    assert analysis.non_monotonic == 0


def wait_back(station: Station, process: str, pid: int, when: float, seconds: float) -> None:
    """Return when another process has its place and is well."""

    def back() -> bool:
        found = station.services.get(process) or station.services.get(f"{process}-demo")
        if found is not None:
            return found.running and found.pid != pid and found.ready.is_set()
        each = station.processes()[process]
        return bool(each["state"] == "RUNNING" and each["pid"] != pid)

    wait_until(back, f"{process} back", max(0.1, when + seconds - time.time()))
    print(f"{process} back after {time.time() - when:.2f} s")


@pytest.mark.parametrize(
    ("process", "number", "limit"),
    [
        ("publisher", KILLED, GAP_PUBLISHER),
        ("playout", KILLED, GAP_PLAYOUT),
        ("publisher", STOPPED, MENDED),
        ("playout", STOPPED, MENDED),
    ],
)
def test_what_feeds_the_relay(station: Station, process: str, number: signal.Signals, limit: float) -> None:
    """Destinations keep their sessions; what was on the air comes back, with later times."""
    show(station, "lagoon.mp4")
    station.wait_on_air("lagoon.mp4")
    before = sessions(station)
    with captures(station) as each:
        pid = station.pid(process)
        when = hit(station, process, number)
        wait_back(station, process, pid, when, BACK if process == "publisher" and number is KILLED else limit)
        wait_until(lambda: station.on_air() == "lagoon.mp4", "what was on the air", 5)
        wait_both(each, when + 1.0, MENDED)
        assert gaps(each, when) <= limit
    assert sessions(station) == before
    for capture in each:
        assert_times_go_on(capture)
    wait_healthy(station)


@pytest.mark.parametrize(("number", "limit"), [(KILLED, BACK), (STOPPED, MENDED)])
def test_audio(station: Station, number: signal.Signals, limit: float) -> None:
    with captures(station) as each:
        pid = station.pid("audio")
        when = hit(station, "audio", number)
        wait_back(station, "audio", pid, when, limit)
        wait_until(lambda: station.status()["audio"]["source"] == "mount", "sound from the mount", limit)
        wait_frames(each[0], 90)
    for capture in each:
        assert_unbroken(capture, decode=capture is each[0])
    heard = listen(each[0])
    print(story(heard))
    assert max(silences(heard), default=0.0) <= 0.3
    assert steps_back(heard) <= 0.2
    # What the cushion bridges is not heard at all; then the fallback is, but for so long only.
    assert all(frame.source == "sweep" for frame in heard[-40:])
    away = [frame.at for frame in heard if frame.source == "fallback"]
    assert max(away, default=when) <= when + limit
    late = [lateness(frame) for frame in heard if frame.clock is not None]
    assert max(late) <= late[0] + 0.5


@pytest.mark.parametrize(("number", "limit"), [(KILLED, BACK), (STOPPED, MENDED)])
def test_destination(station: Station, number: signal.Signals, limit: float) -> None:
    """Its sound is back in time, its picture with the next keyframe; its neighbour notices nothing."""
    own = len(station.platform.sessions(station.key()))
    others = [(one.connection, one.end) for one in station.platform.sessions(BACKUP_KEY)]
    with captures(station) as each:
        pid = station.pid("destination:platform")
        when = hit(station, "destination:platform", number)
        wait_back(station, "destination:platform", pid, when, max(limit, BACK + KEYFRAMES))
        wait_both(each, when + 0.3, MENDED)
        sound, picture = (widest(each[0], kind, when - 1).seconds for kind in KINDS)
        print(f"sound away for {sound:.2f} s, picture for {picture:.2f} s")
        assert sound <= limit
        assert picture <= limit + KEYFRAMES
    assert_times_go_on(each[0])
    assert_unbroken(each[1])
    assert len(station.platform.sessions(station.key())) == own + 1
    assert [(one.connection, one.end) for one in station.platform.sessions(BACKUP_KEY)] == others


@pytest.mark.parametrize(("number", "limit"), [(KILLED, BACK), (STOPPED, MENDED)])
def test_output(station: Station, number: signal.Signals, limit: float) -> None:
    """Its destinations go on sending, and the next output looks after them."""
    before = sessions(station)
    with captures(station) as each:
        pids = destinations(station)
        when = hit(station, "output", number)
        wait_until(lambda: not station.services["output-demo"].ready.is_set(), "its end", MENDED)
        wait_until(station.services["output-demo"].ready.is_set, "another output", limit + when - time.time())
        wait_until(lambda: running(station), "both destinations known to be at work", 5)
        wait_frames(each[0], 60)
    for capture in each:
        assert_unbroken(capture, decode=capture is each[0])
    assert sessions(station) == before
    assert destinations(station) == pids
    wait_healthy(station)
    # They are its own in all else: their progress is seen, and their end.
    wait_until(lambda: station.processes()["destination:platform"]["progress"].get("kbps", 0) > 0, "progress", 10)
    os.kill(station.pid("destination:platform"), signal.SIGKILL)
    wait_until(lambda: destinations(station)[0] not in (pids[0], None), "another FFmpeg", BACK)
    wait_until(lambda: running(station), "it at work", 5)
    assert destinations(station)[1] == pids[1]
    wait_healthy(station)


@pytest.mark.parametrize("number", [KILLED, STOPPED])
@pytest.mark.parametrize("process", ["relay worker", "relay"])
def test_relay(station: Station, process: str, number: signal.Signals) -> None:
    """The one part whose death everyone sees: all are back in time."""
    limit = BACK_RELAY if number is KILLED else MENDED
    with captures(station) as each:
        when = hit(station, process, number)
        if process == "relay" and number is STOPPED:
            # The relay's supervisor alone stands still: its nginx goes on, until both are replaced.
            wait_until(lambda: not station.services["relay"].ready.is_set(), "its end", MENDED)
        wait_until(station.services["relay"].ready.is_set, "another relay", MENDED)
        wait_until(lambda: running(station), "everything running", MENDED)
        for capture in each:
            wait_frames(capture, 30)
        assert gaps(each, when) <= limit
    for capture in each:
        assert_times_go_on(capture)
    wait_healthy(station)


def test_a_relay_that_is_away_for_long(station: Station) -> None:
    """That is not held against the destinations: they are back as soon as it is."""
    relay = station.services["relay"]
    station.supervisor.stop(relay)
    time.sleep(12)
    assert not running(station)
    station.supervisor.restart(relay)
    wait_until(lambda: running(station), "everything running", BACK_RELAY)
    with captures(station) as each:
        wait_frames(each[0], 30)
    for capture in each:
        assert_times_go_on(capture)
    wait_healthy(station)


def healthy_web(station: Station) -> bool:
    try:
        return http(f"{station.base_url}/health", timeout=0.5)[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("number", [KILLED, STOPPED])
def test_what_only_helps(station: Station, number: signal.Signals) -> None:
    """Web and preparation are back in time, and the broadcast has lost nothing; the next track is shown."""
    limit = BACK if number is KILLED else MENDED
    before = sessions(station)
    with captures(station) as each:
        # Killed one after the other: on a host whose processors are busy, starting two takes longer than one.
        for both in (["web"], ["prepare"]) if number is KILLED else (["web", "prepare"],):
            pids = {process: station.pid(process) for process in both}
            when = max(hit(station, process, number) for process in both)
            for process, pid in pids.items():
                wait_back(station, process, pid, when, limit)
            wait_until(lambda: healthy_web(station), "web at work", max(0.1, when + limit - time.time()))
        show(station, "meadow.mp4")
        station.wait_on_air("meadow.mp4")
        wait_frames(each[0], 15)
        show(station, "default.mp4")
        station.wait_on_air("default.mp4")
        wait_frames(each[0], 15)
    for capture in each:
        assert_unbroken(capture, decode=capture is each[0])
    assert sessions(station) == before
