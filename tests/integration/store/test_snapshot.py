"""The snapshot follows the tables and outlives the database."""

import time
from pathlib import Path
from typing import Any

import psycopg

from hook_service.store.snapshot import SnapshotKeeper
from tests.integration.store.common import until
from tests.rig.postgres import PrivatePostgres


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
    # A load is counted when all of it is done, its file too.
    assert keeper.wait_loads(loads + 1, 15)
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
