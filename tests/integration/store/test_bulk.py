"""Many mappings at once: what is written is what one after the other would come to, whatever is mapped already."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import psycopg
import pytest

from hook_service.store import bulk
from hook_service.store.pool import Pool
from hook_service.store.songs import Selection, Songs
from hook_service.tracks.library import LibrarySong
from tests.integration.store.common import LOOPS

NAMES = ("A", "B b", "!!!", "")
LOOP_NAMES = ("a.mp4", "b.mp4", "/srv/loops/c.mp4", "../x.mp4")
IDS = ("", "i1", "i2", "i3", "i4")
MEDIA_IDS = tuple(f"m{number}" for number in range(1, 13))


class Ids(NamedTuple):
    song_id: str | None
    media_id: str | None
    loop: str


Table = dict[tuple[str, str, str], Ids]
"""By station, kind and key."""


def table(db: psycopg.Connection[dict[str, Any]]) -> Table:
    rows = db.execute("SELECT * FROM track_mappings").fetchall()
    return {
        (row["station"], row["kind"], row["track_key"]): Ids(
            row["azuracast_song_id"], row["media_unique_id"], row["loop_file_path"]
        )
        for row in rows
    }


def fill(db: psycopg.Connection[dict[str, Any]], songs: Songs, dice: random.Random) -> None:
    """A small library in which names and ids are often the same, and mappings of every kind for it."""
    db.execute("TRUNCATE songs, track_mappings CASCADE")

    def song(media_id: str) -> LibrarySong:
        return LibrarySong(
            media_id=media_id, song_id=dice.choice(IDS), artist=dice.choice(NAMES), title=dice.choice(NAMES),
            album=dice.choice(NAMES), playlists=tuple(filter(None, {dice.choice(NAMES)})),
            video_loop=dice.choice([None] * 4 + ["a.mp4"]),
        )  # fmt: skip

    songs.upsert("demo", list(map(song, MEDIA_IDS)))
    keys = ("a - a", "a - b b", "b b - a", "a", "b b", "gone")
    for _ in range(dice.randrange(16)):
        db.execute(
            "INSERT INTO track_mappings"
            " (station, kind, track_key, azuracast_song_id, media_unique_id, loop_file_path)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                dice.choice(("*", "demo", "other")),
                dice.choice(("track", "track", "album", "artist", "playlist")),
                dice.choice(keys), dice.choice((None, *IDS, "I2")), dice.choice((None, None, "M1", *MEDIA_IDS)),
                dice.choice(LOOP_NAMES),
            ],
        )  # fmt: skip


def key_of(row: dict[str, Any], kind: str, playlist: str) -> str:
    by_kind = {
        "track": row["track_key"],
        "album": row["artist_album_key"] if row["album_key"] else "",
        "artist": row["artist_key"],
        "playlist": playlist if playlist in row["playlist_keys"] else "",
    }
    return str(by_kind[kind])


def expected(
    before: Table, rows: list[tuple[str, dict[str, Any]]], kind: str, loop: str | None, everywhere: bool
) -> Table:
    """The mappings after the songs `rows`, each with its key, have been given the loop."""
    after = dict(before)
    target = "*" if everywhere else "demo"
    stations = ("*", "demo") if everywhere else ("demo",)
    keys = {key for key, _ in rows}
    for where, ids in before.items():
        if where[0] not in stations:
            continue
        named = where[1] == kind and where[2] in keys
        with_song = [key for key, row in rows if (ids.song_id or "").lower() == row["song_id"] and ids.song_id]
        with_media = [key for key, row in rows if (ids.media_id or "").lower() == row["media_id"]]
        if kind != "track":
            with_song, with_media = [], []
        if loop is None:
            if named or with_song or with_media:
                del after[where]
            continue
        if any(where != (target, "track", key) for key in with_song):
            after[where] = after[where]._replace(song_id=None)
        if any(where != (target, "track", key) for key in with_media):
            after[where] = after[where]._replace(media_id=None)
        if everywhere and named and where[0] == "demo":
            del after[where]
    if loop is not None:
        for key in keys:
            where = (target, kind, key)
            old = after.get(where, Ids(None, None, ""))
            first = next(one for its_key, one in rows if its_key == key) if kind == "track" else None
            song_id, media_id = (first["song_id"] or None, first["media_id"]) if first else (None, None)
            after[where] = Ids(song_id or old.song_id, media_id or old.media_id, loop)
    return after


def without_blank(mappings: Table) -> Table:
    return {where: ids._replace(song_id=ids.song_id or None) for where, ids in mappings.items()}


@pytest.mark.parametrize("seed", range(8))
def test_as_one_by_one(pool: Pool, songs: Songs, db: psycopg.Connection[dict[str, Any]], seed: int) -> None:
    dice = random.Random(seed)
    overruled = 0
    for _ in range(25):
        fill(db, songs, dice)
        kind = dice.choice(("track", "track", "album", "artist", "playlist"))
        loop = dice.choice(("a.mp4", "new.mp4", None))
        everywhere = dice.random() < 0.5
        every = songs.every(Selection(station="demo"))
        how: dict[str, Any] = dice.choice(
            ({}, {"mapped": False}, {"mapped": True}, {"rule": "song_id"}, {"loop": "a.mp4"}, {"artist": "a"},
             {"album": "B b"}, {"q": "b"}, {"ids": [row["id"] for row in dice.sample(every, 5)]}, {"ids": []})
        )  # fmt: skip
        chosen = Selection(station="demo", **{"playlist": "a", **how} if kind == "playlist" else how)
        found = sorted(songs.every(chosen), key=lambda row: row["id"])
        rows = [(key, row) for row in found if (key := key_of(row, kind, "a"))]
        before = table(db)
        say: dict[str, Any] = {"kind": kind, "loop": loop, "everywhere": everywhere}
        planned = bulk.assign(pool, LOOPS, chosen, **say, dry_run=True)
        assert table(db) == before
        done = bulk.assign(pool, LOOPS, chosen, **say, dry_run=False)
        assert done == planned
        after = table(db)
        assert without_blank(after) == without_blank(expected(before, rows, kind, loop, everywhere)), (chosen, say)
        numbers = {row["id"] for _, row in rows}
        shown = [row for row in songs.every(Selection(station="demo")) if row["id"] in numbers]
        keys = {("*" if everywhere else "demo", kind, key) for key, _ in rows}
        assert done.songs == len(found)
        assert done.skipped == len(found) - len(rows)
        assert done.overruled == sum(row["loop"] != loop for row in shown), (chosen, say)
        assert done.removed == len(before.keys() - after.keys())
        assert done.created == len(after.keys() - before.keys())
        assert done.created + done.replaced + done.unchanged == (0 if loop is None else len(keys))
        overruled += done.overruled
    assert overruled


def test_two_at_the_same_time(pool: Pool, songs: Songs, db: psycopg.Connection[dict[str, Any]]) -> None:
    """Of the same songs, some by their artist and some by their titles: each is whole, and none is refused."""
    library = [
        LibrarySong(media_id=f"m{n}", song_id=f"i{n}", artist=f"Artist {n % 7}", title=f"Title {n}")
        for n in range(1000)
    ]
    songs.upsert("demo", library)

    def order(number: int) -> bulk.Changes:
        words = "title" if number % 2 else "artist"
        chosen = Selection(station="demo", q=words)
        return bulk.assign(
            pool, LOOPS, chosen, kind="track", loop=f"{number}.mp4", everywhere=number % 3 > 0, dry_run=False
        )

    with ThreadPoolExecutor(4) as workers:
        for done in workers.map(order, range(12)):
            assert done.created + done.replaced == done.songs == 1000
    assert len({row["loop"] for row in songs.every(Selection(station="demo"))}) == 1
