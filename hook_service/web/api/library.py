"""The loops and their preparation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Response

from hook_service.web import loops, models
from hook_service.web.api.common import answer, the_services

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "library"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    blueprint.get("/loops", summary="Loops and their preparation", responses={200: models.Loops})(list_loops)


def list_loops(query: models.LoopsQuery) -> Response:
    """The loops directory."""
    return answer(loops.listing(the_services().host, query.after, query.limit))
