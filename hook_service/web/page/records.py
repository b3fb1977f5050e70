"""What was on the air, and what went wrong: the history and the error log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from flask import render_template, request

from hook_service.web.asking import asking
from hook_service.web.page import words
from hook_service.web.page.common import the_services, the_station
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask import Blueprint

    from hook_service.store.paging import Page

NAV: Final = (("/history", "History", "read"), ("/errors", "Errors", "read"))
SEVERITIES: Final = ("WARNING", "ERROR", "CRITICAL")
LIMIT: Final = 50
_LONGEST: Final = 512


def routes(blueprint: Blueprint) -> None:
    """Add them."""
    blueprint.get("/history")(history)
    blueprint.get("/errors")(errors)


def history() -> str:
    """Plays, the latest first."""
    station, q = the_station(), _text("q")
    with asking() as queries:
        found = queries.history(station=station, q=q or None, cursor=_text("cursor") or None, limit=LIMIT)
    loops = the_services().host.paths.loops
    plays = [
        {
            **play,
            "loop": words.loop_name(play["loop_file_path"], loops),
            "because": words.RULES.get(play["resolved_by"], play["resolved_by"]),
        }
        for play in found.items
    ]
    return render_template("history.html", plays=plays, q=q, **_places(found, station=station, q=q))


def errors() -> str:
    """The error log, the latest first."""
    station, severity = the_station(), _text("severity")
    if severity and severity not in SEVERITIES:
        raise Problem(422, f"There is no such severity; there are {', '.join(SEVERITIES)}.")
    with asking() as queries:
        found = queries.errors(
            station=station, severity=severity or None, cursor=_text("cursor") or None, limit=LIMIT
        )
    rows = [{**row, "context": json.dumps(row["context"], indent=2, default=str)} for row in found.items]
    places = _places(found, station=station, severity=severity)
    return render_template("errors.html", rows=rows, severity=severity, severities=SEVERITIES, **places)


def _text(name: str) -> str:
    said = request.args.get(name, "").strip()
    if len(said) > _LONGEST * 4 or "\0" in said:
        raise Problem(422, f"{name} can't be looked for.")
    return said


def _places(page: Page, **asked: str) -> dict[str, Any]:
    """The addresses of the page that follows, and of the first where this is not it."""
    asked = {name: value for name, value in asked.items() if value}
    following = "?" + urlencode({**asked, "cursor": page.next}) if page.next else None
    return {"older": following, "newest": "?" + urlencode(asked) if request.args.get("cursor") else None}
