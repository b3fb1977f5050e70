"""YouTube's API over HTTPS, with nothing but the standard library: as much of it as a station needs.

The access token is fetched with the refresh token when it is needed and goes into one header; neither of them, nor
the client's secret, is ever in an address, a log or an error. A stream's key is not asked for (part `cdn`).
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlencode

from hook_service.web.httpget import Answer, Away, break_off, get, post
from hook_service.youtube import answers
from hook_service.youtube.answers import Broadcast, Refused, Stream, Token
from hook_service.youtube.credentials import Credentials

MAX_BODY: Final = 2 << 20
"""Bytes of an answer: fifty broadcasts with long descriptions have 0.4 MB."""
MOST: Final = "50"
_EARLY: Final = 60.0
"""Seconds before its end at which an access token is renewed."""
_BROADCAST: Final = "id,snippet,contentDetails,status"
_STREAM: Final = "id,snippet,status"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Google answers; the defaults are those of its public descriptions."""

    api: str = "https://youtube.googleapis.com/youtube/v3"
    token: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    device: str = "https://oauth2.googleapis.com/device/code"


GOOGLE = Endpoints()


class Caller:
    """One request at a time, which another thread can break off for good."""

    def __init__(self) -> None:
        self.requests = 0
        """How many were made."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._ended = False

    def end(self) -> None:
        """Break off what is under way, and everything after it."""
        with self._lock:
            self._ended = True
            if self._socket is not None:
                break_off(self._socket)

    def fetch(self, url: str, headers: Mapping[str, str]) -> bytes:
        """The body of a GET; raises Away, and Refused for an error in the answer."""
        return self._body(get(url, headers, self._opened))

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """The body that a POST is answered with; raises as `fetch`."""
        return self._body(post(url, headers, body, self._opened))

    def form(self, url: str, fields: Mapping[str, str]) -> bytes:
        """The same, with the fields of a form: OAuth's way."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return self.send(url, headers, urlencode(fields).encode())

    def _body(self, request: AbstractContextManager[Answer]) -> bytes:
        self.requests += 1
        try:
            with request as answer:
                body = answer.whole(MAX_BODY)
                if not 200 <= answer.status < 300:
                    raise answers.refusal(answer.status, body)
                return body
        finally:
            with self._lock:
                self._socket = None

    def _opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._socket = connection
            if self._ended:
                break_off(connection)


class Client:
    """The API as one account. Not to be shared between threads, but for `end`."""

    def __init__(self, credentials: Credentials, endpoints: Endpoints | None = None) -> None:
        self._credentials = credentials
        self._endpoints = endpoints or GOOGLE
        self._caller = Caller()
        self._token: Token | None = None
        self._renew_at = 0.0
        self.units = 0
        """What was used of the project's quota, in units: 1 for a list, 50 for a change."""

    def end(self) -> None:
        """From any thread: let nothing of it wait any longer."""
        self._caller.end()

    def stream(self, stream: str) -> Stream | None:
        """The stream with this id; None where the account has none."""
        found = answers.streams(self._list("liveStreams", part=_STREAM, id=stream))
        return next((one for one in found if one.id == stream), None)

    def streams(self) -> list[Stream]:
        """The account's streams, fifty at most."""
        return answers.streams(self._list("liveStreams", part=_STREAM, mine="true", maxResults=MOST))

    def broadcasts(self, which: Literal["active", "upcoming", "completed"]) -> list[Broadcast]:
        """The account's broadcasts in one of three conditions, fifty at most."""
        body = self._list(
            "liveBroadcasts", part=_BROADCAST, broadcastStatus=which, broadcastType="all", maxResults=MOST
        )
        return answers.broadcasts(body)

    def broadcasts_with(self, ids: list[str]) -> list[Broadcast]:
        """Those of these ids that there still are."""
        return answers.broadcasts(self._list("liveBroadcasts", part=_BROADCAST, id=",".join(ids)))

    def insert(self, body: Mapping[str, Any]) -> Broadcast:
        """Make a broadcast."""
        return self._change("liveBroadcasts", body, part=_BROADCAST)

    def bind(self, broadcast: str, stream: str) -> Broadcast:
        """Show a stream in a broadcast."""
        return self._change("liveBroadcasts/bind", None, part=_BROADCAST, id=broadcast, streamId=stream)

    def start(self, broadcast: str) -> Broadcast:
        """Let viewers see a broadcast."""
        return self._change("liveBroadcasts/transition", None, part=_BROADCAST, id=broadcast, broadcastStatus="live")

    def _list(self, resource: str, **query: str) -> bytes:
        self.units += 1
        url = f"{self._endpoints.api}/{resource}?{urlencode(query)}"
        return self._authorised(lambda headers: self._caller.fetch(url, headers))

    def _change(self, resource: str, body: Mapping[str, Any] | None, **query: str) -> Broadcast:
        self.units += 50
        url = f"{self._endpoints.api}/{resource}?{urlencode(query)}"
        text = b"" if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        return answers.broadcast(self._authorised(lambda headers: self._caller.send(url, headers | kind, text)))

    def _authorised(self, ask: Callable[[dict[str, str]], bytes]) -> bytes:
        fresh = self._token is None or time.monotonic() >= self._renew_at
        headers = {"Accept": "application/json"}
        try:
            return ask(headers | {"Authorization": f"Bearer {self._access()}"})
        except Refused as refused:
            if refused.status != 401 or fresh:
                raise
        # It was taken back before its time. A new one is good, or the authorisation itself has ended.
        self._token = None
        return ask(headers | {"Authorization": f"Bearer {self._access()}"})

    def _access(self) -> str:
        if self._token is None or time.monotonic() >= self._renew_at:
            mine = self._credentials
            fields = {
                "client_id": mine.client_id,
                "client_secret": mine.client_secret,
                "refresh_token": mine.refresh_token,
                "grant_type": "refresh_token",
            }
            try:
                self._token = answers.token(self._caller.form(self._endpoints.token, fields))
            except Away:
                self._token = None
                raise
            self._renew_at = time.monotonic() + max(self._token.seconds - _EARLY, 0.0)
        return self._token.access
