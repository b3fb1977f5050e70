"""Migrations, forward and back, with other migrators about."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hook_service.store.migrate import migrate, pending, rollback
from tests.integration.store.common import ROOT, SQL, TABLES


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
    (tmp_path / "0006.bad.sql").write_text("CREATE TABLE half (id integer);\nSELECT no_such_function();\n")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        migrate(dsn, tmp_path)
    assert db.execute("SELECT to_regclass('half') AS made").fetchone() == {"made": None}
    (tmp_path / "0006.bad.sql").write_text("CREATE TABLE half (id integer);\n")
    assert migrate(dsn, tmp_path) == ["0006.bad"]


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
    assert answers == ["0", str(len(TABLES))]


def test_directory_without_migrations(dsn: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        migrate(dsn, tmp_path)
