"""A YouTube: Google's OAuth and the part of the YouTube Data API v3 that is about live streams, on loopback.

Made from the public descriptions: the API's discovery document (parameters, resources, enumerations, scopes), its
pages on errors and quota, and "OAuth 2.0 for TV and limited-input device applications". What it refuses, it refuses
as these say, with the same reasons in the same JSON. What they leave open is said at the place.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hook_service.youtube.client import Endpoints
from tests.rig.net import LOOPBACK
from tests.rig.youtube_channel import Channel, Refusal

READ = "https://www.googleapis.com/auth/youtube.readonly"
CHANGE = "https://www.googleapis.com/auth/youtube"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ID, CLIENT_SECRET, REFRESH = "123-abc.apps.example", "client-s3cret", "1//refresh-s3cret"


class OAuthRefusal(Exception):
    """An error of Google's OAuth addresses."""

    def __init__(self, code: int, error: str, description: str = "") -> None:
        self.code = code
        self.document = {"error": error, "error_description": description or error}


@dataclass
class Knobs:
    """What goes wrong, and how fast things are."""

    down: bool = False
    """The API answers 503 backendError; OAuth goes on."""
    raw: tuple[int, bytes] | None = None
    """The API answers with this."""
    hang: bool = False
    """Nothing is answered."""
    revoked: bool = False
    """The authorisation was taken back."""
    refuse: dict[str, str] = field(default_factory=dict)
    """Changes, by the last part of their path, such as `bind`: 403 with this reason."""
    lost: bool = False
    """A broadcast is made, and the answer says that none was."""
    quota: int = 10_000
    token_seconds: float = 3599
    allow: str | None = "allowed"
    """What the person at the browser does: `allowed`, `denied`, or nothing yet."""


class YouTube(Channel):
    """One account with one channel."""

    def __init__(self, knobs: Knobs | None = None, scope: str = CHANGE) -> None:
        super().__init__()
        self.knobs = knobs or Knobs()
        self.scope = scope
        self.asked: list[str] = []
        """Method, path and query of every request."""
        self.headers: list[str] = []
        """The Authorization of every request to the API."""
        self.units = 0
        self._tokens: dict[str, tuple[float, str]] = {}
        self._devices: dict[str, tuple[str, float]] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def forget_tokens(self) -> None:
        """Every access token ends before its time."""
        self._tokens.clear()

    # --- serving -------------------------------------------------------------------------------------------------

    def __enter__(self) -> "YouTube":
        site = self

        class Handler(_Handler):
            youtube = site

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoints(self) -> Endpoints:
        """Where it is."""
        assert self._server is not None
        url = f"http://{LOOPBACK}:{self._server.server_address[1]}"
        return Endpoints(f"{url}/youtube/v3", f"{url}/token", f"{url}/device/code")

    def answer(self, handler: "_Handler") -> tuple[int, bytes]:
        """Status and body for one request."""
        url = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        self.asked.append(f"{handler.command} {handler.path}")
        if self.knobs.hang:
            self._ended.wait(30)
        try:
            if url.path in ("/token", "/device/code"):
                fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                ask = self._token if url.path == "/token" else self._device
                with self._lock:
                    return 200, json.dumps(ask(fields)).encode()
            self.headers.append(handler.headers.get("Authorization", ""))
            if self.knobs.raw is not None:
                return self.knobs.raw
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            with self._lock:
                document = self._api(handler, url.path.removeprefix("/youtube/v3/"), query, body)
            return 200, json.dumps(document).encode()
        except (Refusal, OAuthRefusal) as refusal:
            return refusal.code, json.dumps(refusal.document).encode()

    # --- OAuth ---------------------------------------------------------------------------------------------------

    def _device(self, fields: dict[str, str]) -> dict[str, Any]:
        if fields.get("client_id") != CLIENT_ID:
            raise OAuthRefusal(401, "invalid_client", "The OAuth client was not found.")
        if fields.get("scope") not in (READ, CHANGE):
            raise OAuthRefusal(400, "invalid_scope")
        code = secrets.token_urlsafe(24)
        self._devices[code] = (fields["scope"], time.monotonic())
        return {
            "device_code": code,
            "user_code": "GQVQ-JKEC",
            "verification_url": "https://www.google.com/device",
            "expires_in": 1800,
            "interval": 1,
        }

    def _token(self, fields: dict[str, str]) -> dict[str, Any]:
        if fields.get("client_id") != CLIENT_ID or fields.get("client_secret") != CLIENT_SECRET:
            raise OAuthRefusal(401, "invalid_client", "Unauthorized")
        grant = fields.get("grant_type")
        if grant == DEVICE_GRANT:
            if fields.get("device_code") not in self._devices:
                raise OAuthRefusal(400, "invalid_grant", "Malformed auth code.")
            if self.knobs.allow is None:
                raise OAuthRefusal(428, "authorization_pending", "Precondition Required")
            if self.knobs.allow == "denied":
                raise OAuthRefusal(403, "access_denied", "Forbidden")
            self.scope, _ = self._devices.pop(fields["device_code"])
            return {**self._fresh(), "refresh_token": REFRESH}
        if grant != "refresh_token":
            raise OAuthRefusal(400, "unsupported_grant_type", f"Invalid grant_type: {grant}")
        if fields.get("refresh_token") != REFRESH or self.knobs.revoked:
            raise OAuthRefusal(400, "invalid_grant", "Token has been expired or revoked.")
        return self._fresh()

    def _fresh(self) -> dict[str, Any]:
        token = "ya29." + secrets.token_urlsafe(24)
        self._tokens[token] = (time.monotonic() + self.knobs.token_seconds, self.scope)
        return {
            "access_token": token,
            "expires_in": int(self.knobs.token_seconds),
            "scope": self.scope,
            "token_type": "Bearer",
        }

    # --- the API -------------------------------------------------------------------------------------------------

    def _api(self, handler: "_Handler", path: str, query: dict[str, str], body: bytes) -> dict[str, Any]:
        lists = handler.command == "GET"
        self.units += 1 if lists else 50
        if self.knobs.down:
            raise Refusal(503, "backendError", "Backend Error", "global")
        scheme, _, token = handler.headers.get("Authorization", "").partition(" ")
        until, scope = self._tokens.get(token, (0.0, ""))
        if scheme != "Bearer" or time.monotonic() >= until:
            raise Refusal(401, "authError", "Invalid Credentials", "global")
        if self.units > self.knobs.quota:
            raise Refusal(403, "quotaExceeded", "The request cannot be completed, see your quota.", "youtube.quota")
        if not lists and scope != CHANGE:
            raise Refusal(403, "insufficientPermissions", "Request had insufficient scopes.", "global")
        if "part" not in query:
            raise Refusal(400, "missingRequiredParameter", "No filter selected.", "global")
        last = path.rpartition("/")[2]
        if last in self.knobs.refuse and not lists:
            raise Refusal(403, self.knobs.refuse[last])
        routes: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
            ("GET", "liveStreams"): lambda: self.listed("liveStream", self.streams, query),
            ("GET", "liveBroadcasts"): lambda: self.listed("liveBroadcast", self.broadcasts, query),
            ("POST", "liveBroadcasts"): lambda: self.insert(query, body),
            ("POST", "liveBroadcasts/bind"): lambda: self.bind(query),
            ("POST", "liveBroadcasts/transition"): lambda: self.transition(query),
        }
        if (handler.command, path) not in routes:
            raise Refusal(404, "notFound", "Not Found", "global")
        done = routes[handler.command, path]()
        if self.knobs.lost and path == "liveBroadcasts" and not lists:
            raise Refusal(503, "backendError", "Backend Error", "global")
        return done


class _Handler(BaseHTTPRequestHandler):
    youtube: YouTube

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        with suppress(OSError):
            status, body = self.youtube.answer(self)
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: `asked` has it."""
