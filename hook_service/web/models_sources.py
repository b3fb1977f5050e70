"""The sources of a station's story, in pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)


class WebhookSource(_Answer):
    """Webhooks; null where none has come."""

    last_at: datetime | None


class AskedSource(_Answer):
    """AzuraCast, asked by this host. `off`: not configured; `idle`: not asked, as the event stream is there."""

    state: Literal["off", "idle", "connecting", "connected", "away"]
    since: datetime | None
    error: str | None
    last_at: datetime | None


class SoundSource(_Answer):
    """The titles in the sound. `trusted`: they decide when."""

    state: Literal["connected", "connecting", "away"] | None
    titles: Literal["icy", "ogg"] | None
    title: str | None
    trusted: bool


class StationSources(_Answer):
    """Everything that tells what is playing."""

    webhook: WebhookSource
    sse: AskedSource
    poll: AskedSource
    icy: SoundSource


class Offsets(_Answer):
    """Seconds by which each source told later than the sound began; negative is earlier, null: not known."""

    webhook: float | None
    sse: float | None
    poll: float | None
    icy: float | None


class LastSwitch(_Answer):
    """When the last picture for a track came on the air, what decided when, and what the others said."""

    at: datetime
    decided_by: Literal["icy", "ogg", "webhook", "sse", "poll", "policy"]
    offsets: Offsets
