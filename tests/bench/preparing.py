"""What preparing a loop costs: once, and never again."""

import threading
import time
from pathlib import Path

from hook_service import ipc
from hook_service.library.loopfile import GrowingLoop
from tests.bench.measure import cpu_with_children
from tests.bench.outcome import Part, Table
from tests.bench.stage import Stage, arrive, fresh_loop
from tests.rig.net import RigError
from tests.rig.station import Station

# A second of picture: from then on the encoder is far ahead of the playback.
_FIRST_FRAMES = 30


def measure(stage: Stage) -> Part:
    """A 10 s loop through the urgent lane at both profiles, with a station on the air beside it."""
    part = Part("Preparing a loop, once")
    rows = []
    for profile in ("720p30", "1080p30"):
        stage.say(f"preparing: a loop at {profile}")
        with stage.station(profile=profile) as station:
            first, whole, cpu = _prepare(station, profile)
        part.figures[profile] = {"first_frames_seconds": first, "seconds": whole, "cpu_seconds": cpu}
        rows.append([f"10 s at {profile}", f"{first:.2f} s", f"{whole:.2f} s", f"{cpu:.2f} s"])
    header = ["From the request on", f"first {_FIRST_FRAMES} frames can be read", "whole and checked", "CPU"]
    part.tables.append(Table(header, rows))
    part.notes.append(
        "With urgency, as for a loop that is wanted on the air now; hashing and the check by decoding included."
    )
    return part


def _prepare(station: Station, profile: str) -> tuple[float, float, float]:
    """Seconds to the first frames and to the whole loop, and CPU seconds."""
    source = arrive(station, fresh_loop(station, profile))
    pid = station.pid("prepare")
    before, began = cpu_with_children(pid), time.monotonic()
    message = {"op": "prepare", "path": str(source), "profile": profile}
    first: list[float] = []
    follower: threading.Thread | None = None
    for answer in ipc.stream(station.run_dir / "run/prepare.sock", message, timeout=120):
        if answer["state"] == "encoding" and follower is None:
            follower = threading.Thread(target=_follow, args=(Path(answer["dir"]), began, first), daemon=True)
            follower.start()
        elif answer["state"] == "ready":
            whole = time.monotonic() - began
            if follower is not None:
                follower.join(10)
            time.sleep(0.2)
            return (first[0] if first else whole), whole, cpu_with_children(pid) - before
        elif answer["state"] == "refused":
            raise RigError(f"{source.name} was refused: {answer['reason']}")
    raise RigError(f"{source.name}: prepare hung up")


def _follow(directory: Path, began: float, first: list[float]) -> None:
    with GrowingLoop(directory) as loop:
        while time.monotonic() < began + 60:
            if loop.frames_ready(entry=True) >= _FIRST_FRAMES:
                first.append(time.monotonic() - began)
                return
            time.sleep(0.01)
