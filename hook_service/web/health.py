"""`/health`: whether every station is on the air, judged by bytes that arrive, and the state of all that helps.

Open to everyone, so it holds no address, no path and no name of a track, and it is made at most once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hook_service import __version__
from hook_service.observe.metrics import is_wanted, processes
from hook_service.web.relay import RelayDown
from hook_service.web.stations import Stations, Status

CACHED = 1.0  # seconds
LOOKS_APART = (0.25, 5.0)  # seconds between two looks at the relay that say something about now
STALE_SNAPSHOT = 900.0  # seconds after which mappings that could not be renewed are worth a look


@dataclass(frozen=True, slots=True)
class Storage:
    """The state of the database's side. `snapshot_age` is in seconds, None where there is no snapshot at all."""

    database_up: bool
    outbox_pending: int
    snapshot_age: float | None


class Health:
    """Makes the health document.

    `destinations` names the configured destinations of each station; `streams` asks the relay for received bytes
    by stream name and may raise RelayDown. `youtube` gives, by station and destination, `up`, `degraded` or `unknown`
    where YouTube is asked.
    """

    def __init__(
        self,
        stations: Stations,
        destinations: Mapping[str, list[str]],
        storage: Callable[[], Storage],
        streams: Callable[[], dict[str, int]],
        youtube: Callable[[], Mapping[tuple[str, str], str]] = dict,
    ) -> None:
        self._stations = stations
        self._destinations = destinations
        self._storage = storage
        self._streams = streams
        self._youtube = youtube
        self._lock = threading.Lock()
        self._document: dict[str, Any] = {}
        self._made = float("-inf")
        self._look: tuple[float, dict[str, int]] | None = None

    def check(self) -> tuple[bool, dict[str, Any]]:
        """Whether every station is on the air, and the document."""
        with self._lock:
            if time.monotonic() - self._made > CACHED:
                self._document = self._make()
                self._made = time.monotonic()
            return self._document["status"] != "down", self._document

    def _make(self) -> dict[str, Any]:
        rates = self._rates()
        onair = self._stations.onair()
        platform = self._youtube()
        stations = {
            name: _station(
                playout,
                outputs,
                rates,
                {destination: platform.get((name, destination)) for destination in self._destinations[name]},
                _onair((onair or {}).get(name)),
            )
            for name, (playout, outputs) in self._stations.statuses().items()
        }
        storage = self._storage()
        age = storage.snapshot_age
        components: dict[str, dict[str, Any]] = {
            "web": {"status": "up"},
            "relay": {"status": "up" if rates is not None else "down"},
            "monitor": {"status": "up" if onair is not None else "down"},
            "database": {"status": "up" if storage.database_up else "down"},
            "outbox": {"status": "up", "pending": storage.outbox_pending},
            "snapshot": {
                "status": "up" if age is not None and age < STALE_SNAPSHOT else "stale",
                "age_seconds": None if age is None else round(age, 1),
            },
        }
        states = {station["status"] for station in stations.values()}
        if "off_air" in states:
            status = "down"
        elif "degraded" in states or any(part["status"] != "up" for part in components.values()):
            status = "degraded"
        else:
            status = "up"
        return {"status": status, "version": __version__, "components": components, "stations": stations}

    def _rates(self) -> dict[str, float] | None:
        """Bytes a second by stream, from two looks; None where the relay does not answer."""
        try:
            then, before = self._look or (0.0, {})
            apart = time.monotonic() - then
            if not LOOKS_APART[0] <= apart <= LOOKS_APART[1]:
                # A look from long ago only says that bytes came at some time since.
                then, before = time.monotonic(), self._streams()
                time.sleep(LOOKS_APART[0])
            now, after = time.monotonic(), self._streams()
        except RelayDown:
            self._look = None
            return None
        self._look = now, after
        return {name: (total - before.get(name, total)) / (now - then) for name, total in after.items()}


def _onair(seen: Status | None) -> str:
    """What is wrong with what leaves the host, as far as the monitor knows."""
    if seen is None or not seen.get("up"):
        return "unknown"
    wrong = next((what for what in ("black", "frozen", "silent") if seen.get(what)), None)
    # Without its decoder the monitor can't tell.
    return wrong or ("unknown" if seen.get("black") is None else "up")


def _destination(process: Status) -> dict[str, Any]:
    told = {"status": process.get("state", "STOPPED")}
    return told if is_wanted(process) else {**told, "wanted": False}


def _station(
    playout: Status | None,
    outputs: Status | None,
    rates: dict[str, float] | None,
    wanted: Mapping[str, str | None],
    onair: str,
) -> dict[str, Any]:
    """`wanted` are the destinations, with what YouTube says of each, None where it is not asked."""
    key = str((playout or {}).get("timeline", {}).get("relay_key"))
    rate = (rates or {}).get(key, 0.0)
    source = (playout or {}).get("audio", {}).get("source")
    found = {process["name"]: process for process in (*processes(playout), *processes(outputs))}
    publisher = found.get("publisher", {}).get("state", "STOPPED")
    destinations = {
        name: _destination(found.get(f"destination:{name}", {})) | ({} if youtube is None else {"youtube": youtube})
        for name, youtube in wanted.items()
    }
    # Who stopped one by hand knows.
    counted = [name for name in wanted if is_wanted(found.get(f"destination:{name}", {}))]
    sent = [destinations[name]["status"] == "RUNNING" for name in counted]
    on_air = playout is not None and rate > 0 and (any(sent) or not sent)
    well = on_air and all(sent) and source == "mount" and onair in ("up", "unknown")
    well = well and (bool(sent) or not wanted)  # all of them stopped by hand: nobody sees it
    well = well and not any(wanted[name] == "degraded" for name in counted)
    return {
        "status": "up" if well else "degraded" if on_air else "off_air",
        "playout": {"status": "up" if playout is not None else "down"},
        "publisher": {"status": publisher},
        "relay": {"status": "receiving" if rate > 0 else "silent", "kbps": round(rate * 8 / 1000)},
        "audio": {"status": source or "unknown"},
        "onair": {"status": onair},
        "destinations": destinations,
    }
