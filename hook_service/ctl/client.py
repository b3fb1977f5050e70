"""The API as the command line asks it: one request at a time, JSON, errors in the service's own words."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    import ssl

PREFIX = "/api/v1"
_LIMIT = 64 << 20
"""No answer is larger: what sends on and on is not the service."""

Query = Mapping[str, "str | int | None"]


class Trouble(Exception):
    """What was asked can't be done; the text says why, for people."""


class Unreachable(Trouble):
    """Nobody answers, or it is not the service that does."""


class Refused(Trouble):
    """The service answers with an error. `problem` is its RFC 9457 document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        lines = [str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")]
        faults = problem.get("errors")
        for fault in faults if isinstance(faults, list) else []:
            if isinstance(fault, Mapping):
                lines.append(f"  {fault.get('field', '')}: {fault.get('reason', '')}")
        known = problem.get("stations")
        if isinstance(known, list) and known:
            lines.append(f"  stations here: {', '.join(map(str, known))}")
        if problem.get("request_id"):
            lines.append(f"  request {problem['request_id']}")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; None where there is none. Raises Unreachable for anything else than JSON."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unreachable(f"The answer ({self.status}) is not the service's: is the address right?") from None


@dataclass(frozen=True)
class Api:
    """One service. `url` is its root, `timeout` in seconds is for each step of a request."""

    url: str
    token: str | None = field(default=None, repr=False)
    timeout: float = 30.0

    def get(self, path: str, **query: str | int | None) -> Any:
        """The document at `path` below /api/v1."""
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Any = None) -> Any:
        """What is answered to an order."""
        return self.ask("POST", path, {} if body is None else body)

    def ask(self, method: str, path: str, body: Any = None, query: Query | None = None) -> Any:
        """JSON in, JSON out. Raises Refused and Unreachable."""
        headers = {"Accept": "application/json, text/csv"}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return self.raw(method, PREFIX + path, headers, content, query).json()

    def items(
        self, path: str, query: Query | None = None, *, most: int | None = None, cursor: str = "cursor"
    ) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page, `most` of them at most; `cursor` is what its next page is asked by."""
        left, after = most, None
        while left is None or left > 0:
            page = self.get(path, **{**(query or {}), cursor: after, "limit": min(left or 500, 500)})
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            after = page.get("next")
            if after is None:
                return

    def raw(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        query: Query | None = None,
    ) -> Answer:
        """Any request below the root. Raises Refused from status 400 on, and Unreachable."""
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._base + quote(path, safe="/%") + (f"?{urlencode(asked)}" if asked else "")
        sent = {"User-Agent": "radioctl", **(headers or {})}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        connection = self._connection()
        try:
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            content = response.read(_LIMIT)
            told = {name.lower(): value for name, value in response.getheaders()}
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.url} can't be asked: {_why(error)}") from None
        except ValueError:
            # The error's own text would show the header, which is the token.
            raise Unreachable("The token, or the address, has characters that can't be sent.") from None
        finally:
            connection.close()
        answer = Answer(response.status, told, content)
        if 300 <= answer.status < 400:
            # Not followed: the token is meant for the address that was given.
            raise Unreachable(f"{self.url} sends on to {told.get('location', 'elsewhere')}: give that address")
        if answer.status >= 400:
            problem = answer.json() if "json" in told.get("content-type", "") else None
            raise Refused(answer.status, problem if isinstance(problem, dict) else {})
        return answer

    @property
    def _base(self) -> str:
        return urlsplit(self.url).path.rstrip("/")

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        # Without a port it would look for one in the name, and find one in every IPv6 address.
        if parts.scheme == "https":
            port = http.client.HTTPS_PORT if port is None else port
            return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=self._tls)
        return http.client.HTTPConnection(host, http.client.HTTP_PORT if port is None else port, timeout=self.timeout)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        import ssl  # noqa: PLC0415 - not for those who ask over loopback

        return ssl.create_default_context()


def _why(error: Exception) -> str:
    verification = getattr(error, "verify_message", None)
    if verification:
        return (
            f"its certificate is not trusted ({verification}); for one of your own set SSL_CERT_FILE to the PEM file "
            "of whoever signed it"
        )
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, http.client.HTTPException):
        return "it breaks off, or does not speak HTTP"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
