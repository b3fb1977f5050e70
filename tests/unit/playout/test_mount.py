"""Asking mounts of all kinds for their sound, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout import mount
from hook_service.playout.mount import Chunks, NoMount, connect
from hook_service.playout.nearness import WORLD
from tests.unit.playout.helpers import open_files

OK = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n"
Serve = Callable[..., str]


class Server:
    """Answers each connection with the next of its answers, and keeps it open for a while."""

    def __init__(self, answers: list[bytes], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.done = threading.Event()
        self._answers = list(answers)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        for answer in self._answers:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    plain = self._context.wrap_socket(connection, server_side=True) if self._context else connection
                    with plain:
                        self.requests.append(plain.recv(4096))
                        plain.sendall(answer)
                        if answer.endswith(b"..."):  # nothing more comes, and it does not end
                            self.done.wait(8)

    def end(self) -> None:
        self.done.set()
        # Wakes who waits for a connection that did not come.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def begin(*answers: bytes, context: ssl.SSLContext | None = None) -> Server:
        made.append(Server(list(answers), context))
        return made[-1]

    yield begin
    for server in made:
        server.end()


def url(server: Server, path: str = "/radio.mp3", scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.port}{path}"


def all_of(stream: mount.Stream) -> bytes:
    data = stream.first
    while more := stream.recv():
        data += more
    stream.close()
    return data


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (b"audio/mpeg", "mp3"),
        (b"AUDIO/MPEG; charset=x", "mp3"),
        (b"audio/aacp", "aac"),
        (b"application/ogg", "ogg"),
        (b"audio/flac", None),
        (b"", None),
    ],
)
def test_its_format_by_its_content_type(serve: Callable[..., Server], kind: bytes, name: str | None) -> None:
    server = serve(b"HTTP/1.0 200 OK\r\nContent-Type: " + kind + b"\r\nicy-metaint: 16000\r\n\r\nsound")
    stream = connect(url(server))
    assert stream.demuxer == name
    assert stream.interval == 16000
    assert all_of(stream) == b"sound"


def test_what_is_asked(serve: Callable[..., Server]) -> None:
    server = serve(OK + b"\r\n")
    connect(url(server, "/the radio.mp3?a=b c"), more={"IceBlocks": "1"}).close()
    head, *lines = server.requests[0].decode().split("\r\n")
    assert head == "GET /the%20radio.mp3?a=b%20c HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert {"Icy-MetaData: 1", "User-Agent: Steadycast", "IceBlocks: 1", "Connection: close"} < set(lines)


@pytest.mark.parametrize(
    "head",
    [
        b"ICY 200 OK\r\nicy-name: x\r\nContent-Type:audio/mpeg\r\n\r\n",
        b"HTTP/1.0 200 OK\nContent-Type: audio/mpeg\n\n",
        b"HTTP/1.1 200 OK\r\nIcy-MetaInt: nonsense\r\nno header\r\nContent-Type: audio/mpeg\r\n\r\n",
    ],
)
def test_the_dialects_of_servers(serve: Callable[..., Server], head: bytes) -> None:
    stream = connect(url(serve(head + b"sound")))
    assert (stream.demuxer, stream.interval) == ("mp3", 0)
    assert all_of(stream) == b"sound"


def test_chunks(serve: Callable[..., Server]) -> None:
    body = b"5\r\nsound\r\n6;x=y\r\n, more\r\n0\r\n\r\n"
    stream = connect(url(serve(OK + b"Transfer-Encoding: chunked\r\n\r\n" + body)))
    assert all_of(stream) == b"sound, more"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(1, 20), min_size=1))
def test_chunks_in_any_portions(parts: list[bytes], portions: list[int]) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    chunks, found, at, turn = Chunks(), b"", 0, 0
    while at < len(body):
        size = portions[turn % len(portions)]
        found += chunks.feed(body[at : at + size])
        at, turn = at + size, turn + 1
    assert found == b"".join(parts)
    assert chunks.ended


@given(st.binary(max_size=600))
def test_chunks_of_nonsense(data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        Chunks().feed(data)


def test_nothing_now_is_not_the_end(serve: Callable[..., Server]) -> None:
    stream = connect(url(serve(OK + b"\r\n...")))
    stream.settimeout(0)
    deadline = time.monotonic() + 5
    got = stream.first
    while got != b"..." and time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            got += stream.recv()
    began = time.monotonic()
    with pytest.raises(BlockingIOError):
        stream.recv()
    assert time.monotonic() - began < 0.1
    stream.close()


def test_redirects_are_followed(serve: Callable[..., Server]) -> None:
    end = serve(OK + b"\r\nsound")
    middle = serve(b"HTTP/1.1 302 Found\r\nLocation: " + url(end, "/x").encode() + b"\r\n\r\n")
    first = serve(b"HTTP/1.1 301 Moved\r\nlocation: /radio\r\n\r\n", b"HTTP/1.1 307 T\r\nLocation: x\r\n\r\n")
    assert all_of(connect(url(middle))) == b"sound"
    with pytest.raises(NoMount, match=r"broke off|can't be reached|in time"):
        connect(url(first, "/a/b"), 0.5)
    assert [request.split()[1] for request in first.requests] == [b"/a/b", b"/radio"]


@pytest.mark.parametrize("to", [b"file:///etc/passwd", b"rtmp://127.0.0.1/x", b"http://", b"http://[::1", b"//[::1"])
def test_a_redirect_to_something_else(serve: Callable[..., Server], to: bytes) -> None:
    server = serve(b"HTTP/1.0 302 Found\r\nLocation: " + to + b"\r\n\r\n")
    with pytest.raises(NoMount):
        connect(url(server))


@pytest.mark.parametrize("to", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"])
def test_a_redirect_to_where_nobody_broadcasts(serve: Callable[..., Server], to: str) -> None:
    """A cloud answers there with the host's own credentials."""
    server = serve(f"HTTP/1.0 302 Found\r\nLocation: http://{to}/latest/meta-data\r\n\r\n".encode())
    began = time.monotonic()
    with pytest.raises(NoMount, match="may not lead there"):
        connect(url(server))
    assert time.monotonic() - began < 2


def test_a_redirect_from_the_world_to_this_host(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = serve(OK + b"\r\nsound")
    outer = serve(b"HTTP/1.0 302 Found\r\nLocation: " + url(inner).encode() + b"\r\n\r\n")
    # No address of the world can be served from here.
    monkeypatch.setattr("hook_service.playout.mount.nearness", lambda _: WORLD)
    with pytest.raises(NoMount, match="may not lead there"):
        connect(url(outer))
    assert inner.requests == []


def test_a_redirect_without_an_end(serve: Callable[..., Server]) -> None:
    server = serve(*[b"HTTP/1.0 302 Found\r\nLocation: /again\r\n\r\n"] * 6)
    with pytest.raises(NoMount, match="again and again"):
        connect(url(server))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.0 404 File Not Found\r\n\r\n", "isn't there"),
        (b"HTTP/1.0 401 Authentication Required\r\n\r\n", "may not be listened to"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "status 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "no sound"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n", "playlist"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nicy-metaint: 9000000\r\n\r\n", "title"),
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
        (b"\xff\xfe\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "no HTTP"),
        (b"x" * 40000, "no end"),
    ],
)
def test_what_is_no_mount_says_why(serve: Callable[..., Server], answer: bytes, why: str) -> None:
    before = open_files()
    server = serve(answer)
    with pytest.raises(NoMount, match=why):
        connect(url(server, "/radio.mp3?token=SECRET"))
    server.end()
    assert open_files() <= before


def test_an_address_keeps_its_query_to_itself(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.0 404 File Not Found\r\n\r\n")
    with pytest.raises(NoMount) as caught:
        connect(url(server, "/radio.mp3?token=SECRET"))
    assert "SECRET" not in str(caught.value)
    assert "/radio.mp3" in str(caught.value)


def test_a_server_that_hangs_costs_so_long_only(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg...")
    began = time.monotonic()
    with pytest.raises(NoMount, match="in time"):
        connect(url(server), 0.3)
    assert time.monotonic() - began < 2


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NoMount, match="can't be reached"):
        connect(f"http://127.0.0.1:{port}/x")


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:99999/x", "http://127.0.0.1:port/x", "ftp://h/x", "http:///x", "x"]
)
def test_what_is_no_address(where: str) -> None:
    with pytest.raises(NoMount, match=r"audio\.url"):
        connect(where)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".invalid", "\u00fcber.invalid"])
def test_a_name_without_an_address(host: str) -> None:
    with pytest.raises(NoMount, match="has no address"):
        connect(f"http://{host}/x")


class TestSecured:
    """https, with a certificate of our own."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        path = tmp_path / "both.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
            check=True, capture_output=True,
        )  # fmt: skip
        path.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
        return path

    @pytest.fixture
    def context(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context

    def test_is_read_like_any_other_and_never_waited_for(
        self,
        serve: Callable[..., Server],
        context: ssl.SSLContext,
        certificate: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
        sound = bytes(range(256)) * 400
        stream = connect(url(serve(OK + b"\r\n" + sound + b"...", context=context), scheme="https"))
        stream.settimeout(0)
        got, deadline = stream.first, time.monotonic() + 5
        while len(got) < len(sound) + 3 and time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                got += stream.recv()
        assert got == sound + b"..."
        with pytest.raises(BlockingIOError):
            stream.recv()
        stream.close()

    def test_a_certificate_of_nobody(self, serve: Callable[..., Server], context: ssl.SSLContext) -> None:
        before = open_files()
        server = serve(OK + b"\r\n", context=context)
        with pytest.raises(NoMount, match="certificate is not valid"):
            connect(url(server, scheme="https"))
        server.end()
        assert open_files() <= before

    def test_a_server_that_speaks_no_tls(self, serve: Callable[..., Server]) -> None:
        with pytest.raises(NoMount, match="broke off"):
            connect(url(serve(OK + b"\r\n"), scheme="https"))


def test_no_http_library_and_no_tls_where_there_is_none() -> None:
    """What the playout holds for months must stay small."""
    code = (
        "import sys, hook_service.playout.main\n"
        "print([m for m in ('ssl', 'http.client', 'email', 'encodings.idna', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
