"""Keeps the mappings in memory, as fresh as the database says, and serves the last ones while it is away.

PostgreSQL announces every change on the channel `radio_mappings` (see `sql/0002.changes.sql`); a thread listens and
loads again. The last snapshot is kept in a file too, so that a service that starts during an outage still knows its
mappings.
"""

import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from ..tracks.snapshot import DefaultRow, MappingRow, Snapshot
from .pool import connect, guard, reason

CHANNEL: Final = "radio_mappings"

DEBOUNCE: Final = 0.25
"""Seconds between two loads: the first change is seen at once, a bulk import in a few steps."""

HEARTBEAT: Final = 10.0
"""Seconds between two proofs that the connection listened on is alive."""

RELOAD_EVERY: Final = 300.0
"""Seconds after which everything is loaded anew, should a change ever be made without the triggers."""

KEEP_WITHIN: Final = 10.0
"""Seconds after which a change is in the file while others follow; it is as soon as none does."""

LONGEST_WAIT: Final = 5.0
"""Seconds between attempts to connect."""

Load = Callable[[psycopg.Connection[Any]], None]

_log = logging.getLogger("radio.snapshot")


class SnapshotKeeper:
    """Owns the current snapshot. `current` is for any thread, costs nothing, and is never None.

    `path` is the file, in the state directory, that outlives the process. `also` is what else is to be read again
    over the same connection, by the channel that tells of its changes.
    """

    def __init__(self, dsn: str, path: Path, also: Mapping[str, Load] | None = None) -> None:
        self._dsn = dsn
        self._path = path
        self._loads_of: dict[str, Load] = {CHANNEL: self._load, **(also or {})}
        self._current = Snapshot()
        self._contact = 0.0
        self._loads = 0
        self._failures = 0
        self._connected = False
        self._kept = False
        self._to_keep: float | None = None
        """Since when (monotonic seconds) there has been something for the file; None while there is nothing."""
        self._loaded = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def current(self) -> Snapshot:
        """The newest snapshot there is; an empty one before the first."""
        return self._current

    @property
    def healthy(self) -> bool:
        """Whether the snapshot is known to be what the database holds."""
        return self._connected and time.monotonic() - self._contact < 3 * HEARTBEAT

    @property
    def age(self) -> float:
        """Seconds since the snapshot was last known to be what the database holds; infinite if never."""
        if self._contact:
            return time.monotonic() - self._contact
        loaded_at = self._current.loaded_at
        return max(0.0, time.time() - loaded_at) if loaded_at else float("inf")

    @property
    def loads(self) -> int:
        """How many times the snapshot was loaded from the database."""
        return self._loads

    def start(self, timeout: float = 2.0) -> bool:
        """Take the snapshot in the file, begin to listen, and wait at most `timeout` seconds for the database.

        Whether the snapshot is the database's; if not, the file's serves until it is.
        """
        self._restore()
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)
        self._thread.start()
        return self.wait_loads(1, timeout)

    def wait_loads(self, count: int, timeout: float) -> bool:
        """Wait until the snapshot has been loaded `count` times since the start; whether it has."""
        with self._loaded:
            return self._loaded.wait_for(lambda: self._loads >= count, timeout)

    def stop(self) -> None:
        """End the thread; `current` stays what it is."""
        self._stop.set()
        if self._thread is not None:
            # It may hang with a database that hangs; it is a daemon and holds nothing that matters.
            self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._dsn, service="radio-snapshot", autocommit=True) as connection:
                    self._listen(connection)
            except Exception as error:
                self._away(error)
        self._connected = False

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        # Listening comes first: a change between the two is then seen twice, not never.
        with guard(connection):
            for channel in self._loads_of:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        self._load_all(connection, self._loads_of)
        if self._failures:
            _log.info("The database is back", extra={"context": {"mappings": len(self._current.rows)}})
            self._failures = 0
        try:
            self._follow(connection)
        finally:
            if self._to_keep is not None:
                self._keep()

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        loaded = proven = time.monotonic()
        while not self._stop.is_set():
            changed = {told.channel for told in connection.notifies(timeout=0.5, stop_after=1)}
            now = time.monotonic()
            # Not between two changes of many: whoever makes them waits for this process and for the disk.
            if self._to_keep is not None and (not changed or now - self._to_keep > KEEP_WITHIN):
                self._keep()
            if changed:
                self._load_all(connection, changed)
                proven = time.monotonic()
                loaded = proven if CHANNEL in changed else loaded
                self._stop.wait(DEBOUNCE)
            elif now - loaded > RELOAD_EVERY:
                self._load_all(connection, self._loads_of)
                loaded = proven = time.monotonic()
            elif now - proven > HEARTBEAT:
                with guard(connection):
                    connection.execute("SELECT 1")
                proven = self._contact = time.monotonic()

    def _load_all(self, connection: psycopg.Connection[Any], channels: Iterable[str]) -> None:
        for channel in channels:
            with guard(connection):
                self._loads_of[channel](connection)

    def _load(self, connection: psycopg.Connection[Any]) -> None:
        snapshot = load(connection)
        changed = (snapshot.rows, snapshot.default_rows) != (self._current.rows, self._current.default_rows)
        self._current = snapshot
        self._contact = time.monotonic()
        self._connected = True
        if (changed or not self._kept) and self._to_keep is None:
            self._to_keep = self._contact
        if changed:
            for problem in snapshot.problems:
                _log.warning("A row can't be used", extra={"context": {"problem": problem}})
        with self._loaded:
            self._loads += 1
            self._loaded.notify_all()

    def _away(self, error: Exception) -> None:
        self._connected = False
        self._failures += 1
        if self._failures == 1:
            _log.warning(
                "The database can't be read; the last mappings stay in force",
                extra={"context": {"reason": reason(error), "mappings": len(self._current.rows)}},
            )
        wait = min(LONGEST_WAIT, 0.2 * 2 ** min(self._failures - 1, 10))
        self._stop.wait(wait * random.uniform(0.75, 1.0))  # noqa: S311 - jitter

    def _restore(self) -> None:
        try:
            with self._path.open("rb") as file:
                self._current = Snapshot.from_json(json.load(file))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _log.warning(
                "The kept mappings can't be read",
                extra={"context": {"path": str(self._path), "reason": reason(error)}},
            )

    def _keep(self) -> None:
        """Replace the file in one step: whoever reads it finds the old one or the new one, whole.

        Where that fails it is tried again after the next load.
        """
        self._to_keep, self._kept = None, False
        # The number keeps two services apart that overlap while one replaces the other.
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}-{id(self)}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("w", encoding="utf-8") as file:
                file.write(json.dumps(self._current.to_json(), separators=(",", ":")))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            _log.warning(
                "The mappings can't be kept for an outage",
                extra={"context": {"path": str(self._path), "reason": reason(error)}},
            )
            return
        self._kept = True


def load(connection: psycopg.Connection[Any]) -> Snapshot:
    """Read a snapshot: both tables as they are at one moment."""
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        rows = cursor.execute(
            "SELECT id, station, kind, track_key, azuracast_song_id, media_unique_id, loop_file_path"
            " FROM track_mappings ORDER BY id"
        ).fetchall()
        defaults = cursor.execute("SELECT station, key, value FROM default_config").fetchall()
    return Snapshot.build(map(MappingRow._make, rows), map(DefaultRow._make, defaults), loaded_at=time.time())
