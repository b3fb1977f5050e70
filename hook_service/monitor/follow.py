"""Follows a playout over its control socket: which relay key is on the air, and which loop. Nobody polls."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hook_service.playout.reactor import Reactor

_RETRY_SECONDS = 1.0
_LINE_LIMIT = 1 << 20
# Its state now, then only what happens from now on: no event has such a number.
_ASK = b'{"op": "status"}\n{"op": "lineup"}\n{"op": "events", "after": 1000000000000000}\n'


class Follower:
    """Connects, asks, and connects again for as long as it takes. `told` gets every message of the playout's."""

    def __init__(self, reactor: Reactor, path: Path, told: Callable[[dict[str, Any]], None]) -> None:
        self._reactor = reactor
        self._path = path
        self._told = told
        self._socket: socket.socket | None = None
        self._rest = b""
        self._ended = False
        self._connect()

    def stop(self) -> None:
        """Follow no more."""
        self._ended = True
        self._hang_up()

    def _connect(self) -> None:
        if self._ended:
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            connection.connect(str(self._path))
            connection.sendall(_ASK)
        except OSError:
            connection.close()
            self._reactor.call_later(_RETRY_SECONDS, self._connect)
            return
        self._socket = connection
        self._rest = b""
        self._reactor.on_readable(connection.fileno(), self._read)

    def _read(self) -> None:
        connection = self._socket
        if connection is None:
            return
        try:
            data = connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            message = None
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(line)
            if isinstance(message, dict):
                self._told(message)
        if not data or len(self._rest) > _LINE_LIMIT:
            self._hang_up()
            self._reactor.call_later(_RETRY_SECONDS, self._connect)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._reactor.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
