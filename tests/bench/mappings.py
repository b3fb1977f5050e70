"""Ten thousand songs and two thousand loops: how long the operator's list, search and bulk mapping take to answer.

radio-web as the process that it is, with a PostgreSQL that forces to the disk what it is given; the library comes
from the rig's AzuraCast, page by page, as on a host. Without a broadcast beside it, which needs neither.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import psycopg

from tests.bench.asking import COLUMNS, asker, database, timed
from tests.bench.outcome import Part, Table
from tests.bench.stage import Stage
from tests.integration.test_web import WebProcess
from tests.rig.azuracast import MEDIA_KEY, AzuraCast, Track
from tests.rig.net import wait_until

SONGS, LOOPS = 10_000, 2_000
ARTISTS, ALBUMS = 400, 1_000
P95_MS = 300.0
_SYLLABLES = ("ka", "lo", "mi", "ra", "sun", "tor", "vel", "dra", "fen", "go", "hal", "jin", "wo", "ny", "ber", "cas")


def measure(stage: Stage) -> Part:
    """Each kind of request one after the other over one connection, as a page sends them."""
    part = Part("Ten thousand songs, two thousand loops")
    rounds = int(stage.length(200, 20))
    with _library(stage.place / "mappings") as (web, dsn):
        process = psutil.Process(web.process.pid)  # type: ignore[union-attr]
        before, began = process.memory_info().rss, time.monotonic()
        first = _read(web)
        seconds = time.monotonic() - began
        again = time.monotonic()
        second = _read(web)
        unchanged = time.monotonic() - again
        grown = (process.memory_info().rss - before) / 1e6
        part.exactly("songs read", int(first["songs"]), SONGS)
        part.exactly("songs written when nothing has changed", int(second["changed"]), 0)
        part.figures["reading"] = {"seconds": seconds, "unchanged_seconds": unchanged, "grown_mb": grown}
        rows = []
        for what, ask in _questions(web, dsn).items():
            stage.say(f"mappings: {what}")
            row, p95 = timed(part, what, ask, max(5, rounds // 10 if "all" in what else rounds))
            part.at_most(f"{what}: p95", p95, P95_MS, " ms", 1)
            rows.append(row)
    part.tables.append(Table(COLUMNS, rows))
    part.notes.append(
        f"To read the {SONGS:,} songs from AzuraCast took {seconds:.1f} s, again with nothing changed {unchanged:.1f}"
        f" s; radio-web grew by {grown:.1f} MB. A third of the songs are mapped when the requests begin."
    )
    return part


@contextmanager
def _library(place: Path) -> Iterator[tuple[WebProcess, str]]:
    with database(place) as postgres, AzuraCast(["demo"]) as azuracast:
        dice = random.Random(11)
        names = [_name(dice) for _ in range(ARTISTS + ALBUMS)]
        azuracast.library["demo"] += [
            Track(
                names[n % ARTISTS], f"{_name(dice)} {n}", names[ARTISTS + n % ALBUMS],
                playlist=f"Playlist {n % 12}", more_playlists=("All",), genre="Pop",
            )
            for n in range(SONGS)
        ]  # fmt: skip
        station = {"audio": {"url": "http://127.0.0.1:8000/radio.mp3"}, "azuracast": {"url": azuracast.url}}
        web = WebProcess(place, postgres.dsn, stations={"demo": station})
        (place / "credentials" / "demo.azuracast-key").write_text(MEDIA_KEY)
        for number in range(LOOPS):
            (place / "loops" / f"{_name(dice).replace(' ', '-')}_{number:04}.mp4").write_bytes(b"x")
        web.start()
        try:
            yield web, postgres.dsn
        finally:
            web.end()


def _name(dice: random.Random) -> str:
    words = ("".join(dice.choices(_SYLLABLES, k=dice.randint(1, 3))) for _ in range(dice.randint(1, 3)))
    return " ".join(words).title()


def _read(web: WebProcess) -> dict[str, Any]:
    web.api("POST", "songs/sync", {})
    found: dict[str, Any] = {}

    def over() -> bool:
        nonlocal found
        found = web.api("GET", "songs/summary")["reading"]
        return found["state"] in ("read", "away")

    wait_until(over, "the library read", 120, every=0.1)
    return found


def _questions(web: WebProcess, dsn: str) -> dict[str, Callable[[], None]]:
    ask = asker(web)
    dice = random.Random(3)
    loops = [item["name"] for item in ask("GET", "loops?limit=500")["items"]]
    cursors: list[str | None] = [None]
    ids: list[int] = []
    artists: list[str] = []
    while len(cursors) < 21:
        page = ask("GET", "songs?" + urlencode({"limit": 500, **({"cursor": cursors[-1]} if cursors[-1] else {})}))
        ids += [item["id"] for item in page["items"]]
        artists += [item["artist"] for item in page["items"]]
        if page["next"] is None:
            break
        cursors.append(page["next"])
    for number in range(150):
        map_artist = {"loop_file_path": dice.choice(loops), "filter": {"artist": artists[number * 66 % len(artists)]}}
        ask("PUT", "mappings/bulk", map_artist)

    # As the server does by itself within minutes.
    with psycopg.connect(dsn, autocommit=True) as database:
        database.execute("ANALYZE")

    def listing() -> None:
        cursor = dice.choice(cursors)
        ask("GET", "songs?" + urlencode({"limit": 50, **({"cursor": cursor} if cursor else {})}))

    def bulk(count: int) -> Callable[[], None]:
        def order() -> None:
            chosen = dice.sample(ids, count)
            ask("PUT", "mappings/bulk", {"loop_file_path": dice.choice(loops), "songs": chosen})

        return order

    def by(**document: Any) -> Callable[[], None]:
        return lambda: ask("PUT", "mappings/bulk", {"loop_file_path": dice.choice(loops), **document}) and None

    def artist() -> None:
        by(kind="artist", filter={"artist": dice.choice(artists)})()

    def search() -> None:
        ask("GET", "songs?" + urlencode({"q": "".join(dice.choices(_SYLLABLES, k=2))}))

    return {
        "list": listing,
        "search": search,
        "list of what is unmapped": lambda: ask("GET", "songs?mapped=false"),
        "the whole library in numbers": lambda: ask("GET", "songs/summary"),
        "suggestions for a song": lambda: ask("GET", f"songs/{dice.choice(ids)}/suggestions"),
        "bulk: 50 songs": bulk(50),
        "bulk: 500 songs": bulk(500),
        "bulk: the artist of a song": artist,
        "bulk: all songs, by their albums": by(kind="album", filter={}),
        "bulk: all songs, one by one": by(filter={}),
    }
