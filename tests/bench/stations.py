"""Several stations on one machine: what each costs, and whether a dozen of them ever run out of sound or picture."""

import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from hook_service.ipc import PeerDown
from hook_service.library import catalog
from tests.bench.measure import Meter, Usage
from tests.bench.outcome import Part, Table
from tests.bench.stage import AIR, PREPARE, Changes, Groups, Stage, mount, prints, reader
from tests.bench.viewer import Viewer, find
from tests.rig.station import Station

COUNTS = (1, 4, 12)
_TRACK_SECONDS = 10.0


@dataclass(slots=True)
class _Watch:
    """What the stations say of themselves while they are measured."""

    station: Station
    not_mount: int = 0
    unanswered: int = 0
    late_ticks: int = 0
    skips: int = 0
    _before: dict[str, dict[str, int]] = field(default_factory=dict)

    def begin(self) -> None:
        for name in self.station.names:
            self._before[name] = self.station.status(name=name)["frames"]

    def look(self) -> None:
        for name in self.station.names:
            try:
                self.not_mount += self.station.status(name=name)["audio"]["source"] != "mount"
            except PeerDown:
                self.unanswered += 1

    def end(self) -> None:
        for name, before in self._before.items():
            now = self.station.status(name=name)["frames"]
            self.late_ticks += now["late_ticks"] - before["late_ticks"]
            self.skips += now["skips"] - before["skips"]


@dataclass(slots=True)
class _Outcome:
    usage: Usage
    watch: _Watch
    missing: int
    backwards: int
    max_video_step: int
    max_audio_step: int
    floor_frames: int
    asked: int
    seen: int


def measure(stage: Stage) -> Part:
    """One, four and twelve stations; twelve for two minutes."""
    part = Part("Several stations on one machine")
    rows: list[list[str]] = []
    for count in COUNTS:
        seconds = stage.length(120 if count == max(COUNTS) else 20, 12)
        stage.say(f"stations: {count} for {seconds:.0f} s")
        with mount(stage) as url, stage.station(stations=count, audio_url=url) as station:
            outcome = _run(station, seconds)
        _report(part, rows, count, outcome)
    part.tables.append(
        Table(
            ["Stations", "CPU", "per station", "PSS", "per station", "late ticks", "frames missing", "switches seen"],
            rows,
        )
    )
    part.notes.append(
        "CPU in percent of one core and PSS of everything that serves the stations, prepare included; all listen to "
        "one mount, each with an encoder of its own. A tick is late when the timeline comes to a frame more than "
        f"100 ms after it was due. Each station gets a new track every {_TRACK_SECONDS:.0f} s; a reader for each at "
        "the platform judges its timestamps, looks for each switch, and for frames of the "
        "quiet floor that would stand in for missing sound."
    )
    return part


def _run(station: Station, seconds: float) -> _Outcome:
    watch = _Watch(station)
    with ExitStack() as stack:
        readers = {name: stack.enter_context(reader(station, name)) for name in station.names}
        changes = stack.enter_context(Changes(station, _TRACK_SECONDS))
        watch.begin()
        usage = Meter(Groups(station), {"all": (*AIR, PREPARE)}).run(seconds, meanwhile=_every(2, watch.look))
        watch.end()
        for one in readers.values():
            one.stop()
    floor = _floor(station)
    holes = [one.continuity() for one in readers.values()]
    asked, seen = _switches(station, readers, changes)
    return _Outcome(
        usage, watch, sum(hole.missing for hole in holes), sum(hole.backwards for hole in holes),
        max(hole.max_video_step for hole in holes), max(hole.max_audio_step for hole in holes),
        sum(one.sounds(floor) for one in readers.values()), asked, seen,
    )  # fmt: skip


def _every(times: int, call: Callable[[], None]) -> Callable[[], None]:
    """Call it only every so many times."""
    count = 0

    def maybe() -> None:
        nonlocal count
        count += 1
        if count % times == 0:
            call()

    return maybe


def _floor(station: Station) -> set[int]:
    """Checksums of the quiet floor's frames, as FLV carries them."""

    stream = catalog.floor(station.run_dir / "library", 192)
    found, at = set(), 0
    while at + 7 <= len(stream):
        size = (stream[at + 3] & 3) << 11 | stream[at + 4] << 3 | stream[at + 5] >> 5
        header = 7 if stream[at + 1] & 1 else 9
        found.add(zlib.crc32(b"\xaf\x01" + stream[at + header : at + size]))
        at += size
    return found


def _switches(station: Station, readers: dict[str, Viewer], changes: Changes) -> tuple[int, int]:
    """How many switches were asked for long enough ago to be seen, and how many were seen."""
    wanted = prints(station)
    asked = seen = 0
    for sent, name, loop in changes.sent:
        pictures = [one for one in readers[name].video(sent) if one.at < sent + _TRACK_SECONDS]
        if readers[name].frames[-1].at < sent + 6:
            continue
        asked += 1
        seen += find(pictures, wanted[loop]) is not None
    return asked + len(changes.errors), seen


def _report(part: Part, rows: list[list[str]], count: int, outcome: _Outcome) -> None:
    usage, watch = outcome.usage, outcome.watch
    cpu, pss = sum(usage.cpu_of([g]) for g in (*AIR, PREPARE)), usage.pss_of([*AIR, PREPARE])
    figures: dict[str, Any] = {
        "seconds": usage.seconds, "cpu_percent": usage.cpu, "cpu_percent_total": cpu,
        "cpu_percent_per_station": cpu / count, "pss_mb": usage.pss, "pss_mb_total": pss,
        "pss_mb_per_station": pss / count, "other_ffmpegs": usage.other_ffmpegs, "late_ticks": watch.late_ticks,
        "skips": watch.skips, "source_not_mount": watch.not_mount, "status_unanswered": watch.unanswered,
        "missing_frames": outcome.missing, "backwards": outcome.backwards, "floor_frames": outcome.floor_frames,
        "max_video_step_ms": outcome.max_video_step, "max_audio_step_ms": outcome.max_audio_step,
        "switches_asked": outcome.asked, "switches_seen": outcome.seen,
    }  # fmt: skip
    part.figures[str(count)] = figures
    rows.append([
        str(count), f"{cpu:.1f} %", f"{cpu / count:.2f} %", f"{pss:.0f} MB", f"{pss / count:.0f} MB",
        str(watch.late_ticks), str(outcome.missing), f"{outcome.seen} of {outcome.asked}",
    ])  # fmt: skip
    if count == max(COUNTS):
        what = f"{count} stations for {usage.seconds:.0f} s"
        part.exactly(f"{what}: late ticks", watch.late_ticks + watch.skips, 0)
        part.exactly(f"{what}: times the sound was not the mount's", watch.not_mount, 0)
        part.exactly(f"{what}: frames of the floor at the platform", outcome.floor_frames, 0)
        part.exactly(f"{what}: frames missing", outcome.missing, 0)
        part.exactly(f"{what}: timestamps that do not advance", outcome.backwards, 0)
        part.exactly(f"{what}: switches seen", outcome.seen, outcome.asked)
