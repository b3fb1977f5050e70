"""Centrifugo's one-way SSE as AzuraCast sets it up: each channel keeps its newest message for 30 s."""

import json
import queue
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

HISTORY_TTL = 30.0
"""history_ttl of the namespace `station`, whose history_size is 1."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Transfer-Encoding": "chunked",
    "Cache-Control": "private, no-cache, no-store, must-revalidate, max-age=0",
    "Pragma": "no-cache",
    "Expire": "0",
}
Inbox = queue.SimpleQueue[bytes]


class Channels:
    """Who listens to what. Messages are passed on byte for byte."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inboxes: dict[str, set[Inbox]] = {}
        self._last: dict[str, tuple[float, int, bytes]] = {}
        self._epoch = secrets.token_hex(2)

    def listeners(self, channel: str) -> int:
        """How many are subscribed."""
        with self._lock:
            return len(self._inboxes.get(channel, ()))

    def publish(self, channel: str, data: bytes) -> None:
        """Tell those who are subscribed, and those who come within 30 s."""
        with self._lock:
            offset = self._last[channel][1] + 1 if channel in self._last else 1
            self._last[channel] = (time.time(), offset, data)
            push = b'{"channel":%s,"pub":{"data":%s,"offset":%d}}' % (json.dumps(channel).encode(), data, offset)
            self._put(channel, event(push))

    def inject(self, channel: str, raw: bytes) -> None:
        """Send these bytes to those who are subscribed, whatever they are."""
        with self._lock:
            self._put(channel, raw)

    def subscribe(self, wanted: Mapping[str, bool], ping: int) -> tuple[bytes, Inbox]:
        """A new client: its first message, and where what follows is put. `wanted` says of each channel whether its
        newest message is asked for.

        Nobody is asked for a key, and a channel that nothing is ever published to is as good as any.
        """
        inbox: Inbox = queue.SimpleQueue()
        with self._lock:
            subs = b",".join(
                json.dumps(channel).encode() + b":" + self._subscription(channel, recover)
                for channel, recover in wanted.items()
            )
            for channel in wanted:
                self._inboxes.setdefault(channel, set()).add(inbox)
        client, session = secrets.token_hex(16), secrets.token_hex(16)
        return event(
            b'{"connect":{"client":"%s","version":"6.9.1","subs":{%s},"ping":%d,"session":"%s","time":%d}}'
            % (client.encode(), subs, ping, session.encode(), time.time() * 1000)
        ), inbox

    def leave(self, inbox: Inbox) -> None:
        """A client has gone."""
        with self._lock:
            for inboxes in self._inboxes.values():
                inboxes.discard(inbox)

    def _put(self, channel: str, raw: bytes) -> None:
        for inbox in self._inboxes.get(channel, ()):
            inbox.put(raw)

    def _subscription(self, channel: str, recover: bool) -> bytes:
        parts = [b'"recoverable":true,"epoch":"%s"' % self._epoch.encode()]
        last = self._last.get(channel)
        if last is not None and recover and time.time() - last[0] < HISTORY_TTL:
            parts.append(b'"publications":[{"data":%s,"offset":%d}],"recovered":true' % (last[2], last[1]))
        if last is not None:
            parts.append(b'"offset":%d' % last[1])
        if recover:
            parts.append(b'"was_recovering":true')
        return b"{" + b",".join(parts) + b"}"


def wanted(request: str) -> dict[str, bool] | None:
    """The channels that a connect request (`cf_connect`) asks for; None where it is none."""
    try:
        subs: dict[str, Any] = (json.loads(request) or {}).get("subs") or {}
        return {channel: bool((options or {}).get("recover")) for channel, options in subs.items()}
    except (ValueError, AttributeError):
        return None


def event(data: bytes) -> bytes:
    """A message as it goes over the wire."""
    return b"data: " + data + b"\n\n"
