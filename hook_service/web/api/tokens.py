"""Tokens with scopes: made, listed, revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Response, g

from hook_service.store.operators import NameTaken, Operators
from hook_service.web import audit, models_admin, tokens
from hook_service.web.api.common import answer, asking, fault, page, the_services
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope

SCOPE: Final[Scope] = "admin"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""
    get, post, delete = blueprint.get, blueprint.post, blueprint.delete
    get("/tokens", summary="Tokens, by name", responses={200: models_admin.Tokens})(list_tokens)
    post("/tokens", summary="Make a token", responses={201: models_admin.NewToken})(make_token)
    delete("/tokens/<int:token_id>", summary="Revoke a token", responses={204: None})(revoke_token)


def list_tokens(query: models_admin.TokensQuery) -> Response:
    """All of them, without themselves: nobody has them any more but who was given them."""
    with asking():
        return page(Operators(the_services().store.pool()).tokens(**query.model_dump()))


def make_token(body: models_admin.TokenIn) -> Response:
    """It is shown this once. A name is one token's, so that a request sent twice makes one."""
    beyond = set(body.scopes) - g.actor.scopes
    if beyond:
        raise fault("scopes", f"you don't have {', '.join(sorted(beyond))} yourself")
    token = tokens.make()
    try:
        with asking():
            row = Operators(the_services().store.pool()).make_token(
                name=body.name,
                scopes=set(body.scopes),
                digest=tokens.digest(token),
                created_by=g.actor.name,
                expires_at=body.expires_at,
            )
    except NameTaken:
        raise Problem(409, "There is a token of this name; revoke it, or take another name.") from None
    audit.record("token.make", name=row["name"], scopes=row["scopes"], expires_at=row["expires_at"])
    return answer({**row, "token": token}, 201)


def revoke_token(path: models_admin.TokenPath) -> Response:
    """At once, and for good. One that was revoked before stays so."""
    store = the_services().store
    with asking():
        row = Operators(store.pool()).revoke_token(path.token_id)
    if row is None:
        raise Problem(404, "There is no token with this number.")
    store.tokens.forget(path.token_id)
    if row["newly"]:
        audit.record("token.revoke", name=row["name"], token_id=path.token_id)
    return Response(status=204)
