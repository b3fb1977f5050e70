"""One fault after the other: done, watched, undone, watched until all is well, counted."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tests.faults import alerts
from tests.faults.alerts import LONGEST_FOR, Diary
from tests.faults.fault import Fault, Measured, Unavailable, judge, nothing
from tests.faults.stage import FIRST, SECOND, Stage
from tests.faults.watch import judge as judge_frames
from tests.hosts.shell import HostsError
from tests.rig.net import RigError, wait_until

_QUIET_SECONDS = 150
"""An alert is over only some time after its cause; the next fault that it belongs to waits for so long."""
_PENDING_SECONDS = 110
"""A fault whose alert does not become pending lasts no longer. Rates are over a minute, scrapes 10 s apart."""
_FIRING_SECONDS = 20
"""How much later than its `for` an alert is waited for: rules are looked at every few seconds."""
_STEADY = 5.0
_ROWS_SECONDS = 45


class Looks:
    """Looks at health and alerts from a thread while a fault lasts and until it is over."""

    def __init__(self, stage: Stage) -> None:
        self.began = time.time()
        self.diary = Diary(self.began)
        self.bad_at: float | None = None
        """When something was last seen not well, in Unix seconds."""
        self.good_at: float | None = None
        """The first look after that; None while not well."""
        self._stage = stage
        self._end = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._health, self._alerts)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more looks."""
        self._end.set()
        for thread in self._threads:
            thread.join(10)

    def _health(self) -> None:
        while not self._end.wait(0.3):
            well, now = self._stage.well(), time.time()
            if not well:
                self.bad_at, self.good_at = now, None
            elif self.good_at is None:
                self.good_at = now

    def _alerts(self) -> None:
        while not self._end.wait(1.0):
            with contextlib.suppress(OSError, RigError, ValueError, KeyError):
                self.diary.look(time.time(), alerts.active(self._stage.metrics("/alerts")))


def run(fault: Fault, stage: Stage) -> Measured:
    """All of it; Unavailable, HostsError or RigError where it can't be had."""
    try:
        stage.wait_well(45)
    except RigError:
        stage.mend()
    try:
        fault.prepare(stage)
        stage.wait_well()
        _wait_quiet(fault, stage)
        return _measure(fault, stage)
    finally:
        fault.cleanup(stage)


def _wait_quiet(fault: Fault, stage: Stage) -> None:
    if fault.alert is not None:
        wait_until(
            lambda: fault.alert not in alerts.active(stage.metrics("/alerts")),
            f"the end of the alert {fault.alert} of before", _QUIET_SECONDS, every=1,
        )  # fmt: skip


def _measure(fault: Fault, stage: Stage) -> Measured:
    known = alerts.rules(stage.metrics("/rules"))
    before = {row["event_id"] for row in _rows(stage)}
    time.sleep(1.5)
    looks = Looks(stage)
    try:
        fault.do(stage)
        done = time.time()
        if fault.song:
            # One of its own, so that each fault shows what becomes of a play.
            stage.studio("/skip", {})
        _hold(fault, looks, known, done)
    finally:
        fault.undo(stage)
    # Where nothing is undone the fault was over as soon as it was there.
    ended = time.time() if fault.undo is not nothing else looks.began
    recovery = _recover(fault, stage, looks, ended)
    end = time.time()
    looks.stop()
    told, rows = _plays(stage, looks.began, before)
    seen = {name: judge_frames(w.frames(looks.began - 30), looks.began, end) for name, w in stage.watchers.items()}
    measured = Measured(
        fault, seen[FIRST], seen[SECOND], looks.diary.told(fault.alert, known) if fault.alert else None,
        [name for name in looks.diary.names() if name != fault.alert], ended - looks.began, recovery, told, rows,
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip
    measured.problems = judge(measured)
    return measured


def _hold(fault: Fault, looks: Looks, known: dict[str, float], done: float) -> None:
    """So long as the fault lasts: its time, and until the alert that belongs to it fires, where there is one."""
    while time.time() - done < fault.hold or _is_to_come(fault, looks, known, time.time() - done):
        time.sleep(0.2)


def _is_to_come(fault: Fault, looks: Looks, known: dict[str, float], lasted: float) -> bool:
    if fault.alert not in known:
        return False
    told = looks.diary.told(fault.alert, known)
    if told.due is None:
        return lasted < _PENDING_SECONDS
    return told.wait <= LONGEST_FOR and told.fired is None and lasted < told.due + _FIRING_SECONDS


def _recover(fault: Fault, stage: Stage, looks: Looks, ended: float) -> float | None:
    """Wait until all has been well for a while; seconds from the fault's end to the beginning of that."""
    deadline = max(ended, time.time()) + fault.recovery + _STEADY
    while time.time() < deadline:
        good = looks.good_at
        if good is not None and time.time() - max(good, ended) >= _STEADY:
            if looks.bad_at is None or looks.bad_at < ended:
                return 0.0
            return good - ended
        time.sleep(0.2)
    with contextlib.suppress(HostsError, RigError, OSError):
        stage.wait_well(60)
    return None


def missing(told: Iterable[tuple[str, str]], rows: Iterable[tuple[str, str]]) -> int:
    """How many of the plays that were told, as (artist, title), have no row of their own."""
    return (Counter(told) - Counter(rows)).total()


def _plays(stage: Stage, since: float, before: set[str]) -> tuple[int, int]:
    """The songs that began since then, and how many of them got a row, other than those before, within a while."""
    begun = stage.studio("/begun")
    # The same song once more is told by nobody: AzuraCast sends nothing, and the title does not change.
    told = [
        (one["artist"], one["title"])
        for before_it, one in pairwise([{"artist": None, "title": None}, *begun])
        if one["at"] >= since and (one["artist"], one["title"]) != (before_it["artist"], before_it["title"])
    ]
    deadline = time.monotonic() + _ROWS_SECONDS
    while True:
        with contextlib.suppress(OSError, RigError, ValueError):
            rows = [_name(row) for row in _rows(stage) if row["event_id"] not in before]
            without = missing(told, rows)
            if not without or time.monotonic() > deadline:
                return len(told), len(told) - without
        if time.monotonic() > deadline:
            return len(told), 0
        time.sleep(0.5)


def _rows(stage: Stage) -> list[dict[str, Any]]:
    return list(stage.ask(f"/api/v1/history?station={stage.station}&limit=500")["items"])


def _name(row: dict[str, Any]) -> tuple[str, str]:
    return row["artist"] or "", row["title"] or ""


__all__ = ["Unavailable", "missing", "run"]
