"""Brings a database to this version's schema: the numbered files in `sql/`, and the job queue's own tables.

The files are read and booked by yoyo: `NNNN.name.sql` forward, `NNNN.name.rollback.sql` back. Each is one
transaction together with its entry in yoyo's books, so a migrator that dies leaves it done or not begun.

One migrator works at a time, by an advisory lock that PostgreSQL itself drops when the migrator dies. Yoyo's
own lock is a row, which would stay behind; under ours it means nothing and is removed.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import yoyo  # type: ignore[import-untyped]  # it ships no types
from procrastinate.schema import SchemaManager
from psycopg.conninfo import conninfo_to_dict

from hook_service import config

from .pool import conninfo

# Beside the package in a checkout and in a release directory.
DEFAULT_DIRECTORY: Final = Path(__file__).resolve().parents[2] / "sql"

_LOCK: Final = 0x72616469_6F000001
"""Of this project alone among advisory locks: "radio", and a number."""

_log = logging.getLogger("radio.migrate")


def migrate(dsn: str, directory: Path, *, wait: float = 60.0) -> list[str]:
    """Apply what has not been applied yet; answers the names of those, in order.

    `directory` holds the .sql files. `wait` is how many seconds another migrator is waited for. Raises
    psycopg.Error when the database can't be reached or refuses, and FileNotFoundError for a directory without
    migrations.
    """
    applied = []
    with _locked(dsn, wait) as connection, _backend(dsn) as backend:
        for migration in backend.to_apply(_read(directory)):
            with backend.transaction():
                migration.process_steps(backend, "apply")
                backend.mark_one(migration)
            applied.append(migration.id)
        if _apply_queue_schema(connection):
            applied.append("procrastinate")
    for name in applied:
        _log.info("Migration applied", extra={"context": {"migration": name}})
    return applied


def rollback(dsn: str, directory: Path, *, keep: int = 0, wait: float = 60.0) -> list[str]:
    """Undo every migration but the first `keep`, the latest first; answers the names of those undone.

    This deletes what the tables hold. The job queue's tables stay: its jobs can be made again, by the
    scanner.
    """
    undone = []
    with _locked(dsn, wait), _backend(dsn) as backend:
        migrations = backend.to_rollback(_read(directory))
        for migration in migrations[: max(len(migrations) - keep, 0)]:
            with backend.transaction():
                migration.process_steps(backend, "rollback")
                backend.unmark_one(migration)
            undone.append(migration.id)
    for name in undone:
        _log.warning("Migration undone", extra={"context": {"migration": name}})
    return undone


def pending(dsn: str, directory: Path) -> list[str]:
    """The names of the migrations that `migrate` would apply, the job queue's tables aside."""
    with _backend(dsn) as backend:
        return [migration.id for migration in backend.to_apply(_read(directory))]


def _read(directory: Path) -> Any:
    migrations = yoyo.read_migrations(str(directory))
    if not migrations:
        raise FileNotFoundError(f"{directory}: holds no migrations (NNNN.name.sql)")
    return migrations


@contextmanager
def _locked(dsn: str, wait: float) -> Iterator[psycopg.Connection]:
    with psycopg.connect(_unbounded(dsn), autocommit=True) as connection:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(wait * 1000)}ms"])
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        except psycopg.errors.LockNotAvailable as error:
            raise psycopg.OperationalError(f"another migration has been running for {wait:.0f} s") from error
        yield connection


@contextmanager
def _backend(dsn: str) -> Iterator[Any]:
    # Everything goes into the query part: it is the only part whose every value yoyo decodes.
    parameters = conninfo_to_dict(_unbounded(dsn))
    backend = yoyo.get_backend(f"postgresql+psycopg://?{urlencode(parameters)}")
    try:
        backend.break_lock()
        backend.ensure_internal_schema_updated()
        yield backend
    finally:
        backend.connection.close()


def _unbounded(dsn: str) -> str:
    # A migration may have to rewrite a year of history.
    return conninfo(dsn, service="radio-migrate", statement_ms=0)


def _apply_queue_schema(connection: psycopg.Connection) -> bool:
    """Make the job queue's tables if there are none. Its version is pinned: a newer one comes with its own
    file in `sql/`, made of the migrations that it ships.
    """
    row = connection.execute("SELECT to_regclass('procrastinate_jobs') IS NOT NULL").fetchone()
    if row is None or row[0]:
        return False
    with connection.transaction():
        connection.execute(SchemaManager.get_schema())
    return True


def main(argv: list[str] | None = None) -> int:
    """`radio-migrate`: bring the database of the host's configuration up to date; exit 0 when it is."""
    parser = argparse.ArgumentParser(description="Bring the database to this version's schema.")
    parser.add_argument("--config", type=Path, default=config.DEFAULT_PATH, help="default: %(default)s")
    parser.add_argument("--sql", type=Path, default=DEFAULT_DIRECTORY, help="the migrations; default: %(default)s")
    arguments = parser.parse_args(argv)
    try:
        applied = migrate(config.load(arguments.config).dsn(), arguments.sql)
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"{error}; name the directory of the migrations with --sql", file=sys.stderr)
        return 1
    except psycopg.Error as error:
        print(f"The database can't be migrated: {error}; see database.dsn in {arguments.config}", file=sys.stderr)
        return 1
    print(f"applied: {', '.join(applied)}" if applied else "nothing to apply")
    return 0


if __name__ == "__main__":
    sys.exit(main())
