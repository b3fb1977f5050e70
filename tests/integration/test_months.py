"""FLV's time ends at 2^31 ms: the timeline goes on, and each destination reconnects once, as planned."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hook_service import ipc
from tests.integration.onair import (
    AUDIO_STEP,
    BACKUP,
    BACKUP_KEY,
    VIDEO_STEP,
    frames,
    metric,
    on_air,
    show,
    wait_frames,
    wait_healthy,
    with_backup,
)
from tests.rig import flvread
from tests.rig.flvread import AUDIO, VIDEO, Tag
from tests.rig.layout import Options
from tests.rig.net import http, wait_until
from tests.rig.platform import Capture
from tests.rig.station import Station

THIRD_KEY = "third-61d0c2ab"
END_MS = 2**31
# The turn-over is planned for an hour before.
PLANNED_MS = END_MS - 3_600_000
AWAY = 2.0
# More than any gap, less than any change of the timeline.
JUMP_MS = 60_000


@pytest.fixture(scope="module")
def months(prepared: Path) -> Iterator[Station]:
    """A station with a primary, its backup, and a third destination."""
    options: Options = with_backup()
    configure = options.configure
    assert configure is not None

    def three(config: dict[str, Any]) -> None:
        configure(config)
        destinations = config["stations"]["demo"]["destinations"]
        destinations["third"] = {"url": destinations["platform"]["url"]}

    options.configure = three
    options.credentials["demo.third.key"] = THIRD_KEY
    with on_air(prepared, options) as station:
        yield station


def jump(station: Station, flv_ms: int) -> None:
    """Let the timeline be as if it had run until `flv_ms`: the playout is stopped meanwhile, destinations are not."""
    supervisor, services = station.supervisor, station.services
    supervisor.stop(services["playout-demo"])
    file = station.run_dir / "run/timeline-demo.json"
    anchor = json.loads(file.read_text())
    anchor["position"] = (anchor["base"] + flv_ms) * 1_000_000
    anchor["monotonic"] = time.monotonic_ns()
    file.write_text(json.dumps(anchor))
    supervisor.start(services["playout-demo"])


def parts(capture: Capture) -> list[list[Tag]]:
    """What came, one list for each stretch of time: before the jump, after it, and on the next line."""
    found: list[list[Tag]] = [[]]
    newest = 0
    for tag in flvread.read_file(capture.path):
        if tag.is_frame:
            if found[-1] and abs(tag.time - newest) > JUMP_MS:
                # Its configuration came with it.
                found.append([replace(each, time=tag.time) for each in found[-1] if each.is_header][-2:])
            newest = tag.time
        found[-1].append(tag)
    return found


def away(capture: Capture) -> tuple[float, float]:
    """From when to when nothing came at the turn-over: until pictures and sound were there again."""
    gaps = [
        (one.at, two.at)
        for kind in (AUDIO, VIDEO)
        for one, two in pairwise(frames(capture, kind))
        if two.ms < one.ms - JUMP_MS
    ]
    assert len(gaps) == 2, [(part[-1].time, len(part)) for part in parts(capture)]
    return min(begin for begin, _ in gaps), max(end for _, end in gaps)


@pytest.mark.parametrize(
    ("start", "going_on"), [(PLANNED_MS - 8_000, 8), (END_MS - 60_000, 60)], ids=["as planned", "at the last moment"]
)
def test_turn_over(months: Station, start: int, going_on: int, tmp_path: Path) -> None:
    station = months
    show(station, "violet.mp4")
    station.wait_on_air("violet.mp4")
    keys = {"platform": station.key(), BACKUP: BACKUP_KEY, "third": THIRD_KEY}
    key = station.status()["timeline"]["relay_key"]
    earlier = {name: station.platform.sessions(secret) for name, secret in keys.items()}
    captures = {name: station.platform.capture(secret, tmp_path / f"{name}.flv") for name, secret in keys.items()}
    with ThreadPoolExecutor(len(captures)) as pool:
        list(pool.map(Capture.start, captures.values()))
    try:
        jump(station, start)

        def turned() -> bool:
            try:
                now = station.status()["timeline"]
            except ipc.PeerDown:
                return False
            return now["relay_key"] != key and now["next_relay_key"] is None

        wait_until(turned, "the other relay key", 60)
        wait_until(lambda: station.status()["timeline"]["flv_ms"] > going_on * 1000, "some time on it", 60)
        for capture in captures.values():
            # The last to move has done so just now.
            wait_until(lambda: frames(capture)[-1].ms < start - JUMP_MS, "its first picture", 10)  # noqa: B023
            wait_frames(capture, 30)
    finally:
        for capture in captures.values():
            capture.stop()
    assert [capture.error for capture in captures.values()] == [None] * len(captures)
    times = {name: away(capture) for name, capture in captures.items()}
    print({name: round(end - begin, 2) for name, (begin, end) in times.items()})
    for name, secret in keys.items():
        # The one from before has ended, another one lasts.
        assert len(station.platform.sessions(secret)) == len(earlier[name]) + 1
        assert times[name][1] - times[name][0] <= AWAY
        _, old, new = parts(captures[name])
        for part in (old, new):
            analysis = flvread.judge(part)
            assert analysis.max_video_step <= VIDEO_STEP
            assert analysis.max_audio_step <= AUDIO_STEP
            assert analysis.non_monotonic == 0
        assert max(tag.time for tag in old) < END_MS
        whole = tmp_path / "new.flv"
        whole.write_bytes(flvread.HEADER + b"".join(flvread.encode(tag) for tag in new))
        assert flvread.decode_errors(whole) == []
    # Never two at once, the backup never together with its primary.
    for one, two in pairwise(sorted(times.values())):
        assert one[1] < two[0]
    wait_healthy(station)
    assert station.on_air() == "violet.mp4"
    assert {process["relay_key"] for process in station.status("output")["processes"]} == {
        station.status()["timeline"]["relay_key"]
    }
    for name in keys:
        assert metric(station, "radio_destination_up", {"destination": name}) == 1
    assert metric(station, "radio_ffmpeg_status", {"process": "publisher", "status": "RUNNING"}) == 1
    assert metric(station, "radio_stream_uptime_seconds") > 0
    assert http(f"{station.base_url}/health")[0] == 200
    # And the picture can be changed as ever.
    show(station, "honey.mp4")
    station.wait_on_air("honey.mp4")
