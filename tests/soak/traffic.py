"""What comes in all the while: tracks from the engine and AzuraCast, an operator and a dashboard at the API."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle

from tests.rig.broadcast import Piece
from tests.rig.net import RigError, http
from tests.rig.station import Station

SWITCH_SECONDS = 11.5
"""313 tracks an hour."""
_ASK_SECONDS = 0.5
_READS = (
    "status", "history?limit=50", "errors?limit=20", "mappings?limit=100", "loops", "destinations",
    "analytics/tracks-per-hour", "analytics/most-played", "analytics/error-rate", "openapi.json",
)  # fmt: skip


class Programme:
    """Plays a new piece every `SWITCH_SECONDS`, more or less: no rhythm that Icecast's titles could fall in with."""

    def __init__(self, station: Station, pieces: list[Piece]) -> None:
        self.begun: list[float] = []
        """When each piece began in the engine (Unix)."""
        self.refused = 0
        """What could not be played: there was no engine just then."""
        self._station = station
        self._pieces = pieces
        self._rhythm = random.Random(17)

    def run(self, end: threading.Event) -> None:
        """Until `end`, or all are played."""
        due = time.monotonic()
        for piece in self._pieces:
            if end.wait(max(0.0, due + self._rhythm.uniform(-1, 1) - time.monotonic())):
                return
            due += SWITCH_SECONDS
            try:
                assert self._station.radio is not None
                self.begun.append(self._station.radio.play(piece.track, piece.path, seconds=5))
            except (RigError, OSError):
                self.refused += 1


class Operators:
    """Somebody asks the API twice a second and changes a mapping now and then; Prometheus scrapes; others try."""

    def __init__(self, station: Station) -> None:
        self.answers: Counter[str] = Counter()
        """By method and status; `-` where there was no answer."""
        self.wrong: list[str] = []
        """Answers that must never be."""
        self._station = station
        self._full = {"Authorization": f"Bearer {station.secret('api-token')}"}
        self._read = {"Authorization": f"Bearer {station.secret('api-read-token')}"}

    def run(self, end: threading.Event) -> None:
        """Until `end`."""
        steps: list[Callable[[int], None]] = [self._look] * 18 + [
            self._write,
            self._scrape,
            self._look,
            self._intrude,
        ]
        for number, step in enumerate(cycle(steps)):
            if end.wait(_ASK_SECONDS):
                return
            step(number)

    def _look(self, number: int) -> None:
        self._ask("GET", f"/api/v1/{_READS[number % len(_READS)]}", self._read if number % 2 else self._full, {200})

    def _write(self, number: int) -> None:
        body = {"artist": "Soak", "title": f"Number {number % 7}", "loop_file_path": "coral.mp4"}
        self._ask("PUT", "/api/v1/mappings", self._full, {200}, body)

    def _scrape(self, _number: int) -> None:
        self._ask("GET", "/metrics", {}, {200})
        self._ask("GET", "/health", {}, {200})

    def _intrude(self, number: int) -> None:
        """What must be refused, from an address of its own: refusals are counted against it."""
        stranger = {"X-Forwarded-For": f"198.51.100.{number % 250}"}
        self._ask("POST", "/api/v1/stations/demo/switch", {**self._read, **stranger}, {403}, {"loop": "honey.mp4"})
        self._ask("GET", "/api/v1/history", stranger, {401})
        self._ask("POST", "/webhook/azuracast", stranger, {401}, {"song": {}})
        self._ask("GET", "/metrics", stranger, {403})

    def _ask(self, method: str, path: str, headers: dict[str, str], good: set[int], body: object = None) -> None:
        try:
            status, _ = http(f"{self._station.base_url}{path}", headers=headers, body=body, method=method, timeout=5)
        except OSError:
            # radio-web is being replaced, or hangs: that it comes back in time is judged elsewhere.
            self.answers[f"{method} -"] += 1
            return
        self.answers[f"{method} {status}"] += 1
        # 503: the database is away, or (in /health) the station.
        if status not in good | {503}:
            self.wrong.append(f"{method} {path}: {status}")
