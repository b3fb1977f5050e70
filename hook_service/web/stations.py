"""The state of every station's processes, as they tell it themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hook_service import ipc

Status = dict[str, Any]
TIMEOUT = 0.5  # seconds for one process
ROUND = 3.0  # seconds for all of them: a scrape ends in time even where every process hangs
FRESH = 0.5  # seconds that an answer is good for


class Stations:
    """Asks the playout and the outputs of each station for their status, and the monitor for that of them all."""

    def __init__(self, run: Path, stations: Iterable[str]) -> None:
        self._sockets = {name: (run / f"playout-{name}.sock", run / f"output-{name}.sock") for name in stations}
        self._lock = threading.Lock()
        self._monitor_lock = threading.Lock()
        self._kept: dict[str, tuple[Status | None, Status | None]] = {}
        self._at = float("-inf")
        self._monitor = run / "monitor.sock"
        self._seen: dict[str, Status] | None = None
        self._seen_at = float("-inf")

    def statuses(self) -> dict[str, tuple[Status | None, Status | None]]:
        """Playout's and outputs' status by station; None for a process that does not answer in time."""
        with self._lock:
            now = time.monotonic()
            if now - self._at > FRESH:
                self._kept = {
                    name: (_ask(playout, now + ROUND), _ask(output, now + ROUND))
                    for name, (playout, output) in self._sockets.items()
                }
                self._at = time.monotonic()
            return self._kept

    def onair(self) -> dict[str, Status] | None:
        """What the monitor sees and hears of each station; None where it does not answer in time."""
        with self._monitor_lock:
            if time.monotonic() - self._seen_at > FRESH:
                told = _ask(self._monitor, time.monotonic() + TIMEOUT)
                found = (told or {}).get("stations")
                self._seen = found if isinstance(found, dict) else None
                self._seen_at = time.monotonic()
            return self._seen


def _ask(path: Path, deadline: float) -> Status | None:
    timeout = min(TIMEOUT, deadline - time.monotonic())
    if timeout <= 0:
        return None
    try:
        status = ipc.request(path, {"op": "status"}, timeout=timeout)
    except ipc.PeerDown:
        return None
    return status if status.get("ok") else None
