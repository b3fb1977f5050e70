"""What must not be had from outside: the API without the right token, files, addresses, secrets.

What can name an address at all? The configuration alone: mounts, AzuraCasts and ingests are written by root. A
redirect is the one way in which a server names one: `test_nearness.py` has the mount's, `test_azuracast_http.py`
AzuraCast's. Here is shown that nothing that comes in over the network does.
"""

import itertools
import json
import signal
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.onair import errors, on_air, show, wait_healthy
from tests.rig import procfs
from tests.rig.azuracast import Track, body
from tests.rig.layout import Options
from tests.rig.net import http, wait_until
from tests.rig.station import Station

ADDRESSES = (f"198.51.100.{number}" for number in itertools.count(1))
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
NOT_TOKENS = ("webhook-password", "webhook-secret", "webhook-token", "demo.azuracast-key", "demo.platform.key")


@pytest.fixture(scope="module")
def open_station(prepared: Path) -> Iterator[Station]:
    """A station with an AzuraCast that wants a key, behind a proxy: clients can have addresses of their own."""

    def configure(config: dict[str, Any]) -> None:
        config["web"]["trusted_proxies"] = 1

    secrets = {"api-read-token": "read-6d0f5a17c94be823", "demo.azuracast-key": "0123abcd:azura-77e1c05b9f3ad642"}
    with on_air(prepared, Options(configure=configure, credentials=secrets)) as station:
        assert station.azuracast is not None
        station.azuracast.knobs.key = secrets["demo.azuracast-key"]
        yield station


def ask(
    station: Station, method: str, path: str, authorization: str = "", content: object = None
) -> tuple[int, dict[str, Any] | bytes]:
    """Status and body of an answer to a client with an address that nobody had before."""
    headers = {"X-Forwarded-For": next(ADDRESSES)}
    if authorization:
        headers["Authorization"] = authorization
    status, text = http(f"{station.base_url}{path}", method=method, headers=headers, body=content)
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def bearer(station: Station, name: str) -> str:
    return f"Bearer {station.secret(name)}"


def routes(station: Station) -> list[tuple[str, str]]:
    """Every method and path of the OpenAPI document, with something in the place of its parameters."""
    status, document = ask(station, "GET", "/api/v1/openapi.json")
    assert status == 200
    assert isinstance(document, dict)
    found = [
        (
            method.upper(),
            path.format(mapping_id=2**30, station="demo", upload_id="0" * 32, name="x", token_id=1, song_id=1),
        )
        for path, methods in document["paths"].items()
        for method in methods
    ]
    assert len(found) >= 14
    return found


def test_every_route_wants_a_token(open_station: Station) -> None:
    station = open_station
    basic = b64encode(f"azuracast:{station.secret('webhook-password')}".encode()).decode()
    token = station.secret("api-token")
    wrong = ["", "Bearer", "Bearer ", f"Bearer {token[:-1]}", f"Bearer {token}x", f"Basic {basic}", token]
    wrong += [f"Bearer {token.upper()}" if token.upper() != token else "Bearer x", f"Token {token}"]
    wrong += [bearer(station, name) for name in NOT_TOKENS]
    for (method, path), authorization in itertools.product(routes(station), wrong):
        status, told = ask(station, method, path, authorization, {} if method in ("POST", "PUT") else None)
        assert status == 401, (method, path, authorization)
        assert isinstance(told, dict)
        assert "Send a token" in told["detail"]


def test_the_read_token_reads_everything_and_changes_nothing(open_station: Station) -> None:
    station = open_station
    before = station.sql("SELECT count(*), max(updated_at) FROM track_mappings")
    switches = station.status()["switches"]
    for method, path in routes(station):
        content = {"loop": "coral.mp4"} if method in ("POST", "PUT") else None
        status, _ = ask(station, method, path, bearer(station, "api-read-token"), content)
        # Who did what, and who may, is for those who may do everything.
        readable = method == "GET" and not path.startswith(("/api/v1/tokens", "/api/v1/audit"))
        assert status in ((200, 404, 422) if readable else (403,)), (method, path, status)
        if method != "GET" and ("/stations/" in path or "/destinations/" in path):
            continue  # it would be done: these need no more than to be asked
        status, _ = ask(station, method, path, bearer(station, "api-token"), {} if content else None)
        assert status in (200, 202, 204, 404, 409, 422), (method, path, status)
    assert station.sql("SELECT count(*), max(updated_at) FROM track_mappings") == before
    assert station.status()["switches"] == switches


def test_what_is_not_in_the_document_is_not_there(open_station: Station) -> None:
    station = open_station
    known = routes(station)
    full = bearer(station, "api-token")
    for path in {path for _, path in known}:
        for method in (*METHODS, "PATCH", "OPTIONS", "TRACE", "CONNECT"):
            if (method, path) == ("OPTIONS", "/api/v1/uploads"):
                continue  # how clients of tus find out what a server can do
            if (method, path) not in known and not (method == "HEAD" and ("GET", path) in known):
                assert ask(station, method, path, full, {} if method != "CONNECT" else None)[0] in (404, 405), path
    for path in ("/api/v1", "/api/v1/", "/api/v2/status", "/api/v1/openapi", "/openapi", "/static/x", "/console"):
        assert ask(station, "GET", path, full)[0] == 404, path


def test_metrics_are_for_the_host_alone(open_station: Station) -> None:
    assert http(f"{open_station.base_url}/metrics")[0] == 200
    assert ask(open_station, "GET", "/metrics", bearer(open_station, "api-token"))[0] == 403


OUTSIDE = (
    "../credentials/api-token", "../../etc/passwd", "/etc/passwd", "coral.mp4/../../credentials/api-token", "..",
    "%2e%2e/radio.yml", "..\\radio.yml", "coral.mp4\0.mp4", "coral.mp4\n", "./../radio.yml", "a/" * 400 + "x.mp4",
    "file:///etc/passwd", "http://{canary}/x.mp4", "rtmp://{canary}/x", "concat:coral.mp4|/etc/passwd",
    "//{canary}/share/x.mp4", "|id", "-i", "subfile,,start,0,end,9,,:/etc/passwd", "~root/x.mp4", "$(id).mp4",
)  # fmt: skip


class Canary:
    """A server that nobody may ask for anything."""

    def __init__(self) -> None:
        self.asked = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                self._server.accept()[0].close()
                self.asked += 1

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


def test_no_name_leads_out_of_the_loops(open_station: Station) -> None:
    """Neither to a file nor to an address: given to the API, or in a webhook."""
    station = open_station
    canary = Canary()
    full = bearer(station, "api-token")
    begun = time.time()
    try:
        names = [name.format(canary=canary.place) if "{" in name else name for name in OUTSIDE]
        for name in names:
            status, told = ask(station, "POST", "/api/v1/stations/demo/switch", full, {"loop": name})
            # What is only an odd name is a file that is not there: the default loop is shown, and it is said.
            assert status in (202, 422), (name, told)
            inside = ".." not in name.split("/") and not name.startswith("/") and "://" not in name
            assert status == 422 or inside, name
            mapping = {"artist": "Escape", "title": name[:40], "loop_file_path": name}
            status, told = ask(station, "PUT", "/api/v1/mappings", full, mapping)
            assert status in ((200, 422) if inside else (422,)), (name, told)
            track = Track("Escape", f"by webhook {name[:40]}", loop=name)
            message = body("demo", track)
            message["now_playing"]["song"]["art"] = f"http://{canary.place}/art.jpg"
            hook = {"X-Webhook-Secret": station.secret("webhook-secret")}
            assert http(station.webhook_url, body=message, headers=hook)[0] == 202
        station.wait_on_air("default.mp4", seconds=15)
        shown = station.sql(
            "SELECT DISTINCT loop_file_path FROM play_history WHERE started_at >= now() - '1 min'::interval"
        )
        assert all(Path(loop).is_relative_to(station.loops) for (loop,) in shown), shown
        wait_until(lambda: errors(station, begun), "a row in the error log", 5)
        for extra in ("url", "destination", "audio", "azuracast"):
            mapping = {"artist": "A", "title": "B", "loop_file_path": "x.mp4", extra: f"http://{canary.place}/"}
            status, told = ask(station, "PUT", "/api/v1/mappings", full, mapping)
            assert status == 422, told
        for method in ("POST", "PUT", "DELETE"):
            assert ask(station, method, "/api/v1/destinations", full, {"url": f"rtmp://{canary.place}/x"})[0] == 405
        assert canary.asked == 0
    finally:
        canary.close()


def test_a_link_out_of_the_loops_shows_nothing(open_station: Station) -> None:
    """Who may upload may make links: what they lead to is not even opened."""
    station = open_station
    full = bearer(station, "api-token")
    link = station.loops / "leak.mp4"
    link.symlink_to(station.run_dir / "credentials" / "api-token")
    begun = time.time()
    try:
        assert ask(station, "POST", "/api/v1/stations/demo/switch", full, {"loop": link.name})[0] == 202
        wait_until(
            lambda: any("leads out of" in message for _, _, message in errors(station, begun)), "a word of it", 15
        )
        assert station.on_air() != link.name

        def listed() -> list[dict[str, Any]]:
            return [item for item in station.api("loops?limit=500")["items"] if item["name"] == link.name]

        # A listing may be a second old.
        wait_until(listed, "it among the loops", 5)
        assert set(listed()[0]["profiles"].values()) == {"pending"}
    finally:
        link.unlink()


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/api/v1/../../radio.yml", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"]
)
def test_no_path_leads_to_a_file(open_station: Station, path: str) -> None:
    with socket.create_connection(("127.0.0.1", open_station.ports["web"]), timeout=5) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in (b"404", b"400")
    assert b"root:" not in answer
    assert b"stations:" not in answer


# --- secrets --------------------------------------------------------------------------------------------------


def kill_and_wait(station: Station, process: str) -> None:
    """Kill it, and wait for the one that takes its place."""
    killed = station.processes()[process]["pid"]
    station.send(process, signal.SIGKILL)
    wait_until(lambda: station.processes()[process]["pid"] not in (None, killed), f"{process} again", 15)


def everything_once(station: Station) -> None:
    """Every kind of traffic, and the faults that make processes talk."""
    secret = station.secret
    message = body("demo", Track("Leak", "One"))
    webhook, token = station.webhook_url, secret("webhook-token")
    assert http(f"{webhook}/{token}", body=message)[0] == 202
    assert http(webhook, body=message, headers={"X-Webhook-Secret": secret("webhook-secret")})[0] == 202
    # Wrong in every way that may have somebody repeat what was sent.
    hook = f"/webhook/azuracast/{token}"
    for path in (hook, f"{hook}/x", f"{hook}?a={token}"):
        for content in (b"{", b"[]", b'{"song": 1}', json.dumps({"song": {"artist": token, "title": 1}}).encode()):
            ask(station, "POST", path, bearer(station, "api-token"), content)
    for name in (*NOT_TOKENS, "api-token", "api-read-token", "database-password"):
        for path in (f"/{secret(name)}", f"/api/v1/{secret(name)}", f"/api/v1/history?station={secret(name)}"):
            ask(station, "GET", path, bearer(station, "api-token"))
        ask(station, "GET", "/api/v1/status", f"Bearer x{secret(name)}")
    for process in ("destination:platform", "publisher", "audio"):
        kill_and_wait(station, process)
    # A platform that refuses, and one that is away.
    station.platform.stop()
    wait_until(lambda: station.processes()["destination:platform"]["state"] != "RUNNING", "the platform missed", 20)
    station.platform.start()
    station.send("web", signal.SIGKILL)
    wait_healthy(station, 40)
    assert station.azuracast is not None
    station.azuracast.knobs.key = "another"
    station.azuracast.stop()
    station.azuracast.start()
    show(station, "meadow.mp4")
    station.wait_on_air("meadow.mp4", seconds=20)


def places(station: Station) -> dict[str, bytes]:
    """Where a secret would be seen: logs, processes, answers, the database, what is kept on disk."""
    found: dict[str, bytes] = {}
    roots = [service.pid for service in station.services.values()]
    for pid in procfs.tree(roots):
        for what in ("cmdline", "environ"):
            with suppress(OSError):
                found[f"{what} of {pid}"] = Path(f"/proc/{pid}/{what}").read_bytes()
    for name in (*station.services, "migrate"):
        log = station.run_dir / "log" / f"{name}.log"
        found[log.name] = log.read_bytes()
    for path in station.app_log.parent.glob("app.log*"):
        found[path.name] = path.read_bytes()
    for directory in ("relay", "state", "library"):
        for path in (station.run_dir / directory).rglob("*"):
            if path.is_file() and path.stat().st_size < 1_000_000:
                found[str(path.relative_to(station.run_dir))] = path.read_bytes()
    for path in (station.run_dir / "run").rglob("*"):
        # What FFmpeg must be told of a key is in a file that its owner alone can read.
        if path.is_file() and path.stat().st_mode & 0o077:
            found[str(path.relative_to(station.run_dir))] = path.read_bytes()
    for page in ("/metrics", "/health"):
        found[page] = http(f"{station.base_url}{page}")[1]
    full = {"Authorization": bearer(station, "api-token")}
    for method, route in routes(station):
        if method == "GET":
            found[f"answer of {route}"] = http(f"{station.base_url}{route}", headers=full)[1]
    stat = http(f"http://{station.address('relay_stat')}/stat")[1]
    found["the relay's statistics"] = stat
    for table in ("error_log", "play_history", "track_mappings"):
        rows = station.database.sql(f"SELECT t::text FROM {table} t")
        found[f"table {table}"] = repr(rows).encode()
    return found


def test_no_secret_is_seen_anywhere(open_station: Station) -> None:
    station = open_station
    everything_once(station)
    seen = places(station)
    assert len(seen) > 60
    assert all(any(name.startswith(kind) for name in seen) for kind in ("cmdline", "environ", "app.log", "answer"))
    names = {path.name for path in (station.run_dir / "credentials").iterdir()}
    assert {*NOT_TOKENS, "api-token", "api-read-token", "database-password"} <= names
    leaks = [
        f"{name} is in {where}"
        for name in sorted(names)
        for where, text in seen.items()
        # Also as it looks in an address, and as AzuraCast and Basic authentication send it.
        if any(form in text for form in forms(station.secret(name)))
    ]
    assert leaks == []


def forms(secret: str) -> list[bytes]:
    login = b64encode(f"azuracast:{secret}".encode()).strip(b"=")
    return [secret.encode(), secret.replace(":", "%3A").encode(), login]


def test_what_holds_a_secret_is_the_owners_alone(open_station: Station) -> None:
    station = open_station
    assert (station.run_dir / "credentials").stat().st_mode & 0o077 == 0
    holders = [
        path
        for path in station.run_dir.rglob("*")
        if path.is_file() and path.stat().st_size < 1_000_000 and station.key().encode() in path.read_bytes()
    ]
    assert len(holders) >= 2, "the credential, and what FFmpeg is told"
    # The platform's own log is the world outside.
    assert [path for path in holders if path.stat().st_mode & 0o077 and "platform" not in path.parts] == []
