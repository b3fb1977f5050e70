"""Signing in and out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Response, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from hook_service.web import audit
from hook_service.web.page.common import the_services
from hook_service.web.problems import Problem
from hook_service.web.sessions import LONGEST_PASSWORD, Refused, give, take_back

if TYPE_CHECKING:
    from flask import Blueprint


def routes(blueprint: Blueprint) -> None:
    """Add them."""
    blueprint.get("/login")(form)
    blueprint.post("/login")(sign_in)
    blueprint.post("/logout")(sign_out)


def form() -> AnyResponse:
    """The form; whoever is signed in has no use for it."""
    return redirect(_next(), 303) if g.session else _form()


def sign_in() -> AnyResponse:
    """Take what the form sends. On success the browser goes where it wanted to."""
    services = the_services()
    if not _is_ours():
        raise Problem(403, "Sign in from the page itself.")
    wait = services.failures.wait(g.client)
    if wait:
        return _form(wait=wait)
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    if not (0 < len(name) <= 64 and 0 < len(password) <= LONGEST_PASSWORD):
        services.failures.take(g.client)
        return _form(name=name[:64], wrong=True)
    try:
        cookie = services.sessions.sign_in(name, password, g.client)
    except Refused as refused:
        if refused.wait:
            return _form(name=name, wait=refused.wait)
        services.failures.take(g.client)
        return _form(name=name, wrong=True)
    session = services.sessions.session(cookie)
    if session is not None:
        g.actor = session.actor
        audit.record("session.begin")
    response = redirect(_next(), 303)
    give(response, request, cookie)
    return response


def sign_out() -> AnyResponse:
    """End the session for good, not only in this browser."""
    sessions = the_services().sessions
    if not sessions.is_token(g.session, request.form.get("csrf")):
        raise Problem(403, "This did not come from the page. Go back, reload it, and sign out there.")
    sessions.end(g.session)
    audit.record("session.end")
    response = redirect("/login", 303)
    take_back(response, request)
    return response


def _form(name: str = "", wrong: bool = False, wait: float = 0.0) -> Response:
    known = the_services().sessions.users
    page = render_template("login.html", name=name, wrong=wrong, wait=math.ceil(wait / 60), users=known)
    response = make_response(page, 429 if wait else 403 if wrong else 200)
    if wait:
        response.headers["Retry-After"] = str(math.ceil(wait))
    return response


def _next() -> str:
    """Where to go after: an address of this page, or the first one. Whatever else is given leads nowhere."""
    wanted = request.values.get("next", "")
    place = wanted.partition("?")[0]
    ours = place[:1] == "/" and place[1:] in _PLACES and wanted.isprintable() and len(wanted) < 2000
    return wanted if ours else "/"


_PLACES = frozenset(("", "history", "errors", "library", "mappings", "audit", "tokens"))


def _is_ours() -> bool:
    """Whether the form came from this page. Without it, another site could sign a browser in as somebody else."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site in ("same-origin", "none")
    # The port is not compared: a proxy may not pass it on.
    return origin is None or _host(origin) == _host(f"//{request.host}")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return ""
