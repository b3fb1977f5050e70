"""The host's configuration: one YAML file, secrets from files beside it.

`load()` validates everything before a process does anything. Each problem is one line that names the key,
what is wrong with its value and how to mend it; unknown keys are errors, because a misspelt key that is
silently ignored is found at 3 a.m.

Secrets are never in the YAML file. They are files named after their use in `$CREDENTIALS_DIRECTORY`
(systemd's `LoadCredential=`) or, where that is unset, in `paths.credentials`:

==============================  ==============================================================
`database-password`             password of the role in `database.dsn` (optional)
`webhook-password`              AzuraCast's Basic auth password for the user `webhook.user`
`webhook-secret`                value of the `X-Webhook-Secret` header, for senders that can send one
`webhook-token`                 last path segment of `/webhook/azuracast/<token>`
`api-token`                     the operator's bearer token
`api-read-token`                one that may only read (optional)
`page-users`                    who may sign in to the page (YAML, see `config_users`; without it nobody can)
`session-key`                   signs the page's sessions; without it they end with the process
`STATION.azuracast-key`         API key of AzuraCast: for a station's library, and its now-playing API (optional)
`STATION.DESTINATION.key`       stream key of a destination (SRT: its stream id)
`STATION.DESTINATION.youtube`   authorisation to ask YouTube about a destination that has `youtube` (JSON)
==============================  ==============================================================
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
from pathlib import Path
from typing import Any, Literal, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from hook_service import config_users
from hook_service.config_card import Card
from hook_service.config_destinations import Destination, YouTube
from hook_service.config_policies import AzuraCast, Policies
from hook_service.config_values import Address, Clock, LoopName, Name, Origin, Seconds, Section, Whole, port_is_good
from hook_service.library.profiles import BUILT_IN, Profile
from hook_service.youtube.credentials import parse

DEFAULT_PATH = Path("/etc/radio/radio.yml")
WEBHOOK_CREDENTIALS = ("webhook-password", "webhook-secret", "webhook-token")


class ConfigError(Exception):
    """The configuration can't be used. `problems` has a line for each fault: key, fault, remedy."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        # A name in quotes may hold line breaks; each problem is one line all the same.
        self.problems = [" ".join(problem.splitlines()) for problem in problems]
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems))


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error and not a silent choice of the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, or a YAMLError that names the line."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(getattr(key, "value", None) if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


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

    def missing_credentials(self, keys: bool = True) -> list[str]:
        """A line for each secret that the configuration needs and that is missing or can't be read.

        Without `keys`: those of the web service alone, which is not given stream keys.
        """
        lines: list[str] = []

        def has(name: str) -> bool:
            try:
                return self.secret(name) is not None
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                lines.append(f"the credential {self.credentials / name} can't be read ({why}); mend or replace it")
                return True

        has("database-password")
        if not any([has(name) for name in WEBHOOK_CREDENTIALS]):  # noqa: C419 - each of them is to be looked at
            lines.append(
                f"no webhook credential in {self.credentials}; create at least one of "
                f"{', '.join(WEBHOOK_CREDENTIALS)} (mode 0640 or tighter)"
            )
        if not has("api-token"):
            lines.append(f"no api-token in {self.credentials}; create it (mode 0640 or tighter)")
        has("api-read-token")
        has("session-key")
        lines += self._unusable_users()
        for shortcode, station in self.stations.items():
            if station.azuracast is not None:
                has(f"{shortcode}.azuracast-key")
        lines += self._unusable_authorisations()
        for shortcode, station in self.stations.items() if keys else ():
            for name, destination in station.destinations.items():
                key = f"{shortcode}.{name}.key"
                if destination.url.startswith("rtmp") and not has(key):
                    where = self.credentials / key
                    lines.append(f"stations.{shortcode}.destinations.{name}: no stream key; put it into {where}")
        return lines

    def _unusable_users(self) -> list[str]:
        where = self.credentials / "page-users"
        try:
            config_users.parse(self.secret("page-users"))
        except OSError as error:
            return [f"the credential {where} can't be read ({error.strerror}); mend or replace it"]
        except ValueError as error:
            return [f"the credential {where} {error}; mend or replace it"]
        return []

    def _unusable_authorisations(self) -> list[str]:
        lines = []
        for key, _ in self.youtube():
            where = self.credentials / f"{key}.youtube"
            try:
                text = self.secret(where.name)
                if text is not None:
                    parse(text)
            except OSError as error:
                lines.append(f"the credential {where} can't be read ({error.strerror}); mend or replace it")
            except ValueError as error:
                lines.append(f"the credential {where} {error}")
            else:
                if text is None:
                    place = f"stations.{key.replace('.', '.destinations.')}.youtube"
                    lines.append(f"{place}: no authorisation; make {where} with hook_service.youtube.authorise")
        return lines


def load(path: Path) -> Host:
    """Read and validate the configuration file; raises ConfigError with a line for each problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            path, [f"can't be read ({error.strerror}); create it or name another with --config"]
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [f"is not UTF-8 (byte {error.start}); save it as UTF-8"]) from None
    try:
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(path, [f"is not YAML: {' '.join(str(error).split())}; mend that line"]) from None
    if not isinstance(raw, dict):
        raise ConfigError(path, ["holds no settings; begin with 'stations:' (see docs/CONFIGURATION.md)"])
    try:
        return Host.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(path, [_explain(dict(item)) for item in error.errors()]) from None


def _explain(item: dict[str, Any]) -> str:
    location: tuple[int | str, ...] = item["loc"]
    key = ".".join(str(part) for part in location if part != "[key]")
    kind = item["type"]
    if kind == "value_error":
        fault = str(item["ctx"]["error"])
        return f"{key}: {fault}" if key and not fault.startswith("stations.") else fault
    if kind == "missing":
        return f"{key}: is missing; add it"
    if kind == "extra_forbidden":
        siblings = _siblings(location)
        near = difflib.get_close_matches(str(location[-1]), siblings, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys here: {', '.join(siblings)}"
        return f"{key}: is not a setting; {hint}"
    if kind == "string_type" and location[-1] == "[key]":
        return f"{key}: YAML reads this name as {item['input']!r}; put it in quotes"
    fault = item["msg"][0].lower() + item["msg"][1:]
    return f"{key}: {item['input']!r} won't do: {fault}"


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """The settings that exist beside an unknown key."""
    model: type[BaseModel] = Host
    own = False  # a name of the operator's own, such as a station's shortcode, which may be a setting's as well
    for part in location[:-1]:
        field = None if own or isinstance(part, int) else model.model_fields.get(part)
        own = field is not None and get_origin(field.annotation) is dict
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[-1]
    return [field.alias or name for name, field in model.model_fields.items()]


def argument_parser(description: str) -> argparse.ArgumentParser:
    """The command line that all entry points share: `--config FILE`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help=f"default: {DEFAULT_PATH}")
    return parser
