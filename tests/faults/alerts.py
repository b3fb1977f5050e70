"""What Prometheus says of alerts: which there are, since when one is pending, and when it fires."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LONGEST_FOR = 180.0
"""An alert whose `for` is this many seconds at most is waited for until it fires; of others, until it is pending."""


@dataclass(frozen=True, slots=True)
class Told:
    """How an alert went, in seconds from the fault's beginning.

    `pending` is when Prometheus found the condition true, None when it did not; `wait` is the rule's `for`; `fired`
    is when it was seen firing, None when the fault was over before.
    """

    name: str
    exists: bool
    pending: float | None = None
    wait: float = 0.0
    fired: float | None = None

    @property
    def due(self) -> float | None:
        """When it fires, or would have fired had the fault lasted: Prometheus waits `for` and no longer."""
        return None if self.pending is None else self.pending + self.wait

    @property
    def missed(self) -> str:
        """What it did not do although it was waited for: a verb, empty where it did all."""
        if not self.exists:
            # Said in the table. A rule that is there and stays quiet is a defect.
            return ""
        if self.pending is None:
            return "become pending"
        return "fire" if self.fired is None and self.wait <= LONGEST_FOR else ""


def seconds(time: str) -> float:
    """Prometheus' RFC 3339 time, with up to nine digits behind the point, in Unix seconds."""
    match = re.fullmatch(r"(.*?)(\.\d+)?(Z|[+-]\d\d:\d\d)", time)
    if match is None:
        raise ValueError(f"not a time: {time}")
    whole, fraction, zone = match.groups()
    return datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp() + float(fraction or 0)


def rules(document: Mapping[str, Any]) -> dict[str, float]:
    """The alerting rules of `/api/v1/rules`, each with its `for` in seconds."""
    return {
        rule["name"]: float(rule["duration"])
        for group in document["data"]["groups"]
        for rule in group["rules"]
        if rule["type"] == "alerting"
    }


def active(document: Mapping[str, Any]) -> dict[str, tuple[float, bool]]:
    """The alerts of `/api/v1/alerts`: when each was first true (Unix seconds), and whether one of its name fires."""
    found: dict[str, tuple[float, bool]] = {}
    for alert in document["data"]["alerts"]:
        name, at, fires = alert["labels"]["alertname"], seconds(alert["activeAt"]), alert["state"] == "firing"
        before, fired = found.get(name, (at, False))
        found[name] = (min(at, before), fires or fired)
    return found


class Diary:
    """The alerts that became active after a fault began, put together from looks at `/api/v1/alerts`."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._pending: dict[str, float] = {}
        self._fired: dict[str, float] = {}

    def look(self, now: float, found: Mapping[str, tuple[float, bool]]) -> None:
        """Add what was active at a Unix time. What was active when the fault began is none of its own."""
        for name, (at, fires) in found.items():
            if at >= self._began:
                self._pending.setdefault(name, at - self._began)
                if fires:
                    self._fired.setdefault(name, now - self._began)

    def told(self, name: str, known: Mapping[str, float]) -> Told:
        """How one alert went, given the rules there are."""
        if name not in known:
            return Told(name, exists=False)
        return Told(name, True, self._pending.get(name), known[name], self._fired.get(name))

    def names(self) -> list[str]:
        """All that became active, in order."""
        return sorted(self._pending, key=self._pending.__getitem__)
