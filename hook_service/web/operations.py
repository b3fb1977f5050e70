"""What the host itself and its watchers ask: `/health` and `/metrics`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, request
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from hook_service.web.app import Services

blueprint = Blueprint("operations", __name__)
_PROXY_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via")


@blueprint.get("/health")
def health() -> Response:
    """200 while every station is on the air, else 503; the document either way."""
    services: Services = current_app.extensions["radio"]
    on_air, document = services.health.check()
    return Response(json.dumps(document) + "\n", 200 if on_air else 503, mimetype="application/json")


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus' text format, for clients on this host alone."""
    if not _local():
        raise Problem(403, "The metrics are for clients on this host.")
    services: Services = current_app.extensions["radio"]
    return Response(generate_latest(services.metrics.registry), content_type=CONTENT_TYPE_LATEST)


def _local() -> bool:
    """Whether the client is on this host and came without a proxy: behind one, everyone has its address."""
    if any(name in request.headers for name in _PROXY_HEADERS):
        return False
    address = (request.remote_addr or "").removeprefix("::ffff:")
    return address == "::1" or address.startswith("127.")
