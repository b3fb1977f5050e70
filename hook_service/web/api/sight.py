"""Plots of the last hours, and alerts: what Prometheus and Alertmanager know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Response, current_app

from hook_service.web import models, models_control, models_sight
from hook_service.web.api.common import answer, the_services
from hook_service.web.httpget import Away
from hook_service.web.problems import Problem
from hook_service.web.prometheus import Watchers

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "read"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get = blueprint.get
    get(
        "/stations/<station>/plots",
        summary="Uptime, bitrate, loudness, CPU and switches of the last hours",
        responses={200: models_sight.Plots, 404: models.ProblemDocument},
    )(plots)
    get(
        "/alerts",
        summary="What is wrong now",
        responses={200: models_sight.Alerts, 404: models.ProblemDocument},
    )(alerts)


def plots(path: models_control.StationPath, query: models_sight.PlotsQuery) -> Response:
    """A station's last hours."""
    stations = the_services().host.stations
    if path.station not in stations:
        raise Problem(404, "This station is not configured here.", stations=sorted(stations))
    watchers = _watchers()
    if watchers.prometheus is None:
        raise Problem(404, "No Prometheus is configured here: set web.prometheus.")
    try:
        return answer(watchers.plots(path.station, query.hours))
    except Away as reason:
        raise Problem(503, f"Prometheus does not answer as it should: {reason}.", {"Retry-After": "10"}) from None


def alerts(query: models_sight.AlertsQuery) -> Response:
    """The alerts that fire. Those of the host are everybody's."""
    watchers = _watchers()
    if watchers.prometheus is None and watchers.alertmanager is None:
        raise Problem(404, "Neither Alertmanager nor Prometheus is configured here: set web.alertmanager.")
    try:
        found = watchers.alerts()
    except Away as reason:
        asked = "Alertmanager" if watchers.alertmanager else "Prometheus"
        raise Problem(503, f"{asked} does not answer as it should: {reason}.", {"Retry-After": "10"}) from None
    return answer({"items": [one for one in found if query.station in (None, one["station"] or query.station)]})


def _watchers() -> Watchers:
    found = current_app.extensions.get("watchers")
    if found is None:
        web = the_services().host.web
        found = current_app.extensions.setdefault("watchers", Watchers(web.prometheus, web.alertmanager))
    return found  # type: ignore[no-any-return]
