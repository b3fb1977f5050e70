"""A queue in a file: what must reach the database is first written here, and stays until it is there.

SQLite in WAL mode, from the standard library. A record is safe against the death of the process as soon as
`append` returns. Against a power cut it is safe when the file has been forced to the disk, at most
`SYNC_EVERY` later by a thread of its own: `append` itself never waits for a disk (`synchronous=NORMAL`, no
checkpoint on its path), and with the database up the record is there by then anyway. A power cut in between
loses the latest records, never an earlier one and never the file's integrity; a deletion it undoes is made
good by the records' event ids.

When the file can't be written (disk full, read-only, damaged) records are held in memory, a bounded number of
them, and go into the file as soon as it can be written again.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SYNC_EVERY: Final = 0.5
"""Seconds."""

REOPEN_EVERY: Final = 5.0
"""Seconds between attempts to open a file that can't be opened."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS dead (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    created REAL NOT NULL,
    reason TEXT NOT NULL,
    buried REAL NOT NULL
) STRICT;
"""

_INSERT: Final = "INSERT INTO records (kind, body, created) VALUES (?, ?, ?)"

_log = logging.getLogger("radio.outbox")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry. `seq` grows by age; 0 for one that is in memory only. `created` is unix seconds."""

    seq: int
    kind: str
    body: str
    created: float


class Spool:
    """The queue at `path`. Any thread may append; one thread takes. Nothing here raises for a fault of the
    disk.

    `memory` is how many records are held while the file can't be written; beyond it they are dropped and
    counted.
    """

    def __init__(self, path: Path, *, memory: int = 10_000) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._memory: deque[Record] = deque()
        self._memory_limit = memory
        self._cursor = 0
        self._db: sqlite3.Connection | None = None
        self._reopen_at = 0.0
        self._failing = False
        self._dirty = threading.Event()
        self._closed = threading.Event()
        self.dropped = 0
        with self._lock:
            self._connect()
        self._syncer = threading.Thread(target=self._sync_forever, name="outbox-sync", daemon=True)
        self._syncer.start()

    def append(self, kind: str, body: str, *, dispensable: bool = False) -> bool:
        """Add a record; False when it had to be dropped. A dispensable one is dropped at half the memory."""
        record = Record(0, kind, body, time.time())
        with self._lock:
            if not self._memory and self._write([record]):
                return True
            room = self._memory_limit // 2 if dispensable else self._memory_limit
            if len(self._memory) >= room:
                self.dropped += 1
                return False
            self._memory.append(record)
            self._spill()
            return True

    def batch(self, limit: int) -> list[Record]:
        """The oldest records that were not taken off with `forget`, in order."""
        with self._lock:
            self._spill()
            found = self._query(
                "SELECT seq, kind, body, created FROM records WHERE seq > ? ORDER BY seq LIMIT ?",
                (self._cursor, limit),
            )
            if found:
                return [Record(*row) for row in found]
            return [record for record, _ in zip(self._memory, range(limit), strict=False)]

    def forget(self, records: list[Record]) -> None:
        """Take off records that `batch` gave, from its first on."""
        with self._lock:
            held = {id(record) for record in records if not record.seq}
            while self._memory and id(self._memory[0]) in held:
                self._memory.popleft()
            # A disk that is full can refuse even a deletion. What was taken off is not given out again, and
            # the next deletion that works takes it along.
            self._cursor = max([self._cursor, *(record.seq for record in records)])
            if self._cursor:
                self._execute([("DELETE FROM records WHERE seq <= ?", (self._cursor,))])

    def bury(self, record: Record, reason: str) -> None:
        """Set a record aside that can never be delivered; it takes nothing off the queue."""
        with self._lock:
            seq = record.seq or None
            row = (seq, record.kind, record.body, record.created, reason, time.time())
            self._execute([("INSERT OR IGNORE INTO dead VALUES (?, ?, ?, ?, ?, ?)", row)])

    @property
    def pending(self) -> int:
        """How many records wait."""
        with self._lock:
            # Records leave at the front only, so the ends tell the number without a walk through the file.
            found = self._query("SELECT max(seq) - min(seq) + 1 FROM records WHERE seq > ?", (self._cursor,))
            return (found[0][0] or 0 if found else 0) + len(self._memory)

    @property
    def oldest(self) -> float | None:
        """When the record that has waited longest was appended, unix seconds."""
        with self._lock:
            found = self._query("SELECT created FROM records WHERE seq > ? ORDER BY seq LIMIT 1", (self._cursor,))
            if found:
                return float(found[0][0])
            return self._memory[0].created if self._memory else None

    @property
    def dead(self) -> int:
        """How many records were set aside."""
        with self._lock:
            found = self._query("SELECT count(*) FROM dead", ())
            return int(found[0][0]) if found else 0

    @property
    def in_memory(self) -> int:
        """How many records are not in the file, because it can't be written."""
        return len(self._memory)

    def close(self) -> None:
        """Force everything to the disk and close the file."""
        self._closed.set()
        self._dirty.set()
        self._syncer.join(5.0)
        with self._lock:
            self._spill()
            if self._db is not None:
                self._db.close()
                self._db = None
            self._reopen_at = float("inf")

    def _spill(self) -> None:
        while self._memory:
            head = [record for record, _ in zip(self._memory, range(500), strict=False)]
            if not self._write(head):
                return
            for _ in head:
                self._memory.popleft()

    def _write(self, records: list[Record]) -> bool:
        done = self._execute([(_INSERT, (r.kind, r.body, r.created)) for r in records])
        if done:
            self._dirty.set()
        return done

    def _execute(self, statements: list[tuple[str, tuple[object, ...]]]) -> bool:
        db = self._connect()
        if db is None:
            return False
        try:
            with db:
                for statement, values in statements:
                    db.execute(statement, values)
        except sqlite3.Error as error:
            self._fault(error)
            return False
        if self._failing and statements[0][0] is _INSERT:
            self._failing = False
            _log.warning("The outbox file can be written again", extra={"context": {"path": str(self._path)}})
        return True

    def _query(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        db = self._connect()
        if db is None:
            return []
        try:
            return db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self._fault(error)
            return []

    def _fault(self, error: sqlite3.Error) -> None:
        if not self._failing:
            self._failing = True
            _log.error(
                "The outbox file can't be written; records are held in memory",
                extra={"context": {"path": str(self._path), "reason": str(error)}},
            )
        if _is_damage(error) and self._db is not None:
            self._db.close()
            self._db = None
            self._set_aside()

    def _connect(self) -> sqlite3.Connection | None:
        if self._db is None and time.monotonic() >= self._reopen_at:
            self._reopen_at = time.monotonic() + REOPEN_EVERY
            try:
                self._db = _open(self._path)
            except (sqlite3.Error, OSError) as error:
                if isinstance(error, sqlite3.Error) and _is_damage(error):
                    self._set_aside()
                self._fault(error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error)))
        return self._db

    def _set_aside(self) -> None:
        """Keep a damaged file for whoever wants to look, and begin a new one."""
        aside = f"{self._path}.damaged-{int(time.time())}"
        try:
            for suffix in ("", "-wal", "-shm"):
                part = Path(f"{self._path}{suffix}")
                if part.exists():
                    part.rename(f"{aside}{suffix}")
            self._cursor = 0
            self._reopen_at = 0.0
        except OSError as error:
            _log.error("The damaged outbox file can't be moved", extra={"context": {"reason": str(error)}})
            return
        _log.error("The outbox file is damaged and was set aside", extra={"context": {"kept_as": aside}})

    def _sync_forever(self) -> None:
        while not self._closed.is_set():
            self._dirty.wait()
            self._closed.wait(SYNC_EVERY)
            self._dirty.clear()
            self._sync()

    def _sync(self) -> None:
        """Force the write-ahead log to the disk, which is what a checkpoint begins with."""
        if not self._path.exists():
            return
        try:
            # A connection of its own: appending goes on while the disk takes its time.
            db = sqlite3.connect(self._path, timeout=2.0, isolation_level=None)
            try:
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                db.close()
        except sqlite3.Error as error:
            _log.warning("The outbox file can't be forced to the disk", extra={"context": {"reason": str(error)}})


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=2.0, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.executescript(_SCHEMA)
        _check(db)
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("malformed: it fails its own check")


def _is_damage(error: sqlite3.Error) -> bool:
    return "malformed" in str(error) or "not a database" in str(error)
