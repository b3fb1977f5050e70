"""Manual control in pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DAY = 24 * 3600
Loop = Annotated[str, Field(min_length=1, max_length=1024)]
Name = Annotated[str, Field(min_length=1, max_length=512)]
Seconds = Annotated[float, Field(ge=1, le=7 * DAY)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _nothing(cls, value: Any) -> Any:
        """No body at all is one that says nothing."""
        return {} if value is None else value


class StationPath(BaseModel):
    """A configured station's shortcode."""

    station: Name


class DestinationPath(StationPath):
    """One of its destinations."""

    name: Name


class ProcessPath(StationPath):
    """One of its processes, as the status names it."""

    name: Name


class SwitchIn(_In):
    """A loop to show now: its name below the loops directory. With `seconds`, for so long whatever track begins;
    without, until the next track.
    """

    loop: Loop
    seconds: Seconds | None = None


class HoldIn(_In):
    """The loop to hold, by its name below the loops directory; without one, what is on the air. Until released, or
    for `seconds`.
    """

    loop: Loop | None = None
    seconds: Seconds | None = None


class SlateIn(_In):
    """How long the slate is to be shown; without `seconds`, until released."""

    seconds: Seconds | None = None


class Accepted(BaseModel):
    """An order was taken. `request_id` is what the log and the audit log have."""

    model_config = ConfigDict(defer_build=True)

    request_id: str
    accepted: Literal[True]


class Override(BaseModel):
    """What a person has put on the air whatever track begins. `loop` null is the slate; `until` null is until it is
    released.
    """

    model_config = ConfigDict(defer_build=True)

    kind: Literal["hold", "switch", "slate"]
    loop: str | None
    since: datetime
    until: datetime | None
    by: str
    request_id: str
