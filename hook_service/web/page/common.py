"""What the parts of the page share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from flask import current_app, request

from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from hook_service.store.paging import Page
    from hook_service.web.app import Services

STATIC: Final = Path(__file__).parent / "static"
CSP: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def the_services() -> Services:
    """What the routes work with."""
    services: Services = current_app.extensions["radio"]
    return services


def the_station() -> str:
    """The station that the page is about: `?station=`, else the first. Raises Problem."""
    stations = the_services().host.stations
    wanted = request.args.get("station")
    if wanted and wanted not in stations:
        raise Problem(404, "This station is not configured here.", stations=sorted(stations))
    return wanted or next(iter(stations))


def asked(name: str, longest: int = 2048) -> str:
    """What the page's address asks for under this name, or nothing. Raises Problem."""
    said = request.args.get(name, "").strip()
    if len(said) > longest or "\0" in said:
        raise Problem(422, f"{name} can't be looked for.")
    return said


def places(page: Page, **asked_for: str) -> dict[str, Any]:
    """The addresses of the page that follows, and of the first where this is not it."""
    kept = {name: value for name, value in asked_for.items() if value}
    following = "?" + urlencode({**kept, "cursor": page.next}) if page.next else None
    return {"older": following, "newest": "?" + urlencode(kept) if request.args.get("cursor") else None}


def when(moment: datetime | float | None) -> str:
    """A time, as `<time datetime>` has it: ISO 8601, in UTC. Seconds are Unix seconds."""
    if moment is None:
        return ""
    moment = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
