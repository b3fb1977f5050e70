"""Plots and alerts in pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class PlotsQuery(BaseModel):
    """How many hours to look back, at most a week."""

    model_config = ConfigDict(extra="forbid")

    hours: int = Field(24, ge=1, le=168)


class AlertsQuery(BaseModel):
    """Of one station and of the hosts, or of everything."""

    model_config = ConfigDict(extra="forbid")

    station: Annotated[str, Field(min_length=1, max_length=512)] | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)


class Plot(_Answer):
    """A value for each step from `since` on; null where it is not known. `total` is of what is counted, `mean` of the
    rest.
    """

    name: Literal["uptime", "bitrate", "loudness", "cpu", "switches"]
    unit: Literal["ratio", "bps", "LUFS", "percent", "count"]
    values: list[float | None]
    latest: float | None
    lowest: float | None
    highest: float | None
    mean: float | None
    total: int | None


class Plots(_Answer):
    """The plots of a station. The first value belongs to `since`, the last one to `until`."""

    station: str
    since: datetime
    until: datetime
    step_seconds: int
    plots: list[Plot]


class Alert(_Answer):
    """Something that is wrong now. `station` is null for what concerns a host. `silenced`: nobody is told."""

    name: str
    severity: Literal["critical", "warning", "info"]
    station: str | None
    host: str | None
    summary: str | None
    description: str | None
    runbook: str | None
    since: datetime | None
    silenced: bool


class Alerts(_Answer):
    """What is wrong now, the worst first."""

    items: list[Alert]
