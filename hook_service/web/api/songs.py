"""The songs of the stations' libraries, with their loops."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flask import Response

from hook_service.store.songs import Selection
from hook_service.tracks import suggest
from hook_service.web import audit, mappings_csv, models_songs
from hook_service.web.api.common import answer, loop_name, station_of, the_library, the_services
from hook_service.web.asking import asking_the_store
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.app import Services
    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "mappings"

CSV: Final = {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "CSV with a head"}
_OWN_RULES: Final = ("song_id", "media_id", "track_key")
_DEFAULTS: Final = ("time_of_day", "default")


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, post = blueprint.get, blueprint.post
    get("/songs", summary="Songs of the library with their loops", responses={200: models_songs.SongsPage})(songs)
    get("/songs/summary", summary="The library as a whole", responses={200: models_songs.SongsSummary})(summary)
    get("/songs/export", summary="Songs as CSV, for POST /mappings/import", responses={200: CSV})(export)
    get(
        "/songs/<int:song_id>/suggestions",
        summary="Loops that may suit a song",
        responses={200: models_songs.Suggestions},
    )(suggestions)
    post("/songs/sync", summary="Read the library of AzuraCast now", responses={202: models_songs.LibraryReading})(
        sync
    )


def songs(query: models_songs.SongsQuery) -> Response:
    """Songs."""
    services = the_services()
    station = station_of(services, query.station)
    default, rule = default_of(services, station)
    chosen = selection(services, station, query)
    with asking_the_store() as store:
        found, total = store.songs().page(chosen, cursor=query.cursor, limit=query.limit)
    items = [_shown(row, default, rule) for row in found.items]
    return answer({"items": items, "next": found.next, "total": total})


def summary(query: models_songs.OneStation) -> Response:
    """How many songs get their loop by which rule, the playlists, and how the reading of the library goes."""
    services = the_services()
    station = station_of(services, query.station)
    with asking_the_store() as store:
        found = store.songs().summary(station)
    rules = found["rules"]
    return answer(
        {
            "station": station,
            "songs": sum(rules.values()),
            "unmapped": rules.pop("none", 0),
            "rules": rules,
            "playlists": found["playlists"],
            "default_loop": default_of(services, station)[0],
            "reading": _reading(services.librarian.state(station)),
        }
    )


def export(query: models_songs.SongsExportQuery) -> Response:
    """Songs, each with the loop of its own mapping: to be filled in, and imported again."""
    services = the_services()
    station = station_of(services, query.station)
    default, rule = default_of(services, station)
    with asking_the_store() as store:
        rows = store.songs().every(selection(services, station, query))
    shown = [
        {
            **row,
            "loop_file_path": row["loop"] if row["rule"] in _OWN_RULES else None,
            "playlists": "; ".join(row["playlists"]),
            "media_unique_id": row["media_id"],
            "shown": row["loop"] or default,
            "rule": row["rule"] or rule,
        }
        for row in rows
    ]
    return csv_answer(mappings_csv.written(mappings_csv.SONGS, shown), f"songs-{station}.csv")


def suggestions(path: models_songs.SongPath) -> Response:
    """Loops that are called like the song, and those of its album and artist."""
    with asking_the_store() as store:
        found = store.songs()
        song = found.song(path.song_id)
        if song is None:
            raise Problem(404, "There is no song with this number.")
        names = [(name, suggest.words_of(name)) for name in the_library().shelf.all()]
        alike = found.alike(names, suggest.texts_of(song))
        near = found.near(song)
    items = [{"loop": one.loop, "score": one.score, "reason": one.reason} for one in suggest.ranked(alike, near)]
    return answer({"items": items})


def sync(body: models_songs.OneStation) -> Response:
    """Read the library now; `GET /songs/summary` says how it goes."""
    services = the_services()
    station = station_of(services, body.station)
    services.librarian.ask(station)
    reading = services.librarian.state(station)
    if reading["state"] == "off":
        raise Problem(409, f"The library can't be read: {reading['error']}.")
    audit.record("songs.sync", station=station)
    return answer(_reading(reading), 202)


def selection(
    services: Services, station: str, given: models_songs.SongsFilter, ids: list[int] | None = None
) -> Selection:
    """What a filter of a request means."""
    # Songs without a mapping have no rule of their own in the database.
    unmapped = given.rule in _DEFAULTS
    loop = None if given.loop is None else loop_name(services, "loop", given.loop)
    if unmapped and given.mapped:
        ids = []
    return Selection(
        station=station,
        q=given.q,
        artist=given.artist,
        album=given.album,
        playlist=given.playlist,
        mapped=False if unmapped else given.mapped,
        rule=None if unmapped else given.rule,
        loop=loop,
        default=default_of(services, station)[0],
        ids=ids,
    )


def default_of(services: Services, station: str) -> tuple[str, str]:
    """The name of the loop of songs that no mapping is for, and the rule that leads to it now."""
    rule, path = services.store.resolver().default(station)
    return path.removeprefix(str(services.host.paths.loops).rstrip("/") + "/"), rule


def csv_answer(text: str, name: str) -> Response:
    """A CSV to be saved."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    # The mark without which some spreadsheets take UTF-8 for something else.
    return Response("\ufeff" + text, 200, headers, content_type="text/csv; charset=utf-8")


def _shown(row: dict[str, Any], default: str, rule: str) -> dict[str, Any]:
    return row if row["rule"] else {**row, "loop": default, "rule": rule}


def _reading(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "at": None if state["at"] is None else datetime.fromtimestamp(state["at"], UTC)}
