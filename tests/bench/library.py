"""Two thousand loops with ten thousand mappings to them: how long the library's listing, search and edits take.

radio-web as the process that it is, with a PostgreSQL that forces to the disk what it is given. The loops are known
and prepared as far as a listing looks at them; nothing is encoded for it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil

from hook_service import config
from hook_service.library import catalog
from tests.bench.asking import COLUMNS, asker, database, timed
from tests.bench.outcome import Part, Table
from tests.bench.stage import Stage
from tests.integration.test_web import WebProcess

LOOPS, MAPPINGS = 2_000, 10_000
P95_MS = 300.0
_WORDS = ("neon", "rain", "paper", "moon", "road", "night", "coral", "sea", "dust", "glass")
_TAGS = ("calm", "fast", "red", "blue", "city", "nature")


def measure(stage: Stage) -> Part:
    """Each kind of request one after the other over one connection, as a page sends them."""
    part = Part("Two thousand loops")
    rounds = int(stage.length(200, 20))
    rows = []
    with _library(stage.place / "library") as web:
        process = psutil.Process(web.process.pid)  # type: ignore[union-attr]
        before = process.memory_info().rss
        ask = asker(web)
        began = time.monotonic()
        ask("GET", "loops")
        first = time.monotonic() - began
        for what, question in _questions(ask).items():
            stage.say(f"library: {what}")
            row, p95 = timed(part, what, question, rounds)
            part.at_most(f"library, {what}: p95", p95, P95_MS, " ms", 1)
            rows.append(row)
        grown = (process.memory_info().rss - before) / 1e6
    part.figures["first"] = {"seconds": first, "grown_mb": grown}
    part.tables.append(Table(COLUMNS, rows))
    part.notes.append(
        f"{LOOPS:,} loops, each with tags, and {MAPPINGS:,} mappings to them. The very first listing, which loads the"
        f" API and reads what is known of each loop, took {first:.2f} s; radio-web grew by {grown:.1f} MB in all."
    )
    return part


@contextmanager
def _library(place: Path) -> Iterator[WebProcess]:
    with database(place) as postgres:
        web = WebProcess(place, postgres.dsn)
        host = config.load(web.config)
        dice = random.Random(7)
        prepared = host.paths.library / host.station_profile("demo").fingerprint()
        for number in range(LOOPS):
            path = host.paths.loops / f"{'-'.join(dice.sample(_WORDS, 2))}-{number:04}.mp4"
            path.write_bytes(b"%d" % number)
            (prepared / catalog.identify(path, host.paths.library).sha256).mkdir(parents=True)
        names = sorted(path.name for path in host.paths.loops.iterdir())
        postgres.sql("INSERT INTO loop_tags SELECT unnest(%s::text[]), unnest(%s::text[])", [
            [name for name in names for _ in range(2)],
            [tag for _ in names for tag in dice.sample(_TAGS, 2)],
        ])  # fmt: skip
        postgres.sql(
            "INSERT INTO track_mappings (track_key, loop_file_path)"
            " SELECT 'artist - ' || n, (%s::text[])[1 + n %% %s] FROM generate_series(1, %s) AS n",
            [names, LOOPS // 2, MAPPINGS],
        )
        web.start()
        try:
            yield web
        finally:
            web.end()


def _questions(ask: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
    dice = random.Random(3)
    names: list[str] = []
    while not names or len(names) % 500 == 0:
        page = ask("GET", "loops?" + urlencode({"limit": 500, "after": names[-1] if names else ""}))
        names += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
    assert len(names) == LOOPS
    free = iter(dice.sample(names[LOOPS // 2 :], LOOPS // 2))

    def undone() -> None:
        gone = ask("DELETE", f"loops?name={quote(next(free))}")
        ask("POST", "loops/restore", {"id": gone["id"]})

    def tag() -> None:
        ask("PUT", "loops/tags", {"name": dice.choice(names), "tags": dice.sample(_TAGS, 3)})

    return {
        "a page of 60": lambda: ask("GET", "loops?" + urlencode({"limit": 60, "after": dice.choice(names)})),
        "a page of 500": lambda: ask("GET", "loops?limit=500"),
        "search": lambda: ask("GET", "loops?" + urlencode({"q": " ".join(dice.sample(_WORDS, 2))})),
        "those with a tag": lambda: ask("GET", "loops?" + urlencode({"tag": dice.choice(_TAGS)})),
        "those that nothing uses": lambda: ask("GET", "loops?used=false"),
        "all tags": lambda: ask("GET", "loops/tags"),
        "room on the disk": lambda: ask("GET", "loops/disk"),
        "tags of one": tag,
        "delete one and have it back": undone,
    }
