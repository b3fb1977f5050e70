"""Asking a mount for its sound: its name, TCP, TLS, redirects and headers, each with a time limit.

`connect` blocks, so it runs in a short-lived thread; the `Stream` it gives can then be polled without waiting. Raw
sockets, because what Python needs for HTTP would take 4 MB of a process that asks a few times a month.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from hook_service.playout.nearness import may_lead, nearness

CONNECT_SECONDS = 5.0
_ADDRESS_SECONDS = 3.0  # for each address of the name
_REDIRECTS = 5
_HEADERS_LIMIT = 32 * 1024
_INTERVAL_LIMIT = 1 << 20
_READ = 1 << 14  # a TLS record at most
_REDIRECTED = (301, 302, 303, 307, 308)
# A mount's burst begins in the middle of a frame: left to guess, FFmpeg reads 3 to 4.5 s of it to be sure.
_DEMUXERS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/x-aac": "aac",
    "audio/ogg": "ogg",
    "application/ogg": "ogg",
}


class NoMount(Exception):
    """The mount can't be listened to; the text says why, and how to mend it."""


class Stream:
    """What a mount sends: `first` came with its headers, `recv` gives what follows."""

    def __init__(self, connection: socket.socket, headers: Mapping[str, str], first: bytes) -> None:
        """`headers` by their names in lower case; `first` are the bytes that came after them."""
        self.headers = headers
        self.demuxer = _DEMUXERS.get(_kind(headers))
        """FFmpeg's name for what is sent; None where the mount says nothing known."""
        interval = headers.get("icy-metaint", "").strip()
        self.interval = int(interval) if interval.isascii() and interval.isdigit() and len(interval) < 8 else 0
        """Bytes of sound between two of the mount's titles; 0 where it sends none that way."""
        if self.interval > _INTERVAL_LIMIT:
            raise NoMount(f"sends a title every {self.interval} bytes only; no server of streams does that")
        self._connection = connection
        self._chunks = Chunks() if "chunked" in headers.get("transfer-encoding", "").lower() else None
        self.first = self._chunks.feed(first) if self._chunks else first

    def settimeout(self, seconds: float) -> None:
        """How long `recv` may wait; 0: not at all, it raises BlockingIOError instead."""
        self._connection.settimeout(seconds)

    def recv(self, size: int = _READ) -> bytes:
        """More of it; empty at its end. Raises BlockingIOError where there is nothing now, else OSError."""
        while True:
            try:
                data = self._connection.recv(size)
            except OSError as error:
                # TLS has its own way to say "nothing now", and its module is imported where it is needed only.
                if type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError"):
                    raise BlockingIOError from None
                raise
            if not data or self._chunks is None:
                return data
            body = self._chunks.feed(data)
            if body or self._chunks.ended:
                return body

    def close(self) -> None:
        """End it."""
        self._connection.close()


class Chunks:
    """A body in chunks (RFC 9112, 7.1), as some proxies send it, made whole."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0
        self._line = b""
        self._after = False  # a chunk's own line end comes first

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`. Raises ConnectionError for what are no chunks."""
        parts = []
        at = 0
        while at < len(data) and not self.ended:
            if self._left:
                part = data[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                self._after = not self._left
                continue
            end = data.find(b"\n", at)
            line = self._line + data[at : end if end >= 0 else len(data)]
            if len(line) > 256:
                raise ConnectionError("the server's chunks make no sense")
            if end < 0:
                self._line = line
                break
            at, self._line = end + 1, b""
            line = line.strip()
            if self._after and not line:
                self._after = False
                continue
            try:
                self._left = int(line.partition(b";")[0], 16)
            except ValueError:
                raise ConnectionError("the server's chunks make no sense") from None
            self.ended = self._left <= 0
        return b"".join(parts)


def connect(url: str, seconds: float = CONNECT_SECONDS, more: Mapping[str, str] | None = None) -> Stream:
    """Ask for the mount at `url`, with the headers `more`, within `seconds` once its name is known. Blocks.

    Raises NoMount. How long a name server may take is the system's to say (`options timeout` in resolv.conf).
    """
    deadline = time.monotonic() + seconds
    nearest: int | None = None
    for _ in range(_REDIRECTS + 1):
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise NoMount(f"{url!r} is no address of a mount ({error})") from None
        try:
            connection, nearest = _reach(parts, deadline, nearest)
            answer = _ask(connection, parts, deadline, more or {})
            if isinstance(answer, Stream):
                return answer
            url = answer if "://" in answer else urljoin(url, answer)
        except TimeoutError:
            raise NoMount(f"{_place(parts)} did not answer in time; is the server overloaded?") from None
        except (OSError, ValueError) as error:
            raise NoMount(f"{_place(parts)} broke off: {error}") from None
    raise NoMount(f"{_place(parts)} redirects again and again; give the address that it ends at as audio.url")


def _ask(connection: socket.socket, parts: SplitResult, deadline: float, more: Mapping[str, str]) -> Stream | str:
    """One request: the stream, or the address that it was redirected to."""
    connection = _secured(connection, parts, deadline)
    try:
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
        lines = (
            f"GET {path}{query} HTTP/1.1",
            f"Host: {_ascii(_server(parts)).decode()}",
            "User-Agent: Steadycast",
            "Accept: */*",
            "Icy-MetaData: 1",
            "Connection: close",
            *(f"{name}: {value}" for name, value in more.items()),
        )
        connection.settimeout(_left(deadline))
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        status, headers, first = _answer(connection, deadline)
        if status in _REDIRECTED and headers.get("location"):
            connection.close()
            return headers["location"].strip()
        _judge(parts, status, headers)
        return Stream(connection, headers, first)
    except BaseException:
        connection.close()
        raise


def _reach(parts: SplitResult, deadline: float, nearest: int | None) -> tuple[socket.socket, int]:
    """A TCP connection to the first of the name's addresses that answers, and how near that is.

    `nearest` is how near the server is that redirected here; None where none did.
    """
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoMount(f"{parts.geturl()!r} is no address of a mount; audio.url begins with http:// or https://")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        # As bytes: a str would be taken through Python's tables for international names, which hold a megabyte.
        found = socket.getaddrinfo(_ascii(parts.hostname), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoMount(f"{parts.hostname} has no address ({error}); check audio.url and this host's DNS") from None
    except ValueError:
        raise NoMount(f"{_place(parts)}: its port is none; check audio.url") from None
    trouble: Exception | None = None
    for family, kind, protocol, _, address in found:
        if nearest is not None and not may_lead(nearest, str(address[0])):
            trouble = NoMount("a redirect may not lead there")
            continue
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(min(_ADDRESS_SECONDS, _left(deadline)))
            connection.connect(address)
        except OSError as error:
            connection.close()
            trouble = error
            continue
        return connection, nearness(str(address[0]))
    why = "no answer" if isinstance(trouble, TimeoutError) else str(trouble)
    raise NoMount(f"{parts.hostname}:{port} can't be reached ({why}); is the server up, and is audio.url right?")


def _secured(connection: socket.socket, parts: SplitResult, deadline: float) -> socket.socket:
    if parts.scheme != "https":
        return connection
    import ssl  # noqa: PLC0415 - holds megabytes, and only who has an https mount needs it

    try:
        connection.settimeout(_left(deadline))
        return ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise NoMount(
            f"{parts.hostname}: its certificate is not valid ({error.verify_message}); renew it, or put its "
            "authority into this host's /usr/local/share/ca-certificates"
        ) from None
    except (OSError, ValueError):
        connection.close()
        raise


def _answer(connection: socket.socket, deadline: float) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers by their names in lower case, and what came after them."""
    data = b""
    while True:
        head, end, first = data.partition(b"\r\n\r\n")
        if not end:
            head, end, first = data.partition(b"\n\n")
        if end:
            break
        if len(data) > _HEADERS_LIMIT:
            raise ValueError("its headers have no end; is that a web server?")
        connection.settimeout(_left(deadline))
        more = connection.recv(4096)
        if not more:
            raise ValueError("it closed the connection without an answer" if not data else "its answer is no HTTP")
        data += more
    lines = head.decode("latin-1").splitlines()
    words = lines[0].split(None, 2) if lines else []
    # SHOUTcast answers "ICY 200 OK".
    if len(words) < 2 or not words[0].startswith(("HTTP/", "ICY")) or not words[1].isdigit():
        raise ValueError("its answer is no HTTP; is the port that of a server of streams?")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers, first


def _judge(parts: SplitResult, status: int, headers: Mapping[str, str]) -> None:
    """Raises NoMount where what is sent is no mount."""
    place = _place(parts)
    if status == 404:
        raise NoMount(f"{place} isn't there (404): nothing broadcasts to this mount now, or audio.url names another")
    if status in (401, 403):
        raise NoMount(f"{place} may not be listened to ({status}); take a mount that is open to listeners")
    if status != 200:
        raise NoMount(f"{place} answers with status {status}; open it in a player to see what is wrong")
    kind = _kind(headers)
    if "mpegurl" in kind or kind == "audio/x-scpls":
        raise NoMount(f"{place} is a playlist ({kind}); give the address of the MP3, AAC or Ogg mount itself")
    if kind in ("text/html", "text/plain", "application/json", "text/xml", "application/xml"):
        raise NoMount(f"{place} is no sound ({kind}); give the mount's own address, not that of a page")


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _place(parts: SplitResult) -> str:
    """The address without its query, which may be someone's business."""
    return f"{parts.scheme}://{_server(parts)}{parts.path}"


def _server(parts: SplitResult) -> str:
    """Host and port as they were given, an IPv6 address in its brackets."""
    return parts.netloc.rpartition("@")[2]


def _ascii(host: str) -> bytes:
    return host.encode("ascii") if host.isascii() else host.encode("idna")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
