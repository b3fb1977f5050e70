"""The Flask application: what every request passes through, whichever route it is for."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from hook_service.config import Host
from hook_service.observe.metrics import Metrics
from hook_service.web import operations, webhook
from hook_service.web.auth import Guard
from hook_service.web.director import Director
from hook_service.web.health import Health
from hook_service.web.limits import Buckets, client_of
from hook_service.web.problems import MEDIA_TYPE, SECURITY_HEADERS, Problem
from hook_service.web.server import MAX_BODY
from hook_service.web.sessions import Sessions
from hook_service.web.sources import Sources
from hook_service.web.stations import Stations
from hook_service.web.store import Store
from hook_service.web.youtube import YouTube, secrets

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

App = TypeVar("App", bound=Flask)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
PAGES = frozenset(
    (
        "",
        "login",
        "logout",
        "live",
        "static",
        "history",
        "errors",
        "library",
        "mappings",
        "audit",
        "tokens",
        "preview",
    )
)
"""The first parts of the addresses that the page has."""
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_DETAILS = {
    404: "There is nothing at this address.",
    405: "This method is not for this address.",
    413: f"The body is larger than {MAX_BODY} bytes.",
    500: "Something went wrong here; the log has it under this request id.",
}

log = logging.getLogger("radio.web")


@dataclass(slots=True)
class Services:
    """What the routes work with. One for each application, in `app.extensions["radio"]`."""

    host: Host
    guard: Guard
    metrics: Metrics
    directors: Mapping[str, Director]
    health: Health
    store: Store
    stations: Stations
    sources: Sources
    youtube: YouTube
    sessions: Sessions
    keys: tuple[str, ...] = field(init=False)
    """Stream keys, AzuraCast's keys, YouTube's secrets, as they look inside JSON: never to be in an answer."""
    failures: Buckets = field(init=False)
    requests: Buckets = field(init=False)
    _names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        web = self.host.web
        self.failures = Buckets(web.failed_per_minute / 60, web.failed_per_minute)
        self.requests = Buckets(web.requests_per_second, web.requests_per_second)
        self._names = {station.name.casefold(): code for code, station in self.host.stations.items()}
        keys = [
            self.host.secret(f"{code}.{name}.key")
            for code, station in self.host.stations.items()
            for name in station.destinations
        ]
        keys += [self.host.secret(f"{code}.azuracast-key") for code in self.host.stations]
        keys += secrets(self.host)
        self.keys = tuple(json.dumps(key)[1:-1] for key in keys if key and len(key) > 3)

    def shortcode(self, said: str) -> str | None:
        """The configured station that a body means: by shortcode, or (the small body) by its name."""
        return said if said in self.directors else self._names.get(said.casefold())


def create_app(services: Services) -> Flask:
    """The application. Nothing in it blocks but the API's use of the database."""
    app = equip(Flask(__name__, static_folder=None), services)
    app.register_blueprint(webhook.blueprint)
    app.register_blueprint(operations.blueprint)
    outermost: WSGIApplication = _Later(app.wsgi_app, services)
    proxies = services.host.web.trusted_proxies
    if proxies:
        outermost = ProxyFix(outermost, x_for=proxies, x_proto=proxies)
    app.wsgi_app = outermost  # type: ignore[method-assign, assignment]
    return app


def equip(app: App, services: Services) -> App:
    """Give an application its services, and what every request passes through."""
    app.extensions["radio"] = services
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.before_request(_admit)
    app.after_request(_finish)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _unexpected)
    return app


class _Later:
    """Makes the operator's API, and the page, with the first request for each: megabytes that a host needs only while
    someone looks.
    """

    def __init__(self, rest: WSGIApplication, services: Services) -> None:
        self._rest = rest
        self._services = services
        self._lock = threading.Lock()
        self._api: WSGIApplication | None = None
        self._page: WSGIApplication | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/api/"):
            part = self._api or self._make_api()
        elif path[:1] == "/" and path[1:].partition("/")[0] in PAGES:
            part = self._page or self._make_page()
        else:
            part = self._rest
        return part(environ, start_response)

    def _make_api(self) -> WSGIApplication:
        with self._lock:
            if self._api is None:
                from hook_service.web import api  # noqa: PLC0415 - what this class is for

                self._api = equip(api.openapi_app(), self._services)
            return self._api

    def _make_page(self) -> WSGIApplication:
        with self._lock:
            if self._page is None:
                from hook_service.web import page  # noqa: PLC0415 - what this class is for

                self._page = equip(page.page_app(), self._services)
            return self._page


def _admit() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
    g.client = client_of(request.remote_addr)
    services: Services = current_app.extensions["radio"]
    wait = services.requests.take(g.client)
    if wait:
        raise webhook.too_many(wait, "Too many requests from this address.")
    if request.method not in METHODS:
        raise Problem(405, _DETAILS[405], {"Allow": ", ".join(METHODS)})


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.request_id
    for name, value in SECURITY_HEADERS:
        headers.setdefault(name, value)
    if log.isEnabledFor(logging.DEBUG):
        # The endpoint, not the path: that may hold the webhook's token.
        context = {"endpoint": request.endpoint, "status": response.status_code, "request_id": g.request_id}
        log.debug("Request", extra={"context": context})
    return response


def _problem(problem: Problem) -> ResponseReturnValue:
    response = Response(problem.document(g.request_id), problem.status, content_type=MEDIA_TYPE)
    response.headers.update(problem.headers)
    return response


def _http_exception(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return _problem(Problem(status, _DETAILS.get(status, "The request can't be served."), headers))


def _unexpected(error: Exception) -> ResponseReturnValue:
    context = {"endpoint": request.endpoint, "request_id": g.request_id}
    log.error("Request failed", exc_info=error, extra={"context": context})
    return _problem(Problem(500, _DETAILS[500]))
