"""What Prometheus and Alertmanager know of the stations: the plots of the last hours, and the alerts.

Both are asked over HTTP (https://prometheus.io/docs/prometheus/2.42/querying/api/, Alertmanager's API v2), once for
all who look. The plots are made of the recording rules in roles/prometheus/files/records.rules.yml.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from hook_service.web.httpget import Away, get

Found = TypeVar("Found")
POINTS: Final = 288
"""The most of a plot: every five minutes of a day. The rule of the switches is for five minutes."""
_STEP: Final = 300
_FRESH: Final = 30.0
_AWAY: Final = 5.0
"""Seconds for which it is not asked again: what was found, and that nothing was."""
_QUIET: Final = 3.0
"""Seconds without a byte after which it does not answer."""
_LARGEST: Final = 4 << 20
_ALERTS: Final = 200
_TEXT: Final = 1000
_KEPT: Final = 64
_WAITING: Final = 3

# Of several hosts that have a station of this name, the one that is on the air says most.
_PLOTS: Final[tuple[tuple[str, str, str], ...]] = (
    ("uptime", "ratio", 'max(avg_over_time(station:on_air:bool{{station="{station}"}}[{step}s]))'),
    ("bitrate", "bps", 'max(avg_over_time(station:bitrate_bps:sum{{station="{station}"}}[{step}s]))'),
    ("loudness", "LUFS", 'max(avg_over_time(station:loudness_lufs:avg1m{{station="{station}"}}[{step}s]))'),
    ("cpu", "percent", 'max(avg_over_time(station:cpu_percent:sum{{station="{station}"}}[{step}s]))'),
    # The rule counts five minutes: over more, its mean times so many.
    (
        "switches",
        "count",
        'max(avg_over_time(station:switches:increase5m{{station="{station}"}}[{counted}])) * {times}',
    ),
)
_SEVERITIES: Final = ("critical", "warning", "info")


class Watchers:
    """Asks them, where they are configured. `plots` and `alerts` raise Away, with why, and block for some seconds."""

    def __init__(self, prometheus: str | None, alertmanager: str | None) -> None:
        self.prometheus, self.alertmanager = prometheus, alertmanager
        self._kept: dict[object, tuple[float, object]] = {}
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_WAITING)

    def plots(self, station: str, hours: int) -> dict[str, Any]:
        """The last hours of a station, at most a week; the shape is that of `models_sight.Plots`."""
        return self._shared((station, hours), lambda: self._plots(station, hours))

    def alerts(self) -> list[dict[str, Any]]:
        """What is wrong now, the worst and then the latest first; the shape is that of `models_sight.Alert`."""
        return self._shared("alerts", self._alerts)

    def _plots(self, station: str, hours: int) -> dict[str, Any]:
        step = _STEP * -(-hours * 3600 // (_STEP * POINTS))
        until = int(time.time()) // 10 * 10
        count = hours * 3600 // step
        since = until - (count - 1) * step
        counted = "90s" if step == _STEP else f"{step}s"
        found = []
        for name, unit, template in _PLOTS:
            query = template.format(station=station, step=step, counted=counted, times=step // _STEP)
            asked = {"query": query, "start": since, "end": until, "step": step, "timeout": "3s"}
            document = _ask(f"{self.prometheus}/api/v1/query_range?{urlencode(asked)}")
            found.append(plot(name, unit, values_of(document, since, step, count)))
        return {
            "station": station,
            "since": datetime.fromtimestamp(since, UTC),
            "until": datetime.fromtimestamp(until, UTC),
            "step_seconds": step,
            "plots": found,
        }

    def _alerts(self) -> list[dict[str, Any]]:
        if self.alertmanager:
            # Those that another explains are not told to anybody either.
            return alerts_of(_ask(f"{self.alertmanager}/api/v2/alerts?inhibited=false"))
        return alerts_of(_ask(f"{self.prometheus}/api/v1/alerts"))

    def _shared(self, key: object, ask: Callable[[], Found]) -> Found:
        """What was found lately, else what is found now. One thread asks, and few wait for it: others need theirs."""
        found = self._known(key)
        if found is not None:
            return found  # type: ignore[return-value]
        if not self._room.acquire(blocking=False):
            raise Away("is being asked already")
        try:
            with self._lock:
                found = self._known(key)
                if found is None:
                    try:
                        found = ask()
                    except Away as reason:
                        self._keep(key, reason)
                        raise
                    self._keep(key, found)
                return found  # type: ignore[return-value]
        finally:
            self._room.release()

    def _known(self, key: object) -> object:
        """What was found lately, or None. Raises Away where that was nothing."""
        at, found = self._kept.get(key, (float("-inf"), None))
        age = time.monotonic() - at
        if isinstance(found, Away):
            if age < _AWAY:
                raise Away(str(found))
            return None
        return found if age < _FRESH else None

    def _keep(self, key: object, found: object) -> None:
        kept = {**self._kept, key: (time.monotonic(), found)}
        while len(kept) > _KEPT:
            del kept[next(iter(kept))]
        self._kept = kept


def _ask(url: str) -> Any:
    with get(url, {"Accept": "application/json"}, lambda opened: opened.settimeout(_QUIET)) as answer:
        body = answer.whole(_LARGEST)
        if answer.status != 200:
            raise Away(f"answers with status {answer.status}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Away("answers with something that is not JSON") from None


def values_of(document: Any, since: int, step: int, count: int) -> list[float | None]:
    """The values of a range query's only series, one for each step; None where there is none."""
    values: list[float | None] = [None] * count
    try:
        if document["status"] != "success":
            raise Away("refuses the question")
        for series in document["data"]["result"][:1]:
            for at, text in series["values"]:
                place, value = round((float(at) - since) / step), float(text)
                if 0 <= place < count and math.isfinite(value):
                    values[place] = float(f"{value:.4g}")
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise Away("answers with something that is no result") from None
    return values


def plot(name: str, unit: str, values: list[float | None]) -> dict[str, Any]:
    """A plot's values, and what they come to. What is counted has a total, the rest a mean."""
    known = [value for value in values if value is not None]
    return {
        "name": name,
        "unit": unit,
        "values": values,
        "latest": next((value for value in reversed(values) if value is not None), None),
        "lowest": min(known, default=None),
        "highest": max(known, default=None),
        "mean": sum(known) / len(known) if known and unit != "count" else None,
        "total": round(sum(known)) if known and unit == "count" else None,
    }


def alerts_of(document: Any) -> list[dict[str, Any]]:
    """The alerts of either's answer: Alertmanager's list, or Prometheus' document with those that fire."""
    try:
        if isinstance(document, dict):
            listed = [one for one in document["data"]["alerts"] if one["state"] == "firing"]
        else:
            listed = list(document)
        found = [_alert(one) for one in listed]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise Away("answers with something that is no list of alerts") from None
    # The watchdog always fires, and has the severity "none".
    found = [one for one in found if one["severity"] in _SEVERITIES]
    found.sort(key=lambda one: one["since"] or "", reverse=True)
    found.sort(key=lambda one: _SEVERITIES.index(one["severity"]))
    return found[:_ALERTS]


def _alert(one: dict[str, Any]) -> dict[str, Any]:
    labels, notes = one["labels"], one.get("annotations") or {}

    def text(value: Any) -> str | None:
        return str(value)[:_TEXT] if value else None

    return {
        "name": str(labels["alertname"])[:_TEXT],
        "severity": str(labels.get("severity")),
        "station": text(labels.get("station")),
        "host": text(labels.get("host")),
        "summary": text(notes.get("summary")),
        "description": text(notes.get("description")),
        "runbook": text(notes.get("runbook")),
        "since": _moment(one.get("startsAt") or one.get("activeAt")),
        "silenced": bool((one.get("status") or {}).get("silencedBy")),
    }


def _moment(said: Any) -> str | None:
    """A time as our API writes it."""
    try:
        return datetime.fromisoformat(said).astimezone(UTC).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError):
        return None
