"""Forty track changes with crossfades: what the platform sees of them, and what they cost."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, BinaryIO

from hook_service import ipc
from hook_service.library.flv import FILE_HEADER, scan
from hook_service.library.profiles import BUILT_IN
from tests.bench.changes import Captured, Seen, compare_cost, decoded, hold_to_one_stream, original_cpu
from tests.bench.measure import Meter, cpu_with_children
from tests.bench.outcome import Part, Table, quantile
from tests.bench.stage import AIR, TRACK_LOOPS, Groups, Stage, mount, prepared, show
from tests.rig.net import RigError, wait_until
from tests.rig.station import Station

_CHANGES = 40
_EVERY = 6.0
# 0.4 s: with so much of it there, and more coming faster than it is played, the playout enters with it.
_ENTERED_FRAMES = 12
# AzuraCast tells of a track some seconds before it is heard: `switch_delay` as it is by default.
_DELAY = 3.0


@dataclass(slots=True)
class _Seen(Seen):
    """What came of the changes: how each came on the air."""

    transitions: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Made:
    """Seconds from asking for a crossfade until it could be entered, and until it was whole."""

    entered: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


def measure(stage: Stage) -> Part:
    """Forty changes of ours with crossfades; the original's CPU, for the comparison."""
    part = Part("Crossfades")
    stage.say("transitions: the original, for its CPU")
    with mount(stage) as url:
        original = original_cpu(stage, url)
        stage.say("transitions: changes with crossfades")
        with stage.station(switch_delay=_DELAY, configure=_configure, audio_url=url) as station:
            path, seen = _change(station, list(islice(cycle(TRACK_LOOPS), int(stage.length(_CHANGES, 6)))))
            made = {"720p30": _make(station, "720p30", int(stage.length(20, 5)))}
    stage.say("transitions: crossfades at 1080p30")
    with stage.station(profile="1080p30") as station:
        made["1080p30"] = _make(station, "1080p30", int(stage.length(20, 5)))
    stage.say("transitions: decoding the capture")
    _report(part, seen, decoded(path), original)
    part.figures["made"] = {profile: asdict(each) for profile, each in made.items()}
    rows = [
        [profile, *(f"{quantile(seconds, q):.2f} s" for seconds in (each.entered, each.whole) for q in (0.5, 1.0))]
        for profile, each in made.items()
    ]
    header = ["A crossfade, asked for at once", "can be entered, median", "most", "whole, median", "most"]
    part.tables.append(Table(header, rows))
    return part


def _configure(config: dict[str, Any]) -> None:
    for station in config["stations"].values():
        station["transition"] = "crossfade"


def _change(station: Station, wanted: Sequence[str]) -> tuple[Path, _Seen]:
    seen = _Seen()
    before, spent = station.status()["switches"], cpu_with_children(station.pid("prepare"))
    with station.capture() as capture:
        began, sent = time.monotonic(), 0
        meter = Meter(Groups(station))

        def meanwhile() -> None:
            nonlocal sent, before
            if sent < len(wanted) and time.monotonic() >= began + sent * _EVERY:
                show(station, wanted[sent])
                sent += 1
            status = station.status()
            if status["switches"] != before:
                before = status["switches"]
                seen.transitions[status["on_air"]["transition"]] += 1

        seen.air = meter.run(len(wanted) * _EVERY, meanwhile).cpu_of(AIR)

        def over() -> bool:
            meanwhile()
            return sum(seen.transitions.values()) == len(wanted)

        wait_until(over, "the last change", 10)
        time.sleep(2.5)
        seen.sessions = station.platform.sessions(station.key())
    seen.prepare_seconds = (cpu_with_children(station.pid("prepare")) - spent) / len(wanted)
    if capture.error:
        raise capture.error
    return capture.path, seen


def _make(station: Station, profile: str, times: int) -> _Made:
    """Have crossfades made beside a station that is on the air, each from another frame."""
    # Loops of both profiles lie in one library.
    place = station.run_dir / "library" / BUILT_IN[profile].fingerprint()
    one, two = (place / prepared(station, station.loops / f"{loop}.mp4").name for loop in TRACK_LOOPS[:2])
    message = {"op": "crossfade", "profile": profile, "fingerprint": place.name, "within": 30}
    message |= {"from": str(one), "to": str(two)}
    made = _Made()
    for number in range(times):
        began = time.monotonic()
        asked = message | {"frame": (number * 67 + 29) % 300}
        for answer in ipc.stream(station.run_dir / "run/prepare.sock", asked, timeout=30):
            if answer["state"] == "encoding":
                with Path(answer["file"]).open("rb") as file:
                    wait_until(partial(_enterable, file), "its first pictures", 30, every=0.005)
                made.entered.append(time.monotonic() - began)
            elif answer["state"] == "ready":
                made.whole.append(time.monotonic() - began)
                break
            else:
                raise RigError(f"a crossfade was refused: {answer['reason']}")
    return made


def _enterable(file: BinaryIO) -> bool:
    file.seek(len(FILE_HEADER))
    return sum(not tag.is_header for tag in scan(file.read())) >= _ENTERED_FRAMES


def _report(part: Part, seen: _Seen, captured: Captured, original: float) -> None:
    changes, crossed = sum(seen.transitions.values()), seen.transitions["crossfade"]
    count = f"{changes} changes with crossfades"
    part.figures = {"changes": changes, "transitions": dict(seen.transitions)}
    hold_to_one_stream(part, count, seen, captured)
    # Where the machine has no time for one it is a fade, which costs no viewer anything.
    part.at_least(f"{count}: of them entered with one", crossed, changes * 0.9)
    compare_cost(
        part,
        seen,
        original,
        thing="crossfade",
        requirement="CPU over tracks of four minutes, as a share of the original's",
        prepared="a crossfade, once for each change",
        every=_EVERY,
    )
    part.notes.append(
        f"{crossed} of {changes} changes, each told of {_DELAY:g} s ahead, entered with a crossfade, the others with "
        f"their fade. {captured.told()}"
    )
