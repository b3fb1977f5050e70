"""For whoever may: who did what, and the API's tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from flask import g, render_template

from hook_service.store.operators import Operators
from hook_service.web.asking import asking
from hook_service.web.auth import ALL
from hook_service.web.page.common import asked, places, the_services, the_station

if TYPE_CHECKING:
    from flask import Blueprint

NAV: Final = (("/audit", "Audit", "admin"), ("/tokens", "Tokens", "admin"))
LIMIT: Final = 50
SCOPES: Final = {
    "read": "look at everything",
    "control": "direct the broadcast",
    "library": "change the loops",
    "mappings": "change the mappings",
    "admin": "make tokens, read the audit log",
}
_LONGEST: Final = 128


def routes(blueprint: Blueprint) -> None:
    """Add them."""
    blueprint.get("/audit")(audit)
    blueprint.get("/tokens")(tokens)


def audit() -> str:
    """What was done by hand, the latest first: of a station, and what concerns the host."""
    station, wanted = the_station(), {name: asked(name, _LONGEST) for name in ("actor", "action")}
    with asking():
        found = Operators(the_services().store.pool()).audit(
            station=station,
            actor=wanted["actor"] or None,
            action=wanted["action"] or None,
            cursor=asked("cursor") or None,
            limit=LIMIT,
        )
    rows = [{**row, "details": _words(row["details"])} for row in found.items]
    return render_template("audit.html", rows=rows, **wanted, **places(found, station=station, **wanted))


def tokens() -> str:
    """The tokens, and a form for another."""
    the_station()  # one that is not there is not found, here as anywhere
    with asking():
        found = Operators(the_services().store.pool()).tokens(cursor=asked("cursor") or None, limit=LIMIT)
    scopes = {scope: words for scope, words in SCOPES.items() if scope in g.actor.scopes and scope in ALL}
    return render_template("tokens.html", rows=found.items, scopes=scopes, **places(found))


def _words(details: dict[str, Any]) -> list[tuple[str, str]]:
    plain = {name: value for name, value in details.items() if value is not None}
    return [
        (name.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for name, value in plain.items()
    ]
