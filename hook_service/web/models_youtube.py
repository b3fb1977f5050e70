"""What YouTube says of a destination, in pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)


class YouTubeIssue(_Answer):
    """What YouTube finds wrong with what it receives; `type` is its word, such as `gopSizeLong`."""

    type: str
    severity: str
    description: str


class YouTubeStream(_Answer):
    """What YouTube receives. `status` is `active` while it does; `health` is good, ok, bad, noData or revoked."""

    title: str
    status: str
    health: str
    issues: list[YouTubeIssue]


class YouTubeBroadcast(_Answer):
    """The video that the stream is on. Viewers see it while `life_cycle` is `live`; `watch` is its address."""

    title: str
    life_cycle: str
    watch: str


class YouTube(_Answer):
    """`state`: whether YouTube's API answers; `error`: why not. `trouble`: what is wrong at YouTube, and what to do.
    `stream` and `broadcast` are what was found at `checked_at`, null where that is long ago or there is none.
    """

    state: Literal["connecting", "connected", "away"]
    since: datetime
    checked_at: datetime | None
    error: str | None
    trouble: str | None
    stream: YouTubeStream | None
    broadcast: YouTubeBroadcast | None
    rebind: bool
    rebound_at: datetime | None
