"""A thousand webhooks a second while a station is on the air: how fast they are answered, and what the stream loses.

As a program it is the client, in a process of its own so that the reader beside it is not held up.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import cycle
from typing import Any

from tests.bench.outcome import Part, Table
from tests.bench.stage import TRACK_LOOPS, Stage, reader
from tests.bench.webhooks import drive, now_playing
from tests.rig.azuracast import next_row
from tests.rig.layout import WEBHOOK_USER
from tests.rig.net import RigError
from tests.rig.nginx import ROOT
from tests.rig.station import Station

RATE = 1000
_P99_MS = 25.0
_TRACKS_A_SECOND = 2


def measure(stage: Stage) -> Part:
    """Once as AzuraCast repeats itself, once with a new track in every webhook."""
    part = Part("A thousand webhooks a second, on the air")
    rows = []
    # Two tracks a second is already far more than any station plays.
    kinds = (
        ("two new tracks a second, each over and over", int(stage.length(30, 5)), _TRACKS_A_SECOND),
        ("every one a new track", int(stage.length(10, 5)), RATE),
    )
    for what, seconds, tracks in kinds:
        stage.say(f"load: {what}")
        with stage.station(switch_delay=0) as station, reader(station) as seen:
            before = station.status()["switches"]
            answered = _send(station, seconds, tracks * seconds)
            time.sleep(1)
            switches = station.status()["switches"] - before
            seen.stop()
            holes = seen.continuity()
        refused = sum(count for status, count in answered["statuses"].items() if status != "202")
        part.figures[what] = {"webhooks": answered, "switches": switches, "stream": asdict(holes)}
        part.at_most(f"{RATE} webhooks/s, {what}: p99", answered["p99_ms"], _P99_MS, " ms", 1)
        part.exactly(f"{RATE} webhooks/s, {what}: not answered 202", refused, 0)
        part.exactly(f"{RATE} webhooks/s, {what}: frames missing at the platform", holes.missing, 0)
        times = [f"{answered[name]:.1f} ms" for name in ("p50_ms", "p99_ms", "max_ms")]
        rows.append(
            [
                f"{what}, {seconds} s",
                str(answered["requests"]),
                *times,
                str(refused),
                str(switches),
                str(holes.missing),
            ]
        )
    part.tables.append(Table([f"{RATE} a second", "sent", "p50", "p99", "max", "failed", "switches",
                              "frames missing"], rows))  # fmt: skip
    part.notes.append(
        "Each with Basic authentication and a body of 6 KB, the shape and size of AzuraCast's, over kept-alive "
        "connections. Open loop: a latency counts from when the request was due, not from when the client came to "
        "send it. The client and the reader run on the same cores."
    )
    return part


def _send(station: Station, seconds: int, tracks: int) -> dict[str, Any]:
    """Run this module as the client."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.bench.load", station.webhook_url,
            "--seconds", str(seconds), "--tracks", str(tracks),
        ],
        input=station.secret("webhook-password"), capture_output=True, text=True, cwd=ROOT, check=False,
        timeout=seconds + 60,
    )  # fmt: skip
    if done.returncode != 0:
        raise RigError(f"the webhooks' client failed: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def bodies(station: str, tracks: int, total: int) -> list[bytes]:
    """`total` webhooks for so many tracks, each repeated as often as the others, each with a loop to switch to."""
    played_at = int(time.time()) + 5
    found = []
    for number, loop in zip(range(tracks), cycle(TRACK_LOOPS), strict=False):
        body = json.loads(now_playing(station, number, played_at))
        body["now_playing"]["sh_id"] = next_row()
        body["now_playing"]["song"]["custom_fields"] = {"video_loop": f"{loop}.mp4"}
        found += [json.dumps(body).encode()] * (total // tracks)
    return found


def main() -> None:
    """Send, with the password from standard input; the figures come as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--tracks", type=int, default=60)
    options = parser.parse_args()
    sent = bodies("demo", options.tracks, RATE * options.seconds)
    result = asyncio.run(drive(options.url, WEBHOOK_USER, sys.stdin.read().strip(), sent, RATE, options.seconds))
    print(json.dumps(result.summary()))


if __name__ == "__main__":
    main()
