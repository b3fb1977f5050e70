"""Many mappings at once: one loop for many songs, and the lines of an import.

Each is one transaction, so that nobody ever sees half of it. A dry run is the same transaction, taken back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg.rows import DictRow

from ..tracks.snapshot import EVERY_STATION
from ..tracks.track_key import normalise
from .paging import Row
from .pool import Pool, reason, transaction
from .songs import Selection, as_json

_CHOSEN: Final[LiteralString] = """
SELECT id, song_id, media_id,
    CASE %(kind)s::text
        WHEN 'track' THEN track_key
        -- With its artist: "Greatest Hits" is the name of a thousand albums.
        WHEN 'album' THEN CASE WHEN album_key = '' THEN '' ELSE artist_album_key END
        WHEN 'artist' THEN artist_key
        WHEN 'playlist' THEN CASE WHEN %(playlist)s::text = ANY(playlist_keys) THEN %(playlist)s::text ELSE '' END
    END AS key
FROM radio_songs(%(chosen)s)
ORDER BY id
"""

_MERGE: Final[LiteralString] = """
INSERT INTO track_mappings (station, kind, track_key, azuracast_song_id, media_unique_id, loop_file_path)
SELECT * FROM unnest(%(stations)s::text[], %(kinds)s::text[], %(keys)s::text[], %(song_ids)s::text[],
    %(media_ids)s::text[], %(loops)s::text[])
ON CONFLICT (track_key, kind, station) DO UPDATE
SET azuracast_song_id = coalesce(excluded.azuracast_song_id, track_mappings.azuracast_song_id),
    media_unique_id = coalesce(excluded.media_unique_id, track_mappings.media_unique_id),
    loop_file_path = excluded.loop_file_path
WHERE track_mappings.loop_file_path <> excluded.loop_file_path
    OR coalesce(excluded.azuracast_song_id, '') NOT IN ('', coalesce(track_mappings.azuracast_song_id, ''))
    OR coalesce(excluded.media_unique_id, '') NOT IN ('', coalesce(track_mappings.media_unique_id, ''))
RETURNING (xmax = 0) AS created
"""

_REMOVE: Final[LiteralString] = """
DELETE FROM track_mappings
WHERE station = ANY(%(stations)s) AND ((kind = %(kind)s AND track_key = ANY(%(keys)s))
    OR (azuracast_song_id <> '' AND lower(azuracast_song_id) = ANY(%(song_ids)s::text[]))
    OR lower(media_unique_id) = ANY(%(media_ids)s::text[]))
RETURNING id
"""

_REMOVE_OWN: Final[LiteralString] = """
DELETE FROM track_mappings WHERE station = %(own)s AND kind = %(kind)s AND track_key = ANY(%(keys)s) RETURNING id
"""

_FORGET_SONG: Final[LiteralString] = """
UPDATE track_mappings AS m SET azuracast_song_id = NULL
FROM unnest(%(key_of)s::text[], %(song_ids)s::text[]) AS song(key, id)
WHERE lower(m.azuracast_song_id) = song.id AND m.station = ANY(%(stations)s)
    AND (m.station, m.kind, m.track_key) <> (%(target)s, 'track', song.key)
"""

_FORGET_MEDIA: Final[LiteralString] = """
UPDATE track_mappings AS m SET media_unique_id = NULL
FROM unnest(%(key_of)s::text[], %(media_ids)s::text[]) AS song(key, id)
WHERE lower(m.media_unique_id) = song.id AND m.station = ANY(%(stations)s)
    AND (m.station, m.kind, m.track_key) <> (%(target)s, 'track', song.key)
"""

_OVERRULED: Final[LiteralString] = """
SELECT count(*) AS songs FROM radio_songs(%(chosen)s) WHERE loop IS DISTINCT FROM %(wanted)s::text
"""


class Line(NamedTuple):
    """A mapping to make or to replace; the key is normalised. An id that is None leaves the one that is there."""

    station: str
    kind: str
    track_key: str
    azuracast_song_id: str | None
    media_unique_id: str | None
    loop_file_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a change of many mappings comes down to.

    `songs` were meant; `skipped` of them have nothing that this kind of mapping could be for; `overruled` have
    another loop nevertheless, by a rule that goes before.
    """

    songs: int = 0
    created: int = 0
    replaced: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: int = 0
    overruled: int = 0

    def to_json(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


def assign(
    pool: Pool,
    loops_dir: str,
    chosen: Selection,
    *,
    kind: str,
    loop: str | None,
    everywhere: bool,
    dry_run: bool,
) -> Changes:
    """Give the chosen songs a loop by mappings of this kind, or (None) take such mappings away.

    `everywhere`: for every station (`*`), and none of this station's own is left before it; else for the songs'
    station alone. A mapping of the kind "playlist" is for `chosen.playlist`. Raises DatabaseAway, and ValueError.
    """
    base = loops_dir.rstrip("/") + "/"
    playlist = normalise(chosen.playlist) if chosen.playlist else None
    with _changing(pool, dry_run) as connection:
        rows = connection.execute(
            _CHOSEN, {"chosen": as_json(chosen, base), "kind": kind, "playlist": playlist}
        ).fetchall()
        usable = [row for row in rows if row["key"]]
        station = EVERY_STATION if everywhere else chosen.station
        found: dict[str, Any] = {
            "own": chosen.station,
            "target": station,
            "stations": [chosen.station, EVERY_STATION] if everywhere else [chosen.station],
            "kind": kind,
            "keys": list(dict.fromkeys(row["key"] for row in usable)),
            "key_of": [row["key"] for row in usable] if kind == "track" else [],
            "song_ids": [row["song_id"] for row in usable] if kind == "track" else [],
            "media_ids": [row["media_id"] for row in usable] if kind == "track" else [],
        }
        created = replaced = removed = 0
        if loop is None:
            removed = len(connection.execute(_REMOVE, found).fetchall())
        else:
            # A mapping by an id goes before one by a name: others must not be left with the ids of these songs.
            connection.execute(_FORGET_SONG, found)
            connection.execute(_FORGET_MEDIA, found)
            ids = {row["key"]: (row["song_id"] or None, row["media_id"]) for row in reversed(usable)}
            lines = []
            for key in found["keys"]:
                song_id, media_id = ids[key] if kind == "track" else (None, None)
                lines.append(Line(station, kind, key, song_id, media_id, loop))
            created, replaced = _merge(connection, lines)
            if everywhere:
                removed = len(connection.execute(_REMOVE_OWN, found).fetchall())
        after = Selection(station=chosen.station, ids=[row["id"] for row in usable])
        overruled = connection.execute(_OVERRULED, {"chosen": as_json(after, base), "wanted": loop}).fetchall()[0][
            "songs"
        ]
    return Changes(
        songs=len(rows),
        created=created,
        replaced=replaced,
        removed=removed,
        unchanged=0 if loop is None else len(found["keys"]) - created - replaced,
        skipped=len(rows) - len(usable),
        overruled=overruled,
    )


def merge(pool: Pool, lines: Sequence[Line], *, dry_run: bool) -> Changes:
    """Make or replace the mappings of an import; no two lines are for the same. Raises DatabaseAway, ValueError."""
    with _changing(pool, dry_run) as connection:
        created, replaced = _merge(connection, lines)
    return Changes(created=created, replaced=replaced, unchanged=len(lines) - created - replaced)


def mappings(pool: Pool, station: str | None) -> list[Row]:
    """Every mapping, of all stations or of one and "*", by key: for an export."""
    with transaction(pool) as connection:
        return connection.execute(
            "SELECT station, kind, track_key, loop_file_path, azuracast_song_id, media_unique_id FROM track_mappings"
            " WHERE %(station)s::text IS NULL OR station IN (%(station)s, '*') ORDER BY kind, track_key, station",
            {"station": station},
        ).fetchall()


def _merge(connection: psycopg.Connection[DictRow], lines: Sequence[Line]) -> tuple[int, int]:
    """How many were created, and how many replaced."""
    columns = zip(*lines, strict=True) if lines else ((),) * len(Line._fields)
    names = ("stations", "kinds", "keys", "song_ids", "media_ids", "loops")
    rows = connection.execute(_MERGE, dict(zip(names, map(list, columns), strict=True))).fetchall()
    created = sum(row["created"] for row in rows)
    return created, len(rows) - created


@contextmanager
def _changing(pool: Pool, dry_run: bool) -> Iterator[psycopg.Connection[DictRow]]:
    try:
        with transaction(pool) as connection:
            # The planner takes the arrays for small ones; with a nested loop ten thousand of them take a minute.
            connection.execute("SELECT set_config('enable_nestloop', 'off', true)")
            yield connection
            if dry_run:
                raise psycopg.Rollback
    except psycopg.DataError as error:
        raise ValueError(reason(error)) from error
