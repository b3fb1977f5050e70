"""The stations as they are now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from flask import Response

from hook_service import __version__
from hook_service.observe.metrics import processes
from hook_service.web import models
from hook_service.web.api.common import answer, process_of, the_services

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope
    from hook_service.web.override import Override

SCOPE: Final[Scope] = "read"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get = blueprint.get
    get("/status", summary="Every station, now", responses={200: models.Status})(status)
    get("/destinations", summary="Destinations", responses={200: models.Destinations})(destinations)


def status() -> Response:
    """Every station as its processes tell it."""
    services = the_services()
    found = {}
    seen = services.stations.onair() or {}
    for name, (playout, outputs) in services.stations.statuses().items():
        told = playout or {}
        found[name] = {
            "name": services.host.stations[name].name or name,
            "profile": services.host.stations[name].profile,
            "track": services.directors[name].track(),
            **{part: told.get(part) for part in ("on_air", "next", "audio", "frames", "switches")},
            **services.sources.status(name),
            "override": _override(services.directors[name].manual.override),
            "onair": seen.get(name),
            "youtube": services.youtube.statuses(name),
            "processes": [process_of(process) for process in (*processes(playout), *processes(outputs))],
        }
    overall = services.health.check()[1]["status"]
    return answer({"status": overall, "version": __version__, "stations": found})


def destinations() -> Response:
    """Every destination and its state."""
    services = the_services()
    items = []
    for station, (_, outputs) in services.stations.statuses().items():
        told = {process["name"]: process for process in processes(outputs)}
        for name, destination in services.host.stations[station].destinations.items():
            # A path or a query may hold what amounts to a key.
            parts = urlsplit(destination.url)
            process = told.get(f"destination:{name}", {"state": "STOPPED"})
            items.append(
                {
                    **process_of(process),
                    "station": station,
                    "name": name,
                    "ingest": f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else ""),
                    "backup_of": destination.backup_of,
                    "progress": process.get("progress") or {},
                    "youtube": services.youtube.status(station, name),
                    "queue_bytes": process.get("queue_bytes"),
                    "lag_seconds": process.get("lag_seconds"),
                }
            )
    return answer({"items": items})


def _override(override: Override | None) -> dict[str, Any] | None:
    if override is None:
        return None
    until = override.until
    return override.to_json() | {
        "since": datetime.fromtimestamp(override.since, UTC),
        "until": None if until is None else datetime.fromtimestamp(until, UTC),
    }
