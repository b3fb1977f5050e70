"""AzuraCast's event stream and API as they come over its own nginx and TLS, to a listener and to radio-web."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hook_service.tracks.nowplaying import TrackEvent
from hook_service.web import azuracast as client
from hook_service.web import httpget
from hook_service.web.azuracast import Listener
from tests.integration.test_web import WebProcess
from tests.rig import nginx
from tests.rig.azuracast import AzuraCast, Knobs, Track
from tests.rig.child import Child
from tests.rig.net import LOOPBACK, accepts, free_port, wait_until
from tests.unit.web.peers import FakePeer

A, B, C, D = (Track("Ann", title) for title in ("One", "Two", "Three", "Four"))

# What matters of AzuraCast's own (util/docker/web/nginx/azuracast.conf.tmpl, proxy_params.conf): HTTP/2 and curves
# that not every client offers, an event stream that is not buffered. It compresses what a client lets it.
CONFIG = """daemon off;
{user}
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    gzip on;
    gzip_types *;
    gzip_proxied any;
    gzip_min_length 1;
    server {{
        listen {host}:{plain};
        return 301 https://localhost:{port}$request_uri;
    }}
    server {{
        listen {host}:{port} ssl http2;
        ssl_certificate {place}/cert.pem;
        ssl_certificate_key {place}/key.pem;
        ssl_protocols TLSv1.3 TLSv1.2;
        ssl_prefer_server_ciphers on;
        ssl_ecdh_curve secp521r1:secp384r1;
        ssl_ciphers EECDH+AESGCM:EECDH+AES256;
        location ~ ^/api/live/nowplaying/(\\w+)$ {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 21600;
            proxy_pass http://{upstream};
        }}
        location / {{ proxy_pass http://{upstream}; }}
    }}
}}
"""


class Front:
    """nginx before an AzuraCast, with a certificate for localhost."""

    def __init__(self, place: Path, upstream: int) -> None:
        self.port, self.plain = free_port(), free_port()
        self.certificate = place / "cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "key.pem", "-out",
             self.certificate, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
        user = nginx.account()
        config = place / "nginx.conf"
        config.write_text(
            CONFIG.format(
                user=f"user {user};" if user else "", place=place, host=LOOPBACK, port=self.port, plain=self.plain,
                upstream=f"{LOOPBACK}:{upstream}",
            )
        )  # fmt: skip
        argv = [nginx.program(), "-c", str(config), "-e", str(place / "error.log")]
        self.process = Child("front", argv, run_dir=place)
        self.url = f"https://localhost:{self.port}"

    def start(self) -> None:
        self.process.start_until(lambda: accepts(self.port), 10)


class Heard:
    """What a listener offers, by its way."""

    def __init__(self) -> None:
        self.events: list[tuple[TrackEvent, str]] = []

    def __call__(self, event: TrackEvent, _received: float, source: str) -> None:
        self.events.append((event, source))

    def last(self, source: str) -> str | None:
        return next((event.title for event, way in reversed(self.events) if way == source), None)


def until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    wait_until(condition, what, seconds, every=0.02)


@pytest.fixture
def azuracast() -> Iterator[AzuraCast]:
    with AzuraCast(["demo"], knobs=Knobs(delay=0.0, tick=1.0, cache=0.2, ping=1)) as server:
        yield server


@pytest.fixture
def front(tmp_path: Path, azuracast: AzuraCast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    one = Front(tmp_path, azuracast.site.port)
    monkeypatch.setenv("SSL_CERT_FILE", str(one.certificate))
    httpget._tls.cache_clear()
    one.start()
    yield one
    one.process.stop()
    httpget._tls.cache_clear()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"POLL_EVERY": 0.5, "POLL_LAST": 1.0, "RETRY_FIRST": 0.1, "RETRY_LAST": 0.5}.items():
        monkeypatch.setattr(client, name, seconds)


def state(listener: Listener, source: str) -> tuple[str, str | None]:
    now = listener.state()[source]
    return now["state"], now["error"]


@pytest.mark.usefixtures("impatient")
def test_stream_then_api_then_stream(azuracast: AzuraCast, front: Front) -> None:
    heard = Heard()
    listener = Listener("demo", front.url, "demo", None, heard)
    listener.start()
    try:
        until(lambda: state(listener, "sse") == ("connected", None), "the event stream")
        began = time.time()
        azuracast.begin(A)
        until(lambda: heard.last("sse") == "One", "a song by the stream")
        # Neither side keeps it back until there is more.
        assert time.time() - began < 1.0
        azuracast.knobs.sse = False
        azuracast.begin(B)
        until(lambda: heard.last("poll") == "Two", "a song by the API")
        until(lambda: state(listener, "sse") == ("away", "answers with 502"), "no stream")
        azuracast.knobs.sse = True
        until(lambda: state(listener, "poll") == ("idle", None), "the stream again")
        azuracast.begin(C)
        until(lambda: heard.last("sse") == "Three", "a song by the stream again")
        for thing in (front.process.kill, azuracast.stop):
            thing()
            until(lambda: state(listener, "poll")[0] == "away", "nothing is there")
            front.start()
            if not azuracast.site.serving:
                azuracast.start()
            until(lambda: state(listener, "sse") == ("connected", None), "all is back")
        azuracast.begin(D)
        until(lambda: heard.last("sse") == "Four", "a song after that")
    finally:
        listener.stop()


@pytest.mark.usefixtures("impatient")
def test_redirect_to_tls_and_a_certificate_that_is_not_trusted(
    azuracast: AzuraCast, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    azuracast.begin(A)
    for url, ways in ((f"http://localhost:{front.plain}", ["sse"]), (f"http://{LOOPBACK}:{front.plain}", [])):
        heard = Heard()
        listener = Listener("demo", url, "demo", None, heard)
        listener.start()
        if ways:
            until(lambda heard=heard: heard.last("sse") == "One", "the song, over TLS")  # type: ignore[misc]
        else:
            until(lambda one=listener: "redirect to https://localhost" in (state(one, "poll")[1] or ""), "refused")  # type: ignore[misc]
        listener.stop()
        assert sorted({way for _, way in heard.events}) == ways
    monkeypatch.delenv("SSL_CERT_FILE")
    httpget._tls.cache_clear()
    heard = Heard()
    listener = Listener("demo", front.url, "demo", "0123:4567", heard)
    listener.start()
    until(lambda: "not trusted" in (state(listener, "poll")[1] or ""), "no trust")
    listener.stop()
    assert not heard.events


@pytest.mark.usefixtures("impatient")
def test_keys(azuracast: AzuraCast, front: Front) -> None:
    azuracast.knobs.sse, azuracast.knobs.key = False, "0123:4567"
    azuracast.begin(A)
    outcomes: dict[str | None, Any] = {None: "is not public", "9999:8888": "refuses the API key", "0123:4567": None}
    for key, error in outcomes.items():
        heard = Heard()
        listener = Listener("demo", front.url, "demo", key, heard)
        listener.start()
        until(lambda one=listener: state(one, "poll")[0] in ("connected", "away"), "an answer")  # type: ignore[misc]
        assert heard.last("poll") == (None if error else "One")
        assert (error or "") in (state(listener, "poll")[1] or "")
        listener.stop()


# --- the whole process ------------------------------------------------------------------------------------------


@pytest.fixture
def playout(run_dir: Path) -> Iterator[FakePeer]:
    (run_dir / "run").mkdir(exist_ok=True)
    peer = FakePeer(run_dir / "run" / "playout-demo.sock")
    yield peer
    peer.close()


@pytest.fixture
def web(run_dir: Path, front: Front) -> Iterator[WebProcess]:
    """radio-web that asks an AzuraCast; of databases there is none."""
    station = {
        "audio": {"url": "http://127.0.0.1:8000/radio.mp3"},
        "switch_delay": 0,
        "azuracast": {"url": front.url},
    }
    process = WebProcess(run_dir, "host=127.0.0.1 port=1 dbname=radio user=radio", stations={"demo": station})
    (run_dir / "credentials/demo.azuracast-key").write_text("0123:4567\n")
    process.start(SSL_CERT_FILE=str(front.certificate))
    yield process
    process.end()


def song(title: str) -> Track:
    return Track("Ann", title, loop=f"{title.lower()}.mp4")


def shown(playout: FakePeer) -> str:
    return Path(playout.on_air["loop"]).stem


def sources(web: WebProcess) -> dict[str, Any]:
    found: dict[str, Any] = web.api("GET", "status")["stations"]["demo"]
    return found


def up(web: WebProcess, source: str) -> bool:
    line = f'radio_source_up{{source="{source}",station="demo"}} 1.0'
    return line in web.get("/metrics")[2].decode()


def test_radio_web_without_webhooks(azuracast: AzuraCast, playout: FakePeer, web: WebProcess) -> None:
    azuracast.knobs.key = "0123:4567"
    until(lambda: sources(web)["sources"]["sse"]["state"] == "connected", "the event stream")
    azuracast.begin(song("One"))  # AzuraCast itself would not even send a webhook for it
    until(lambda: shown(playout) == "one", "the first song")
    until(lambda: (sources(web)["last_switch"] or {}).get("decided_by") == "sse", "what decided it")
    assert up(web, "sse")

    # The worker hangs, and then all that speaks SSE: the API alone knows of the song.
    azuracast.knobs.hold = True
    azuracast.begin(song("Two"))
    azuracast.knobs.sse = False
    until(lambda: shown(playout) == "two", "a song by the API")
    now = sources(web)["sources"]
    assert (now["sse"]["state"], now["poll"]["state"]) == ("away", "connected")
    assert now["sse"]["error"]
    assert not up(web, "sse")
    assert up(web, "poll")

    azuracast.knobs.hold, azuracast.knobs.sse = False, True
    until(lambda: sources(web)["sources"]["sse"]["state"] == "connected", "the event stream again")
    azuracast.begin(song("Three"))
    until(lambda: shown(playout) == "three", "a song by the stream again")

    azuracast.stop()
    until(lambda: sources(web)["sources"]["poll"]["state"] == "away", "nobody is there")
    assert shown(playout) == "three"
    azuracast.start()
    azuracast.begin(song("Four"))
    until(lambda: shown(playout) == "four", "a song after a restart", 30)
    log = web.seen.read_text() + (web.directory / "app.log").read_text()
    assert "0123:4567" not in log
    assert "Traceback" not in log
