"""The operator's API, `/api/v1`: its routes by subject, a module each, and its OpenAPI document."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.info import Info
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI

from hook_service import __version__
from hook_service.web import (
    models,
    models_admin,
    models_control,
    models_library,
    models_sight,
    models_songs,
    models_sources,
    models_youtube,
)
from hook_service.web.api import (
    audit,
    control,
    defaults,
    docs,
    library,
    mappings,
    records,
    sight,
    songs,
    stations,
    tokens,
    uploads,
    words,
)
from hook_service.web.api.access import authorise
from hook_service.web.api.common import answer
from hook_service.web.problems import Problem, documented

if TYPE_CHECKING:
    from flask import Response
    from pydantic import ValidationError

PREFIX = "/api/v1"

_PARTS = (stations, control, records, mappings, songs, defaults, library, uploads, sight, tokens, audit)
_MODELS = (
    models, models_admin, models_control, models_library, models_sight, models_songs, models_sources, models_youtube,
)  # fmt: skip


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
    # Not the framework's answer to OPTIONS, which asks for no token.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    for module in _PARTS + _MODELS:
        words.restore(module)
    for part in _PARTS:
        blueprint = APIBlueprint(
            part.__name__.rpartition(".")[2],
            __name__,
            url_prefix=PREFIX,
            abp_tags=[
                Tag(name=part.__name__.rpartition(".")[2], description=(part.__doc__ or "").partition("\n")[0])
            ],
            abp_security=[{"bearer": [part.SCOPE]}],
            abp_responses=dict.fromkeys((401, 403, 503), models.ProblemDocument),
        )
        # A module that takes other bodies than JSON says so itself.
        blueprint.before_request(partial(authorise, part.SCOPE, json_alone=getattr(part, "JSON_ALONE", True)))
        part.routes(blueprint)
        app.register_api(blueprint)

    def document() -> dict[str, Any]:
        return docs.scoped(documented(app.api_doc))

    # Open, like any manual: it holds nothing of the host.
    app.add_url_rule(f"{PREFIX}/openapi.json", "openapi", lambda: answer(document()), methods=["GET"])
    docs.routes(app, PREFIX, document)
    return app


def _invalid(error: ValidationError) -> Response:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    raise Problem(
        422,
        "Something in the request is not as it must be; see errors.",
        errors=[{"field": ".".join(map(str, fault["loc"])), "reason": fault["msg"]} for fault in faults],
    )
