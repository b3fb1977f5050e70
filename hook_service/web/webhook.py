"""`POST /webhook/azuracast`: who sends it, what it says, and 202. What follows happens in the director."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, g, request

from hook_service.tracks import nowplaying
from hook_service.tracks.nowplaying import TrackEvent
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from hook_service.web.app import Services

blueprint = Blueprint("webhook", __name__)
log = logging.getLogger("radio.web")


@blueprint.post("/webhook/azuracast")
@blueprint.post("/webhook/azuracast/<token>")
def azuracast(token: str | None = None) -> Response:
    """Take AzuraCast's NowPlaying body, or the original's small one."""
    received = time.time()
    services: Services = current_app.extensions["radio"]
    _authenticate(services, token)
    try:
        event = _event(services)
    except Problem as problem:
        # Whoever sent it has the password: this is a slip to be mended, no flood from outside.
        context = {"status": problem.status, "why": problem.detail, "request_id": g.request_id, **problem.members}
        log.warning("Webhook refused", extra={"context": context})
        raise
    director = services.directors[event.station]
    verdict = director.offer(event, received, g.request_id)
    result = "accepted" if verdict == "fresh" else verdict
    services.metrics.webhooks.labels(event.station, result).inc()
    accepted = "true" if verdict == "fresh" else "false"
    body = f'{{"request_id": "{g.request_id}", "accepted": {accepted}, "result": "{result}"}}\n'
    return Response(body, 202, mimetype="application/json")


def _authenticate(services: Services, token: str | None) -> None:
    count = services.metrics.webhooks.labels
    wait = services.failures.wait(g.client)
    if wait:
        # Before comparing: an address that is guessing must not learn that it has guessed right.
        count("", "rate_limited").inc()
        raise too_many(wait, "Too many failed authentications from this address.")
    headers = request.headers
    if services.guard.webhook(headers.get("Authorization"), headers.get("X-Webhook-Secret"), token):
        return
    services.failures.take(g.client)
    count("", "unauthorized").inc()
    raise Problem(
        401,
        "Authenticate with Basic authentication, the X-Webhook-Secret header, or the token in the path.",
        {"WWW-Authenticate": 'Basic realm="webhook", charset="UTF-8"'},
    )


def _event(services: Services) -> TrackEvent:
    malformed = services.metrics.webhooks.labels("", "malformed").inc
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        malformed()
        raise Problem(415, "Send the body as application/json.", {"Accept": "application/json"})
    body = request.get_data(cache=False)
    try:
        event = nowplaying.parse_json(body)
    except nowplaying.ValidationError as error:
        malformed()
        if not is_json(body):
            raise Problem(400, "The body is not JSON.") from None
        raise Problem(422, "The body is not AzuraCast's NowPlaying; see errors.", errors=error.fields) from None
    station = services.shortcode(event.station)
    if station is None:
        services.metrics.webhooks.labels("", "unknown_station").inc()
        raise Problem(404, "This station is not configured here.", stations=sorted(services.directors))
    return event if station == event.station else replace(event, station=station)


def is_json(body: bytes) -> bool:
    """Whether a body is JSON at all. Only asked after it has failed, so that the usual path parses once."""
    try:
        json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def too_many(wait: float, detail: str) -> Problem:
    """429 for a client that has to wait `wait` seconds."""
    return Problem(429, detail, {"Retry-After": str(max(1, math.ceil(wait)))})
