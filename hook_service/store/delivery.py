"""One record's way from the outbox into the database, and which faults are the record's own."""

from typing import Any, Final

import psycopg
from psycopg import sql

from . import records
from .pool import guard
from .spool import Record

# Faults of the record itself. All others (no connection, no such table yet, no permission, a deadlock) are
# faults of the moment and are tried again.
POISON: Final = (psycopg.DataError, psycopg.IntegrityError, ValueError, KeyError, TypeError)


def deliver(connection: psycopg.Connection[Any], record: Record) -> None:
    """Carry out one record in a transaction of its own. Raises what PostgreSQL says."""
    try:
        with guard(connection), connection.transaction():
            records.apply(connection, record.kind, record.body)
    except psycopg.errors.UniqueViolation as error:
        table = error.diag.table_name
        if table is None or error.diag.constraint_name != f"{table}_pkey":
            raise
        # Rows were brought in with ids of their own (an import, a restore): numbering goes on behind them.
        numbering = sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), (SELECT max(id) FROM {}))")
        with guard(connection), connection.transaction():
            connection.execute(numbering.format(sql.Literal(table), sql.Identifier(table)))
            records.apply(connection, record.kind, record.body)
