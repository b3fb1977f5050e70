"""Who may use which part of the API: every request passes here before its route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g, request

from hook_service.web.api.common import the_services
from hook_service.web.problems import Problem
from hook_service.web.sessions import cookie_name
from hook_service.web.webhook import is_json, too_many

if TYPE_CHECKING:
    from hook_service.web.auth import Actor, Scope

LOOKING = ("GET", "HEAD")


def authorise(scope: Scope, *, json_alone: bool = True) -> None:
    """Let in who has the scope of this part of the API; to look, `read` is enough, but for what is for `admin` alone.

    Who they are is `g.actor` from here on. A body, where there is one, must be JSON if `json_alone`. Raises Problem.
    """
    g.actor = _actor()
    needed: Scope = "read" if request.method in LOOKING and scope != "admin" else scope
    if needed not in g.actor.scopes:
        # RFC 6750, 3.1: the token is right, and not enough.
        refused = f'Bearer realm="api", error="insufficient_scope", scope="{needed}"'
        raise Problem(403, f"This is not allowed without the scope {needed!r}.", {"WWW-Authenticate": refused})
    if json_alone and request.method in ("POST", "PUT") and request.content_length:
        if not request.is_json:
            raise Problem(415, "Send the body as application/json.", {"Accept": "application/json"})
        if not is_json(request.get_data()) or not _is_kept():
            raise Problem(400, "The body is not JSON.")


def _actor() -> Actor:
    services = the_services()
    if "Authorization" not in request.headers and cookie_name(request) in request.cookies:
        return _of_the_page()
    wait = services.failures.wait(g.client)
    if wait:
        raise too_many(wait, "Too many failed authentications from this address.")
    actor = services.guard.actor(request.headers.get("Authorization"))
    if actor is None:
        services.failures.take(g.client)
        raise Problem(401, "Send a token: Authorization: Bearer …", {"WWW-Authenticate": 'Bearer realm="api"'})
    return actor


def _of_the_page() -> Actor:
    """Who is signed in to the page. An old cookie is no guess: it is not counted as one."""
    sessions = the_services().sessions
    session = sessions.session(request.cookies.get(cookie_name(request)))
    if session is None:
        raise Problem(401, "Nobody is signed in, or not any more.", {"WWW-Authenticate": 'Bearer realm="api"'})
    if request.method not in LOOKING and not sessions.is_token(session, request.headers.get("X-CSRF-Token")):
        raise Problem(403, "This did not come from the page: its X-CSRF-Token is missing or wrong.")
    return session.actor


def _is_kept() -> bool:
    """Whether the body could be read. The request keeps it: what is nested as deeply as can just be read here could
    not be read again further down the stack.
    """
    try:
        request.get_json()
    except RecursionError:
        return False
    return True
