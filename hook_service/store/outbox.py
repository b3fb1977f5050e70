"""Everything that is written about the broadcast goes this way: into a file first, then to PostgreSQL.

So a database that is away costs nothing but time. A thread takes records from the file in order, carries each
batch out in one transaction and then takes them off the file; where it dies in between, the next one repeats
the batch, which changes nothing (see `records`). A record that PostgreSQL refuses for what it contains is set
aside with the reason, so that it can't hold up the ones behind it.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg

from ..tracks.nowplaying import TrackEvent
from . import records
from .delivery import POISON, deliver
from .pool import connect, guard, reason
from .spool import Record, Spool

BATCH: Final = 200
"""Records in one transaction."""

LONGEST_WAIT: Final = 5.0
"""Seconds between attempts at a database that is away."""

MAX_ERRORS: Final = 100_000
"""Pending records beyond which errors are dropped (and counted): months of plays matter more than a flood of
them.
"""

_ALIVE_EVERY: Final = 5.0

_log = logging.getLogger("radio.outbox")


class Outbox:
    """The way to the database's logs. The methods that record never raise and never wait for the database.

    `path` is the file, in the state directory; `dsn` where its records go. Records can be added before
    `start`.
    """

    def __init__(self, path: Path, dsn: str) -> None:
        self._spool = Spool(path)
        self._dsn = dsn
        self._alive_path = path.with_name(path.name + ".alive")
        self.previous_alive = _mtime(self._alive_path)
        """When the process before this one was last alive, unix seconds to within 5 s; None for the first
        ever.
        """
        self._work = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Condition()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._flushed = 0
        self._dropped_errors = 0
        self._failures = 0

    def start(self) -> None:
        """Begin to carry records to the database."""
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Stop after what can be delivered within `timeout` seconds; the rest stays in the file."""
        if self._thread is not None:
            self.wait_empty(timeout if self._failures == 0 else 0.0)
            self._stop.set()
            self._work.set()
            # It may be waiting for a database that hangs: it is a daemon, and the file is safe without it.
            self._thread.join(2.0)
        self._spool.close()

    def wait_empty(self, timeout: float) -> bool:
        """Wait until everything is in the database; whether it is."""
        deadline = time.monotonic() + timeout
        with self._idle:
            while self._spool.pending:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._idle.wait(min(left, 0.5))
        return True

    def play_started(
        self,
        event_id: UUID | str,
        event: TrackEvent,
        *,
        loop: str,
        rule: str,
        mapping_id: int | None,
        started_at: float,
        publisher_pid: int | None = None,
        request_id: str | None = None,
    ) -> None:
        """A track's loop went on the air at `started_at` (unix seconds). Ends the station's earlier plays."""
        body = records.play_started(
            event_id,
            event,
            loop=loop,
            rule=rule,
            mapping_id=mapping_id,
            started_at=started_at,
            publisher_pid=publisher_pid,
            request_id=request_id,
        )
        self._put(records.PLAY_STARTED, body)

    def play_told(
        self,
        event_id: UUID | str,
        event: TrackEvent,
        *,
        loop: str | None,
        rule: str | None,
        mapping_id: int | None,
        request_id: str | None = None,
    ) -> None:
        """More is known of a play that was recorded; `loop` and `rule` None where its picture stayed what it was."""
        body = records.play_told(event_id, event, loop=loop, rule=rule, mapping_id=mapping_id, request_id=request_id)
        self._put(records.PLAY_TOLD, body)

    def play_ended(
        self, event_id: UUID | str, *, ended_at: float, had_errors: bool = False, error_message: str | None = None
    ) -> None:
        """That play left the air at `ended_at` (unix seconds)."""
        body = records.play_ended(event_id, ended_at=ended_at, had_errors=had_errors, error_message=error_message)
        self._put(records.PLAY_ENDED, body)

    def close_open(self, station: str, *, at: float, still_on_air: UUID | str | None = None) -> None:
        """After a start: the station's open plays but `still_on_air` ended, at the latest at `at` (unix
        seconds).

        `at` is best `previous_alive`.
        """
        self._put(records.CLOSE_OPEN, records.close_open(station, at=at, still_on_air=still_on_air))

    def error(
        self,
        event_id: UUID | str,
        timestamp: float,
        *,
        station: str | None,
        service: str,
        severity: str,
        message: str,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        """A row for the error log; `station` None when it concerns the host. Secrets are the caller's to
        leave out.
        """
        body = records.error(
            event_id,
            timestamp,
            station=station,
            service=service,
            severity=severity,
            message=message,
            context=context,
        )
        if self._spool.pending >= MAX_ERRORS:
            self._dropped_errors += 1
        else:
            self._put(records.ERROR, body, dispensable=True)

    def note(self, kind: str, body: str, *, dispensable: bool = False) -> None:
        """Any other record, with its body as `records` makes it."""
        self._put(kind, body, dispensable=dispensable)

    @property
    def pending(self) -> int:
        """Records that are not in the database yet."""
        return self._spool.pending

    @property
    def oldest_age(self) -> float:
        """Seconds that the record at the head has waited; 0 when none waits."""
        oldest = self._spool.oldest
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    @property
    def flushed_total(self) -> int:
        """Records carried to the database by this process."""
        return self._flushed

    @property
    def dead_total(self) -> int:
        """Records set aside because PostgreSQL refused them (table `dead` of the file)."""
        return self._spool.dead

    @property
    def dropped_total(self) -> int:
        """Records lost since the start because there was no room for them."""
        return self._spool.dropped + self._dropped_errors

    @property
    def in_memory(self) -> int:
        """Records that a crash would lose, as the file can't be written."""
        return self._spool.in_memory

    @property
    def healthy(self) -> bool:
        """Whether the last attempt reached the database and every record has a safe place."""
        return self._failures == 0 and self._spool.in_memory == 0

    def _put(self, kind: str, body: str, *, dispensable: bool = False) -> None:
        if not self._spool.append(kind, body, dispensable=dispensable):
            _log.critical("A record was dropped: neither file nor memory has room", extra={"context": {"kind": kind}})
        self._work.set()

    def _run(self) -> None:
        alive_at = 0.0
        while not self._stop.is_set():
            self._work.clear()
            if time.monotonic() - alive_at >= _ALIVE_EVERY:
                alive_at = time.monotonic()
                self._show_alive()
            try:
                while not self._stop.is_set() and self._flush():
                    pass
            except Exception as error:  # whatever it is, the records stay
                self._away(error)
                continue
            with self._idle:
                self._idle.notify_all()
            self._work.wait(_ALIVE_EVERY)
        self._disconnect()

    def _flush(self) -> bool:
        """Deliver one batch; False when there was none."""
        batch = self._spool.batch(BATCH)
        if not batch:
            return False
        connection = self._connection = self._connection or connect(self._dsn, service="radio-outbox")
        try:
            with guard(connection), connection.transaction():
                for record in batch:
                    records.apply(connection, record.kind, record.body)
        except POISON:
            self._one_by_one(connection, batch)
        else:
            self._forget(batch)
        if self._failures:
            _log.info("The database is back", extra={"context": {"pending": self._spool.pending}})
            self._failures = 0
        return True

    def _one_by_one(self, connection: psycopg.Connection[Any], batch: list[Record]) -> None:
        for record in batch:
            try:
                deliver(connection, record)
            except POISON as error:
                self._spool.bury(record, reason(error))
                _log.error(
                    "A record was refused by the database and set aside",
                    extra={"context": {"kind": record.kind, "reason": reason(error)}},
                )
            self._forget([record])

    def _forget(self, batch: list[Record]) -> None:
        self._spool.forget(batch)
        self._flushed += len(batch)

    def _away(self, error: Exception) -> None:
        self._disconnect()
        self._failures += 1
        if self._failures == 1:
            _log.warning(
                "The database can't be written; records wait in the outbox",
                extra={"context": {"reason": reason(error), "pending": self._spool.pending}},
            )
        wait = min(LONGEST_WAIT, 0.2 * 2 ** min(self._failures - 1, 10))
        self._stop.wait(wait * random.uniform(0.75, 1.0))  # noqa: S311 - jitter

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _show_alive(self) -> None:
        try:
            self._alive_path.touch()
            os.utime(self._alive_path)
        except OSError as error:
            _log.debug("The sign of life can't be written", extra={"context": {"reason": str(error)}})


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
