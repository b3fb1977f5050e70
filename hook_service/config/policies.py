"""What the configuration says of a station's AzuraCast, and of what is shown when there is no plain track."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from hook_service.config.values import LoopName, Section, choice_or_loop, port_is_good

_SHORTCODE = re.compile(r"[A-Za-z0-9_.-]{1,100}\Z")
OFFLINE = ("hold", "default", "slate")
LIVE = ("track", "hold", "default")
JINGLES = ("hold", "track", "default")


class AzuraCast(Section):
    """Where the station's now-playing API is; its key, where one is needed, is the credential
    `STATION.azuracast-key`.
    """

    url: str
    shortcode: str | None = None
    """AzuraCast's short name of the station; the station's name here when not given."""

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good(value):
            raise ValueError("is not AzuraCast's address; write https://host, as in a browser")
        if parts.username or parts.password:
            raise ValueError("holds a user or password; take it out, an API key belongs into its credential file")
        if parts.query or parts.fragment:
            raise ValueError("is more than AzuraCast's address; leave out what follows '?' or '#'")
        return value.rstrip("/")

    @field_validator("shortcode")
    @classmethod
    def _short(cls, value: str | None) -> str | None:
        if value is not None and not _SHORTCODE.match(value):
            raise ValueError(f"{value!r} is not a short name; write what follows /public/ in the station's address")
        return value


class Jingles(Section):
    """Tracks of these playlists are jingles. Names as in AzuraCast; capitals and signs don't matter."""

    playlists: list[str] = Field(default_factory=list)
    show: str = "hold"

    @field_validator("show")
    @classmethod
    def _show(cls, value: str) -> str:
        return choice_or_loop(value, JINGLES)


class Policies(Section):
    """What is shown when the station is offline, while a DJ is live, and during jingles.

    Each is a word or a loop. `hold`: the loop that is on the air stays; `track`: as for any track; `default`: the
    default loop; `slate`: the slate.
    """

    offline: str = "hold"
    live: str = "track"
    djs: dict[str, LoopName] = Field(default_factory=dict)
    """For shows of these DJs, whatever `live` says."""
    jingles: Jingles = Jingles()

    @field_validator("offline")
    @classmethod
    def _offline(cls, value: str) -> str:
        return choice_or_loop(value, OFFLINE)

    @field_validator("live")
    @classmethod
    def _live(cls, value: str) -> str:
        return choice_or_loop(value, LIVE)
