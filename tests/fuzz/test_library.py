"""Whole libraries at once: the pages of an AzuraCast's songs, and what a spreadsheet makes of the mappings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from hook_service.ctl import csvparts
from hook_service.ctl.client import Trouble
from hook_service.store.bulk import Line
from hook_service.store.pool import DatabaseAway
from hook_service.tracks.library import MAX_PLAYLISTS, LibraryPage, parse_page
from hook_service.tracks.nowplaying import MAX_TEXT, ValidationError
from hook_service.tracks.snapshot import KINDS
from hook_service.tracks.track_key import MAX_LENGTH
from hook_service.web import songs
from hook_service.web.httpget import Away
from hook_service.web.mappings_csv import MAPPINGS, SONGS, parse, written
from tests.fuzz.cases import LONG_TEXT, TEXT, VALUES, changed, fuzz, spoiled
from tests.fuzz.test_http import answered, rig  # noqa: F401 - a fixture
from tests.rig.azuracast_files import files
from tests.rig.nowplaying import Track, encode_for_api
from tests.unit.web.conftest import make_rig  # noqa: F401 - a fixture
from tests.unit.web.doubles import BEARER, Rig

LOOPS = "/srv/loops"
TRACKS = [
    Track("Ann", "Öne!", "Album", playlist="Day", more_playlists=("Night",), loop="a/b.mp4", genre="Pop"),
    Track("Bob feat. Ann", "Two (Live)"),
    Track("", ""),
]
PAGE = files("demo", TRACKS, "rowCount=50&current=1")


def page_of(body: bytes) -> LibraryPage | None:
    """A page, every word of which the database can take."""
    try:
        page = parse_page(body, LOOPS)
    except ValidationError as error:
        faults = error.fields
        assert faults
        json.dumps(faults).encode()
        return None
    assert 0 <= page.total < 2**31
    assert 0 <= page.pages < 2**31
    for song in page.songs:
        assert 0 < len(song.media_id) <= 64
        assert len(song.song_id) <= 128
        assert len(song.playlists) <= MAX_PLAYLISTS
        for text in (song.artist, song.title, song.album, song.genre, *song.playlists, song.words):
            text.encode()
            assert "\0" not in text
        assert max(map(len, (song.artist, song.title, song.album, song.genre, *song.playlists))) <= MAX_TEXT
        assert max(len(song.track_key), len(song.artist_album_key)) <= MAX_LENGTH
        assert song.length_seconds is None or 0 < song.length_seconds <= 1e9
        assert song.art is None or (song.art.isascii() and len(song.art) <= 1024)
        assert song.video_loop is None or not {"", ".", ".."} & set(song.video_loop.split("/"))
    return page


@fuzz("library pages", 6, document=changed(PAGE, most=8) | VALUES)
def test_pages(document: Any) -> None:
    page = page_of(json.dumps(document).encode())
    if page is not None:
        assert len(page.songs) + page.refused == len(document["rows"])


@fuzz("library pages, bytes", 4, data=spoiled([encode_for_api(PAGE), json.dumps(PAGE).encode()]))
def test_page_bytes(data: bytes) -> None:
    page_of(data)


class Shelf:
    """Takes songs as the database does, and remembers which."""

    def __init__(self) -> None:
        self.kept: set[str] = set()

    def upsert(self, station: str, found: tuple[Any, ...]) -> int:
        self.kept |= {song.media_id for song in found}
        return len(found)

    def keep_only(self, station: str, media_ids: list[str]) -> int:
        assert set(media_ids) == self.kept
        return 0


@fuzz(
    "libraries, page after page",
    2,
    pages=st.lists(changed(PAGE, most=2), min_size=1, max_size=4),
    total=st.none() | st.sampled_from((0, 1, 3, 100, 2**31 - 1)),
    last=st.none() | st.sampled_from((0, 1, 2, 1000, 2**31 - 1)),
)
def test_whole_libraries(
    rig: Rig,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
    pages: list[Any],
    total: int | None,
    last: int | None,
) -> None:
    """An AzuraCast that answers with the same page for ever, or promises millions of them, comes to an end."""
    asked: list[int] = []
    shelf = Shelf()
    librarian = songs.Librarian(rig.host, lambda: shelf)  # type: ignore[arg-type, return-value]

    def page(station: str, number: int) -> LibraryPage:
        asked.append(number)
        document = pages[min(number, len(pages)) - 1]
        if isinstance(document, dict):
            told = {"total": total, "total_pages": last}
            document = {**document, **{name: value for name, value in told.items() if value is not None}}
        return parse_page(json.dumps(document).encode(), LOOPS)

    monkeypatch.setattr(librarian, "_page", page)
    monkeypatch.setattr(songs, "MAX_SONGS", 50)
    try:
        done = librarian._copy("demo")
    except (Away, ValidationError, DatabaseAway) as why:
        str(why).encode()
    else:
        assert done["songs"] == len(shelf.kept)
    assert len(asked) <= 50 + 1


ROWS: list[dict[str, Any]] = [
    {**dict.fromkeys(MAPPINGS), "station": "*", "kind": "track", "track_key": "ann - öne", "loop_file_path": "a.mp4"},
    {"station": "demo", "kind": "album", "track_key": "=a\nb", "loop_file_path": "b/c.mp4",
     "azuracast_song_id": "x", "media_unique_id": "y"},
]  # fmt: skip
SHEETS = [
    written(MAPPINGS, ROWS),
    "\ufeff" + written(SONGS, [{**dict.fromkeys(SONGS), "artist": "Ann", "title": "'1", "loop_file_path": "a.mp4"}]),
    'track_key;"loop_file_path\r\n"\r\na - b;a.mp4\r\n\r\n"c\r\n - d";"x;y.mp4"\r\n;;\r\n',
    "artist\ttitle\tloop_file_path\nAnn\u2028B\x0bC\t\x85 D\ta.mp4\nBob\tTwo\tb.mp4\n",
]
SPOILED = spoiled([sheet.encode() for sheet in SHEETS]).map(lambda data: data.decode("utf-8", "replace"))
# Cells of anything, under a head that is right.
FILLED = st.lists(
    st.lists(TEXT | LONG_TEXT | st.sampled_from(("demo", "*", *KINDS, "a.mp4")), max_size=5), max_size=6
)
TABLES = FILLED.map(
    lambda rows: "track_key,loop_file_path,station,kind\n" + "".join(",".join(row) + "\n" for row in rows)
)


@fuzz("mappings as CSV", 6, text=SPOILED | TABLES, first=st.integers(1, 10_000_000))
def test_csv(text: str, first: int) -> None:
    try:
        found = parse(text, {"demo"}, LOOPS, first)
    except ValueError as error:
        repr(str(error)).encode()
        return
    assert len(found.mappings) + found.blank + len(found.bad) == found.lines
    assert len({line[:3] for line in found.mappings}) == len(found.mappings)
    for line in found.mappings:
        assert line.station in ("*", "demo")
        assert line.kind in KINDS
        assert 0 < len(line.track_key) <= MAX_LENGTH
        assert 0 < len(line.loop_file_path) <= 1024
        assert not {"", ".", ".."} & set(line.loop_file_path.split("/"))
        assert len(line.azuracast_song_id or "") <= 128
        assert len(line.media_unique_id or "") <= 64
        assert not any("\0" in (value or "") for value in line)
    for number, reason in found.bad:
        assert first < number
        assert len(json.dumps(reason)) < 2000


def lines_of(parts: list[tuple[int, str]]) -> tuple[int, int, dict[int, str], set[Line]]:
    """What the service makes of a CSV in parts: lines, those without a loop, what is wrong with which, the rest."""
    found = [parse(text, {"demo"}, LOOPS, first) for first, text in parts]
    bad = {at: reason for one in found for at, reason in one.bad if not reason.startswith("is for the same")}
    mappings = {line for one in found for line in one.mappings}
    return sum(one.lines for one in found), sum(one.blank for one in found), bad, mappings


@fuzz("mappings as CSV, in parts", 4, text=SPOILED | TABLES, largest=st.sampled_from((1, 40, 100, 300, 200_000)))
def test_csv_in_parts(text: str, largest: int) -> None:
    # As `csvparts.read` reads a file.
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        whole = lines_of([(1, text)])
    except ValueError:
        try:
            list(csvparts.parts(text, largest))
        except Trouble as why:
            str(why).encode("utf-8", "replace")
        return
    parts = list(csvparts.parts(text, largest))
    lines, blank, bad, mappings = lines_of(parts)
    assert (lines, blank, bad) == whole[:3]
    # Of two lines for the same the first is taken, which in another part nobody knows of.
    assert mappings >= whole[3]


@fuzz("mappings as CSV, over HTTP", 2, document=changed({"csv": SHEETS[0], "dry_run": True, "first_line": 1}),
      text=SPOILED | TABLES)  # fmt: skip
def test_import(rig: Rig, document: Any, text: str) -> None:  # noqa: F811 - the fixture
    for body in (document, {"csv": text}):
        answer = rig.client.post("/api/v1/mappings/import", data=json.dumps(body), headers={
            **BEARER, "Content-Type": "application/json"})  # fmt: skip
        answered(answer, 503)
        # What is no JSON (Python writes Infinity) is a 400. The database of these tests is away: what is good comes
        # as far as to it.
        assert answer.status_code in (400, 422, 503)
