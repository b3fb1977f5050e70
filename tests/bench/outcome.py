"""What a part of the benchmark hands back: figures for JSON, tables for people, and which requirements were met."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement: what was measured, what was asked, both as a reader should see them."""

    what: str
    measured: str
    required: str
    met: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header; the first column is left-aligned, the others right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(slots=True)
class Part:
    """One part's outcome. `figures` goes into the JSON as it is; `notes` are sentences that belong to the tables."""

    title: str
    figures: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def at_most(self, what: str, value: float, limit: float, unit: str = "", digits: int = 0) -> None:
        """A figure that may not be larger than `limit`."""
        # Judged as measured, not as rounded for the reader.
        self.checks.append(Check(what, f"{value:.{digits}f}{unit}", f"≤ {limit:g}{unit}", value <= limit))

    def at_least(self, what: str, value: float, limit: float, unit: str = "", digits: int = 0) -> None:
        """A figure that may not be smaller than `limit`."""
        self.checks.append(Check(what, f"{value:.{digits}f}{unit}", f"≥ {limit:g}{unit}", value >= limit))

    def exactly(self, what: str, value: int, wanted: int) -> None:
        """A count that must be this one."""
        self.checks.append(Check(what, str(value), str(wanted), value == wanted))


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that a share `q` of all stays at or under (nearest rank); infinite for no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else math.inf


def rounded(value: Any, digits: int = 3) -> Any:
    """The same figures with every float rounded, for the JSON."""
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return value
