"""From the webhook to the first frame of the new loop at a reader of the platform."""

import random
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice

from tests.bench.outcome import Part, Table, quantile
from tests.bench.stage import TRACK_LOOPS, Stage, arrive, fresh_loop, is_prepared, prepared, prints, reader, show
from tests.bench.viewer import Seen, Viewer, find, fingerprint
from tests.rig.net import RigError, wait_until
from tests.rig.station import Station

_PREPARED_P95 = 0.150
_UNPREPARED = 1.0


def measure(stage: Stage) -> Part:
    """Loops that are prepared, then loops that nobody has ever seen."""
    part = Part("Webhook to picture")
    with stage.station(switch_delay=0) as station, reader(station) as seen:
        stage.say("latency: prepared loops")
        known = _known(station, seen, int(stage.length(40, 8)))
        stage.say("latency: loops never seen before")
        fresh = _unknown(station, seen, int(stage.length(5, 2)))
        seen.stop()
        holes = seen.continuity()
    part.figures = {
        "prepared_ms": [one * 1000 for one in known],
        "never_prepared_ms": [one * 1000 for one in fresh],
        "missing_frames_meanwhile": holes.missing,
    }
    part.at_most("Webhook to first frame, prepared, p95", quantile(known, 0.95) * 1000, _PREPARED_P95 * 1000, " ms")
    part.at_most("Webhook to first frame, never prepared, slowest", max(fresh), _UNPREPARED, " s", 2)
    part.exactly("Missing frames while both were measured", holes.missing, 0)
    part.tables.append(
        Table(
            ["Webhook sent to first frame at the platform's reader", "samples", "p50", "p95", "max"],
            [_row("prepared", known), _row("never prepared, 10 s at 720p", fresh)],
        )
    )
    part.notes += [
        "Measured from right before the webhook's connection is opened to the last byte of the new loop's first "
        "frame (black, where the fade-in begins), with SWITCH_DELAY=0 and webhooks at random moments. The frame is "
        "recognised by its bytes: it and the three after it are those of the prepared loop.",
        "A loop never prepared is a 10 s MP4 that this station has never seen, moved into the loops directory right "
        "before its webhook.",
    ]
    return part


def _row(what: str, seconds: Sequence[float]) -> list[str]:
    shown = (quantile(seconds, 0.5), quantile(seconds, 0.95), max(seconds))
    return [what, str(len(seconds)), *(f"{one * 1000:.0f} ms" for one in shown)]


def _known(station: Station, seen: Viewer, samples: int) -> list[float]:
    wanted = prints(station)
    found = []
    for loop in islice(cycle(TRACK_LOOPS), samples):
        # No rhythm that could fall in with that of the frames.
        time.sleep(random.uniform(0.6, 0.9))
        sent = show(station, loop)
        found.append(_wait(seen, sent, wanted[loop], 5.0).at - sent)
    return found


def _unknown(station: Station, seen: Viewer, samples: int) -> list[float]:
    files = [fresh_loop(station) for _ in range(samples)]
    found = []
    for file in files:
        time.sleep(random.uniform(1.0, 1.5))
        source = arrive(station, file)
        sent = show(station, file.stem)
        # Its bytes are known for sure once it is prepared; the reader has them all.
        wait_until(partial(is_prepared, station, source), f"{source.name} prepared", 60, every=0.25)
        directory = prepared(station, source)
        found.append(_wait(seen, sent, fingerprint(directory / "entry.flv"), 5.0).at - sent)
    return found


def _wait(seen: Viewer, after: float, wanted: Sequence[int], seconds: float) -> Seen:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if (first := find(seen.video(after), wanted)) is not None:
            return first
    raise RigError(f"the new loop was not seen within {seconds:g} s of its webhook")
