"""The read side."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from hook_service.store.outbox import Outbox
from hook_service.store.pool import DatabaseAway, guard
from hook_service.store.queries import Queries
from hook_service.store.snapshot import SnapshotKeeper
from tests.integration.store.common import T0, play, rows, until
from tests.rig.postgres import PrivatePostgres


def test_history_pages(outbox: Outbox, queries: Queries) -> None:
    for number in range(25):
        play(outbox, number // 2, station="demo" if number % 5 else "other")
    assert outbox.wait_empty(10)
    seen = []
    cursor = None
    while True:
        page = queries.history(cursor=cursor, limit=7)
        seen += [row["id"] for row in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 25
    times = [row["started_at"] for row in queries.history(limit=100).items]
    assert times == sorted(times, reverse=True)
    assert len(queries.history(station="other").items) == 5
    assert len(queries.history(q="TITLE 12").items) == 1
    assert len(queries.history(q="Artist - Title 11!").items) == 2
    assert queries.history(q="%").items == []
    since = datetime.fromtimestamp(T0 + 10, UTC)
    assert len(queries.history(since=since).items) == 5
    assert len(queries.history(until=since).items) == 20
    for wrong in ({"q": "a\x00"}, {"cursor": "x"}, {"station": "\x00"}):
        with pytest.raises(ValueError):
            queries.history(**wrong)  # type: ignore[arg-type]


def test_mappings(queries: Queries) -> None:
    made = queries.upsert_mapping(track_key="Daft Punk - One More Time!", loop_file_path="a.mp4")
    assert (made["track_key"], made["station"], made["kind"]) == ("daft punk - one more time", "*", "track")
    again = queries.upsert_mapping(
        track_key="DAFT PUNK - one more time", loop_file_path="b.mp4", azuracast_song_id="abc", media_unique_id=""
    )
    assert (again["id"], again["loop_file_path"], again["azuracast_song_id"]) == (made["id"], "b.mp4", "abc")
    assert again["media_unique_id"] is None
    queries.upsert_mapping(track_key="Daft Punk", kind="artist", station="demo", loop_file_path="c_1.mp4")
    assert queries.mapping(made["id"]) == again
    assert len(queries.mappings().items) == 2
    assert [row["kind"] for row in queries.mappings(station="demo").items] == ["artist"]
    assert len(queries.mappings(kind="track").items) == 1
    assert len(queries.mappings(q="abc").items) == 1
    assert len(queries.mappings(q="C_1").items) == 1
    assert queries.mappings(q="c%1").items == []
    first = queries.mappings(limit=1)
    assert first.next is not None
    assert queries.mappings(limit=1, cursor=first.next).items[0]["id"] == made["id"]
    for wrong in (
        {"track_key": "!!!"},
        {"kind": "genre"},
        {"loop_file_path": " "},
        {"loop_file_path": "a" * 2000},
        {"station": ""},
        {"azuracast_song_id": "a\x00"},
    ):
        with pytest.raises(ValueError):
            queries.upsert_mapping(**{"track_key": "k", "loop_file_path": "a.mp4", **wrong})
    assert queries.delete_mapping(made["id"])
    assert not queries.delete_mapping(made["id"])
    assert queries.mapping(made["id"]) is None
    assert queries.mapping(10**30) is None


def test_defaults(queries: Queries, keeper: SnapshotKeeper) -> None:
    queries.set_default("a.mp4")
    queries.set_default("b.mp4")
    queries.set_default("night.mp4", station="demo", hours="22:00-24:00")
    assert queries.defaults() == [
        {"station": "*", "key": "default_loop", "value": "b.mp4"},
        {"station": "demo", "key": "default_loop 22:00-00:00", "value": "night.mp4"},
    ]
    assert len(queries.defaults("other")) == 1
    until(lambda: bool(keeper.current.dayparts) and keeper.current.default_loops == {"*": "b.mp4"})
    assert queries.delete_default(station="demo", hours="22:00-00:00")
    assert not queries.delete_default(station="demo")
    with pytest.raises(ValueError):
        queries.set_default("x.mp4", hours="late")


def test_analytics(queries: Queries, db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute(
        "INSERT INTO play_history (station, track_key, artist, title, started_at) VALUES"
        " ('demo', 'a', 'Old', 'A', now()), ('demo', 'a', 'New', 'A', now() + interval '1 ms'),"
        " ('demo', 'b', 'B', 'B', now()), ('other', 'a', 'A', 'A', now() - interval '3 days')"
    )
    db.execute(
        "INSERT INTO error_log (station, timestamp, service, severity, message) VALUES"
        " ('demo', now(), 's', 'ERROR', 'm'), ('demo', now(), 's', 'ERROR', 'm'), ('*', now(), 's', 'WARNING', 'm')"
    )
    assert sum(row["tracks"] for row in queries.tracks_per_hour(station="demo")) == 3
    assert queries.tracks_per_hour(station="other") == []
    assert len(queries.tracks_per_hour(station="other", hours=100)) == 1
    assert queries.tracks_per_hour()[0]["hour"].minute == 0
    top = queries.most_played(station="demo", limit=1)
    assert [(row["track_key"], row["artist"], row["plays"]) for row in top] == [("a", "New", 2)]
    assert len(queries.most_played(since=datetime.now(UTC) - timedelta(days=1))) == 2
    assert {(row["severity"], row["errors"]) for row in queries.error_rate()} == {("ERROR", 2), ("WARNING", 1)}
    assert len(queries.error_rate(station="demo")) == 1
    assert len(queries.errors(station="demo").items) == 3
    assert len(queries.errors(severity="error", limit=1).items) == 1
    assert queries.counts() == {"mappings": 0, "plays": 4, "errors": 3}
    assert db.execute(
        "SELECT plays FROM most_played_tracks WHERE station = 'demo' AND track_key = 'a'"
    ).fetchall() == [{"plays": 2}]


def test_retention(queries: Queries, db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute(
        "INSERT INTO play_history (track_key, started_at) SELECT 'k', now() - make_interval(days => d)"
        " FROM unnest(ARRAY[0, 10, 399, 401, 1000]) d"
    )
    db.execute(
        "INSERT INTO error_log (timestamp, service, severity, message)"
        " SELECT now() - make_interval(days => d), 's', 'ERROR', 'm' FROM unnest(ARRAY[0, 89, 91]) d"
    )
    assert queries.purge(400, 90) == {"plays": 2, "errors": 1}
    assert queries.purge(400, 90) == {"plays": 0, "errors": 0}
    # Nought days are a slip, not an order to forget everything.
    assert queries.purge(0, -5) == {"plays": 2, "errors": 1}
    assert queries.counts()["plays"] == 1


def test_more_than_one_statement_may_delete(queries: Queries, db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute(
        "INSERT INTO error_log (timestamp, service, severity, message)"
        " SELECT now() - interval '91 days', 's', 'ERROR', 'm' FROM generate_series(1, 12000)"
    )
    assert queries.purge(400, 90) == {"plays": 0, "errors": 12000}


def test_server_that_hangs_is_given_up(server: PrivatePostgres, dsn: str, queries: Queries, outbox: Outbox) -> None:
    play(outbox, 0)
    assert outbox.wait_empty(10)
    queries.ping()
    with psycopg.connect(dsn) as connection:
        server.pause()
        try:
            start = time.monotonic()
            with pytest.raises(DatabaseAway):
                queries.ping()
            with pytest.raises(psycopg.OperationalError), guard(connection, 0.3):
                connection.execute("SELECT 1")
            assert time.monotonic() - start < 10
            play(outbox, 1)
            assert outbox.pending == 1
        finally:
            server.resume()
    assert outbox.wait_empty(20)
    assert len(rows(dsn, "SELECT 1 FROM play_history")) == 2


def test_queries_while_the_database_is_away(server: PrivatePostgres, queries: Queries) -> None:
    queries.ping()
    server.stop("immediate")
    with pytest.raises(DatabaseAway):
        queries.ping()
    server.start()
    start = time.monotonic()
    while True:
        try:
            queries.ping()
            break
        except DatabaseAway:
            assert time.monotonic() - start < 20
