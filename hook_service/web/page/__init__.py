"""The operator's page: its parts, a module each, and what all of them pass through.

A part is a module here with `routes(blueprint)`, and `NAV`: for each of its entries in the navigation the address,
the words, and the scope without which it is not there. Its template extends `base.html`, its script is a module in
`static/`. Everything that changes something goes through the API.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, g, redirect, render_template, request, send_from_directory
from werkzeug.wrappers import Response as AnyResponse

from hook_service import __version__
from hook_service.web.page import login, mappings, now, records
from hook_service.web.page.common import CSP, STATIC, the_services, the_station, when
from hook_service.web.problems import MEDIA_TYPE, Problem
from hook_service.web.sessions import cookie_name, give

if TYPE_CHECKING:
    from hook_service.web.auth import Scope

PARTS: Final = (now, mappings, records)
_OPEN: Final = ("login", "static")
_BY_ITSELF: Final = ("live", "preview")
"""What a page asks for by itself, again and again: that is nobody being busy, and has no use for a sign-in form."""


def page_app() -> Flask:
    """A Flask application with the page in it, still without its services."""
    app = Flask(__name__, static_folder=None, template_folder="templates")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["when"] = when
    release = _release(STATIC)
    nav = [entry for part in PARTS for entry in part.NAV]
    scopes: dict[str, Scope] = {path.strip("/"): scope for path, _, scope in nav}

    def enter() -> AnyResponse | None:
        return _enter(scopes)

    def context() -> dict[str, Any]:
        session = g.get("session")
        allowed = session.actor.scopes if session else ()
        return {
            "version": __version__,
            "static": f"/static/{release}",
            "session": session,
            "csrf": the_services().sessions.token(session) if session else "",
            "may": allowed,
            "nav": [(path, words) for path, words, scope in nav if scope in allowed],
            "here": "/" + request.path.strip("/").partition("/")[0],
            "station": the_station() if session else None,
            "stations": {code: its.name or code for code, its in the_services().host.stations.items()},
        }

    blueprint = Blueprint("page", __name__)
    blueprint.before_request(enter)
    app.context_processor(context)
    for part in (login, *PARTS):
        part.routes(blueprint)

    @blueprint.get("/static/<version>/<path:name>")
    def static(version: str, name: str) -> Response:
        """A file of the page. Its address changes with the content of any of them, so it is kept for good."""
        response = send_from_directory(STATIC, name, max_age=365 * 24 * 3600 if version == release else 0)
        if version == release:
            response.cache_control.public = response.cache_control.immutable = True
        return response

    app.register_blueprint(blueprint)
    app.after_request(_leave)
    return app


def _enter(scopes: dict[str, Scope]) -> AnyResponse | None:
    """Who is not signed in is asked to; who is passes with the scope of the page."""
    sessions = the_services().sessions
    g.session = sessions.session(request.cookies.get(cookie_name(request)))
    first = request.path.strip("/").partition("/")[0]
    if first in _OPEN:
        return None
    if g.session is None:
        if first in _BY_ITSELF or request.method not in ("GET", "HEAD"):
            raise Problem(401, "Nobody is signed in, or not any more.", {"WWW-Authenticate": 'Bearer realm="page"'})
        wanted = request.full_path.rstrip("?")
        return redirect("/login" + ("" if wanted == "/" else "?" + urlencode({"next": wanted})), 303)
    g.actor = g.session.actor
    if scopes.get(first, "read") not in g.actor.scopes:
        raise Problem(403, "This page is for operators.")
    return None


def _leave(response: Response) -> Response:
    if response.mimetype == MEDIA_TYPE and _is_a_person():
        document = json.loads(response.get_data())
        response.set_data(render_template("error.html", problem=document))
        response.mimetype = "text/html"
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = CSP
        first = request.path.strip("/").partition("/")[0]
        if g.get("session") is not None and first not in (*_OPEN, *_BY_ITSELF, "logout"):
            cookie = the_services().sessions.renewed(g.session)
            if cookie is not None:
                give(response, request, cookie)
    return response


def _is_a_person() -> bool:
    """Whether a browser shows the answer to somebody."""
    wanted = request.accept_mimetypes.best_match((MEDIA_TYPE, "application/json", "text/html"))
    return wanted == "text/html"


def _release(directory: Path) -> str:
    digest = sha256()
    for path in sorted(directory.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]
