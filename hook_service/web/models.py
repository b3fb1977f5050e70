"""The operator's API in pydantic models: what may be asked, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from hook_service.web.models_control import Override
from hook_service.web.models_sources import LastSwitch, StationSources
from hook_service.web.models_youtube import YouTube

Text = Annotated[str, Field(min_length=1, max_length=512)]
Kind = Literal["track", "album", "artist", "playlist"]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StationQuery(_Query):
    """One station, or all of them."""

    station: Text | None = None


class PageQuery(StationQuery):
    """A page of a list; `cursor` is the `next` of the page before."""

    cursor: Annotated[str, Field(max_length=2048)] | None = None
    limit: int = Field(50, ge=1, le=500)


class HistoryQuery(PageQuery):
    """Which plays. Times are ISO 8601 with a zone; `q` is looked for in artist, title, album and key, or is the
    request id of one.
    """

    q: Text | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class ErrorsQuery(PageQuery):
    """Which errors."""

    severity: Literal["WARNING", "ERROR", "CRITICAL"] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class MappingsQuery(PageQuery):
    """Which mappings; `q` is looked for in key and loop, and compared with the ids."""

    kind: Kind | None = None
    q: Text | None = None


class LoopsQuery(_Query):
    """A page of the loops, by name; `after` is the last name of the page before."""

    after: str = ""
    limit: int = Field(100, ge=1, le=500)


class HoursQuery(StationQuery):
    """How many hours to look back."""

    hours: int = Field(24, ge=1, le=24 * 400)


class MostPlayedQuery(StationQuery):
    """Since when, and how many."""

    since: AwareDatetime | None = None
    limit: int = Field(10, ge=1, le=500)


class MappingPath(BaseModel):
    """A mapping's number."""

    mapping_id: int = Field(ge=1, le=2**31 - 1)


class MappingIn(BaseModel):
    """A mapping to make or replace. A track is named by `track_key`, or by `artist` and `title`."""

    model_config = ConfigDict(extra="forbid")

    loop_file_path: Annotated[str, Field(min_length=1, max_length=1024)]
    station: Annotated[str, Field(min_length=1, max_length=100)] = "*"
    kind: Kind = "track"
    track_key: Text | None = None
    artist: Text | None = None
    title: Text | None = None
    azuracast_song_id: Annotated[str, Field(max_length=128)] | None = None
    media_unique_id: Annotated[str, Field(max_length=64)] | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)


class Mapping(_Answer):
    """A mapping. `play_count` counts the plays that it led to."""

    id: int
    station: str
    kind: Kind
    track_key: str
    azuracast_song_id: str | None
    media_unique_id: str | None
    loop_file_path: str
    play_count: int
    created_at: datetime
    updated_at: datetime


class Play(_Answer):
    """A play, with when it really began and ended on the air. `request_id` is that of the webhook that told of it:
    the log has it too.
    """

    id: int
    event_id: str
    station: str
    track_key: str
    artist: str | None
    title: str | None
    album: str | None
    azuracast_song_id: str | None
    loop_file_path: str | None
    mapping_id: int | None
    resolved_by: str | None
    request_id: str | None
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    ffmpeg_pid: int | None
    had_errors: bool
    error_message: str | None


class Error(_Answer):
    """An entry of the error log."""

    id: int
    event_id: str
    station: str
    timestamp: datetime
    service: str
    severity: str
    message: str
    context: dict[str, Any] | None


class Loop(_Answer):
    """A file in the loops directory and, for each profile in use, how far it is."""

    name: str
    size: int
    modified_at: datetime
    profiles: dict[str, Literal["pending", "encoding", "prepared", "refused"]]
    reason: str | None


class Process(_Answer):
    """A process, its state and since when. One that is not `wanted` was stopped."""

    name: str
    state: Literal["STOPPED", "SPAWNING", "RUNNING", "CRASHED", "FAILED"]
    wanted: bool
    pid: int | None
    restarts: int
    since: datetime | None
    last_error: str | None


class Destination(_Answer):
    """A platform's ingest, without path and key, and how sending to it goes.

    `queue_bytes` were sent and not acknowledged; `lag_seconds` is how far what was sent is behind the timeline.
    """

    station: str
    name: str
    ingest: str
    backup_of: str | None
    state: str
    wanted: bool
    restarts: int
    since: datetime | None
    last_error: str | None
    progress: dict[str, Any]
    youtube: YouTube | None
    queue_bytes: int | None
    lag_seconds: float | None


class Onair(_Answer):
    """What leaves the host, as a viewer gets it. What is not known now is null, or not there.

    `gaps` are frames that did not follow the one before at a frame's distance.
    """

    up: bool
    black: bool | None
    frozen: bool | None
    silent: bool | None
    loudness_lufs: float | None
    peak_dbfs: float | None
    keyframe_interval_seconds: float | None
    bitrate_bps: dict[Literal["video", "audio"], float]
    expected_bitrate_bps: dict[Literal["video", "audio"], float]
    frames: dict[Literal["video", "audio"], int]
    gaps: dict[Literal["video", "audio"], int]
    relay_key: str


class StationStatus(_Answer):
    """A station as its playout tells it; null where that does not answer. `youtube`: what YouTube says of its
    destinations, where it is asked. `override`: what a person has put on the air.
    """

    name: str
    profile: str
    on_air: dict[str, Any] | None
    next: dict[str, Any] | None
    track: dict[str, Any] | None
    audio: dict[str, Any] | None
    frames: dict[str, Any] | None
    switches: int | None
    sources: StationSources
    last_switch: LastSwitch | None
    override: Override | None
    onair: Onair | None
    youtube: dict[str, YouTube]
    processes: list[Process]


class Status(_Answer):
    """All stations."""

    status: Literal["up", "degraded", "down"]
    version: str
    stations: dict[str, StationStatus]


class Mappings(_Answer):
    """A page; `next` is null on the last."""

    items: list[Mapping]
    next: str | None


class Plays(_Answer):
    """A page."""

    items: list[Play]
    next: str | None


class Errors(_Answer):
    """A page."""

    items: list[Error]
    next: str | None


class Loops(_Answer):
    """A page, and the state of the preparation as a whole (null where it does not answer)."""

    items: list[Loop]
    next: str | None
    preparation: dict[str, Any] | None


class Destinations(_Answer):
    """All destinations."""

    items: list[Destination]


class Rows(_Answer):
    """Rows of an analytics query."""

    items: list[dict[str, Any]]


class ProblemDocument(_Answer):
    """An error, after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
