"""What was on the air, and what went wrong: the history and the error log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from flask import render_template

from hook_service.web.asking import asking
from hook_service.web.page import words
from hook_service.web.page.common import asked, places, the_services, the_station
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask import Blueprint

NAV: Final = (("/history", "History", "read"), ("/errors", "Errors", "read"))
SEVERITIES: Final = ("WARNING", "ERROR", "CRITICAL")
LIMIT: Final = 50


def routes(blueprint: Blueprint) -> None:
    """Add them."""
    blueprint.get("/history")(history)
    blueprint.get("/errors")(errors)


def history() -> str:
    """Plays, the latest first."""
    station, q = the_station(), asked("q")
    with asking() as queries:
        found = queries.history(station=station, q=q or None, cursor=asked("cursor") or None, limit=LIMIT)
    loops = the_services().host.paths.loops
    plays = [
        {
            **play,
            "loop": words.loop_name(play["loop_file_path"], loops),
            "because": words.RULES.get(play["resolved_by"], play["resolved_by"]),
        }
        for play in found.items
    ]
    return render_template("history.html", plays=plays, q=q, **places(found, station=station, q=q))


def errors() -> str:
    """The error log, the latest first."""
    station, severity = the_station(), asked("severity")
    if severity and severity not in SEVERITIES:
        raise Problem(422, f"There is no such severity; there are {', '.join(SEVERITIES)}.")
    with asking() as queries:
        found = queries.errors(
            station=station, severity=severity or None, cursor=asked("cursor") or None, limit=LIMIT
        )
    rows = [{**row, "context": json.dumps(row["context"], indent=2, default=str)} for row in found.items]
    around = places(found, station=station, severity=severity)
    return render_template("errors.html", rows=rows, severity=severity, severities=SEVERITIES, **around)
