"""What one station costs while it is on the air, beside the original's design: CPU and memory, process by process."""

import shutil
import time
from dataclasses import dataclass

from tests.bench.measure import Meter, Usage
from tests.bench.original import GROUPS, KEY, Original
from tests.bench.outcome import Part, Table
from tests.bench.stage import (
    AIR,
    DATABASE,
    MONITOR,
    PREPARE,
    TRACK_LOOPS,
    Changes,
    Groups,
    Stage,
    arrive,
    filled_loop,
    mount,
    settle,
    show,
    source_loop,
)
from tests.rig import media
from tests.rig.platform import Platform

_LIMIT = {"720p30": 10.0, "1080p30": 20.0}
_AIM = {"720p30": 15, "1080p30": 30}
_PSS_LIMIT = 160.0
_MONITOR_LIMIT = 2.0
_TRACK_SECONDS = 12.0


@dataclass(slots=True)
class _Cost:
    """One design at one profile; `kbps` is what the platform received meanwhile, sound and picture."""

    usage: Usage
    kbps: float
    switches: int = 0


def measure(stage: Stage) -> Part:
    """Both designs at both profiles, in steady state."""
    part = Part("CPU and memory of one station")
    for profile in _LIMIT:
        with mount(stage) as url:
            stage.say(f"cost: the original at {profile}")
            theirs, flat = _original(stage, profile, url)
            stage.say(f"cost: Steadycast at {profile}")
            ours = _ours(stage, profile, url)
        _compare(part, profile, theirs, flat, ours)
    part.notes += [
        "CPU is in percent of one core, from the scheduler's own accounting of every thread. The original's track "
        "never changes while it is measured and its web service is left out, both in its favour; Steadycast's tracks "
        f"change every {_TRACK_SECONDS:.0f} s by webhook. Both listen to the same mount. Both need a PostgreSQL, "
        "which is in neither sum. The monitor is a budget of its own; what it costs the "
        "relay to send it the stream as well is in the relay's row.",
        "What the original costs depends on the picture. It is compared with a loop that uses its bitrate (FFmpeg's "
        "`testsrc2`; film with grain costs it more). Of the demo's flat graphics it sends a fraction of the bitrate, "
        "which a platform calls starved, and which is cheaper: that is the row “flat graphics”. Steadycast sends the "
        "full bitrate of either, at the same cost.",
        "PSS divides a page that several processes map among them, so it falls with every other FFmpeg and Python on "
        "the machine; “alone” counts every physical page of the station's processes once and is what they take when "
        "nothing else shares with them.",
    ]
    return part


def _original(stage: Stage, profile: str, url: str) -> tuple[_Cost, _Cost]:
    """With a loop that uses its bitrate, then with flat graphics."""
    found = []
    with Original(stage.place / "original", profile, url) as original:
        loops = (
            (filled_loop(profile), stage.length(40, 8)),
            (source_loop(media.LOOPS[1], profile), stage.length(15, 5)),
        )
        for loop, seconds in loops:
            original.play(loop)
            original.platform.wait_for(KEY, 40)
            time.sleep(stage.length(8, 4))  # it reads ahead and fills its buffers first
            received = _Received(original.platform, KEY)
            usage = Meter(original.groups, {"all": GROUPS}).run(seconds)
            found.append(_Cost(usage, received.kbps()))
    return found[0], found[1]


def _ours(stage: Stage, profile: str, url: str) -> _Cost:
    sets = {"air": AIR, "with prepare": (*AIR, PREPARE), "monitor": MONITOR}
    with stage.station(profile=profile, audio_url=url) as station:
        filled = shutil.copyfile(filled_loop(profile), station.run_dir / "filled.mp4")
        arrive(station, filled)
        settle(station, loops=len(media.LOOPS) + 1)
        loops = [name for loop in TRACK_LOOPS for name in ("filled", loop)]
        with Changes(station, stage.length(_TRACK_SECONDS, 5), loops) as changes:
            groups = Groups(station)
            time.sleep(stage.length(8, 4))
            before, received = station.status()["switches"], _Received(station.platform, station.key())
            usage = Meter(groups, sets).run(stage.length(40, 8))
            cost = _Cost(usage, received.kbps(), station.status()["switches"] - before)
        show(station, "default")
        station.wait_on_air("default.mp4")
        (station.loops / "filled.mp4").unlink()
    if changes.errors:
        raise RuntimeError(f"a webhook was lost: {changes.errors[0]}")
    return cost


class _Received:
    """What the platform receives of a key from now on."""

    def __init__(self, platform: Platform, key: str) -> None:
        self._platform, self._key = platform, key
        self._begin = (time.monotonic(), self._bytes())

    def _bytes(self) -> int:
        return self._platform.streams()[self._key]["bytes_in"]

    def kbps(self) -> float:
        began, before = self._begin
        return (self._bytes() - before) * 8 / 1000 / (time.monotonic() - began)


def _compare(part: Part, profile: str, theirs: _Cost, flat: _Cost, ours: _Cost) -> None:
    original, air = theirs.usage.cpu_of(GROUPS), ours.usage.cpu_of(AIR)
    ratio, flat_ratio, limit = original / air, flat.usage.cpu_of(GROUPS) / air, _LIMIT[profile]
    part.figures[profile] = {
        "original": _figures(theirs, {"all": GROUPS}),
        "original_flat_graphics": _figures(flat, {"all": GROUPS}),
        "steadycast": _figures(ours, {"air": AIR, "with prepare": (*AIR, PREPARE), "monitor": MONITOR}),
        "times_cheaper": ratio,
        "times_cheaper_flat_graphics": flat_ratio,
    }
    part.at_most(
        f"CPU at {profile}, as a share of the original's at the same bitrate", 100 / ratio, 100 / limit, " %", 1
    )
    part.at_most(f"Memory (PSS) at {profile}", ours.usage.pss_of(AIR), _PSS_LIMIT, " MB")
    watching = ours.usage.cpu_of(MONITOR)
    part.at_most(f"CPU of the monitor and its decoder at {profile}", watching, _MONITOR_LIMIT, " % of a core", 2)
    rows = [
        _row("**Original**", theirs, GROUPS, "all"),
        *(_row(f"original: {group}", theirs, [group]) for group in GROUPS),
        _row("**Original, flat graphics**", flat, GROUPS, "all"),
        _row("**Steadycast, all on the air**", ours, AIR, "air"),
        *(_row(group, ours, [group]) for group in AIR),
        _row("prepare (idle)", ours, [PREPARE]),
        _row("Steadycast with prepare", ours, (*AIR, PREPARE), "with prepare"),
        _row("**The monitor (in no sum)**", ours, MONITOR, "monitor"),
        *(_row(group, ours, [group]) for group in MONITOR),
        _row("PostgreSQL (in no sum)", ours, [DATABASE]),
    ]
    part.tables.append(Table([profile, "CPU", "PSS", "alone", "at the platform"], rows))
    part.notes.append(
        f"{profile}: {ratio:.1f} times cheaper than the original (required {limit:.0f}, aim {_AIM[profile]}), "
        f"{flat_ratio:.1f} times with flat graphics; {ours.switches} switches in {ours.usage.seconds:.0f} s. Other "
        f"FFmpegs on the machine meanwhile: {ours.usage.other_ffmpegs} beside Steadycast (one feeds the mount), "
        f"{theirs.usage.other_ffmpegs} beside the original."
    )


def _figures(cost: _Cost, sets: dict[str, tuple[str, ...]]) -> dict[str, object]:
    usage = cost.usage
    return {
        "seconds": usage.seconds, "switches": cost.switches, "kbps_at_platform": cost.kbps,
        "cpu_percent": usage.cpu, "cpu_percent_of": {name: usage.cpu_of(members) for name, members in sets.items()},
        "pss_mb": usage.pss, "pss_mb_of": {name: usage.pss_of(members) for name, members in sets.items()},
        "alone_mb": usage.alone_mb, "other_ffmpegs": usage.other_ffmpegs,
    }  # fmt: skip


def _row(what: str, cost: _Cost, groups: tuple[str, ...] | list[str], alone: str = "") -> list[str]:
    """A row of the table; sums also say what they take alone and what the platform received."""
    only = cost.usage.alone_mb.get(alone)
    return [
        what, f"{cost.usage.cpu_of(groups):.2f} %", f"{cost.usage.pss_of(groups):.0f} MB",
        "" if only is None else f"{only:.0f} MB", f"{cost.kbps:.0f} kb/s" if alone in ("all", "air") else "",
    ]  # fmt: skip
