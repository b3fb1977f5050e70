"""A PostgreSQL of its own, and a database for each test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from hook_service.store.migrate import migrate
from hook_service.store.outbox import Outbox
from hook_service.store.pool import Pool, open_pool
from hook_service.store.queries import Queries
from hook_service.store.snapshot import SnapshotKeeper
from hook_service.store.songs import Songs
from tests.integration.store.common import LOOPS, SQL
from tests.rig.postgres import PrivatePostgres


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


@pytest.fixture
def keeper(dsn: str, tmp_path: Path) -> Iterator[SnapshotKeeper]:
    kept = SnapshotKeeper(dsn, tmp_path / "snapshot.json")
    assert kept.start(timeout=10)
    yield kept
    kept.stop()


@pytest.fixture
def pool(dsn: str) -> Iterator[Pool]:
    one = open_pool(dsn)
    yield one
    one.close()


@pytest.fixture
def songs(pool: Pool) -> Songs:
    return Songs(pool, LOOPS)
