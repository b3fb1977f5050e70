"""What the operator's API reads and edits: history, errors, mappings, defaults, analytics, retention.

Every method takes one connection from the pool for one transaction and raises DatabaseAway when there is none,
and ValueError for what can't be looked for or stored.
Lists are paged by key, not by offset: a page costs the same however far back it is, and rows that arrive meanwhile
neither repeat nor hide others. A cursor is an opaque string from the page before; ValueError for one that is not.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final, LiteralString

from ..tracks.snapshot import EVERY_STATION, KINDS, Daypart
from ..tracks.track_key import normalise
from .paging import Page, Row, bounded, page, patterns, read_cursor
from .pool import Pool, fetch

_HISTORY: Final[LiteralString] = """
SELECT id, event_id, station, track_key, artist, title, album, azuracast_song_id, loop_file_path, mapping_id,
    resolved_by, request_id, started_at, ended_at, duration_seconds::float8 AS duration_seconds, ffmpeg_pid,
    had_errors, error_message
FROM play_history
WHERE (%(station)s::text IS NULL OR station = %(station)s)
    AND (%(since)s::timestamptz IS NULL OR started_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR started_at < %(until)s)
    AND (%(pattern)s::text IS NULL OR track_key LIKE %(key_pattern)s OR artist ILIKE %(pattern)s
        OR title ILIKE %(pattern)s OR album ILIKE %(pattern)s OR request_id = %(exact)s)
    AND (%(after_time)s::timestamptz IS NULL OR (started_at, id) < (%(after_time)s, %(after_id)s))
ORDER BY started_at DESC, id DESC
LIMIT %(limit)s
"""

_ERRORS: Final[LiteralString] = """
SELECT id, event_id, station, timestamp, service, severity, message, context
FROM error_log
WHERE (%(station)s::text IS NULL OR station IN (%(station)s, '*'))
    AND (%(severity)s::text IS NULL OR severity = upper(%(severity)s))
    AND (%(since)s::timestamptz IS NULL OR timestamp >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR timestamp < %(until)s)
    AND (%(after_time)s::timestamptz IS NULL OR (timestamp, id) < (%(after_time)s, %(after_id)s))
ORDER BY timestamp DESC, id DESC
LIMIT %(limit)s
"""

_MAPPINGS: Final[LiteralString] = """
SELECT *
FROM track_mappings
WHERE (%(station)s::text IS NULL OR station = %(station)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(pattern)s::text IS NULL OR track_key LIKE %(key_pattern)s OR loop_file_path ILIKE %(pattern)s
        OR azuracast_song_id = %(exact)s OR media_unique_id = %(exact)s)
    AND (%(after_key)s::text IS NULL OR (track_key, id) > (%(after_key)s, %(after_id)s))
ORDER BY track_key, id
LIMIT %(limit)s
"""

_UPSERT: Final[LiteralString] = """
INSERT INTO track_mappings (station, kind, track_key, azuracast_song_id, media_unique_id, loop_file_path)
VALUES (%(station)s, %(kind)s, %(track_key)s, %(song_id)s, %(media_id)s, %(loop)s)
ON CONFLICT (track_key, kind, station) DO UPDATE
SET azuracast_song_id = excluded.azuracast_song_id,
    media_unique_id = excluded.media_unique_id,
    loop_file_path = excluded.loop_file_path
RETURNING *
"""


_TRACKS_PER_HOUR: Final[LiteralString] = """
SELECT * FROM tracks_per_hour
WHERE (%(station)s::text IS NULL OR station = %(station)s) AND hour >= date_trunc('hour', now() - %(span)s, 'UTC')
ORDER BY hour DESC, station
"""

_ERROR_RATE: Final[LiteralString] = """
SELECT * FROM error_rate_by_hour
WHERE (%(station)s::text IS NULL OR station = %(station)s) AND hour >= date_trunc('hour', now() - %(span)s, 'UTC')
ORDER BY hour DESC, station, severity
"""


class Queries:
    """The read side and the operator's edits. Times are aware datetimes in UTC."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def ping(self) -> None:
        """Raises DatabaseAway if the database doesn't answer."""
        self._all("SELECT 1", {})

    def history(
        self,
        *,
        station: str | None = None,
        q: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Plays, the latest first. `q` is looked for in artist, title, album and track key, or is a request id."""
        values = {"station": station, "since": since, "until": until, "exact": q and q.strip(), **patterns(q)}
        return self._by_time(_HISTORY, values, "started_at", cursor, limit)

    def errors(
        self,
        *,
        station: str | None = None,
        severity: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """The error log, the latest first; with a station also what concerns the whole host."""
        values = {"station": station, "severity": severity, "since": since, "until": until}
        return self._by_time(_ERRORS, values, "timestamp", cursor, limit)

    def mappings(
        self,
        *,
        station: str | None = None,
        kind: str | None = None,
        q: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Mappings by key. `q` is looked for in key and loop, and is compared with the ids."""
        after = read_cursor(cursor)
        values = {
            "station": station,
            "kind": kind,
            "exact": q,
            "after_key": after[0],
            "after_id": after[1],
            "limit": bounded(limit) + 1,
            **patterns(q),
        }
        return page(self._all(_MAPPINGS, values), limit, "track_key")

    def mapping(self, mapping_id: int) -> Row | None:
        """One mapping, or None."""
        found = self._all("SELECT * FROM track_mappings WHERE id = %(id)s", {"id": mapping_id})
        return found[0] if found else None

    def upsert_mapping(
        self,
        *,
        track_key: str,
        loop_file_path: str,
        station: str = EVERY_STATION,
        kind: str = "track",
        azuracast_song_id: str | None = None,
        media_unique_id: str | None = None,
    ) -> Row:
        """Make the mapping of this station, kind and key, or replace what it leads to; answers its row.

        The key is normalised here; whether the loop's name is allowed (`tracks.loops.loop_path`) is the caller's to
        ask. Raises ValueError when a value can't be stored.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: is one of {', '.join(KINDS)}")
        values = {
            "station": _fits("station", station.strip(), 100),
            "kind": kind,
            "track_key": _fits("track_key", normalise(track_key), 512),
            "song_id": _optional("azuracast_song_id", azuracast_song_id, 128),
            "media_id": _optional("media_unique_id", media_unique_id, 64),
            "loop": _fits("loop_file_path", loop_file_path.strip(), 1024),
        }
        return self._all(_UPSERT, values)[0]

    def delete_mapping(self, mapping_id: int) -> bool:
        """Whether there was one. Plays that it led to stay in the history, without it."""
        return bool(self._all("DELETE FROM track_mappings WHERE id = %(id)s RETURNING id", {"id": mapping_id}))

    def defaults(self, station: str | None = None) -> list[Row]:
        """The default loops kept in the database: station, key, value; of all stations or of one and "*"."""
        return self._all(
            "SELECT station, key, value FROM default_config"
            " WHERE %(station)s::text IS NULL OR station IN (%(station)s, '*') ORDER BY station, key",
            {"station": station},
        )

    def set_default(self, loop: str, *, station: str = EVERY_STATION, hours: str | None = None) -> None:
        """Set the default loop, or that of a part of the day written "HH:MM-HH:MM". Raises ValueError."""
        values = {
            "station": _fits("station", station.strip(), 100),
            "key": _default_key(hours),
            "value": _fits("loop", loop.strip(), 1024),
        }
        self._all(
            "INSERT INTO default_config (station, key, value) VALUES (%(station)s, %(key)s, %(value)s)"
            " ON CONFLICT (station, key) DO UPDATE SET value = excluded.value RETURNING key",
            values,
        )

    def delete_default(self, *, station: str = EVERY_STATION, hours: str | None = None) -> bool:
        """Whether there was one: the configuration file's counts again. Raises ValueError."""
        values = {"station": station, "key": _default_key(hours)}
        return bool(
            self._all(
                "DELETE FROM default_config WHERE station = %(station)s AND key = %(key)s RETURNING key", values
            )
        )

    def tracks_per_hour(self, *, station: str | None = None, hours: int = 24) -> list[Row]:
        """station, hour, tracks; the latest hour first. `hours` is how far back to look."""
        return self._all(_TRACKS_PER_HOUR, {"station": station, "span": timedelta(hours=hours)})

    def error_rate(self, *, station: str | None = None, hours: int = 24) -> list[Row]:
        """station, hour, severity, errors; the latest hour first."""
        return self._all(_ERROR_RATE, {"station": station, "span": timedelta(hours=hours)})

    def most_played(self, *, station: str | None = None, since: datetime | None = None, limit: int = 10) -> list[Row]:
        """station, track_key, artist, title, plays, last_played_at; the most played first."""
        # The view can't be asked for a part of the history, so the query is its own with a WHERE.
        return self._all(
            """
            SELECT station, track_key, (array_agg(artist ORDER BY started_at DESC))[1] AS artist,
                (array_agg(title ORDER BY started_at DESC))[1] AS title, count(*) AS plays,
                max(started_at) AS last_played_at
            FROM play_history
            WHERE (%(station)s::text IS NULL OR station = %(station)s)
                AND (%(since)s::timestamptz IS NULL OR started_at >= %(since)s)
            GROUP BY station, track_key
            ORDER BY plays DESC, last_played_at DESC, track_key
            LIMIT %(limit)s
            """,
            {"station": station, "since": since, "limit": bounded(limit)},
        )

    def counts(self) -> dict[str, int]:
        """How many rows there are: mappings, plays, errors."""
        row = self._all(
            "SELECT (SELECT count(*) FROM track_mappings) AS mappings, (SELECT count(*) FROM play_history) AS plays,"
            " (SELECT count(*) FROM error_log) AS errors",
            {},
        )[0]
        return {name: int(count) for name, count in row.items()}

    def purge(self, history_days: int, error_days: int) -> dict[str, int]:
        """Delete older plays and errors, a part at a time; how many of each went."""
        values = {"history_days": history_days, "error_days": error_days}
        gone: Counter[str] = Counter(plays=0, errors=0)
        while True:
            row = self._all("SELECT plays, errors FROM radio_purge(%(history_days)s, %(error_days)s)", values)[0]
            gone.update(row)
            if not any(row.values()):
                return dict(gone)

    def _all(self, statement: LiteralString, values: Row) -> list[Row]:
        return fetch(self._pool, statement, values)

    def _by_time(self, statement: LiteralString, values: Row, column: str, cursor: str | None, limit: int) -> Page:
        text, after_id = read_cursor(cursor)
        try:
            after_time = None if text is None else datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("cursor: is not one that was given out") from None
        values = {**values, "after_time": after_time, "after_id": after_id, "limit": bounded(limit) + 1}
        return page(self._all(statement, values), limit, column)


def _fits(name: str, value: str, length: int) -> str:
    if not value:
        raise ValueError(f"{name}: is empty")
    if len(value) > length:
        raise ValueError(f"{name}: is longer than {length} characters")
    if "\x00" in value:
        raise ValueError(f"{name}: contains a NUL character")
    return value


def _optional(name: str, value: str | None, length: int) -> str | None:
    return _fits(name, value.strip(), length) if value and value.strip() else None


def _default_key(hours: str | None) -> str:
    if hours is None:
        return "default_loop"
    part = Daypart.parse(hours, "")
    return f"default_loop {part.start:%H:%M}-{part.end:%H:%M}"
