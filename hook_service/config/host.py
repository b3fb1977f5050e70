"""What the configuration says of the host; its stations are parts of it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hook_service.config.destinations import YouTube
from hook_service.config.station import Station
from hook_service.config.values import Address, Name, Origin, Section, Whole
from hook_service.library.profiles import BUILT_IN, Profile


class Paths(Section):
    """Where things lie on the host; the defaults are what the roles create."""

    loops: Path = Path("/srv/loops")
    library: Path = Path("/var/lib/radio/library")
    state: Path = Path("/var/lib/radio")
    run: Path = Path("/run/radio")
    log: Path = Path("/var/log/radio/app.log")
    credentials: Path = Path("/etc/radio/credentials")
    cards: Path = Path("/etc/radio/cards")

    @field_validator("*")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError(f"{str(value)!r} is not absolute; write the whole path, beginning with '/'")
        return value

    @property
    def art(self) -> Path:
        """Where the web service leaves covers for the cards."""
        return self.state / "web" / "art"


class Database(Section):
    """PostgreSQL: a libpq connection string without its password, and how long rows are kept (days)."""

    dsn: str = "host=127.0.0.1 port=5432 dbname=radio user=radio"
    history_days: Whole = Field(400, ge=1)
    error_days: Whole = Field(90, ge=1)

    @field_validator("dsn")
    @classmethod
    def _no_password(cls, value: str) -> str:
        if re.search(r"password\s*=", value) or re.match(r"\w+://[^/@]*:[^/@]+@", value):
            raise ValueError("holds a password; take it out and put it into the credential file 'database-password'")
        return value


class Web(Section):
    """The HTTP service. The limits are for each client address; plots and alerts come from the other two."""

    listen: Address = "127.0.0.1:9000"
    threads: Whole = Field(8, ge=1, le=64)
    trusted_proxies: Whole = Field(0, ge=0, le=4)
    failed_per_minute: Whole = Field(30, ge=1)
    requests_per_second: Whole = Field(2000, ge=1)
    prometheus: Origin | None = None
    alertmanager: Origin | None = None


class Webhook(Section):
    """Who may send webhooks; the password, secret and token are credentials."""

    user: str = Field("azuracast", min_length=1)


class Relay(Section):
    """The local nginx-rtmp: where it takes RTMP and where it shows its statistics."""

    rtmp: Address = "127.0.0.1:1935"
    stat: Address = "127.0.0.1:8080"
    config: Path = Path("/etc/radio/relay.conf")


class ProfileModel(Section):
    """A profile of the operator's own, beside those that ship."""

    width: Whole = Field(ge=160, le=3840, multiple_of=2)
    height: Whole = Field(ge=90, le=2160, multiple_of=2)
    fps: str = "30"
    video_kbps: Whole = Field(ge=200, le=50000)
    audio_kbps: Whole = Field(192, ge=64, le=320)
    encoder: Literal["libx264", "h264_nvenc"] = "libx264"

    @field_validator("fps", mode="before")
    @classmethod
    def _rational(cls, value: Any) -> str:
        text = str(value)
        match = re.match(r"(\d{1,6})(?:/(\d{1,6}))?\Z", text)
        if not match or not int(match[2] or 1) or not 1 <= int(match[1]) / int(match[2] or 1) <= 60:
            raise ValueError(f"{text!r} is not a frame rate; write 30, 25 or 30000/1001, between 1 and 60")
        return text


class Host(Section):
    """Everything one host needs to know."""

    paths: Paths = Paths()
    database: Database = Database()
    web: Web = Web()
    webhook: Webhook = Webhook()
    relay: Relay = Relay()
    profiles: dict[Name, ProfileModel] = Field(default_factory=dict)
    stations: dict[Name, Station] = Field(min_length=1)

    @model_validator(mode="after")
    def _known_profiles(self) -> Host:
        known = sorted({*BUILT_IN, *self.profiles})
        for name, station in self.stations.items():
            if station.profile not in known:
                raise ValueError(
                    f"stations.{name}.profile: {station.profile!r} is not a profile; use one of "
                    f"{', '.join(known)}, or define it under profiles"
                )
        for name in self.profiles:
            if name in BUILT_IN:
                raise ValueError(f"profiles.{name}: is a profile that ships; give yours another name")
        return self

    @model_validator(mode="after")
    def _one_watcher_each(self) -> Host:
        # Two that bind one stream anew would make two broadcasts of it.
        seen: dict[str, str] = {}
        for key, settings in self.youtube():
            place = f"stations.{key.replace('.', '.destinations.')}.youtube.stream"
            first = seen.setdefault(settings.stream, place)
            if first != place:
                raise ValueError(f"{place}: is the same as {first}; leave it to that one, which is asked about both")
        return self

    def youtube(self) -> list[tuple[str, YouTube]]:
        """`STATION.DESTINATION` and settings of every destination about which YouTube is asked."""
        return [
            (f"{shortcode}.{name}", destination.youtube)
            for shortcode, station in self.stations.items()
            for name, destination in station.destinations.items()
            if destination.youtube is not None
        ]

    @property
    def credentials(self) -> Path:
        """The directory of the secrets: systemd's, else `paths.credentials`."""
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        return Path(directory) if directory else self.paths.credentials

    def secret(self, name: str) -> str | None:
        """The text of the credential file `name` without trailing newlines, or None where there is none.

        Raises PermissionError where the file can't be read by this process.
        """
        try:
            return (self.credentials / name).read_text(encoding="utf-8").rstrip("\r\n") or None
        except FileNotFoundError:
            return None

    def dsn(self) -> str:
        """The database's connection string with its password. Never to be logged."""
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - not for those who never speak to it

        password = self.secret("database-password")
        return self.database.dsn if password is None else make_conninfo(self.database.dsn, password=password)

    def profile(self, name: str, fade_in: float = 1.0) -> Profile:
        """The profile `name` as the library encodes it for a station that fades in `fade_in` seconds."""
        if name in BUILT_IN:
            return BUILT_IN[name].with_fade(fade_in)
        model = self.profiles[name]
        num, _, den = model.fps.partition("/")
        return Profile(
            name=name,
            width=model.width,
            height=model.height,
            fps_num=int(num),
            fps_den=int(den or 1),
            video_kbps=model.video_kbps,
            encoder=model.encoder,
            audio_kbps=model.audio_kbps,
            fade_in=fade_in,
        )

    def station_profile(self, shortcode: str) -> Profile:
        """The profile of a station, with its fade."""
        station = self.stations[shortcode]
        return self.profile(station.profile, 0.0 if station.transition == "cut" else station.fade_in)
