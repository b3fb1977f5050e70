"""What the configuration says of one station."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from hook_service.config.card import Card
from hook_service.config.destinations import Destination
from hook_service.config.policies import AzuraCast, Policies
from hook_service.config.values import Clock, LoopName, Name, Seconds, Section, port_is_good


class Audio(Section):
    """The station's mount, and what is heard when it is away (a file below paths.loops)."""

    url: str
    fallback: LoopName | None = None

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good(value):
            raise ValueError("is not a mount's address; write http://host:port/mount or https://…")
        if parts.username or parts.password:
            raise ValueError("holds a user or password, which `ps` would show; let this host hear the mount without")
        return value


class Daypart(Section):
    """A default loop for a time of day, in the station's zone; `from` later than `to` spans midnight."""

    from_: Clock = Field(alias="from")
    to: Clock
    loop: LoopName


class Station(Section):
    """One AzuraCast station, under its shortcode."""

    name: str = ""
    profile: str = "720p30"
    timezone: str = "UTC"
    audio: Audio
    default_loop: LoopName = "default.mp4"
    dayparts: list[Daypart] = Field(default_factory=list)
    switch_delay: Seconds = Field(3.0, ge=0, le=120)
    transition: Literal["cut", "fade", "crossfade"] = "fade"
    fade_in: Seconds = Field(1.0, ge=0, le=2)
    azuracast: AzuraCast | None = None
    policies: Policies = Policies()
    card: Card | None = None
    destinations: dict[Name, Destination] = Field(default_factory=dict)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone; write one such as Europe/Berlin or UTC") from None
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Station:
        # `fade_in: 0` alone has always been a cut.
        if self.transition == "cut" and "fade_in" in self.model_fields_set and self.fade_in:
            raise ValueError("fade_in: has no effect on a cut; remove it, or write transition: fade")
        if self.transition == "fade" and "transition" in self.model_fields_set and not self.fade_in:
            raise ValueError("transition: a fade of 0 s is a cut; write transition: cut, or a fade_in above 0")
        return self

    @model_validator(mode="after")
    def _backups(self) -> Station:
        for name, destination in self.destinations.items():
            primary = destination.backup_of
            if primary is None:
                continue
            if primary == name or primary not in self.destinations:
                known = ", ".join(n for n in self.destinations if n != name) or "none"
                raise ValueError(
                    f"destinations.{name}.backup_of: {primary!r} is not another destination of this station; "
                    f"name one of: {known}"
                )
        return self
