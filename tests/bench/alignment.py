"""Picture and sound at a track change, at the platform: by the titles in the sound, and by webhook and delay."""

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from time import sleep
from typing import Any

from tests.bench.outcome import Part, Table, quantile
from tests.bench.stage import Stage
from tests.rig import alignment
from tests.rig.alignment import Seen
from tests.rig.azuracast import Knobs
from tests.rig.broadcast import Broadcast, Piece, loops_of, map_all, pieces, shuffled
from tests.rig.platform import Capture
from tests.rig.station import Station

_LIMIT = 250.0
_MOUNT, _PLAIN = "/radio.mp3", "/plain.mp3"
_MODES = {
    "4 s early": Knobs(lead=4.0, delay=0.0),
    "on time": Knobs(delay=0.0),
    "20 s late": Knobs(delay=20.0),
    "all lost": Knobs(delay=0.0, loss=True),
}
_OURS, _THEIRS = "titles in the sound", "webhook and delay"
_SHORTEST, _LONGEST = 5.5, 7.5
# After the latest webhook: the switch delay, and what lies between the engine and the platform.
_LATEST, _SETTLED = max(mode.delay for mode in _MODES.values()), 8.0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was seen of one station: ms from sound to picture for each change, and pictures that belong to none."""

    offsets: list[float]
    extra: list[Seen]
    decided_by: dict[str, float]

    def quantile(self, q: float) -> float:
        return quantile([abs(offset) for offset in self.offsets], q)


def measure(stage: Stage) -> Part:
    """Both ways with webhooks in all four manners, all at the same time: eight stations that hear the same."""
    part = Part("Picture and sound at a track change")
    count = int(stage.length(40, 6))
    known = pieces()
    for piece in known:  # before anything is on the air: an FFmpeg that starts takes its share of the machine
        assert piece.path
    stage.say(f"alignment: {count} changes at {2 * len(_MODES)} stations")
    manners = {name: (way, mode) for name, way, mode in _plan()}
    with _on_air(stage, known, manners) as (station, broadcast):
        captures = _watch(station, broadcast, shuffled(known, count + 1, seed=4))
        decided = {name: _decided(station, name) for name in manners}
    stage.say("alignment: listening and looking")
    with ThreadPoolExecutor(2) as pool:
        seen = dict(zip(captures, pool.map(lambda capture: _judge(capture, known), captures.values()), strict=True))
    outcomes = {manners[name]: replace(one, decided_by=decided[name]) for name, one in seen.items()}
    for capture in captures.values():
        capture.path.unlink()
    _report(part, count, outcomes)
    return part


def _plan() -> Iterator[tuple[str, str, str]]:
    """Each station, where it knows of a change from, and the manner of its webhooks."""
    ways = [(way, mode) for way in (_OURS, _THEIRS) for mode in _MODES]
    for number, (way, mode) in enumerate(ways, 1):
        yield "demo" if number == 1 else f"demo{number}", way, mode


@contextmanager
def _on_air(
    stage: Stage, known: Sequence[Piece], manners: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[Station, Broadcast]]:
    with Broadcast(stage.place / "engine", {_MOUNT: True, _PLAIN: False}) as broadcast:
        broadcast.sound(known[0])

        def configure(config: dict[str, Any]) -> None:
            for name, (way, _) in manners.items():
                if way == _THEIRS:
                    config["stations"][name]["audio"]["url"] = broadcast.icecast.url(_PLAIN)

        url = broadcast.icecast.url(_MOUNT)
        with stage.station(stations=len(manners), audio_url=url, configure=configure) as station:
            map_all(station, known)
            for name, (_, mode) in manners.items():
                broadcast.azuracast(station, name, replace(_MODES[mode]))
            # Titles are trusted once one has changed. The latest webhook of these two must not fall into the capture.
            broadcast.run([known[1], known[0]], lambda: _SHORTEST)
            sleep(_LATEST + _SETTLED)
            yield station, broadcast


def _watch(station: Station, broadcast: Broadcast, programme: Sequence[Piece]) -> dict[str, Capture]:
    """The programme, captured at each station's platform, until the latest webhook has had its effect."""
    rhythm = random.Random(7)
    with ExitStack() as stack:
        captures = {name: stack.enter_context(station.capture(name=name)) for name in station.names}
        # No rhythm that could fall in with that of Icecast's titles.
        broadcast.run(programme, lambda: rhythm.uniform(_SHORTEST, _LONGEST))
        sleep(_LATEST + _SETTLED)
    return captures


def _judge(capture: Capture, known: Sequence[Piece]) -> _Outcome:
    sounds, pictures = alignment.heard(capture.path), alignment.seen(capture.path)
    changes, extra = alignment.match(sounds, pictures, loops_of(known))
    return _Outcome([change.offset for change in changes], extra, {})


def _decided(station: Station, name: str) -> dict[str, float]:
    """How many switches each source has decided."""
    found: dict[str, float] = {}
    for line in station.metrics().splitlines():
        if line.startswith("radio_switches_total{") and f'station="{name}"' in line and 'decided_by="' in line:
            found[line.partition('decided_by="')[2].partition('"')[0]] = float(line.rpartition(" ")[2])
    return found


def _report(part: Part, count: int, outcomes: Mapping[tuple[str, str], _Outcome]) -> None:
    rows = []
    for (way, mode), one in outcomes.items():
        made = [offset for offset in one.offsets if isfinite(offset)]
        part.figures.setdefault(way, {})[mode] = {
            "offsets_ms": one.offsets, "p50_ms": one.quantile(0.5), "p95_ms": one.quantile(0.95),
            "max_ms": one.quantile(1), "median_signed_ms": quantile(made, 0.5), "changes": len(one.offsets),
            "made": len(made), "switches_too_many": len(one.extra), "decided_by": one.decided_by,
        }  # fmt: skip
        rows.append([
            f"{'Steadycast' if way == _OURS else 'webhook + 3 s'}, webhooks {mode}",
            f"{len(made)} of {len(one.offsets)}",
            *(_ms(one.quantile(q)) for q in (0.5, 0.95, 1)), str(len(one.extra)),
        ])  # fmt: skip
        if way == _OURS:
            what = f"Picture to sound at a change, webhooks {mode}"
            part.exactly(f"{what}: changes measured", len(one.offsets), count)
            part.at_most(f"{what}: p95", one.quantile(0.95), _LIMIT, " ms")
            part.exactly(f"{what}: switches too many", len(one.extra), 0)
    part.tables.append(Table(["At the platform", "changes made", "p50", "p95", "max", "switches too many"], rows))
    part.notes += [
        f"Liquidsoap plays tracks of one tone each into Icecast (MP3, 128 kb/s), cut off after {_SHORTEST:g} to "
        f"{_LONGEST:g} s at random, {count} changes in all. Webhooks come from a simulated AzuraCast, reckoned from "
        "when Liquidsoap begins a track. Each figure is the distance of two moments in what a reader of the platform "
        "received: the sound's change of tone (from the decoded sound, within 10 ms) and the first frame of the "
        "track's loop (from the decoded pictures). Eight stations hear the same at the same time.",
        "“webhook + 3 s” is a switch at a fixed delay after the webhook, the original's design: the same stations on "
        "a mount without titles.",
    ]


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if isfinite(value) else "never"
