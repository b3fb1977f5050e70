"""The library: loops with their pictures, uploads, tags, and what was deleted. Its script fills it from the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import render_template

from hook_service.library.scanner import SUFFIXES

if TYPE_CHECKING:
    from flask import Blueprint

NAV: Final = (("/library", "Library", "read"),)


def routes(blueprint: Blueprint) -> None:
    """Add them."""
    blueprint.get("/library")(library)


def library() -> str:
    """The page without its loops: thousands of them are asked for a screenful at a time."""
    return render_template("library.html", suffixes=",".join(sorted(SUFFIXES)))
