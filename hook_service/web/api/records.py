"""History, errors and analytics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Response

from hook_service.web import models
from hook_service.web.api.common import answer, asking, page

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "read"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get = blueprint.get
    get("/history", summary="Plays, the latest first", responses={200: models.Plays})(history)
    get("/errors", summary="The error log, the latest first", responses={200: models.Errors})(errors)
    get("/analytics/tracks-per-hour", summary="Plays by hour", responses={200: models.Rows})(tracks_per_hour)
    get("/analytics/most-played", summary="Most played tracks", responses={200: models.Rows})(most_played)
    get("/analytics/error-rate", summary="Errors by hour", responses={200: models.Rows})(error_rate)


def history(query: models.HistoryQuery) -> Response:
    """Plays."""
    with asking() as queries:
        return page(queries.history(**query.model_dump()))


def errors(query: models.ErrorsQuery) -> Response:
    """The error log."""
    with asking() as queries:
        return page(queries.errors(**query.model_dump()))


def tracks_per_hour(query: models.HoursQuery) -> Response:
    """The original architecture's first analytics query."""
    with asking() as queries:
        return answer({"items": queries.tracks_per_hour(**query.model_dump())})


def most_played(query: models.MostPlayedQuery) -> Response:
    """Its second."""
    with asking() as queries:
        return answer({"items": queries.most_played(**query.model_dump())})


def error_rate(query: models.HoursQuery) -> Response:
    """Its third."""
    with asking() as queries:
        return answer({"items": queries.error_rate(**query.model_dump())})
