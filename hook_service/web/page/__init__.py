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

from flask import Blueprint, Flask, Response, g, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from hook_service import __version__
from hook_service.web.page import admin, login, now, records
from hook_service.web.page.common import CSP, STATIC, the_services, when
from hook_service.web.problems import MEDIA_TYPE, Problem
from hook_service.web.sessions import cookie_name, give

if TYPE_CHECKING:
    from hook_service.web.auth import Scope

PARTS: Final = (now, records, admin)
_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_OPEN: Final = ("login", "static")
_BY_ITSELF: Final = ("live", "preview")
"""What a page asks for by itself, again and again: that is nobody being busy, and has no use for a sign-in form."""


def page_app() -> Flask:
    """A Flask application with the page in it, still without its services."""
    app = Flask(__name__, static_folder=None, template_folder="templates")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["when"] = when
    files = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}
    release = sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()[:12]
    nav = [entry for part in PARTS for entry in part.NAV]
    scopes: dict[str, Scope] = {path.strip("/"): scope for path, _, scope in nav}

    def enter() -> AnyResponse | None:
        return _enter(scopes)

    def context() -> dict[str, Any]:
        session = g.get("session")
        stations = {code: its.name or code for code, its in the_services().host.stations.items()}
        wanted = request.args.get("station")
        allowed = session.actor.scopes if session else ()
        return {
            "version": __version__,
            "static": f"/static/{release}",
            "session": session,
            "csrf": the_services().sessions.token(session) if session else "",
            "may": allowed,
            "nav": [(path, words) for path, words, scope in nav if scope in allowed],
            "here": "/" + request.path.strip("/").partition("/")[0],
            # An error is shown also where it is that there is no such station.
            "station": (wanted if wanted in stations else next(iter(stations))) if session else None,
            "stations": stations,
        }

    blueprint = Blueprint("page", __name__)
    blueprint.before_request(enter)
    app.context_processor(context)
    for part in (login, *PARTS):
        part.routes(blueprint)

    @blueprint.get("/static/<version>/<name>")
    def static(version: str, name: str) -> Response:
        """A file of the page. Its address changes with the content of any of them, so it is kept for good."""
        kind = _KINDS.get(Path(name).suffix)
        if name not in files or kind is None:
            raise Problem(404, "There is nothing at this address.")
        kept = "public, max-age=31536000, immutable" if version == release else "no-cache"
        return Response(files[name], content_type=kind, headers={"Cache-Control": kept})

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
