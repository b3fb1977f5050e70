"""How often one client address may do something: token buckets in a table that can't grow.

The `limits` library was measured first: its in-memory storage keeps every key until a timer expires it, so that
an attacker with many addresses decides how much memory it takes, and it costs 1.6 MB to import. What is needed
here is one rule and a bound.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

KEPT = 4096  # addresses; about 1 MB when full


class Buckets:
    """A bucket of `burst` tokens for each client, refilled with `rate` tokens a second.

    The `keep` clients seen last are remembered. A client that was pushed out starts with a full bucket again:
    whoever has thousands of addresses is not stopped by a limit for each address anyway.
    """

    def __init__(
        self, rate: float, burst: float, keep: int = KEPT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._keep = keep
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[float, float]] = {}  # tokens, when; least recently used first

    def __len__(self) -> int:
        return len(self._clients)

    def take(self, client: str) -> float:
        """Use a token: 0.0 when there was one, else the seconds until there will be."""
        now = self._clock()
        with self._lock:
            tokens = self._level(client, now)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
            self._put(client, tokens - 1 if wait == 0 else tokens, now)
            return wait

    def wait(self, client: str) -> float:
        """The seconds until `client` has a token, without using one."""
        with self._lock:
            if client not in self._clients:  # the usual case, and it must not take up room
                return 0.0
            tokens = self._level(client, self._clock())
            return 0.0 if tokens >= 1 else (1 - tokens) / self._rate

    def _level(self, client: str, now: float) -> float:
        tokens, then = self._clients.get(client, (self._burst, now))
        return min(self._burst, tokens + (now - then) * self._rate)

    def _put(self, client: str, tokens: float, now: float) -> None:
        self._clients.pop(client, None)
        if len(self._clients) >= self._keep:
            del self._clients[next(iter(self._clients))]
        self._clients[client] = (tokens, now)


def client_of(address: str | None) -> str:
    """The key that a client address is limited under: the address, or the /64 of an IPv6 address.

    Whoever has one IPv6 address has 2^64 of them.
    """
    if not address:
        return "?"
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.strip("[]").partition("%")[0])
    except OSError:
        return address[:64]
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntoa(packed[12:])
    return packed[:8].hex()
