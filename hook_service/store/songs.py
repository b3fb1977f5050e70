"""The songs of the libraries, each with the loop that it would get: what the operator's list and search read, and
what the reading of AzuraCast's library writes.

The rules are the resolver's (`tracks.resolver`), said once more as joins in the database's function `radio_songs`:
to ask Python about ten thousand songs at each keystroke would take a second. A test compares the two. What SQL leaves
out is the time of day and the default loop, which are the same for every song that no mapping is for: such a song has
no rule here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from ..tracks.track_key import normalise
from .paging import Page, Row, bounded, contains, page, read_cursor
from .pool import Pool, fetch, reason, transaction

if TYPE_CHECKING:
    from ..tracks.library import LibrarySong

_PAGE: Final[LiteralString] = """
WITH found AS MATERIALIZED (SELECT * FROM radio_songs(%(chosen)s))
SELECT id, station, media_id, song_id, artist, title, album, genre, playlists, length_seconds, art, track_key, rule,
    mapping_id, loop, (SELECT count(*) FROM found) AS total
FROM found
WHERE %(after_key)s::text IS NULL OR (track_key, id) > (%(after_key)s, %(after_id)s)
ORDER BY track_key, id
LIMIT %(limit)s
"""

_PLAYLISTS: Final[LiteralString] = """
SELECT min(one) AS name, count(*) AS songs, count(*) FILTER (WHERE rule IS NULL) AS unmapped
FROM radio_songs(%(chosen)s), unnest(playlists) AS one
GROUP BY lower(one) ORDER BY lower(one) LIMIT 500
"""

_NEAR: Final[LiteralString] = """
SELECT loop, count(*) FILTER (WHERE album_key <> '' AND album_key = %(album)s) AS album,
    count(*) FILTER (WHERE artist_key <> '' AND artist_key = %(artist)s) AS artist
FROM radio_songs(%(chosen)s)
WHERE loop IS NOT NULL AND id <> %(id)s
    AND ((album_key <> '' AND album_key = %(album)s) OR (artist_key <> '' AND artist_key = %(artist)s))
GROUP BY loop ORDER BY 2 DESC, 3 DESC, 1 LIMIT 20
"""

_ALIKE: Final[LiteralString] = """
SELECT loop, text, score FROM (
    SELECT DISTINCT ON (name.loop) name.loop, text.name AS text,
        greatest(similarity(text.words, name.words), strict_word_similarity(text.words, name.words))
            * text.weight AS score
    FROM unnest(%(loops)s::text[], %(words)s::text[]) AS name(loop, words)
        CROSS JOIN unnest(%(names)s::text[], %(texts)s::text[], %(weights)s::float8[]) AS text(name, words, weight)
    ORDER BY name.loop, 3 DESC
) AS best
WHERE score >= 0.3 ORDER BY score DESC, loop LIMIT %(limit)s
"""

_UPSERT: Final[LiteralString] = """
INSERT INTO songs (station, media_id, song_id, artist, title, album, genre, playlists, length_seconds, art,
    video_loop, track_key, artist_album_key, album_key, artist_key, playlist_keys, words)
VALUES (%(station)s, %(media_id)s, %(song_id)s, %(artist)s, %(title)s, %(album)s, %(genre)s, %(playlists)s,
    %(length_seconds)s, %(art)s, %(video_loop)s, %(track_key)s, %(artist_album_key)s, %(album_key)s, %(artist_key)s,
    %(playlist_keys)s, %(words)s)
ON CONFLICT (station, media_id) DO UPDATE
SET song_id = excluded.song_id, artist = excluded.artist, title = excluded.title, album = excluded.album,
    genre = excluded.genre, playlists = excluded.playlists, length_seconds = excluded.length_seconds,
    art = excluded.art, video_loop = excluded.video_loop, track_key = excluded.track_key,
    artist_album_key = excluded.artist_album_key, album_key = excluded.album_key, artist_key = excluded.artist_key,
    playlist_keys = excluded.playlist_keys, words = excluded.words, changed_at = now()
WHERE (songs.song_id, songs.artist, songs.title, songs.album, songs.genre, songs.playlists, songs.length_seconds,
        songs.art, songs.video_loop, songs.words)
    IS DISTINCT FROM (excluded.song_id, excluded.artist, excluded.title, excluded.album, excluded.genre,
        excluded.playlists, excluded.length_seconds, excluded.art, excluded.video_loop, excluded.words)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which songs of a station: all that fit every field that is given.

    `q` is looked for word by word in artist, title, album, genre and playlists, or is an id. `mapped` is whether a
    mapping or the custom field leads to a loop; `rule` and `loop` are which rule it is, and which loop (its name
    below the loops directory). `default` is the loop of songs that no mapping is for. `ids` are their own numbers.
    """

    station: str
    q: str | None = None
    artist: str | None = None
    album: str | None = None
    playlist: str | None = None
    mapped: bool | None = None
    rule: str | None = None
    loop: str | None = None
    default: str | None = None
    ids: Sequence[int] | None = None


class Songs:
    """Every method takes one connection for one transaction; DatabaseAway and ValueError as in `queries`.

    `loops_dir` is absolute.
    """

    def __init__(self, pool: Pool, loops_dir: str) -> None:
        self._pool = pool
        self._base = loops_dir.rstrip("/") + "/"

    # --- what is read ---------------------------------------------------------------------------------------------

    def page(self, chosen: Selection, *, cursor: str | None = None, limit: int = 50) -> tuple[Page, int]:
        """Songs by artist and title, each with its rule and loop (null: the default), and how many there are."""
        after_key, after_id = read_cursor(cursor)
        rows = self._all(_PAGE, self._given(chosen, after_key=after_key, after_id=after_id, limit=bounded(limit) + 1))
        total = rows[0]["total"] if rows else 0
        for row in rows:
            del row["total"]
        return page(rows, limit, "track_key"), total

    def every(self, chosen: Selection) -> list[Row]:
        """All of them at once, for an export."""
        return self._all("SELECT * FROM radio_songs(%(chosen)s) ORDER BY track_key, id", self._given(chosen))

    def song(self, song_id: int) -> Row | None:
        """One song as it was read, without its rule."""
        found = self._all("SELECT * FROM songs WHERE id = %(id)s", {"id": song_id})
        return found[0] if found else None

    def summary(self, station: str) -> dict[str, Any]:
        """How many songs each rule gives its loop (`none`: the default), and the playlists with their songs."""
        given = self._given(Selection(station=station))
        rules = self._all(
            "SELECT coalesce(rule, 'none') AS rule, count(*) AS songs FROM radio_songs(%(chosen)s) GROUP BY 1", given
        )
        return {
            "rules": {row["rule"]: row["songs"] for row in rules},
            "playlists": self._all(_PLAYLISTS, given),
        }

    def near(self, song: Row) -> list[Row]:
        """The loops of the songs of the same album and artist: loop, album (of how many songs of it), artist."""
        chosen = Selection(station=song["station"])
        return self._all(
            _NEAR, self._given(chosen, id=song["id"], album=song["album_key"], artist=song["artist_key"])
        )

    def alike(self, names: Sequence[tuple[str, str]], texts: dict[str, str], limit: int = 20) -> list[Row]:
        """Which of the names, (loop, its words), are like the texts: loop, text (its name), score from 0 to 1."""
        return self._all(
            _ALIKE,
            {
                "loops": [loop for loop, _ in names],
                "words": [words for _, words in names],
                "names": list(texts),
                "texts": list(texts.values()),
                "weights": [_WEIGHTS.get(name, 1.0) for name in texts],
                "limit": limit,
            },
        )

    # --- what the reading of a library writes ---------------------------------------------------------------------

    def upsert(self, station: str, songs: Iterable[LibrarySong]) -> int:
        """Write those that are new or have changed; how many those were."""
        values = [_row(station, song) for song in songs]
        try:
            with transaction(self._pool) as connection, connection.cursor() as cursor:
                cursor.executemany(_UPSERT, values)
                return cursor.rowcount
        except psycopg.DataError as error:
            raise ValueError(reason(error)) from error

    def keep_only(self, station: str, media_ids: Sequence[str]) -> int:
        """Delete the songs that are not among these; how many those were."""
        return len(
            self._all(
                "DELETE FROM songs WHERE station = %(station)s AND NOT EXISTS (SELECT FROM unnest(%(kept)s::text[])"
                " AS kept(media_id) WHERE kept.media_id = songs.media_id) RETURNING id",
                {"station": station, "kept": list(media_ids)},
            )
        )

    def _given(self, chosen: Selection, **values: Any) -> Row:
        return {"chosen": as_json(chosen, self._base), **values}

    def _all(self, statement: LiteralString, values: Row) -> list[Row]:
        return fetch(self._pool, statement, values)


_WEIGHTS: Final = {"album": 0.6, "artist": 0.5}
"""A loop that is called like the album fits it, but less well than one that is called like the song."""


def as_json(chosen: Selection, base: str) -> Jsonb:
    """What the function `radio_songs` takes; `base` is the loops directory with a slash behind it."""
    q = chosen.q.strip() if chosen.q else None
    return Jsonb(
        {
            "base": base,
            "station": chosen.station,
            "words": [contains(word) for word in (normalise(q) or q.lower()).split()] if q else None,
            "exact": q.lower() if q else None,
            "artist": _key(chosen.artist),
            "album": _key(chosen.album),
            "playlist": _key(chosen.playlist),
            "mapped": chosen.mapped,
            "rule": chosen.rule,
            "loop": chosen.loop,
            "fallback": chosen.default,
            "ids": None if chosen.ids is None else list(chosen.ids),
        }
    )


def _key(text: str | None) -> str | None:
    return None if text is None else normalise(text)


def _row(station: str, song: LibrarySong) -> Row:
    return {
        "station": station,
        "media_id": song.media_id,
        "song_id": song.song_id,
        "artist": song.artist,
        "title": song.title,
        "album": song.album,
        "genre": song.genre,
        "playlists": list(song.playlists),
        "length_seconds": song.length_seconds,
        "art": song.art,
        "video_loop": song.video_loop,
        "track_key": song.track_key,
        "artist_album_key": song.artist_album_key,
        "album_key": normalise(song.album),
        "artist_key": normalise(song.artist),
        "playlist_keys": list(filter(None, map(normalise, song.playlists))),
        "words": song.words,
    }
