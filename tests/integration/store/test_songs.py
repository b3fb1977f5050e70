"""The songs of a library in the database: their loops as the resolver says, and many mappings at once."""

import random
from collections.abc import Sequence
from typing import Any

import psycopg

from hook_service.store import bulk
from hook_service.store.bulk import Line
from hook_service.store.pool import Pool
from hook_service.store.snapshot import load
from hook_service.store.songs import Selection, Songs
from hook_service.tracks import suggest
from hook_service.tracks.library import LibrarySong
from hook_service.tracks.nowplaying import Song
from hook_service.tracks.resolver import Resolver
from tests.integration.store.common import LOOPS

DEMO = Selection(station="demo")


def song(number: int, **fields: Any) -> LibrarySong:
    values = {"song_id": f"{number:032x}", "artist": "Artist", "title": f"Title {number}", "album": "Album"}
    return LibrarySong(media_id=f"{number:024x}", **{**values, "playlists": ("Day",), **fields})


def titles(songs: Songs, chosen: Selection) -> list[str]:
    return [row["title"] for row in songs.page(chosen)[0].items]


def add(db: psycopg.Connection[dict[str, Any]], key: str, loop: str, kind: str = "track", **ids: str) -> None:
    db.execute(
        "INSERT INTO track_mappings (station, kind, track_key, loop_file_path, azuracast_song_id, media_unique_id)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [ids.get("station", "*"), kind, key, loop, ids.get("song_id"), ids.get("media_id")],
    )


def test_only_what_is_different_is_written(songs: Songs, db: psycopg.Connection[dict[str, Any]]) -> None:
    library = [song(number) for number in range(300)]
    assert songs.upsert("demo", library) == 300
    before = db.execute("SELECT id, xmin::text FROM songs ORDER BY id").fetchall()
    assert songs.upsert("demo", library) == 0
    assert db.execute("SELECT id, xmin::text FROM songs ORDER BY id").fetchall() == before
    library[7] = song(7, title="Another", playlists=("Day", "Night"))
    assert songs.upsert("demo", library) == 1
    assert songs.upsert("other", library[:2]) == 2
    assert songs.keep_only("demo", [one.media_id for one in library[:10]]) == 290
    assert songs.page(DEMO)[1] == 10
    assert songs.page(Selection(station="other"))[1] == 2
    assert titles(songs, Selection(station="demo", playlist="night"))[0] == "Another"


def test_the_rules_are_the_resolvers(pool: Pool, songs: Songs, db: psycopg.Connection[dict[str, Any]]) -> None:
    """Whatever is mapped to what: the list says what will be shown."""
    dice = random.Random(7)
    names = ["A", "B b", "Ünï", "C - D", "!!!", ""]

    def text() -> str:
        return dice.choice(names)

    library = [
        song(
            number, artist=text(), title=text(), album=text(), playlists=tuple(filter(None, [text()])),
            song_id=f"id{dice.randrange(60)}", video_loop=dice.choice([None] * 9 + ["own.mp4"]),
        )
        for number in range(400)
    ]  # fmt: skip
    songs.upsert("demo", library)
    loops = ["a.mp4", "b/c.mp4", f"{LOOPS}/d.mp4", "../x.mp4", "/etc/passwd", "http://x/y.mp4", "e/", "a\tb.mp4"]
    made = set()
    for _ in range(60):
        kind, owner = dice.choice(["track", "album", "artist", "playlist"]), dice.choice(["*", "demo", "other"])
        one = dice.choice(library)
        key = {
            "track": one.track_key, "album": dice.choice([one.artist_album_key, one.album.lower()]),
            "artist": one.artist.lower(), "playlist": "".join(one.playlists).lower(),
        }[kind]  # fmt: skip
        if key in ("", "!!!") or (key, kind, owner) in made:
            continue
        made.add((key, kind, owner))
        ids = {"media_id": one.media_id} if dice.random() < 0.1 else {}
        ids |= {"song_id": f"ID{dice.randrange(60)}"} if dice.random() < 0.1 else {}
        add(db, key, dice.choice(loops), kind, station=owner, **ids)
    resolver = Resolver(load(db), LOOPS)
    rules = set()
    for row in songs.every(DEMO):
        one = next(each for each in library if each.media_id == row["media_id"])
        said = resolver.resolve_song(
            "demo",
            Song(
                song_id=one.song_id, media_id=one.media_id, artist=one.artist, title=one.title, album=one.album,
                playlist="".join(one.playlists), video_loop=one.video_loop,
            ),
        )  # fmt: skip
        rules.add(said.rule)
        expected = (None, None) if said.rule == "default" else (said.rule, said.loop.removeprefix(f"{LOOPS}/"))
        assert (row["rule"], row["loop"]) == expected, one
        assert row["mapping_id"] == said.mapping_id
    assert rules >= {"video_loop", "song_id", "track_key", "album", "artist", "playlist", "default"}


def test_what_is_looked_for(songs: Songs, db: psycopg.Connection[dict[str, Any]]) -> None:
    songs.upsert(
        "demo",
        [
            song(1, artist="Daft Punk", title="One More Time", album="Discovery", genre="House"),
            song(2, artist="Mötley Crüe", title="100% _wild_", album="", playlists=("Night", "Rock")),
            song(3, artist="Björk", title="Jóga", album="Homogenic"),
        ],
    )
    add(db, "björk - jóga", "joga.mp4")
    assert titles(songs, Selection(station="demo", q="time DAFT")) == ["One More Time"]
    assert titles(songs, Selection(station="demo", q="hous")) == ["One More Time"]
    assert titles(songs, Selection(station="demo", q="crüe rock")) == ["100% _wild_"]
    assert titles(songs, Selection(station="demo", q="100%")) == ["100% _wild_"]
    assert titles(songs, Selection(station="demo", q="%")) == []
    assert titles(songs, Selection(station="demo", q=f"{3:024X}")) == ["Jóga"]
    assert titles(songs, Selection(station="demo", artist="BJÖRK!")) == ["Jóga"]
    assert titles(songs, Selection(station="demo", mapped=True)) == ["Jóga"]
    assert len(titles(songs, Selection(station="demo", mapped=False))) == 2
    assert titles(songs, Selection(station="demo", loop="joga.mp4")) == ["Jóga"]
    assert len(titles(songs, Selection(station="demo", loop="d.mp4", default="d.mp4"))) == 2
    assert titles(songs, Selection(station="demo", rule="track_key", playlist="day")) == ["Jóga"]
    assert songs.summary("demo")["rules"] == {"track_key": 1, "none": 2}
    assert songs.summary("demo")["playlists"][0] == {"name": "Day", "songs": 2, "unmapped": 1}


def test_page_by_page(songs: Songs) -> None:
    songs.upsert("demo", [song(number, title=f"Title {number // 3}") for number in range(100)])
    seen: list[int] = []
    cursor = None
    while True:
        page, total = songs.page(DEMO, cursor=cursor, limit=7)
        assert total == 100
        seen += [row["id"] for row in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 100


def assign(pool: Pool, chosen: Selection, loop: str | None, **how: Any) -> bulk.Changes:
    return bulk.assign(
        pool, LOOPS, chosen, loop=loop, **{"kind": "track", "everywhere": True, "dry_run": False, **how}
    )


def loops(songs: Songs) -> list[str | None]:
    return [row["loop"] for row in songs.every(DEMO)]


def test_one_loop_for_many(pool: Pool, songs: Songs, db: psycopg.Connection[dict[str, Any]]) -> None:
    songs.upsert("demo", [song(n) for n in range(5)] + [song(5, artist="!", title="!"), song(6, video_loop="v.mp4")])
    add(db, "artist - title 1", "old.mp4")
    add(db, "artist - title 2", "mine.mp4", station="demo")
    # Retagged since: the mapping of its old name still has its id, and would go before.
    add(db, "artist - old title", "old.mp4", media_id=f"{3:024x}")
    planned = assign(pool, DEMO, "new.mp4", dry_run=True)
    assert db.execute("SELECT count(*) AS n FROM track_mappings").fetchone() == {"n": 3}
    done = assign(pool, DEMO, "new.mp4")
    assert done == planned
    assert done == bulk.Changes(songs=7, created=5, replaced=1, removed=1, skipped=1, overruled=1)
    assert loops(songs) == [None, *["new.mp4"] * 5, "v.mp4"]
    assert assign(pool, DEMO, "new.mp4").unchanged == 6
    # A song that is retagged keeps its loop.
    songs.upsert("demo", [song(4, title="Called otherwise")])
    row = songs.page(Selection(station="demo", q="otherwise"))[0].items[0]
    assert (row["loop"], row["rule"]) == ("new.mp4", "song_id")
    gone = assign(pool, Selection(station="demo", ids=[row["id"]]), None)
    assert (gone.songs, gone.removed, gone.overruled) == (1, 1, 0)
    assert assign(pool, DEMO, None).removed == 5
    assert set(loops(songs)) == {None, "v.mp4"}


def test_by_album_artist_and_playlist(pool: Pool, songs: Songs, db: psycopg.Connection[dict[str, Any]]) -> None:
    songs.upsert("demo", [song(1), song(2, album="Other"), song(3, album=""), song(4, playlists=("Night",))])
    add(db, "artist - title 1", "one.mp4")
    done = assign(pool, DEMO, "album.mp4", kind="album")
    assert (done.songs, done.created, done.skipped, done.overruled) == (4, 2, 1, 1)
    assert loops(songs) == ["one.mp4", "album.mp4", None, "album.mp4"]
    assert assign(pool, DEMO, "artist.mp4", kind="artist", everywhere=False).created == 1
    assert loops(songs) == ["one.mp4", "album.mp4", "artist.mp4", "album.mp4"]
    assert db.execute("SELECT station FROM track_mappings WHERE kind = 'artist'").fetchall() == [{"station": "demo"}]
    night = Selection(station="demo", playlist="NIGHT!")
    done = assign(pool, night, "night.mp4", kind="playlist")
    assert (done.songs, done.created, done.overruled) == (1, 1, 1)
    assert assign(pool, DEMO, None, kind="album").removed == 2
    assert assign(pool, DEMO, None, kind="artist", everywhere=False).removed == 1
    assert loops(songs) == ["one.mp4", None, None, "night.mp4"]


def test_an_import(pool: Pool, db: psycopg.Connection[dict[str, Any]]) -> None:
    add(db, "artist - title 1", "one.mp4", media_id="aa")
    lines = [Line("*", "track", f"artist - title {n}", None, None, "one.mp4") for n in range(3)]
    for dry_run in (True, False):
        done = bulk.merge(pool, lines, dry_run=dry_run)
        assert (done.created, done.replaced, done.unchanged) == (2, 0, 1)
    assert bulk.merge(pool, [lines[1]._replace(loop_file_path="two.mp4")], dry_run=False).replaced == 1
    assert bulk.merge(pool, [], dry_run=False) == bulk.Changes()
    [row] = [row for row in bulk.mappings(pool, "demo") if row["loop_file_path"] == "two.mp4"]
    assert row["media_unique_id"] == "aa"


def test_a_library_of_which_the_planner_knows(
    pool: Pool, songs: Songs, db: psycopg.Connection[dict[str, Any]]
) -> None:
    """With statistics it once made a plan that took a minute: every statement has ten seconds."""
    songs.upsert("demo", [song(number, playlists=("Day", f"List {number % 7}")) for number in range(3000)])
    for kind in ("track", "album", "artist"):
        assign(pool, DEMO, f"{kind}.mp4", kind=kind)
    for loop in ("one.mp4", "two.mp4"):
        assert songs.page(DEMO)[1] == 3000
        assert songs.page(Selection(station="demo", q="title 2999"))[1] == 1
        assert assign(pool, Selection(station="demo", playlist="list 3"), loop).replaced
        db.execute("ANALYZE")
    assert assign(pool, Selection(station="demo", playlist="list 3"), "l.mp4", kind="playlist").created == 1
    assert songs.summary("demo")["rules"] == {"song_id": 3000}


def suggested(songs: Songs, number: int, names: Sequence[str]) -> list[str]:
    row = songs.song(number)
    assert row is not None
    alike = songs.alike([(name, suggest.words_of(name)) for name in names], suggest.texts_of(row))
    return [one.loop for one in suggest.ranked(alike, songs.near(row))]


def test_suggestions(songs: Songs, db: psycopg.Connection[dict[str, Any]]) -> None:
    songs.upsert(
        "demo",
        [
            song(1, artist="Daft Punk", title="One More Time", album="Discovery"),
            song(2, artist="Daft Punk", title="Aerodynamic", album="Discovery"),
            song(3, artist="Daft Punk", title="Around the World", album="Homework"),
        ],
    )
    add(db, "daft punk - one more time", "robots.mp4")
    names = ["aerodynamic_loop.mp4", "robots.mp4", "night/daft-punk.mp4", "flowers.mp4", "around the wolrd.mp4"]
    numbers = {row["title"]: row["id"] for row in songs.every(DEMO)}
    assert suggested(songs, numbers["Aerodynamic"], names)[:2] == ["aerodynamic_loop.mp4", "robots.mp4"]
    found = suggested(songs, numbers["Around the World"], names)
    assert found[0] == "around the wolrd.mp4"
    assert "robots.mp4" in found
    assert "night/daft-punk.mp4" in found
    assert "flowers.mp4" not in found
