"""Many mappings at once: one loop for many songs, and the lines of an import.

Each is one transaction, so that nobody ever sees half of it. A dry run is the same transaction, taken back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final, LiteralString, NamedTuple

import psycopg
from psycopg.rows import DictRow

from ..tracks.snapshot import EVERY_STATION
from ..tracks.track_key import normalise
from .paging import Row
from .pool import Pool, reason, transaction
from .songs import Selection, as_json

_LOCK: Final = 0x72616469_6F000002
"""Of many changes at once; the migrator has the number before."""

# One after the other: two that write the same rows, each in an order of its own, would wait for each other.
#
# What is chosen may be ten songs or ten thousand, which the planner doesn't know: with a nested loop the latter take
# a minute, and by a merge all mappings are sorted for the former. The rest is as in radio_songs.
_BEGIN: Final[LiteralString] = """
SELECT pg_advisory_xact_lock(%(lock)s), set_config('enable_nestloop', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true),
    set_config('plan_cache_mode', 'force_custom_plan', true)
"""

_TABLE: Final[LiteralString] = """
CREATE TEMPORARY TABLE chosen_songs (id bigint, song_id text, media_id text, key text) ON COMMIT DROP
"""

_CHOOSE: Final[LiteralString] = """
INSERT INTO chosen_songs
SELECT id, song_id, media_id,
    CASE %(kind)s::text
        WHEN 'track' THEN track_key
        -- With its artist: "Greatest Hits" is the name of a thousand albums.
        WHEN 'album' THEN CASE WHEN album_key = '' THEN '' ELSE artist_album_key END
        WHEN 'artist' THEN artist_key
        WHEN 'playlist' THEN CASE WHEN %(playlist)s::text = ANY(playlist_keys) THEN %(playlist)s::text ELSE '' END
    END
FROM """

_COUNT: Final[LiteralString] = """
SELECT count(*) AS songs, count(*) FILTER (WHERE key = '') AS skipped FROM chosen_songs
"""

_MERGE: Final[LiteralString] = """
, replaced AS (
    UPDATE track_mappings AS m
    SET azuracast_song_id = coalesce(line.song_id, m.azuracast_song_id),
        media_unique_id = coalesce(line.media_id, m.media_unique_id),
        loop_file_path = line.loop
    FROM line
    WHERE m.track_key = line.key AND m.kind = line.kind AND m.station = line.station
        AND (m.loop_file_path <> line.loop
            OR coalesce(line.song_id, '') NOT IN ('', coalesce(m.azuracast_song_id, ''))
            OR coalesce(line.media_id, '') NOT IN ('', coalesce(m.media_unique_id, '')))
    RETURNING m.id
),
-- Those that are there are not tried: to find each in the way, and lock it, is twice the work of the replacing.
made AS (
    INSERT INTO track_mappings AS m (station, kind, track_key, azuracast_song_id, media_unique_id, loop_file_path)
    SELECT line.station, line.kind, line.key, line.song_id, line.media_id, line.loop FROM line
    WHERE NOT EXISTS (
        SELECT FROM track_mappings AS m
        WHERE m.track_key = line.key AND m.kind = line.kind AND m.station = line.station
    )
    -- Somebody else has just made it.
    ON CONFLICT (track_key, kind, station) DO UPDATE
    SET azuracast_song_id = coalesce(excluded.azuracast_song_id, m.azuracast_song_id),
        media_unique_id = coalesce(excluded.media_unique_id, m.media_unique_id),
        loop_file_path = excluded.loop_file_path
    RETURNING xmax = 0 AS created
)
SELECT created, replaced, lines - created - replaced AS unchanged
FROM (
    SELECT (SELECT count(*) FROM made WHERE created) AS created,
        (SELECT count(*) FROM made WHERE NOT created) + (SELECT count(*) FROM replaced) AS replaced,
        (SELECT count(*) FROM line) AS lines
) AS done
"""

_LINES: Final[LiteralString] = """
WITH line AS MATERIALIZED (
    SELECT * FROM unnest(%(stations)s::text[], %(kinds)s::text[], %(keys)s::text[], %(song_ids)s::text[],
        %(media_ids)s::text[], %(loops)s::text[]) AS line(station, kind, key, song_id, media_id, loop)
)
"""

_CHOSEN: Final[LiteralString] = """
WITH line AS MATERIALIZED (
    SELECT DISTINCT ON (key) %(target)s::text AS station, %(kind)s::text AS kind, key,
        CASE WHEN %(kind)s = 'track' THEN nullif(song_id, '') END AS song_id,
        CASE WHEN %(kind)s = 'track' THEN media_id END AS media_id,
        %(loop)s::text AS loop
    FROM chosen_songs WHERE key <> ''
    ORDER BY key, id
)
"""

_REMOVE: Final[LiteralString] = """
DELETE FROM track_mappings
WHERE station = ANY(%(stations)s) AND (
    (kind = %(kind)s AND track_key IN (SELECT key FROM chosen_songs WHERE key <> ''))
    OR (%(kind)s = 'track' AND (
        (azuracast_song_id <> ''
            AND lower(azuracast_song_id) IN (SELECT song_id FROM chosen_songs WHERE key <> ''))
        OR lower(media_unique_id) IN (SELECT media_id FROM chosen_songs WHERE key <> '')
    ))
)
"""

_REMOVE_OWN: Final[LiteralString] = """
DELETE FROM track_mappings
WHERE station = %(own)s AND kind = %(kind)s AND track_key IN (SELECT key FROM chosen_songs WHERE key <> '')
"""

_FORGET_SONG: Final[LiteralString] = """
UPDATE track_mappings AS m SET azuracast_song_id = NULL
FROM chosen_songs AS song
WHERE song.key <> '' AND song.song_id <> '' AND lower(m.azuracast_song_id) = song.song_id
    AND m.station = ANY(%(stations)s)
    AND (m.station, m.kind, m.track_key) <> (%(target)s, 'track', song.key)
"""

_FORGET_MEDIA: Final[LiteralString] = """
UPDATE track_mappings AS m SET media_unique_id = NULL
FROM chosen_songs AS song
WHERE song.key <> '' AND lower(m.media_unique_id) = song.media_id AND m.station = ANY(%(stations)s)
    AND (m.station, m.kind, m.track_key) <> (%(target)s, 'track', song.key)
"""

_OVERRULED: Final[LiteralString] = """
SELECT count(*) AS songs FROM radio_songs(%(after)s || jsonb_build_object('ids', (
    SELECT coalesce(jsonb_agg(id), '[]') FROM chosen_songs WHERE key <> ''
))) WHERE loop IS DISTINCT FROM %(loop)s::text
"""

# Once each song has a mapping of its own for every station, and none of its ids is left in another one, nothing but
# the custom field goes before: no other loop need be looked for.
_OVERRULED_BY_FIELD: Final[LiteralString] = """
SELECT count(*) AS songs FROM chosen_songs JOIN songs USING (id) WHERE key <> '' AND video_loop <> %(loop)s::text
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
    station alone. A mapping of the kind "playlist" is for `chosen.playlist`. `loop` is a name below `loops_dir` that
    can be a loop (`loops.loop_path`): one that can't would leave the songs theirs, and `overruled` would not tell.
    Raises DatabaseAway, and ValueError.
    """
    base = loops_dir.rstrip("/") + "/"
    given = {
        "chosen": as_json(chosen, base),
        "after": as_json(Selection(station=chosen.station), base),
        "kind": kind,
        "playlist": normalise(chosen.playlist) if chosen.playlist else None,
        "loop": loop,
        "own": chosen.station,
        "target": EVERY_STATION if everywhere else chosen.station,
        "stations": [chosen.station, EVERY_STATION] if everywhere else [chosen.station],
    }
    with _changing(pool, dry_run) as connection:
        connection.execute(_TABLE)
        by_loop = (chosen.mapped, chosen.rule, chosen.loop) != (None, None, None)
        connection.execute(_CHOOSE + ("radio_songs(%(chosen)s)" if by_loop else "radio_named(%(chosen)s)"), given)
        meant = _one(connection, _COUNT, given)
        removed, merged = 0, {}
        if loop is None:
            removed = connection.execute(_REMOVE, given).rowcount
        else:
            if kind == "track":
                # A mapping by an id goes before one by a name: others must not be left with the ids of these songs.
                connection.execute(_FORGET_SONG, given)
                connection.execute(_FORGET_MEDIA, given)
            merged = _one(connection, _CHOSEN + _MERGE, given)
            if everywhere:
                removed = connection.execute(_REMOVE_OWN, given).rowcount
        alone = kind == "track" and loop is not None and everywhere
        overruled = _one(connection, _OVERRULED_BY_FIELD if alone else _OVERRULED, given)["songs"]
    return Changes(**meant, **merged, removed=removed, overruled=overruled)


def merge(pool: Pool, lines: Sequence[Line], *, dry_run: bool) -> Changes:
    """Make or replace the mappings of an import; no two lines are for the same. Raises DatabaseAway, ValueError."""
    with _changing(pool, dry_run) as connection:
        columns = zip(*lines, strict=True) if lines else ((),) * len(Line._fields)
        names = ("stations", "kinds", "keys", "song_ids", "media_ids", "loops")
        return Changes(**_one(connection, _LINES + _MERGE, dict(zip(names, map(list, columns), strict=True))))


def mappings(pool: Pool, station: str | None) -> list[Row]:
    """Every mapping, of all stations or of one and "*", by key: for an export."""
    with transaction(pool) as connection:
        return connection.execute(
            "SELECT station, kind, track_key, loop_file_path, azuracast_song_id, media_unique_id FROM track_mappings"
            " WHERE %(station)s::text IS NULL OR station IN (%(station)s, '*') ORDER BY kind, track_key, station",
            {"station": station},
        ).fetchall()


def _one(connection: psycopg.Connection[DictRow], statement: LiteralString, values: Row) -> Row:
    return connection.execute(statement, values).fetchall()[0]


@contextmanager
def _changing(pool: Pool, dry_run: bool) -> Iterator[psycopg.Connection[DictRow]]:
    try:
        with transaction(pool) as connection:
            connection.execute(_BEGIN, {"lock": _LOCK})
            yield connection
            if dry_run:
                raise psycopg.Rollback
    except psycopg.DataError as error:
        raise ValueError(reason(error)) from error
