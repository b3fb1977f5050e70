"""For whoever may: who did what, and the API's tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from flask import g, render_template, request

from hook_service.store.operators import Operators
from hook_service.web.asking import asking
from hook_service.web.auth import ALL
from hook_service.web.page.common import the_services, the_station
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask import Blueprint

    from hook_service.store.paging import Page

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
    station, asked = the_station(), {name: _text(name) for name in ("actor", "action")}
    with asking():
        found = Operators(the_services().store.pool()).audit(
            station=station,
            actor=asked["actor"] or None,
            action=asked["action"] or None,
            cursor=_text("cursor") or None,
            limit=LIMIT,
        )
    rows = [{**row, "details": _words(row["details"])} for row in found.items]
    return render_template("audit.html", rows=rows, **asked, **_places(found, station=station, **asked))


def tokens() -> str:
    """The tokens, and a form for another."""
    the_station()  # one that is not there is not found, here as anywhere
    with asking():
        found = Operators(the_services().store.pool()).tokens(cursor=_text("cursor") or None, limit=LIMIT)
    scopes = {scope: words for scope, words in SCOPES.items() if scope in g.actor.scopes and scope in ALL}
    return render_template("tokens.html", rows=found.items, scopes=scopes, **_places(found))


def _words(details: dict[str, Any]) -> list[tuple[str, str]]:
    plain = {name: value for name, value in details.items() if value is not None}
    return [
        (name.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for name, value in plain.items()
    ]


def _text(name: str) -> str:
    said = request.args.get(name, "").strip()
    if len(said) > (2048 if name == "cursor" else _LONGEST) or "\0" in said:
        raise Problem(422, f"{name} can't be looked for.")
    return said


def _places(page: Page, **asked: str) -> dict[str, Any]:
    """The addresses of the page that follows, and of the first where this is not it."""
    asked = {name: value for name, value in asked.items() if value}
    following = "?" + urlencode({**asked, "cursor": page.next}) if page.next else None
    return {"older": following, "newest": "?" + urlencode(asked) if request.args.get("cursor") else None}
