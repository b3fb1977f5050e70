"""Connections to PostgreSQL, set up alike everywhere: UTC, bounded waits, and a peer that vanished is
noticed.
"""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

CONNECT_TIMEOUT: Final = 3
"""Seconds; libpq's own least is 2."""

ANSWER_TIMEOUT: Final = 12.0
"""Seconds after which a server that doesn't answer is given up. PostgreSQL's own limit on a statement comes first, so
that this is for one that hangs."""

_SETTINGS: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_TIMEOUT,
    # A database on another machine that loses its power sends no farewell.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "UTF8",
}


class DatabaseAway(Exception):
    """The database can't be reached, or did not answer in time. The message holds no password."""


Pool = ConnectionPool[psycopg.Connection[DictRow]]


def conninfo(dsn: str, *, service: str = "radio", password: str | None = None, statement_ms: int = 10_000) -> str:
    """The connection string for `dsn` with this project's settings; those that `dsn` sets itself stay.

    `statement_ms` bounds each statement, in milliseconds; 0 leaves it unbounded. Raises
    psycopg.ProgrammingError for a malformed dsn.
    """
    own = psycopg.conninfo.conninfo_to_dict(dsn)
    settings: dict[str, Any] = {
        **_SETTINGS,
        "application_name": service,
        # A record is taken off the outbox once it is committed: then it must be safe, whatever the server's default.
        "options": "-c timezone=UTC -c synchronous_commit=on -c lock_timeout=10000"
        f" -c statement_timeout={statement_ms}",
    }
    if password is not None:
        settings["password"] = password
    return make_conninfo(**{**settings, **own})


def connect(dsn: str, *, service: str = "radio", autocommit: bool = False) -> psycopg.Connection[DictRow]:
    """One connection whose rows are dictionaries. Raises psycopg.OperationalError."""
    return psycopg.connect(conninfo(dsn, service=service), autocommit=autocommit, row_factory=dict_row)


def open_pool(dsn: str, *, service: str = "radio", max_size: int = 4, timeout: float = 3.0) -> Pool:
    """A pool for the API. It opens without the database too, and connects when there is one; close it at the
    end.

    `timeout` is how many seconds a request waits for a connection.
    """
    pool: Pool = ConnectionPool(
        conninfo(dsn, service=service),
        connection_class=psycopg.Connection[DictRow],
        kwargs={"row_factory": dict_row},
        min_size=1,
        max_size=max_size,
        timeout=timeout,
        max_idle=300.0,
        reconnect_timeout=30.0,
        # A connection that died with the last outage is replaced before anyone is given it.
        check=_check,
        open=False,
    )
    pool.open(wait=False)
    return pool


@contextmanager
def guard(connection: psycopg.Connection[Any], seconds: float = ANSWER_TIMEOUT) -> Iterator[None]:
    """What happens on the connection in this block fails with OperationalError when it takes longer than `seconds`.

    A server that is stopped, not dead, still acknowledges packets, so that neither it nor TCP ever gives up.
    """
    over = threading.Event()
    lock = threading.Lock()

    def cut() -> None:
        with lock:
            if not over.is_set():
                with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as peer:
                    peer.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        # Under the lock, or a timer that has just run out could hit whatever has this descriptor next.
        with lock:
            over.set()
        timer.cancel()


def _check(connection: psycopg.Connection[DictRow]) -> None:
    with guard(connection, 2.0):
        ConnectionPool.check_connection(connection)


@contextmanager
def transaction(pool: Pool) -> Iterator[psycopg.Connection[DictRow]]:
    """A connection with a transaction round it. Raises DatabaseAway when there is none to be had, or it is
    lost.
    """
    try:
        with pool.connection() as connection, guard(connection), connection.transaction():
            yield connection
    except (PoolTimeout, PoolClosed, TooManyRequests) as error:
        raise DatabaseAway("no connection to the database could be had") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseAway(reason(error)) from error


def fetch(pool: Pool, statement: LiteralString, values: Mapping[str, Any]) -> list[DictRow]:
    """One statement in a transaction of its own; its rows. Raises DatabaseAway, and ValueError for values that can't
    be stored or looked for.
    """
    try:
        with transaction(pool) as connection:
            return connection.execute(statement, values).fetchall()
    except psycopg.DataError as error:
        # What was asked for can't even be a value of its column: a NUL in a text, a number out of range.
        raise ValueError(reason(error)) from error


def reason(error: Exception) -> str:
    """What went wrong, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
