"""Where a loop is used: by mappings, as somebody's default, in a policy, on the air."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hook_service.config import Host
from hook_service.tracks.loops import LoopNameError, loop_path
from hook_service.tracks.snapshot import Snapshot
from hook_service.web.stations import Stations


@dataclass(slots=True)
class Uses:
    """Of one loop: how many mappings lead to it, what falls back to it (in words), and where it is seen now."""

    mappings: int = 0
    defaults: list[str] = field(default_factory=list)
    fixed: bool = False
    """Whether the configuration file is among `defaults`: nobody can change that here."""
    on_air: list[str] = field(default_factory=list)


class Usage:
    """Works out who uses what; again only when the mappings have changed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loops = str(host.paths.loops)
        self._lock = threading.Lock()
        self._of: Snapshot | None = None
        self._mappings: Counter[str] = Counter()
        self._defaults: dict[str, list[str]] = {}
        self._fixed = _configured(host)

    def now(self, snapshot: Snapshot, stations: Stations) -> dict[str, Uses]:
        """Who uses what, by the loop's name. What nobody uses is not in it."""
        with self._lock:
            if self._of is not snapshot:
                self._mappings = Counter(name for row in snapshot.rows if (name := self._name(row.loop_file_path)))
                self._defaults = defaultdict(list)
                for row in snapshot.default_rows:
                    if name := self._name(row.value):
                        self._defaults[name].append(f"{row.station}: {row.key.replace('_', ' ')}")
                self._of = snapshot
            found: dict[str, Uses] = defaultdict(Uses)
            for name, count in self._mappings.items():
                found[name].mappings = count
            for name, words in self._defaults.items():
                found[name].defaults += words
            for name, words in self._fixed.items():
                found[name].defaults += words
                found[name].fixed = True
        for name, stations_of in self._seen(stations).items():
            found[name].on_air += stations_of
        return dict(found)

    def _seen(self, stations: Stations) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for station, (playout, _) in stations.statuses().items():
            shown: dict[str, Any] = (playout or {}).get("on_air") or {}
            if name := self._name(str(shown.get("loop") or "")):
                found[name].append(station)
        return found

    def _name(self, said: str) -> str | None:
        """A loop's name below the loops directory, however somebody wrote it; None for what is none."""
        try:
            return str(Path(loop_path(self._loops, said)).relative_to(self._loops))
        except LoopNameError:
            return None


def _configured(host: Host) -> dict[str, list[str]]:
    """What the configuration file shows without a mapping."""
    found: dict[str, list[str]] = defaultdict(list)
    for shortcode, station in host.stations.items():
        found[station.default_loop].append(f"{shortcode}: default loop")
        for part in station.dayparts:
            found[part.loop].append(f"{shortcode}: default loop {part.from_:%H:%M}-{part.to:%H:%M}")
        policies = station.policies
        words = {"offline": policies.offline, "live": policies.live, "jingles": policies.jingles.show}
        words |= {f"DJ {name}": loop for name, loop in policies.djs.items()}
        for what, loop in words.items():
            # Some of these are words of their own; no loop is called so, a loop's name has a suffix.
            found[loop].append(f"{shortcode}: {what}")
    return found
