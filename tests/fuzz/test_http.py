"""HTTP from both sides: what anyone may send to the web service, and what a server that is asked may answer."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import strategies as st

from hook_service import config
from hook_service.playout import mount
from hook_service.web import server
from hook_service.web.httpget import Away, get
from hook_service.web.problems import MEDIA_TYPE
from tests.fuzz.cases import TEXT, VALUES, changed, fuzz, spoiled
from tests.rig.net import free_port
from tests.unit.tracks.bodies import body
from tests.unit.web.conftest import MakeRig, make_rig  # noqa: F401 - a fixture
from tests.unit.web.doubles import API_TOKEN, BASIC, BEARER, TOKEN, Rig
from tests.unit.web.doubles import body as small_body

WITHOUT_LIMITS = {"requests_per_second": 10_000, "failed_per_minute": 1_000_000_000}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:  # noqa: F811 - the fixture
    return make_rig(web=WITHOUT_LIMITS)


def answered(answer: Any, *also: int) -> None:
    """An answer that is one: no failure of ours, a request id, errors as problem documents."""
    assert answer.status_code < 500 or answer.status_code in also, answer.get_data(as_text=True)
    assert answer.headers["X-Request-Id"]
    if answer.status_code >= 400 and answer.get_data():
        assert answer.mimetype == MEDIA_TYPE
        assert json.loads(answer.get_data())["status"] == answer.status_code


DOCUMENTS = changed(small_body("One", 1)) | changed(body()) | VALUES


@fuzz("webhooks, over HTTP", 6, document=DOCUMENTS, number=st.integers(1, 2**31))
def test_webhook(rig: Rig, document: Any, number: int) -> None:
    if isinstance(document, dict) and isinstance(document.get("now_playing"), dict):
        document["now_playing"].setdefault("sh_id", number)
    answered(rig.client.post("/webhook/azuracast", data=json.dumps(document), headers={**BASIC, **JSON}))


HEADER = st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=60)
HEADERS = st.dictionaries(
    st.sampled_from(
        (
            "Authorization",
            "X-Webhook-Secret",
            "Content-Type",
            "X-Request-Id",
            "X-Forwarded-For",
            "Content-Encoding",
            "Host",
        )
    ),
    HEADER
    | st.sampled_from(
        ("Basic", "Basic =", "Basic Og==", "Bearer ", "application/json; charset=x", BASIC["Authorization"])
    ),
    max_size=4,
)


@fuzz(
    "webhooks, headers",
    4,
    headers=HEADERS,
    path=st.sampled_from(("", f"/{TOKEN}", "/x", "/%00", "/\u00e4/..", "//")),
    method=st.sampled_from(("GET", "POST", "PUT", "TRACE", "OPTIONS", "X")),
    data=spoiled([json.dumps(small_body("One", 1)).encode()]),
)
def test_webhook_headers(rig: Rig, headers: dict[str, str], path: str, method: str, data: bytes) -> None:
    answered(rig.client.open(f"/webhook/azuracast{path}", method=method, data=data, headers=headers))


ROUTES = (
    *("status", "history", "errors", "mappings", "mappings/1", "loops", "destinations", "openapi.json"),
    *("analytics/tracks-per-hour", "analytics/most-played", "analytics/error-rate", "stations/demo/switch", "x"),
)
PARTS = st.sampled_from(
    (*ROUTES, "mappings/" + "9" * 5000, "mappings/-1", "mappings/1.5", "stations/%00/switch", "..", "%2e%2e")
)
QUERY = st.dictionaries(
    st.sampled_from(("station", "q", "since", "until", "cursor", "limit", "severity", "kind", "after", "hours", "x")),
    TEXT.map(lambda text: text.encode("utf-8", "replace").decode())
    | st.integers().map(str)
    | st.sampled_from(("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "WzEsMV0=", "W1tb")),
    max_size=4,
)
MAPPING = {"loop_file_path": "a.mp4", "station": "demo", "kind": "track", "artist": "A", "title": "B"}
DOCUMENT = changed(MAPPING) | changed({"loop": "a.mp4"}) | VALUES
DEEP = st.integers(900, 1000).map(lambda depth: b'{"x":' + b"[" * depth + b"]" * depth + b"}")


@fuzz(
    "the API, without a database",
    6,
    part=PARTS | TEXT.map(lambda text: f"stations/{quote(text, safe='', errors='replace')}/switch"),
    method=st.sampled_from(("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH")),
    query=QUERY,
    data=(changed(MAPPING) | changed({"loop": "a.mp4"}) | VALUES).map(lambda value: json.dumps(value).encode())
    | DEEP,
)
def test_api(rig: Rig, part: str, method: str, query: dict[str, str], data: bytes) -> None:
    values: dict[str, Any] = {"query_string": query, "data": data, "headers": {**BEARER, **JSON}}
    answer = rig.client.open(f"/api/v1/{part}", method=method, **values)
    answered(answer, 503)


@fuzz(
    "the API, who comes in",
    2,
    header=HEADER | st.sampled_from((f"Bearer {API_TOKEN}x", "Bearer", f"Basic {API_TOKEN}")),
)
def test_api_tokens(rig: Rig, header: str) -> None:
    for route in ROUTES:
        answer = rig.client.get(f"/api/v1/{route}", headers={"Authorization": header})
        answered(answer)
        assert answer.status_code in (401, 404, 405) or route == "openapi.json"


@pytest.fixture
def served(make_rig: MakeRig, tmp_path: Path) -> Iterator[tuple[server.Server, int]]:  # noqa: F811 - the fixture
    port = free_port()
    rig = make_rig(web={**WITHOUT_LIMITS, "listen": f"127.0.0.1:{port}"})
    found = server.build(rig.app, config.load(tmp_path / "radio.yml").web)
    thread = threading.Thread(target=found.run, daemon=True)
    thread.start()
    yield found, port
    found.stop()
    thread.join(10)
    assert not thread.is_alive()


CONTENT = json.dumps(small_body("One", 1)).encode()
HEAD = b"Host: a\r\nAuthorization: " + BASIC["Authorization"].encode() + b"\r\nContent-Type: application/json\r\n"
REQUESTS = [
    b"POST /webhook/azuracast HTTP/1.1\r\n" + HEAD + f"Content-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT,
    b"POST /webhook/azuracast HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"a":\r\n2;x=y\r\n1}\r\n0\r\nTrailer: x\r\n\r\n',
    b"GET /api/v1/openapi.json?x=%41&y HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    b"GET /health HTTP/1.0\r\n\r\nGET /nothing HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
]


@fuzz("requests, byte by byte", 4, data=spoiled(REQUESTS))
def test_requests(served: tuple[server.Server, int], data: bytes) -> None:
    found, port = served
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                answer += part
    assert found.alive(5)
    assert not answer or answer.startswith(b"HTTP/1.")
    assert b" 500 " not in answer.partition(b"\r\n")[0]


class Hostile:
    """A server that answers every request with `answer`, and closes."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/radio"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                asked = b""
                while b"\r\n\r\n" not in asked and (part := connection.recv(4096)):
                    asked += part
                connection.sendall(self.answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    resolve = socket.getaddrinfo

    def local(host: Any, *rest: Any, **more: Any) -> Any:
        # A redirect that was spoiled leads anywhere; nobody there is to be asked.
        if host not in ("127.0.0.1", b"127.0.0.1"):
            raise socket.gaierror("not here")
        return resolve(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    found = Hostile()
    yield found
    found.close()


ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n" + b'{"a": [1, 2]}',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nicy-metaint: 16\r\nContent-Type: audio/mpeg\r\n\r\n"
    b"20\r\n" + bytes(32) + b"\r\n-5\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.0 302 Found\r\nLocation: /other\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: http://[::1]:99999/\r\nContent-Encoding: gzip\r\n\r\n",
    b"ICY 200 OK\r\nicy-metaint:16\r\ncontent-type:audio/aacp\r\n\r\n" + bytes(64),
    b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
]


@fuzz("answers to the API's client", 2, data=spoiled(ANSWERS))
def test_answers(hostile: Hostile, data: bytes) -> None:
    hostile.answer = data
    try:
        with get(hostile.url, {"X-API-Key": "secret"}, lambda connection: None) as answer:
            assert len(answer.whole(1 << 20)) <= 1 << 20
    except Away as away:
        why = str(away)
        assert "secret" not in why


@fuzz("answers of a mount", 2, data=spoiled(ANSWERS))
def test_mount(hostile: Hostile, data: bytes) -> None:
    hostile.answer = data
    try:
        stream = mount.connect(hostile.url)
    except mount.NoMount:
        return
    with contextlib.suppress(OSError):
        stream.settimeout(5)
        sound = len(stream.first)
        while part := stream.recv():
            sound += len(part)
        assert sound <= len(data)
    stream.close()
