"""One request to a server that may do what it likes."""

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hook_service.web import httpget
from hook_service.web.httpget import Away, break_off, get, post
from tests.rig.net import LOOPBACK, wait_until


class Peer:
    """A server that answers each connection with the next of these bytes, and closes unless told to stay."""

    def __init__(self, *answers: bytes, stay: bool = False, drip: bool = False) -> None:
        self.requests: list[bytes] = []
        self._answers = answers
        self._stay = stay
        self._drip = drip
        self._ended = threading.Event()
        self._socket = socket.create_server((LOOPBACK, 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                request = b""
                while b"\r\n\r\n" not in request and (data := connection.recv(4096)):
                    request += data
                self.requests.append(request)
                connection.sendall(answer)
                while self._drip and not self._ended.wait(0.02):
                    connection.sendall(b"x")
                if self._stay:
                    self._ended.wait(30)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


def page(body: bytes = b"hello", *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json; charset=utf-8", *headers]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(url: str, limit: int = 1000, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
    with get(url, headers or {}, lambda _: None) as answer:
        return answer.status, answer.kind, answer.whole(limit)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpget, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(httpget, "ANSWER_SECONDS", 0.3)


@pytest.mark.parametrize(
    "answer",
    [
        page(),
        page(length=False),
        page(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=False),
        page().replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["length", "until it closes", "chunks", "1.0"],
)
def test_a_page(answer: bytes) -> None:
    with Peer(answer) as peer:
        assert ask(f"{peer.url}/a/b?c=d", headers={"X-API-Key": "k"}) == (200, "application/json", b"hello")
    request = peer.requests[0].decode()
    assert request.startswith("GET /a/b?c=d HTTP/1.1\r\n")
    assert "X-API-Key: k\r\n" in request
    assert "Accept-Encoding: identity\r\n" in request


def test_redirects_are_followed_on_the_host_only() -> None:
    def to(location: str) -> bytes:
        return page(b"", f"Location: {location}", status="302 Found")

    with Peer(to("/other?x=1"), page(b"there")) as peer:
        assert ask(peer.url)[2] == b"there"
        assert peer.requests[1].startswith(b"GET /other?x=1 ")
    for elsewhere in ("http://localhost/", "//radio.invalid/", "http://127.0.0.1.invalid/", "http://127.0.0.1:9/"):
        with Peer(to(elsewhere)) as peer, pytest.raises(Away, match="redirect to http"):
            ask(peer.url, headers={"X-API-Key": "secret"})
    for nowhere in ("", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://127.0.0.1:0/", "http://[::1"):
        with Peer(to(nowhere)) as peer, pytest.raises(Away, match="redirect to nowhere"):
            ask(peer.url)
    with Peer(*[to("/again")] * 10) as peer:
        with pytest.raises(Away, match="more than 3 redirects"):
            ask(peer.url)
        assert len(peer.requests) == 4


def test_what_is_sent_goes_to_no_other_address() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
    with Peer(answer) as peer, post(f"{peer.url}/here", {"X-Key": "k"}, b"body", lambda _: None) as got:
        assert got.whole(10) == b"ok"
        assert peer.requests[0].startswith(b"POST /here HTTP/1.1\r\n")
        assert b"Content-Length: 4\r\n" in peer.requests[0]
    elsewhere = b"HTTP/1.1 307 x\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    with Peer(elsewhere, answer) as peer:
        with pytest.raises(Away, match="not followed"), post(f"{peer.url}/here", {}, b"body", lambda _: None):
            pass
        assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "breaks off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000 + b"\r\n", "not HTTP"),
        (b"HTTP/1.1 9999 OK\r\n\r\n", "not HTTP"),
        (page(b"x" * 2000), "more than 1000 bytes"),
        (page(b"x" * 2000, length=False), "more than 1000 bytes"),
        (page(b"hello", "Content-Encoding: gzip"), "compressed"),
        (page(b"zz\r\n", "Transfer-Encoding: chunked", length=False), "breaks off"),
        (page(b"-5\r\nhello", "Transfer-Encoding: chunked", length=False), "."),
        (page(b"9" * 80_000, "Transfer-Encoding: chunked", length=False), "not HTTP"),
    ],
)
def test_answers_that_are_none(answer: bytes, why: str) -> None:
    with Peer(answer) as peer, pytest.raises(Away, match=why):
        ask(peer.url)


@pytest.mark.usefixtures("quick")
def test_a_server_that_does_not_answer() -> None:
    with Peer(b"", stay=True) as peer, pytest.raises(Away, match="does not answer in time"):
        ask(peer.url)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", page(length=False)], ids=["headers", "body"])
def test_a_server_that_answers_a_byte_at_a_time(start: bytes) -> None:
    began = time.monotonic()
    # Broken off, a body without a length would look whole.
    with Peer(start, drip=True) as peer, pytest.raises(Away, match="takes too long"):
        ask(peer.url)
    assert time.monotonic() - began < 5


def test_nobody_there() -> None:
    with Peer() as peer:
        pass
    with pytest.raises(Away, match="refused"):
        ask(peer.url)
    with pytest.raises(Away):
        ask("http://nobody.invalid/")


def test_what_cannot_be_sent_is_not_shown() -> None:
    with Peer(page()) as peer:
        for key in ("se\ncret", "sécret\u2026"):
            with pytest.raises(Away, match="can't be sent") as raised:
                ask(peer.url, headers={"X-API-Key": key})
            assert "cret" not in str(raised.value)


def test_an_unending_body_may_be_quiet_for_a_while_only() -> None:
    def read_twice() -> None:
        with get(peer.url, {}, lambda _: None) as answer:
            answer.unending(0.2)
            assert answer.read() == b"some"
            answer.read()

    with Peer(page(b"some", length=False), stay=True) as peer, pytest.raises(Away, match="in time"):
        read_twice()


def test_another_thread_can_end_the_wait() -> None:
    sockets: list[socket.socket] = []
    ended = threading.Event()

    def wait() -> None:
        with contextlib.suppress(Away), get(peer.url, {}, sockets.append) as answer:
            answer.unending(30)
            while answer.read():
                pass
        ended.set()

    with Peer(page(b"some", length=False), stay=True) as peer:
        threading.Thread(target=wait, daemon=True).start()
        wait_until(lambda: peer.requests, "the request", 5)
        break_off(sockets[0])
        assert ended.wait(5)


@pytest.fixture
def certificate(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    httpget._tls.cache_clear()
    yield key, cert
    httpget._tls.cache_clear()


def test_certificates_are_verified(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server((LOOPBACK, 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(4096)
                secured.sendall(page())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        with pytest.raises(Away, match="not trusted: self"):
            ask(f"https://localhost:{port}/")
        httpget._tls.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert ask(f"https://localhost:{port}/")[2] == b"hello"
        with pytest.raises(Away, match="not trusted"):
            ask(f"https://127.0.0.1:{port}/")
        thread.join(5)
