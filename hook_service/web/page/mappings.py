"""Which loop each song gets: the page's frame. What is in it comes over the API, and changes with each keystroke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import render_template

from hook_service.tracks import resolver
from hook_service.web.page.words import RULES

if TYPE_CHECKING:
    from flask import Blueprint

NAV: Final = (("/mappings", "Mappings", "read"),)
_OF_SONGS: Final = [rule for rule in resolver.RULES if rule not in ("time_of_day", "default")]


def routes(blueprint: Blueprint) -> None:
    """Add it."""
    blueprint.get("/mappings")(mappings)


def mappings() -> str:
    """The frame."""
    return render_template("mappings.html", rules=RULES, song_rules=_OF_SONGS)
