"""What is shown for songs that no mapping is for, by the time of day."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from flask import Response

from hook_service.tracks.loops import LoopNameError, loop_path
from hook_service.tracks.snapshot import EVERY_STATION, Daypart
from hook_service.web import audit, models_songs
from hook_service.web.api.common import answer, asking, fault, loop_name, station_of, the_services
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.app import Services
    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "mappings"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, put, delete = blueprint.get, blueprint.put, blueprint.delete
    get("/defaults", summary="Default loops, by time of day", responses={200: models_songs.Defaults})(defaults)
    put("/defaults", summary="Set a default loop", responses={200: models_songs.Defaults})(put_default)
    delete("/defaults", summary="Remove a default loop", responses={204: None})(delete_default)


def defaults(query: models_songs.OneStation) -> Response:
    """Those of the database and those of the configuration file, in the order in which they count."""
    services = the_services()
    return answer(_listing(services, station_of(services, query.station)))


def put_default(body: models_songs.DefaultIn) -> Response:
    """Set the default loop, or that of a part of the day."""
    services = the_services()
    owner = station_of(services, body.station, every=True)
    loop = loop_name(services, "loop", body.loop)
    with asking() as queries:
        queries.set_default(loop, station=owner, hours=_hours(body.hours))
    audit.record("default.put", station=None if owner == EVERY_STATION else owner, hours=body.hours, loop=loop)
    return answer(_listing(services, next(iter(services.host.stations)) if owner == EVERY_STATION else owner))


def delete_default(query: models_songs.DefaultQuery) -> Response:
    """Remove one: the next one counts again."""
    services = the_services()
    owner = station_of(services, query.station, every=True)
    with asking() as queries:
        found = queries.delete_default(station=owner, hours=_hours(query.hours))
    if not found:
        raise Problem(404, "There is no such default in the database.")
    audit.record("default.delete", station=None if owner == EVERY_STATION else owner, hours=query.hours)
    return Response(status=204)


def _hours(said: str | None) -> str | None:
    if said is not None:
        try:
            Daypart.parse(said, "")
        except ValueError as error:
            raise fault("hours", str(error)) from None
    return said


def _listing(services: Services, station: str) -> dict[str, Any]:
    configured = services.host.stations[station]
    with asking() as queries:
        rows = queries.defaults(station)
    parts: list[dict[str, Any]] = []
    rests: list[dict[str, Any]] = []
    for row in rows:
        name, _, hours = row["key"].strip().partition(" ")
        if name != "default_loop":
            continue
        item = {"station": row["station"], "hours": hours.strip() or None, "loop": row["value"], "source": "database"}
        (parts if item["hours"] else rests).append(item)
    # As the snapshot does: of parts that overlap the shorter one, of all of them the station's own.
    parts = [item for item in parts if _minutes(item["hours"])]
    parts.sort(key=lambda item: (item["station"] == EVERY_STATION, _minutes(item["hours"])))
    rests.sort(key=lambda item: item["station"] == EVERY_STATION)
    own = {"station": station, "source": "configuration"}
    parts += [
        {**own, "hours": f"{part.from_:%H:%M}-{part.to:%H:%M}", "loop": part.loop} for part in configured.dayparts
    ]
    rests.append({**own, "hours": None, "loop": configured.default_loop})
    now = datetime.now(ZoneInfo(configured.timezone))
    found = False
    for item in (*parts, *rests):
        covers = item["hours"] is None or Daypart.parse(item["hours"], "").covers(now.time())
        item["valid"] = not found and covers and _usable(services, item["loop"])
        found = found or item["valid"]
    return {"items": [*parts, *rests], "timezone": configured.timezone, "now": f"{now:%H:%M}"}


def _usable(services: Services, loop: str) -> bool:
    try:
        loop_path(str(services.host.paths.loops), loop)
    except LoopNameError:
        return False
    return True


def _minutes(hours: str) -> int:
    """How long a part of the day is; 0 for what is none."""
    try:
        return Daypart.parse(hours, "").minutes
    except ValueError:
        return 0
