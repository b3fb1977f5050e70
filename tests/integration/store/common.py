"""What the store's tests share."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from hook_service.store.outbox import Outbox
from hook_service.tracks.nowplaying import TrackEvent

ROOT = Path(__file__).parents[3]
SQL = ROOT / "sql"
LOOPS = "/srv/loops"
T0 = 1_754_000_000.0
TABLES = [
    "0001.tables",
    "0002.changes",
    "0003.analytics",
    "0004.retention",
    "0005.request",
    "0006.operators",
    "0007.songs",
    "0008.library",
    "0009.bulk",
    "0010.purge",
]


def until(true: Callable[[], bool], timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def rows(dsn: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(statement).fetchall()


def play(box: Outbox, number: int, *, station: str = "demo", mapping_id: int | None = None) -> UUID:
    event_id = uuid4()
    event = TrackEvent(station=station, artist="Artist", title=f"Title {number}", song_id=f"id{number}")
    box.play_started(
        event_id,
        event,
        loop="/srv/loops/a.mp4",
        rule="track_key",
        mapping_id=mapping_id,
        started_at=T0 + number,
        publisher_pid=4321,
    )
    return event_id
