"""The control socket of a process on the reactor: JSON lines over a Unix socket, many clients at a time.

A request is `{"op": …}`; handlers answer with one object. The op `events` makes the connection a stream of events:
those kept that are newer than `after`, then each new one. The other side is `hook_service.ipc`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hook_service.playout.reactor import Reactor

_log = logging.getLogger("radio.control")
Message = dict[str, Any]
Handler = Callable[[Message], Message]

_LINE_LIMIT = 64 * 1024
# A client that does not read is cut off at this much: it must not cost the playout its memory.
_BACKLOG_LIMIT = 4 * 1024 * 1024
_EVENTS_KEPT = 1_000


class BadRequest(Exception):
    """A request that can't be carried out; its text is told to the client."""


class Control:
    """The listening socket, the handlers and the events."""

    def __init__(self, reactor: Reactor, path: Path, handlers: dict[str, Handler]) -> None:
        self.boot = secrets.token_hex(8)
        """Identifies this run: event numbers begin again with each."""
        self._reactor = reactor
        self._path = path
        self._handlers = handlers
        self._events: deque[Message] = deque(maxlen=_EVENTS_KEPT)
        self._number = 0
        self._clients: set[_Client] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        # The socket's group may use it (the web service's user is the same; an operator's may be in the group).
        previous = os.umask(0o117)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(previous)
        self._inode = path.stat().st_ino
        self._socket.listen(64)
        self._listen()

    def publish(self, kind: str, **values: Any) -> None:
        """An event for everyone who follows, and for those who come later."""
        self._number += 1
        event = {"seq": self._number, "boot": self.boot, "at": time.time(), "kind": kind, **values}
        self._events.append(event)
        line = _line(event)
        for client in list(self._clients):
            if client.following:
                client.send(line)

    def close(self) -> None:
        """Take the socket away, once."""
        if self._socket.fileno() < 0:
            return
        self._reactor.forget(self._socket.fileno())
        self._socket.close()
        # A successor may have put its own socket there already.
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors: those who wait would wake us without end.
            _log.warning("No more clients of the control socket for a second: %s", error)
            self._reactor.forget(self._socket.fileno())
            self._reactor.call_later(1.0, self._listen)
            return
        connection.setblocking(False)
        self._clients.add(_Client(self._reactor, connection, self._answer, self._clients.discard))

    def _listen(self) -> None:
        if self._socket.fileno() >= 0:
            self._reactor.on_readable(self._socket.fileno(), self._accept)

    def _answer(self, client: _Client, line: bytes) -> None:
        try:
            message = json.loads(line)
            operation = message["op"]
            if operation == "events":
                after = int(message.get("after", 0))
                # Numbers of another run say nothing about this one's.
                after = after if message.get("boot") in (None, self.boot) else 0
                client.following = True
                client.send(b"".join(_line(event) for event in self._events if event["seq"] > after))
                return
            handler = self._handlers[operation]
            answer = {"ok": True, **handler(message)}
        except BadRequest as error:
            answer = {"ok": False, "error": str(error)}
        except KeyError as error:
            known = ", ".join(sorted([*self._handlers, "events"]))
            answer = {"ok": False, "error": f"{error.args[0]!r} is missing or unknown; ops: {known}"}
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            answer = {"ok": False, "error": f"not a request: {error}; send one JSON object a line"}
        except Exception:
            # Whatever is wrong with an order, the broadcast goes on.
            _log.exception(
                "An order could not be carried out",
                extra={"context": {"order": line[:500].decode("utf-8", "replace")}},
            )
            answer = {"ok": False, "error": "the order could not be carried out; the log says why"}
        client.send(_line(answer))


class _Client:
    def __init__(
        self,
        reactor: Reactor,
        connection: socket.socket,
        answer: Callable[[_Client, bytes], None],
        gone: Callable[[_Client], None],
    ) -> None:
        self.following = False
        self._reactor = reactor
        self._connection = connection
        self._answer = answer
        self._gone = gone
        self._in = b""
        self._out = b""
        reactor.on_readable(connection.fileno(), self._read)

    def send(self, data: bytes) -> None:
        self._out += data
        self._write()

    def _read(self) -> None:
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._in = (self._in + data).split(b"\n")
        for line in lines:
            self._answer(self, line)
        if not data or len(self._in) > _LINE_LIMIT:
            self._close()

    def _write(self) -> None:
        if self._connection.fileno() < 0:
            return
        try:
            while self._out:
                sent = self._connection.send(self._out)
                self._out = self._out[sent:]
        except BlockingIOError:
            if len(self._out) > _BACKLOG_LIMIT:
                _log.warning("A client of the control socket does not read; it was cut off")
                self._close()
                return
        except OSError:
            self._close()
            return
        self._reactor.on_writable(self._connection.fileno(), self._write if self._out else None)

    def _close(self) -> None:
        if self._connection.fileno() >= 0:
            self._reactor.forget(self._connection.fileno())
            self._connection.close()
        self._gone(self)


def _line(message: Message) -> bytes:
    return json.dumps(message, default=str).encode() + b"\n"
