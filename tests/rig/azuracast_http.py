"""What AzuraCast's nginx serves: the API, now playing's static file, and Centrifugo's one-way SSE.

Read in AzuraCast's nginx and Centrifugo configurations, Controller/Api/NowPlayingAction.php, and Centrifugo's
internal/unisse/handler.go.
"""

import contextlib
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.rig import centrifugo
from tests.rig.azuracast_files import files
from tests.rig.centrifugo import Channels
from tests.rig.net import LOOPBACK, free_port
from tests.rig.nowplaying import Snapshot, Track, document, encode_for_api


class Switches(Protocol):
    """What the knobs say about this side; read at each use."""

    sse: bool
    api: bool
    key: str | None
    media_key: str
    cache: float
    ping: float


class _Server(ThreadingHTTPServer):
    """One that can break the connections it has."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    site: "Site"

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error of ours."""


class Site:
    """The HTTP side. `known` gives what AzuraCast's cache holds of a station."""

    def __init__(
        self, switches: Switches, known: Callable[[str], Snapshot | None], stations: Sequence[str], port: int | None
    ) -> None:
        self.switches = switches
        self.channels = Channels()
        self.port = free_port() if port is None else port
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.asked: list[str] = []
        """The path of every request."""
        self.library: dict[str, list[Track]] = {station: [] for station in stations}
        self._stations = list(stations)
        self._known = known
        self._lock = threading.Lock()
        self._files: dict[str, tuple[float, bytes]] = {}
        self._cached: dict[str, tuple[float, int, bytes]] = {}
        self._server: _Server | None = None

    def start(self) -> None:
        """Serve. Nothing is left of before but the static files."""
        self.channels, self._cached = Channels(), {}
        server = _Server((LOOPBACK, self.port), _Handler)
        server.site = self
        threading.Thread(target=server.serve_forever, args=(0.05,), name="azuracast-http", daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Refuse connections, and break those there are."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def serving(self) -> bool:
        """Whether it is up."""
        return self._server is not None

    def tell(self, station: str, file: bytes, data: bytes) -> None:
        """Write the static file, and publish `data` to those who listen."""
        with self._lock:
            self._files[station] = (time.time(), file)
        if self.switches.sse:
            self.channels.publish(f"station:{station}", data)

    def listening(self, station: str) -> int:
        """How many are connected to the event stream of a station."""
        return self.channels.listeners(f"station:{station}")

    def inject(self, station: str, raw: bytes) -> None:
        """Send these bytes to all of them, whatever they are."""
        self.channels.inject(f"station:{station}", raw)

    def file(self, station: str) -> tuple[float, bytes] | None:
        """The static file: when it was written, and what is in it."""
        with self._lock:
            return self._files.get(station)

    def answer(self, path: str, key: str | None) -> tuple[int, bytes]:
        """Status and body for a path of the API, from nginx's cache where that holds one: it looks at no header."""
        with self._lock:
            kept = self._cached.get(path)
        if kept is not None and kept[0] > time.time():
            return kept[1:]
        parts = urlsplit(path)
        media = re.fullmatch(r"/api/station/([^/]+)/files", parts.path)
        if media is not None:
            return self._files_of(media[1], parts.query, key)
        status, body, lifetime = self._api(parts.path, key)
        if status == 200 and lifetime:
            with self._lock:
                self._cached[path] = (time.time() + lifetime, status, body)
        return status, body

    def _files_of(self, station: str, query: str, key: str | None) -> tuple[int, bytes]:
        name = self._named(station)
        if name is None:
            return _error(404, "NotFoundException", "Station not found.")
        # However public the station is, its library is for those who manage it.
        if key != self.switches.media_key:
            return _error(403, "NotLoggedInException", "You must be logged in to access this page.")
        answer = files(name, self.library[name], query)
        if answer is None:
            return _error(500, "OutOfRangeCurrentPageException", "Page is out of range.")
        return 200, encode_for_api(answer)

    def _api(self, path: str, key: str | None) -> tuple[int, bytes, float]:
        match = re.fullmatch(r"/api/(?:nowplaying/([^/]+)|station/([^/]+)/nowplaying)", path)
        if path == "/api/nowplaying":
            known = [now for now in map(self._known, self._stations) if now is not None]
            return 200, encode_for_api([document(now, time.time()) for now in known]), self.switches.cache
        if match is None:
            return *_error(404, "HttpNotFoundException", "Page not found."), 0
        name = self._named(match[1] or match[2])
        if name is None:
            return *_error(404, "NotFoundException", "Station not found."), 0
        # The station is looked for before it is asked who asks; a key that is not valid is as good as none.
        if self.switches.key is not None and key != self.switches.key:
            return *_error(403, "NotLoggedInException", "You must be logged in to access this page."), 0
        now = self._known(name)
        if now is None:
            return *_error(404, "Error", "Record not found"), 0
        return 200, encode_for_api(document(now, time.time())), self.switches.cache if match[1] else 0

    def _named(self, identifier: str) -> str | None:
        if identifier.isdigit() and 1 <= int(identifier) <= len(self._stations):
            return self._stations[int(identifier) - 1]
        return identifier if identifier in self._stations else None


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "nginx", ""

    def do_GET(self) -> None:
        site = self.server.site
        parts = urlsplit(self.path)
        site.asked.append(parts.path)
        static = re.fullmatch(r"/api/nowplaying_static/([^/]+)\.json", parts.path)
        if parts.path == "/api/live/nowplaying/sse":
            self._sse(site, parse_qs(parts.query).get("cf_connect", ["{}"])[0])
        elif static is not None:
            file = site.file(static[1])
            if file is None:
                self._send(404, b"<html><h1>404 Not Found</h1></html>", "text/html")
            else:
                self._send(200, file[1], "application/json", **{"Last-Modified": self.date_time_string(file[0])})
        elif not site.switches.api:
            self._bad_gateway()
        else:
            bearer = re.match(r"Bearer\s+(.*)$", self.headers.get("Authorization") or "", re.IGNORECASE)
            key = bearer[1] if bearer else self.headers.get("X-API-Key")
            self._send(*site.answer(self.path, key), "application/json; charset=utf-8")

    def _sse(self, site: Site, request: str) -> None:
        wanted = centrifugo.wanted(request)
        if not site.switches.sse:
            self._bad_gateway()
            return
        if wanted is None:
            self._send(400, b"", "text/plain")
            return
        self.close_connection = True
        channels = site.channels
        first, inbox = channels.subscribe(wanted, int(site.switches.ping))
        try:
            self.send_response(200)
            for name, value in centrifugo.HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self._chunk(b"\r\n")
            self._chunk(first)
            self._pass_on(site, inbox)
        except OSError:
            pass
        finally:
            channels.leave(inbox)

    def _pass_on(self, site: Site, inbox: centrifugo.Inbox) -> None:
        pinged = time.monotonic()
        while site.serving and site.switches.sse:
            with contextlib.suppress(queue.Empty):
                self._chunk(inbox.get(timeout=0.1))
            if time.monotonic() - pinged >= site.switches.ping:
                pinged = time.monotonic()
                self._chunk(centrifugo.event(b"{}"))

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _bad_gateway(self) -> None:
        self._send(502, b"<html><center><h1>502 Bad Gateway</h1></center><hr>nginx</html>", "text/html")

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """`Site.asked` is the log."""


def _error(code: int, kind: str, message: str) -> tuple[int, bytes]:
    return code, encode_for_api(
        {
            "code": code, "type": kind, "message": message, "formatted_message": message, "extra_data": [],
            "success": False,
        }
    )  # fmt: skip
