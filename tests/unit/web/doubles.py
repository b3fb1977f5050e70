"""A host in a directory of its own, with doubles for everything that is not the web process."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import yaml
from flask import Flask
from flask.testing import FlaskClient

from hook_service.config import Host
from hook_service.observe.metrics import Metrics
from hook_service.store import records
from hook_service.store.pool import DatabaseAway
from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.resolver import Resolver
from hook_service.tracks.snapshot import MappingRow, Snapshot
from hook_service.web.app import Services
from hook_service.web.director import Director
from hook_service.web.health import Storage
from hook_service.web.plays import Memory

PASSWORD, SECRET, TOKEN, API_TOKEN, READ_TOKEN = "pass:wörd-1", "secret-2", "token-3", "api-4", "read-5"
KEY = "abcd-efgh-ijkl-mnop"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"azuracast:{PASSWORD}".encode()).decode()}
BEARER = {"Authorization": f"Bearer {API_TOKEN}"}
READER = {"Authorization": f"Bearer {READ_TOKEN}"}


def write_host(directory: Path, **changes: Any) -> Path:
    """A host's configuration and credentials below `directory`; the path of the file."""
    for name in ("loops", "library", "state", "run", "credentials"):
        (directory / name).mkdir(exist_ok=True)
    secrets = {
        "webhook-password": PASSWORD,
        "webhook-secret": SECRET,
        "webhook-token": TOKEN,
        "api-token": API_TOKEN,
        "api-read-token": READ_TOKEN,
        "demo.tube.key": KEY,
    }
    for name, secret in secrets.items():
        (directory / "credentials" / name).write_text(secret + "\n")
    paths = {name: str(directory / name) for name in ("loops", "library", "state", "run", "credentials")}
    station = {
        "name": "Demo FM",
        "audio": {"url": "http://127.0.0.1:8000/radio.mp3"},
        "switch_delay": 0,
        "destinations": {"tube": {"url": "rtmps://a.example.org:443/live2?secret=1"}},
    }
    document = {
        "paths": {**paths, "log": str(directory / "app.log")},
        "stations": {"demo": station, "other": {**station, "name": "Other", "destinations": {}}},
        **changes,
    }
    file = directory / "radio.yml"
    file.write_text(yaml.safe_dump(document))
    return file


@dataclass
class Ledger:
    """Takes the place of the outbox, and remembers."""

    started: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    audited: list[dict[str, Any]] = field(default_factory=list)

    def play_started(self, event_id: str, event: TrackEvent, **values: Any) -> None:
        self.started.append({"event_id": event_id, "event": event, **values})

    def play_told(self, event_id: str, event: TrackEvent, **values: Any) -> None:
        self.told.append({"event_id": event_id, "event": event, **values})

    def play_ended(self, event_id: str, **values: Any) -> None:
        self.ended.append({"event_id": event_id, **values})

    def error(self, event_id: UUID, timestamp: float, *, context: Mapping[str, Any], **values: Any) -> None:
        self.errors.append({"event_id": event_id, "timestamp": timestamp, "context": dict(context), **values})

    def note(self, kind: str, body: str, *, dispensable: bool = False) -> None:
        if kind == records.AUDIT:
            row = json.loads(body)
            self.audited.append({**row, "details": json.loads(row["details"])})


class NoStore:
    """A database that is away."""

    def __init__(self, outbox: Ledger) -> None:
        self.outbox = outbox

        self.keeper = SimpleNamespace(current=_snapshot())

    def queries(self) -> Any:
        raise DatabaseAway("no connection")

    pool = queries


@dataclass
class Rig:
    """A host without a database: what the routes work with, and the doubles behind it."""

    host: Host
    app: Flask
    client: FlaskClient
    services: Services
    metrics: Metrics
    ledger: Ledger
    storage: list[Storage]
    streams: Callable[[], dict[str, int]]
    directors: dict[str, Director]

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def make_director(
    host: Host, name: str, ledger: Ledger, metrics: Metrics, resolver: Resolver | None = None, **changes: Any
) -> Director:
    """A director over the doubles. What it kept before is read again."""
    state = host.paths.state / "web"
    state.mkdir(exist_ok=True)
    found = resolver or Resolver(_snapshot(), str(host.paths.loops))
    values: dict[str, Any] = {
        "run": host.paths.run,
        "memory": Memory.load(state / f"{name}.json"),
        "resolver": lambda: found,
        "recorder": ledger,
        "metrics": metrics,
        "switch_delay": host.stations[name].switch_delay,
        **changes,
    }
    return Director(name, **values)


def _snapshot() -> Snapshot:
    rows = [
        MappingRow(1, "*", "track", "artist - one", None, None, "one.mp4"),
        MappingRow(2, "*", "track", "artist - two", None, None, "two.mp4"),
        MappingRow(3, "*", "track", "artist - same", None, None, "one.mp4"),
        MappingRow(4, "*", "track", "artist - escape", None, None, "../../etc/passwd"),
    ]
    return Snapshot.build(rows, [], time.time())


def eventually(check: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `check` says once it is true; fails where it never is."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)
    return value


def body(title: str, number: int, station: str = "demo", **changes: Any) -> dict[str, Any]:
    """AzuraCast's body for the play `number` of a station, as small as it may be."""
    song = {"id": f"{title[:50]}-id", "artist": "Artist", "title": title, "album": "", "custom_fields": []}
    return {
        "station": {"id": 1, "name": "Demo FM", "shortcode": station},
        "live": {"is_live": False},
        "now_playing": {"sh_id": number, "played_at": 1_700_000_000 + 100 * number, "song": song, "playlist": "x"},
        "playing_next": None,
        "is_online": True,
        **changes,
    }
