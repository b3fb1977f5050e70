"""The store against a real PostgreSQL, stopped and started under it."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from hook_service.store.migrate import migrate, pending, rollback
from hook_service.store.outbox import Outbox
from hook_service.store.pool import DatabaseAway, guard, open_pool
from hook_service.store.queries import Queries
from hook_service.store.snapshot import SnapshotKeeper
from hook_service.tracks.nowplaying import TrackEvent
from tests.rig.postgres import PrivatePostgres

ROOT = Path(__file__).parents[2]
SQL = ROOT / "sql"
T0 = 1_754_000_000.0
TABLES = ["0001.tables", "0002.changes", "0003.analytics", "0004.retention"]


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    # pytest's own directories can't be reached by the user that PostgreSQL runs as.
    directory = Path(tempfile.mkdtemp(prefix="steadycast-postgres-"))
    directory.chmod(0o755)
    postgres = PrivatePostgres(directory)
    try:
        postgres.create()
        postgres.start()
        yield postgres
    finally:
        postgres.remove()


@pytest.fixture
def dsn(server: PrivatePostgres) -> Iterator[str]:
    """A database of its own for each test, with the schema in it."""
    if server.pid is None:
        server.start()
    name = f"t{uuid4().hex[:12]}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    own = server.dsn.replace("dbname=radio", f"dbname={name}")
    migrate(own, SQL)
    yield own
    if server.pid is not None:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def outbox(dsn: str, tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "outbox.sqlite3", dsn)
    box.start()
    yield box
    box.close(0.0)


@pytest.fixture
def queries(dsn: str) -> Iterator[Queries]:
    pool = open_pool(dsn, timeout=2.0)
    yield Queries(pool)
    pool.close()


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


# --- migrations -----------------------------------------------------------------------------------------------------


def shape(connection: psycopg.Connection[dict[str, Any]]) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name NOT LIKE '%yoyo%' ORDER BY 1, 2"
    ).fetchall()


def test_up_down_up(dsn: str, db: psycopg.Connection[dict[str, Any]]) -> None:
    first = shape(db)
    assert {"track_mappings", "play_history", "error_log", "default_config", "procrastinate_jobs"} <= {
        row["table_name"] for row in first
    }
    assert migrate(dsn, SQL) == []
    assert pending(dsn, SQL) == []
    assert rollback(dsn, SQL, keep=2) == TABLES[:1:-1]
    assert pending(dsn, SQL) == TABLES[2:]
    assert rollback(dsn, SQL) == TABLES[1::-1]
    left = {row["table_name"] for row in shape(db)}
    assert all(name.startswith("procrastinate_") for name in left)
    assert db.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'radio%'").fetchall() == []
    assert migrate(dsn, SQL) == TABLES
    assert shape(db) == first


def test_failed_migration_changes_nothing(dsn: str, db: psycopg.Connection[dict[str, Any]], tmp_path: Path) -> None:
    for file in SQL.glob("*.sql"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "0005.bad.sql").write_text("CREATE TABLE half (id integer);\nSELECT no_such_function();\n")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        migrate(dsn, tmp_path)
    assert db.execute("SELECT to_regclass('half') AS made").fetchone() == {"made": None}
    (tmp_path / "0005.bad.sql").write_text("CREATE TABLE half (id integer);\n")
    assert migrate(dsn, tmp_path) == ["0005.bad"]


def test_migrator_that_died_leaves_no_lock(dsn: str, db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 99999)")
    rollback(dsn, SQL)
    assert migrate(dsn, SQL) == TABLES


def test_migrators_take_turns(dsn: str) -> None:
    rollback(dsn, SQL)
    script = (
        "import sys; from pathlib import Path; from hook_service.store.migrate import migrate\n"
        "print(len(migrate(sys.argv[1], Path(sys.argv[2]))))\n"
    )
    command = [sys.executable, "-c", script, dsn, str(SQL)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert answers == ["0", "4"]


def test_directory_without_migrations(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        migrate(dsn, tmp_path)


# --- the schema -----------------------------------------------------------------------------------------------------


def test_inserts_of_the_original(db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute(
        "INSERT INTO track_mappings (track_key, azuracast_song_id, loop_file_path)"
        " VALUES ('daft punk - one more time', 'abc123', '/srv/loops/a.mp4')"
    )
    db.execute(
        "INSERT INTO play_history (track_key, artist, title, album, azuracast_song_id, loop_file_path, started_at,"
        " duration_seconds, ffmpeg_pid, had_errors, error_message)"
        " VALUES ('k', 'A', 'T', 'L', 'abc123', '/srv/loops/a.mp4', NOW(), 320, 12345, FALSE, NULL)"
    )
    db.execute(
        "INSERT INTO error_log (timestamp, service, severity, message, context)"
        " VALUES (NOW(), 'metadata-watcher', 'ERROR', 'm', '{\"a\": 1}')"
    )
    db.execute("INSERT INTO default_config (key, value) VALUES ('default_loop', '/srv/loops/default.mp4')")
    [mapping] = db.execute("SELECT station, kind, play_count FROM track_mappings").fetchall()
    assert mapping == {"station": "*", "kind": "track", "play_count": 0}
    assert db.execute("SELECT station FROM default_config").fetchall() == [{"station": "*"}]


def test_one_mapping_for_a_station_kind_and_key(db: psycopg.Connection[dict[str, Any]]) -> None:
    insert = "INSERT INTO track_mappings (station, kind, track_key, loop_file_path) VALUES (%s, %s, 'k', 'a.mp4')"
    for station, kind in (("*", "track"), ("demo", "track"), ("demo", "artist")):
        db.execute(insert, [station, kind])
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute(insert, ["demo", "artist"])
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute(insert, ["demo", "genre"])


def test_indexes(db: psycopg.Connection[dict[str, Any]]) -> None:
    found = db.execute(
        "SELECT index.relname AS name, i.indrelid::regclass::text AS table, i.indkey::int[] AS columns,"
        " i.indpred IS NULL AS whole"
        " FROM pg_index i JOIN pg_class index ON index.oid = i.indexrelid WHERE i.indrelid::regclass::text IN"
        " ('track_mappings', 'play_history', 'error_log', 'default_config')"
    ).fetchall()
    names = {row["name"] for row in found}
    assert {"idx_track_key", "idx_song_id", "idx_play_history_started", "idx_error_log_timestamp"} <= names
    for one in found:
        for other in found:
            if one is not other and one["table"] == other["table"] and one["whole"] and other["whole"]:
                assert one["columns"] != other["columns"][: len(one["columns"])], (one["name"], other["name"])


def test_every_time_has_its_zone(db: psycopg.Connection[dict[str, Any]]) -> None:
    times = db.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name IN ('track_mappings', 'play_history', 'error_log', 'default_config')"
        " AND data_type LIKE 'timestamp%%without%%'".replace("%%", "%")
    ).fetchall()
    assert times == []


def test_updated_at_follows_edits_but_not_plays(db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute("INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4')")
    times = "SELECT updated_at, created_at FROM track_mappings"
    before = db.execute(times).fetchone()
    db.execute("UPDATE track_mappings SET play_count = play_count + 1")
    assert db.execute(times).fetchone() == before
    db.execute("UPDATE track_mappings SET loop_file_path = 'b.mp4'")
    after = db.execute(times).fetchone()
    assert before is not None
    assert after is not None
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]


# --- the snapshot ---------------------------------------------------------------------------------------------------


@pytest.fixture
def keeper(dsn: str, tmp_path: Path) -> Iterator[SnapshotKeeper]:
    kept = SnapshotKeeper(dsn, tmp_path / "snapshot.json")
    assert kept.start(timeout=10)
    yield kept
    kept.stop()


def test_changes_are_seen(keeper: SnapshotKeeper, db: psycopg.Connection[dict[str, Any]]) -> None:
    assert keeper.current.rows == ()
    assert keeper.healthy
    start = time.monotonic()
    db.execute("INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4')")
    until(lambda: len(keeper.current.rows) == 1)
    assert time.monotonic() - start < 2
    db.execute("UPDATE track_mappings SET loop_file_path = 'b.mp4'")
    until(lambda: keeper.current.rows[0].loop_file_path == "b.mp4")
    db.execute("INSERT INTO default_config (key, value) VALUES ('default_loop', 'd.mp4')")
    until(lambda: keeper.current.default_loops == {"*": "d.mp4"})
    db.execute("TRUNCATE track_mappings CASCADE")
    until(lambda: keeper.current.rows == ())
    assert keeper.age < 60


def test_plays_make_nobody_load_again(keeper: SnapshotKeeper, db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute("INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4')")
    until(lambda: len(keeper.current.rows) == 1)
    until(lambda: not list(db.notifies(timeout=0.1)))
    loads = keeper.loads
    for _ in range(5):
        db.execute("UPDATE track_mappings SET play_count = play_count + 1")
    # A change that does count comes after them, so theirs would have been seen by then.
    db.execute("INSERT INTO default_config (key, value) VALUES ('default_loop', 'd.mp4')")
    until(lambda: bool(keeper.current.default_loops))
    assert keeper.loads == loads + 1


def test_many_changes_are_few_loads(keeper: SnapshotKeeper, db: psycopg.Connection[dict[str, Any]]) -> None:
    for number in range(200):
        db.execute("INSERT INTO track_mappings (track_key, loop_file_path) VALUES (%s, 'a.mp4')", [f"k{number}"])
    until(lambda: len(keeper.current.rows) == 200)
    assert keeper.loads < 40


def test_snapshot_outlives_database_and_process(server: PrivatePostgres, dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4')")
    first = SnapshotKeeper(dsn, path)
    assert first.start(timeout=10)
    server.stop("immediate")
    until(lambda: not first.healthy)
    assert len(first.current.rows) == 1
    second = SnapshotKeeper(dsn, path)
    assert not second.start(timeout=0.3)
    assert second.current.rows == first.current.rows
    assert not second.healthy
    assert second.age < 600
    server.start()
    until(lambda: first.healthy and second.healthy)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k2', 'a.mp4')")
    until(lambda: len(first.current.rows) == len(second.current.rows) == 2)
    first.stop()
    second.stop()


def test_snapshot_file_that_is_damaged(dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    path.write_text('{"version": 1, "mappings"')
    keeper = SnapshotKeeper(dsn, path)
    assert keeper.start(timeout=10)
    keeper.stop()


# --- the outbox -----------------------------------------------------------------------------------------------------


def test_a_play_from_start_to_end(outbox: Outbox, db: psycopg.Connection[dict[str, Any]]) -> None:
    [mapping] = db.execute(
        "INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4') RETURNING id"
    ).fetchall()
    event_id = play(outbox, 1, mapping_id=mapping["id"])
    outbox.play_ended(event_id, ended_at=T0 + 201.25, had_errors=True, error_message="the loop was damaged")
    assert outbox.wait_empty(10)
    [row] = db.execute("SELECT * FROM play_history").fetchall()
    assert row.pop("id") > 0
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


# --- the read side --------------------------------------------------------------------------------------------------


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
