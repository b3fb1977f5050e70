"""The operator's API, `/api/v1`: its routes by subject, a module each, and its OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from hook_service import __version__
from hook_service.web import models
from hook_service.web.api import library, mappings, records, stations
from hook_service.web.api.common import answer, the_services
from hook_service.web.problems import Problem, documented
from hook_service.web.webhook import is_json, too_many

if TYPE_CHECKING:
    from flask import Response
    from pydantic import ValidationError

PREFIX = "/api/v1"


def openapi_app() -> OpenAPI:
    """A Flask application with the API in it, still without its services."""
    app = OpenAPI(
        __name__,
        info=Info(title="Steadycast", version=__version__),
        security_schemes={"bearer": {"type": "http", "scheme": "bearer"}},
        validation_error_model=models.ProblemDocument,
        validation_error_callback=_invalid,
        doc_ui=False,
        static_folder=None,
    )
    blueprint = APIBlueprint(
        "api",
        __name__,
        url_prefix=PREFIX,
        abp_security=[{"bearer": []}],
        abp_responses=dict.fromkeys((401, 403, 503), models.ProblemDocument),
    )
    blueprint.before_request(_authorise)
    for part in (stations, records, mappings, library):
        part.routes(blueprint)
    app.register_api(blueprint)
    # Open, like any manual: it holds nothing of the host.
    app.add_url_rule(f"{PREFIX}/openapi.json", "openapi", lambda: answer(documented(app.api_doc)), methods=["GET"])
    return app


def _authorise() -> None:
    services = the_services()
    wait = services.failures.wait(g.client)
    if wait:
        raise too_many(wait, "Too many failed authentications from this address.")
    scope = services.guard.scope(request.headers.get("Authorization"))
    if scope is None:
        services.failures.take(g.client)
        raise Problem(401, "Send a token: Authorization: Bearer …", {"WWW-Authenticate": 'Bearer realm="api"'})
    if scope == "read" and request.method not in ("GET", "HEAD"):
        # RFC 6750, 3.1: the token is right, and not enough.
        refused = 'Bearer realm="api", error="insufficient_scope", scope="operate"'
        raise Problem(403, "This token may only read.", {"WWW-Authenticate": refused})
    if request.method in ("POST", "PUT"):
        if not request.is_json:
            raise Problem(415, "Send the body as application/json.", {"Accept": "application/json"})
        if not is_json(request.get_data()) or not _is_kept():
            raise Problem(400, "The body is not JSON.")


def _is_kept() -> bool:
    """Whether the body could be read. The request keeps it: what is nested as deeply as can just be read here could
    not be read again further down the stack.
    """
    try:
        request.get_json()
    except RecursionError:
        return False
    return True


def _invalid(error: ValidationError) -> Response:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    raise Problem(
        422,
        "Something in the request is not as it must be; see errors.",
        errors=[{"field": ".".join(map(str, fault["loc"])), "reason": fault["msg"]} for fault in faults],
    )
