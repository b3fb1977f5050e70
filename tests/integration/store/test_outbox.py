"""What must be written is, in order and exactly once."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from hook_service.store import records
from hook_service.store.migrate import migrate, rollback
from hook_service.store.outbox import Outbox
from hook_service.store.queries import Queries
from hook_service.tracks.nowplaying import TrackEvent
from tests.integration.store.common import ROOT, SQL, T0, play, rows, until
from tests.rig.postgres import PrivatePostgres


def test_a_play_from_start_to_end(outbox: Outbox, db: psycopg.Connection[dict[str, Any]]) -> None:
    [mapping] = db.execute(
        "INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4') RETURNING id"
    ).fetchall()
    event_id = play(outbox, 1, mapping_id=mapping["id"])
    outbox.play_ended(event_id, ended_at=T0 + 201.25, had_errors=True, error_message="the loop was damaged")
    assert outbox.wait_empty(10)
    [row] = db.execute("SELECT * FROM play_history").fetchall()
    assert row.pop("id") > 0
    assert row.pop("request_id") is None
    start = datetime.fromtimestamp(T0 + 1, UTC)
    assert float(row.pop("duration_seconds")) == 200.25
    assert row == {
        "track_key": "artist - title 1",
        "artist": "Artist",
        "title": "Title 1",
        "album": "",
        "azuracast_song_id": "id1",
        "loop_file_path": "/srv/loops/a.mp4",
        "started_at": start,
        "ended_at": start + timedelta(seconds=200.25),
        "ffmpeg_pid": 4321,
        "had_errors": True,
        "error_message": "the loop was damaged",
        "station": "demo",
        "event_id": event_id,
        "mapping_id": mapping["id"],
        "resolved_by": "track_key",
    }
    assert db.execute("SELECT play_count FROM track_mappings").fetchall() == [{"play_count": 1}]
    db.execute("DELETE FROM track_mappings")
    assert db.execute("SELECT mapping_id FROM play_history").fetchall() == [{"mapping_id": None}]
    assert (outbox.pending, outbox.oldest_age, outbox.flushed_total, outbox.healthy) == (0, 0.0, 2, True)


def test_mapping_deleted_meanwhile(outbox: Outbox, dsn: str) -> None:
    play(outbox, 1, mapping_id=424242)
    assert outbox.wait_empty(10)
    assert rows(dsn, "SELECT mapping_id FROM play_history") == [{"mapping_id": None}]
    assert outbox.dead_total == 0


def test_what_is_told_of_a_play_later(outbox: Outbox, db: psycopg.Connection[dict[str, Any]]) -> None:
    first, second = (
        db.execute(
            "INSERT INTO track_mappings (track_key, loop_file_path) VALUES (%s, 'a.mp4') RETURNING id", [key]
        ).fetchall()[0]["id"]
        for key in "kl"
    )
    event_id = play(outbox, 1, mapping_id=first)
    more = TrackEvent(station="demo", artist="Artist", title="Title 1", album="Album", song_id="late")
    counts, columns = "SELECT play_count FROM track_mappings ORDER BY id", "album, azuracast_song_id, loop_file_path"
    look = f"SELECT {columns}, resolved_by, mapping_id FROM play_history"
    for _ in range(2):  # delivered twice, it changes nothing more
        outbox.play_told(event_id, more, loop=None, rule=None, mapping_id=None)
        assert outbox.wait_empty(10)
        assert list(db.execute(look).fetchall()[0].values()) == [
            "Album", "late", "/srv/loops/a.mp4", "track_key", first,
        ]  # fmt: skip
        assert [row["play_count"] for row in db.execute(counts)] == [1, 0]
    for _ in range(2):
        outbox.play_told(event_id, more, loop="/srv/loops/b.mp4", rule="song_id", mapping_id=second)
        assert outbox.wait_empty(10)
        assert list(db.execute(look).fetchall()[0].values())[2:] == ["/srv/loops/b.mp4", "song_id", second]
        assert [row["play_count"] for row in db.execute(counts)] == [0, 1]
    outbox.play_told(event_id, more, loop="/srv/loops/c.mp4", rule="video_loop", mapping_id=None)
    outbox.play_told(uuid4(), more, loop="/srv/loops/c.mp4", rule="video_loop", mapping_id=first)
    assert outbox.wait_empty(10)
    assert list(db.execute(look).fetchall()[0].values())[2:] == ["/srv/loops/c.mp4", "video_loop", None]
    assert [row["play_count"] for row in db.execute(counts)] == [0, 0]
    assert outbox.dead_total == 0


def test_plays_left_open(outbox: Outbox, dsn: str) -> None:
    lost = play(outbox, 0)
    other = play(outbox, 0, station="other")
    following = play(outbox, 100)
    after = play(outbox, 400)
    # Reported late, and it knows better than the rule.
    outbox.play_ended(following, ended_at=T0 + 390)
    outbox.close_open("other", at=T0 + 50, still_on_air=uuid4())
    outbox.close_open("demo", at=T0 + 999, still_on_air=after)
    assert outbox.wait_empty(10)
    seconds = {
        row["event_id"]: row["s"]
        for row in rows(dsn, "SELECT event_id, duration_seconds::float8 AS s FROM play_history")
    }
    assert seconds == {lost: 100.0, other: 50.0, following: 290.0, after: None}
    outbox.close_open("demo", at=T0 + 10)
    assert outbox.wait_empty(10)
    [last] = rows(dsn, f"SELECT ended_at - started_at AS t FROM play_history WHERE event_id = '{after}'")
    assert last["t"] == timedelta(0)


def test_outage(server: PrivatePostgres, dsn: str, outbox: Outbox) -> None:
    play(outbox, 0)
    assert outbox.wait_empty(10)
    server.stop("immediate")
    slowest = 0.0
    ids = []
    for number in range(1, 101):
        start = time.perf_counter()
        ids.append(play(outbox, number))
        outbox.error(uuid4(), T0 + number, station="demo", service="web", severity="ERROR", message=f"e{number}")
        slowest = max(slowest, time.perf_counter() - start)
    assert outbox.pending == 200
    assert slowest < 0.5
    until(lambda: not outbox.healthy)
    assert outbox.oldest_age >= 0
    server.start()
    assert outbox.wait_empty(20)
    until(lambda: outbox.healthy)
    plays = rows(dsn, "SELECT event_id FROM play_history WHERE started_at > to_timestamp(1754000000) ORDER BY id")
    assert [row["event_id"] for row in plays] == ids
    errors = rows(dsn, "SELECT message FROM error_log ORDER BY id")
    assert [row["message"] for row in errors] == [f"e{number}" for number in range(1, 101)]
    assert rows(dsn, "SELECT count(*) AS n FROM play_history WHERE ended_at IS NULL") == [{"n": 1}]


KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
from hook_service.store.outbox import Outbox

class Killed(Outbox):
    def _forget(self, batch):
        # The transaction has been committed; the records have not been taken off.
        os.kill(os.getpid(), signal.SIGKILL)

box = Killed(Path(sys.argv[1]), sys.argv[2])
box.start()
box.wait_empty(30)
"""


def test_killed_between_commit_and_deletion(dsn: str, tmp_path: Path, db: psycopg.Connection[dict[str, Any]]) -> None:
    [mapping] = db.execute(
        "INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4') RETURNING id"
    ).fetchall()
    path = tmp_path / "outbox.sqlite3"
    box = Outbox(path, dsn)
    ids = []
    for number in range(50):
        ids.append(play(box, number, mapping_id=mapping["id"]))
        box.error(uuid4(), T0, station=None, service="web", severity="INFO", message=str(number))
        if number % 2:
            box.play_ended(ids[-1], ended_at=T0 + number + 0.5)
    box.close(0.0)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", KILLED_BETWEEN, str(path), dsn], cwd=ROOT, timeout=60, check=False
        )
        assert done.returncode == -signal.SIGKILL
    assert len(db.execute("SELECT 1 FROM play_history").fetchall()) == 50
    state = "SELECT event_id, ended_at, duration_seconds, error_message FROM play_history ORDER BY id"
    before = db.execute(state).fetchall()
    again = Outbox(path, dsn)
    assert again.pending == 125
    again.start()
    assert again.wait_empty(20)
    again.close()
    after = db.execute(state).fetchall()
    assert [row["event_id"] for row in after] == ids
    assert after == before
    assert db.execute("SELECT play_count FROM track_mappings").fetchall() == [{"play_count": 50}]
    assert len(db.execute("SELECT 1 FROM error_log").fetchall()) == 50


def test_the_request_of_a_play(outbox: Outbox, queries: Queries) -> None:
    event = TrackEvent(station="demo", artist="A", title="T")
    event_id = uuid4()
    outbox.play_started(
        event_id, event, loop="l", rule="default", mapping_id=None, started_at=T0, request_id="request-1"
    )
    # Written by a version that knew of no requests, and delivered by this one.
    old = json.loads(records.play_started(
        uuid4(), event, loop="l", rule="default", mapping_id=None, started_at=T0 + 1, publisher_pid=None
    ))  # fmt: skip
    del old["request_id"]
    outbox._spool.append("play_started", json.dumps(old))
    assert outbox.wait_empty(10)
    assert outbox.dead_total == 0
    assert [row["request_id"] for row in queries.history().items] == [None, "request-1"]
    assert [row["event_id"] for row in queries.history(q="request-1").items] == [event_id]
    outbox.play_told(event_id, event, loop=None, rule=None, mapping_id=None, request_id="request-2")
    outbox.play_told(event_id, event, loop=None, rule=None, mapping_id=None, request_id="")
    assert outbox.wait_empty(10)
    assert queries.history(q="request-1").items == []
    assert [row["event_id"] for row in queries.history(q="request-2").items] == [event_id]


def test_poison(outbox: Outbox, dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    first = play(outbox, 1)
    outbox.error("not a uuid", T0, station="demo", service="web", severity="ERROR", message="m")
    outbox.play_ended(first, ended_at=1e30)
    outbox._spool.append("play_started", "{}")
    outbox._spool.append("of another version", "{}")
    outbox._spool.append("error", "not json")
    second = play(outbox, 2)
    assert outbox.wait_empty(10)
    assert [r["event_id"] for r in rows(dsn, "SELECT event_id FROM play_history ORDER BY id")] == [first, second]
    assert outbox.dead_total == 5
    assert outbox.healthy
    refused = [r for r in caplog.records if r.name == "radio.outbox" and r.levelno == logging.ERROR]
    assert len(refused) == 5


def test_texts_that_postgresql_can_not_hold(outbox: Outbox, dsn: str) -> None:
    event = TrackEvent(station="demo", artist="A\x00B", title="\ud800x" + "t" * 600)
    outbox.play_started(uuid4(), event, loop="l", rule="default", mapping_id=None, started_at=T0)
    outbox.error(
        uuid4(),
        T0,
        station="demo",
        service="w",
        severity="e",
        message="\x00",
        context={"\x00": ["\ud800", float("inf")]},
    )
    assert outbox.wait_empty(10)
    assert outbox.dead_total == 0
    assert rows(dsn, "SELECT artist FROM play_history") == [{"artist": "AB"}]
    assert rows(dsn, "SELECT context FROM error_log") == [{"context": {"": ["?", "inf"]}}]


def test_schema_that_comes_later(outbox: Outbox, dsn: str) -> None:
    rollback(dsn, SQL)
    event_id = play(outbox, 1)
    until(lambda: not outbox.healthy)
    assert (outbox.pending, outbox.dead_total) == (1, 0)
    migrate(dsn, SQL)
    assert outbox.wait_empty(20)
    assert rows(dsn, "SELECT event_id FROM play_history") == [{"event_id": event_id}]


def test_ids_brought_in_by_an_import(outbox: Outbox, dsn: str, db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute(
        "INSERT INTO play_history (id, track_key, started_at) SELECT n, 'old', now() FROM generate_series(1, 500) n"
    )
    event_id = play(outbox, 1)
    assert outbox.wait_empty(10)
    assert outbox.dead_total == 0
    assert rows(dsn, "SELECT id, event_id FROM play_history WHERE station = 'demo'") == [
        {"id": 501, "event_id": event_id}
    ]


def test_hanging_server_holds_nobody_up(server: PrivatePostgres, dsn: str, outbox: Outbox) -> None:
    play(outbox, 0)
    assert outbox.wait_empty(10)
    assert server.pid is not None
    backends = [
        row["pid"] for row in rows(dsn, "SELECT pid FROM pg_stat_activity WHERE application_name = 'radio-outbox'")
    ]
    assert len(backends) == 1
    os.kill(backends[0], signal.SIGSTOP)
    try:
        start = time.monotonic()
        for number in range(1, 20):
            play(outbox, number)
        assert time.monotonic() - start < 2
    finally:
        os.kill(backends[0], signal.SIGCONT)
    assert outbox.wait_empty(10)
    assert len(rows(dsn, "SELECT 1 FROM play_history")) == 20


def test_sign_of_life(dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    first = Outbox(path, dsn)
    assert first.previous_alive is None
    first.start()
    until(lambda: path.with_name(path.name + ".alive").exists())
    first.close()
    second = Outbox(path, dsn)
    assert second.previous_alive is not None
    assert abs(time.time() - second.previous_alive) < 60
    second.close()
