"""One request to a server that is not trusted: limits on time and size, TLS verified, no redirect elsewhere."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urljoin, urlsplit

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS: Final = 10.0
"""For each address of the name, and for each wait until the body."""
ANSWER_SECONDS: Final = 20.0
"""From the request to the end of the body, however slowly it comes."""
REDIRECTS: Final = 3
_READ: Final = 1 << 16
_SLOW: Final = "takes too long to answer"
_REDIRECTED: Final = (301, 302, 303, 307, 308)


class Away(Exception):
    """There is no answer, or none that can be used; the text says why."""


class Answer:
    """What a server answers: read it with `read` or `whole`."""

    def __init__(self, response: http.client.HTTPResponse, connection: socket.socket, deadline: _Deadline) -> None:
        self.status = response.status
        self.kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        """The media type, without its parameters."""
        self._response = response
        self._connection = connection
        self._deadline = deadline

    def unending(self, quiet: float) -> None:
        """The body has no end to wait for: from now on `read` fails after `quiet` seconds without a byte."""
        self._deadline.cancel()
        self._connection.settimeout(quiet)

    def read(self) -> bytes:
        """What has come of the body; empty at its end."""
        data = self._response.read1(_READ)
        if not data and self._deadline.passed:
            # Of a body without a length, that looks like its end.
            raise Away(_SLOW)
        return data

    def whole(self, limit: int) -> bytes:
        """The whole body. Raises Away for one of more than `limit` bytes."""
        parts, size = [], 0
        while part := self.read():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise Away(f"answers with more than {limit} bytes")
        return b"".join(parts)


@contextmanager
def get(url: str, headers: Mapping[str, str], opened: Callable[[socket.socket], None]) -> Iterator[Answer]:
    """Ask for `url`; the connection ends with the context. Raises Away, also from within, for whatever goes wrong.

    `opened` is given each connection, for another thread to `break_off`. The headers go to the host and port of `url`
    only, or from http to that host's https: a redirect to anywhere else is refused.
    """
    with _as_away():
        for _ in range(1 + REDIRECTS):
            with _ask("GET", urlsplit(url), headers, None, opened) as (answer, location):
                if location is None:
                    yield answer
                    return
                url = _next(url, location)
        raise Away(f"answers with more than {REDIRECTS} redirects")


@contextmanager
def post(
    url: str, headers: Mapping[str, str], body: bytes, opened: Callable[[socket.socket], None]
) -> Iterator[Answer]:
    """Send `body` to `url`, as `get` asks for one. No redirect is followed: what is sent is meant for `url` alone."""
    with _as_away(), _ask("POST", urlsplit(url), headers, body, opened) as (answer, location):
        if location is not None:
            raise Away("answers with a redirect, which is not followed")
        yield answer


@contextmanager
def _as_away() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise Away(_said(error)) from None
    except ValueError:
        # The error's own text would show the header, which may be a key.
        raise Away("can't be asked: its address or the key for it has characters that can't be sent") from None


def break_off(connection: socket.socket) -> None:
    """End a connection that another thread waits for; that one gets an error or the end of the body."""
    with contextlib.suppress(OSError):
        # Below TLS: its own shutdown takes things away from under the thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Deadline:
    """Breaks a connection off after `ANSWER_SECONDS`, unless cancelled: a server that sends a byte now and then keeps
    every single wait short.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.passed = False
        self._connection = connection
        self._timer = threading.Timer(ANSWER_SECONDS, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """The answer is there, or is not waited for."""
        self._timer.cancel()

    def _pass(self) -> None:
        self.passed = True
        break_off(self._connection)


@contextmanager
def _ask(
    method: str,
    url: SplitResult,
    headers: Mapping[str, str],
    body: bytes | None,
    opened: Callable[[socket.socket], None],
) -> Iterator[tuple[Answer, str | None]]:
    """One request; the answer, and where it redirects to."""
    connection = _connection(url)
    try:
        connection.connect()
        peer = connection.sock
        opened(peer)
        deadline = _Deadline(peer)
        try:
            path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
            # As it asks for no other, http.client says "Accept-Encoding: identity".
            connection.request(method, path, body, {"User-Agent": "Steadycast", **headers})
            with connection.getresponse() as response:
                if response.getheader("Content-Encoding", "identity").lower() != "identity":
                    raise Away("answers with a compressed body, which was not asked for")
                redirect = response.status in _REDIRECTED
                location = (response.getheader("Location") or "") if redirect else None
                yield Answer(response, peer, deadline), location
        except (OSError, http.client.HTTPException):
            if deadline.passed:
                raise Away(_SLOW) from None
            raise
        finally:
            deadline.cancel()
    finally:
        connection.close()


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    # Without a port it would look for one in the name, and find one in every IPv6 address.
    host, port = url.hostname or "", _port(url)
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=_tls())
    return http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)


def _port(url: SplitResult) -> int:
    if url.port is not None:
        return url.port
    return http.client.HTTPS_PORT if url.scheme == "https" else http.client.HTTP_PORT


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """One for all: it holds the certificates of every authority."""
    import ssl  # noqa: PLC0415 - not for those who ask over plain HTTP

    return ssl.create_default_context()


def _next(url: str, location: str) -> str:
    """Where a redirect leads, if it stays on the host."""
    here = urlsplit(url)
    try:
        there = urlsplit(urljoin(url, location))
        usable = there.scheme in ("http", "https") and bool(location) and there.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Away("answers with a redirect to nowhere")
    # Another port is another service, unless it proves by its certificate that it is the same host's.
    same = (here.scheme, _port(here)) == (there.scheme, _port(there)) or (here.scheme, there.scheme) == (
        "http",
        "https",
    )
    if there.hostname != here.hostname or not same:
        raise Away(
            f"answers with a redirect to {there.scheme}://{there.netloc[:200]}; write the address that is meant"
        )
    return there.geturl()


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
        return "breaks off its answer"
    if isinstance(error, http.client.HTTPException):
        return "answers with something that is not HTTP"
    verification = getattr(error, "verify_message", None)
    if verification:
        return f"has a certificate that is not trusted: {verification}"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
