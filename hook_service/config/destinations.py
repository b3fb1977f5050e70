"""What the configuration says of where a station is sent to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from hook_service.config.values import Section, port_is_good

_SCHEMES = ("rtmp", "rtmps", "srt")
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_STREAM_KEY = re.compile(r"([a-z0-9]{4}-){3,5}[a-z0-9]{4}\Z")


class YouTube(Section):
    """What YouTube's API is asked about a destination; the authorisation is the credential
    `STATION.DESTINATION.youtube`.
    """

    stream: str
    """The id of the `liveStream` whose key the destination has; `hook_service.youtube.authorise` shows it."""
    rebind: bool = Field(False, strict=True)
    """Whether a broadcast that ended is followed by another like it."""

    @field_validator("stream")
    @classmethod
    def _id(cls, value: str) -> str:
        hint = "write the id that hook_service.youtube.authorise shows"
        if _STREAM_KEY.match(value):
            raise ValueError(f"looks like a stream key, which belongs into its credential file; {hint}")
        if not _STREAM.match(value):
            raise ValueError(f"{value!r} is not the id of a stream; {hint}")
        return value


class Destination(Section):
    """A platform's ingest, without its key."""

    url: str
    backup_of: str | None = None
    youtube: YouTube | None = None

    @field_validator("url")
    @classmethod
    def _ingest(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in _SCHEMES or not parts.hostname or not port_is_good(value):
            raise ValueError(f"is not an ingest; write {', '.join(s + '://host/…' for s in _SCHEMES)}")
        if parts.username or parts.password:
            raise ValueError("holds a user or password; take it out, the key belongs into its credential file")
        return value.rstrip("/")
