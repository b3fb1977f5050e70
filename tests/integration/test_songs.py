"""The library: read from an AzuraCast that serves it as the real one does, mapped over the API, taken away as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_web import (  # noqa: F401 - some are fixtures
    MakeWeb,
    WebProcess,
    make_web,
    playout,
    postgres,
    wait_mapped,
)
from tests.rig.azuracast import MEDIA_KEY, AzuraCast, Track
from tests.rig.postgres import PrivatePostgres
from tests.unit.web.doubles import API_TOKEN, READ_TOKEN, eventually
from tests.unit.web.peers import FakePeer

SMALL = {"name": "Demo FM", "audio": {"url": "http://127.0.0.1:8000/radio.mp3"}, "switch_delay": 0}
LOOPS = ("one.mp4", "two.mp4", "night/party.mp4")


@pytest.fixture
def azuracast() -> Iterator[AzuraCast]:
    with AzuraCast(["demo"]) as server:
        server.library["demo"] += [
            Track(f"Artist {n % 10}", f"Title {n:03}", f"Album {n % 25}", playlist="Day", genre="Pop")
            for n in range(450)
        ]
        server.library["demo"].append(Track("Own", "Field", loop="night/party.mp4", more_playlists=("Night",)))
        yield server


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def web(
    make_web: MakeWeb,  # noqa: F811
    playout: FakePeer,  # noqa: F811
    azuracast: AzuraCast,
    postgres: PrivatePostgres,  # noqa: F811
    run_dir: Path,
) -> WebProcess:
    postgres.sql("TRUNCATE songs")
    with_library = {**SMALL, "azuracast": {"url": azuracast.url}, "timezone": "Europe/Berlin"}
    process = make_web(stations={"demo": with_library, "other": SMALL})
    (run_dir / "credentials" / "demo.azuracast-key").write_text(MEDIA_KEY)
    for name in LOOPS:
        path = run_dir / "loops" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    process.start()
    return process


def summary(web: WebProcess) -> dict[str, Any]:
    found: dict[str, Any] = web.api("GET", "songs/summary?station=demo")
    return found


def read(web: WebProcess) -> dict[str, Any]:
    """Have the library read; what `reading` says afterwards."""
    web.api("POST", "songs/sync", {"station": "demo"})

    def over() -> Any:
        found = summary(web)["reading"]
        return found if found["state"] in ("read", "away") else None

    result: dict[str, Any] = eventually(over, 15)
    return result


def songs(web: WebProcess, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = web.api("GET", f"songs?station=demo&{query}")
    return found


def refused(web: WebProcess, method: str, path: str, document: Any = None, token: str = API_TOKEN) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    content = None if document is None else json.dumps(document).encode()
    status, _, text = web.ask(method, f"/api/v1/{path}", content, **headers)
    return status, json.loads(text)


def test_the_library_is_read(web: WebProcess, azuracast: AzuraCast, postgres: PrivatePostgres) -> None:  # noqa: F811
    first = read(web)
    assert (first["state"], first["songs"], first["changed"], first["removed"]) == ("read", 451, 451, 0)
    assert azuracast.site.asked.count("/api/station/demo/files") == 3
    [item] = songs(web, "q=own+field")["items"]
    assert (item["loop"], item["rule"], item["playlists"]) == ("night/party.mp4", "video_loop", ["default", "Night"])
    assert item["art"].endswith(".jpg")
    page = songs(web, "limit=500")
    assert (page["total"], len(page["items"]), page["next"]) == (451, 451, None)
    assert page["items"][0]["loop"] == "default.mp4"
    assert page["items"][0]["rule"] == "default"
    # Only what is different is written, and what is gone goes.
    numbers = "SELECT id, xmin::text FROM songs ORDER BY id"
    before = postgres.sql(numbers)
    library = azuracast.library["demo"]
    del library[3]
    library[0] = Track("Artist 0", "Title 000", "Renamed", playlist="Day", genre="Pop")
    again = read(web)
    assert (again["songs"], again["changed"], again["removed"]) == (450, 1, 1)
    assert len(set(postgres.sql(numbers)) & set(before)) == 449
    assert songs(web, "album=renamed")["total"] == 1
    counts = summary(web)
    assert (counts["songs"], counts["unmapped"], counts["rules"]) == (450, 449, {"video_loop": 1})
    assert {"name": "Day", "songs": 449, "unmapped": 449} in counts["playlists"]


def test_an_azuracast_that_does_not_let_us(web: WebProcess, azuracast: AzuraCast) -> None:
    read(web)
    azuracast.knobs.media_key = "another"
    found = read(web)
    assert found["state"] == "away"
    assert "refuses the API key (403)" in found["error"]
    assert songs(web)["total"] == 451
    azuracast.knobs.media_key, azuracast.knobs.api = MEDIA_KEY, False
    assert "502" in read(web)["error"]
    azuracast.stop()
    assert read(web)["state"] == "away"
    azuracast.start()
    azuracast.knobs.api = True
    assert read(web)["state"] == "read"
    status, document = refused(web, "POST", "songs/sync", {"station": "other"})
    assert status == 409
    assert "azuracast.url" in document["detail"]


def test_from_a_bulk_to_the_picture(
    web: WebProcess,
    azuracast: AzuraCast,
    playout: FakePeer,  # noqa: F811
    run_dir: Path,
) -> None:
    read(web)
    chosen = {"loop_file_path": "one.mp4", "station": "demo", "kind": "album", "filter": {"artist": "artist 3"}}
    planned = web.api("PUT", "mappings/bulk", {**chosen, "dry_run": True})
    assert web.api("GET", "mappings")["items"] == []
    done = web.api("PUT", "mappings/bulk", chosen)
    assert {**planned, "dry_run": False} == done
    assert (done["songs"], done["created"], done["overruled"], done["missing_loops"]) == (45, 5, 0, [])
    assert songs(web, "loop=one.mp4")["total"] == songs(web, "artist=Artist+3&rule=album")["total"] == 45
    assert songs(web, "mapped=false")["total"] == 405
    one = songs(web, "q=title+013")["items"][0]
    assert one["title"] == "Title 013"
    later = {"loop_file_path": "later.mp4", "station": "demo", "songs": [one["id"]]}
    assert web.api("PUT", "mappings/bulk", later)["missing_loops"] == ["later.mp4"]
    assert songs(web, "q=title+013")["items"][0]["rule"] == "song_id"
    # Somebody brings the loop, and the service hears of the mapping.
    (run_dir / "loops/later.mp4").write_bytes(b"x")
    wait_mapped(web, "later.mp4")
    azuracast_body = {
        "station": {"shortcode": "demo"},
        "now_playing": {"sh_id": 1, "song": {"artist": "Artist 3", "title": "Title 013", "id": one["song_id"]}},
    }
    web.hook(azuracast_body)
    eventually(lambda: playout.switches and playout.switches[-1]["loop"].endswith("/loops/later.mp4"))
    web.api("PUT", "mappings/bulk", {"loop_file_path": None, "station": "demo", "filter": {}})
    web.api("PUT", "mappings/bulk", {**chosen, "loop_file_path": None})
    assert web.api("GET", "mappings")["items"] == []


def test_a_bulk_that_can_not_be(web: WebProcess) -> None:
    some = {"loop_file_path": "one.mp4", "station": "demo"}
    for document in (
        some,
        {**some, "filter": {}, "songs": [1]},
        {**some, "songs": []},
        {**some, "kind": "playlist", "filter": {}},
        {**some, "filter": {}, "loop_file_path": "../x.mp4"},
        {**some, "filter": {"loop": "/etc/passwd"}},
        {**some, "filter": {"q": "a\0b"}, "station": "nowhere"},
        {"loop_file_path": "one.mp4", "filter": {}},
    ):
        assert refused(web, "PUT", "mappings/bulk", document)[0] == 422, document
    for query in ("station=demo&rule=other", "station=nowhere", "station=demo&q=%00", "station=demo&cursor=x", ""):
        assert refused(web, "GET", f"songs?{query}")[0] in (200, 422)
    for method, path in (
        ("PUT", "mappings/bulk"),
        ("POST", "songs/sync"),
        ("POST", "mappings/import"),
        ("PUT", "defaults"),
    ):
        assert refused(web, method, path, {}, READ_TOKEN)[0] == 403


def test_there_and_back_as_csv(web: WebProcess) -> None:
    read(web)
    web.api("PUT", "mappings", {"artist": "=SUM(A1)", "title": "-1+1", "loop_file_path": "=loop.mp4"})
    web.api(
        "PUT", "mappings", {"kind": "artist", "track_key": "- artist", "loop_file_path": "one.mp4", "station": "demo"}
    )
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    status, kinds, text = web.get("/api/v1/mappings/export", **headers)
    assert (status, kinds["content-type"]) == (200, "text/csv; charset=utf-8")
    exported = text.decode("utf-8-sig")
    assert ",'=loop.mp4," in exported
    kept = web.api("GET", "mappings")["items"]
    unchanged = web.api("POST", "mappings/import", {"csv": exported, "dry_run": False})
    assert (unchanged["lines"], unchanged["unchanged"], unchanged["bad"]) == (2, 2, 0)
    for item in kept:
        web.api("DELETE", f"mappings/{item['id']}")
    assert web.api("POST", "mappings/import", {"csv": exported})["created"] == 2
    assert web.api("GET", "mappings")["items"] == []
    assert web.api("POST", "mappings/import", {"csv": exported, "dry_run": False})["created"] == 2
    same = ("station", "kind", "track_key", "loop_file_path")
    assert [[row[name] for name in same] for row in web.api("GET", "mappings")["items"]] == [
        [row[name] for name in same] for row in kept
    ]
    # The songs, filled in as in a spreadsheet.
    _, _, text = web.get("/api/v1/songs/export?station=demo&artist=Artist+4", **headers)
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert len(rows) == 45
    assert {row["shown"] for row in rows} == {"default.mp4"}
    filled = io.StringIO()
    writer = csv.DictWriter(filled, rows[0], delimiter=";")
    writer.writeheader()
    writer.writerows({**row, "loop_file_path": ["two.mp4", "", "../etc/passwd"][n % 3]} for n, row in enumerate(rows))
    done = web.api("POST", "mappings/import", {"csv": filled.getvalue(), "dry_run": False})
    assert (done["created"], done["blank"], done["bad"]) == (15, 15, 15)
    assert done["bad_lines"][0] == {"line": 4, "reason": 'loop_file_path: contains ".."'}
    assert songs(web, "artist=Artist+4&loop=two.mp4")["total"] == 15
    assert refused(web, "POST", "mappings/import", {"csv": "nonsense"})[0] == 422


def test_defaults_by_time_of_day(web: WebProcess) -> None:
    def listed() -> list[tuple[Any, ...]]:
        found = web.api("GET", "defaults?station=demo")
        assert found["timezone"] == "Europe/Berlin"
        return [(one["hours"], one["loop"], one["source"], one["valid"]) for one in found["items"]]

    assert listed() == [(None, "default.mp4", "configuration", True)]
    web.api("PUT", "defaults", {"loop": "two.mp4"})
    web.api("PUT", "defaults", {"loop": "one.mp4", "station": "demo", "hours": "00:00-24:00"})
    assert listed() == [
        ("00:00-00:00", "one.mp4", "database", True),
        (None, "two.mp4", "database", False),
        (None, "default.mp4", "configuration", False),
    ]
    read(web)
    assert eventually(lambda: songs(web, "rule=time_of_day&loop=one.mp4")["total"]) == 450
    web.api("DELETE", "defaults?station=demo&hours=00:00-24:00")
    assert refused(web, "DELETE", "defaults?station=demo&hours=00:00-24:00")[0] == 404
    assert refused(web, "PUT", "defaults", {"loop": "one.mp4", "hours": "25:00-26:00"})[0] == 422
    assert listed()[0] == (None, "two.mp4", "database", True)


def test_suggestions(web: WebProcess, azuracast: AzuraCast, run_dir: Path) -> None:
    azuracast.library["demo"][:] = [Track("Daft Punk", "One More Time"), Track("Daft Punk", "Aerodynamic")]
    read(web)
    (run_dir / "loops" / "aerodynamic_v2.mp4").write_bytes(b"x")
    web.api("PUT", "mappings", {"artist": "Daft Punk", "title": "One More Time", "loop_file_path": "two.mp4"})
    [song] = songs(web, "q=aerodynamic")["items"]
    found = web.api("GET", f"songs/{song['id']}/suggestions")["items"]
    assert [one["loop"] for one in found[:2]] == ["aerodynamic_v2.mp4", "two.mp4"]
    assert found[1]["reason"] == "1 song of the artist has it"
    assert refused(web, "GET", "songs/999999/suggestions")[0] == 404


def test_the_database_is_away(web: WebProcess, postgres: PrivatePostgres) -> None:  # noqa: F811
    postgres.stop("immediate")
    try:
        for method, path, document in (
            ("GET", "songs?station=demo", None),
            ("GET", "songs/summary?station=demo", None),
            ("GET", "defaults?station=demo", None),
            ("PUT", "mappings/bulk", {"loop_file_path": "one.mp4", "station": "demo", "filter": {}}),
        ):
            assert refused(web, method, path, document)[0] == 503
    finally:
        postgres.start()
