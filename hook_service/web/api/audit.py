"""The audit log: who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Response

from hook_service.store.operators import Operators
from hook_service.web import models_admin
from hook_service.web.api.common import asking, page, the_services

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "admin"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    blueprint.get("/audit", summary="What was done by hand, the latest first", responses={200: models_admin.Audit})(
        entries
    )


def entries(query: models_admin.AuditQuery) -> Response:
    """The audit log."""
    with asking():
        return page(Operators(the_services().store.pool()).audit(**query.model_dump()))
