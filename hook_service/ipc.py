"""Talking to the station's processes: one JSON object a line, over Unix sockets.

The server's side for the processes that run on a selectors loop is `hook_service.playout.control`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Message = dict[str, Any]


class PeerDown(Exception):
    """The process behind a socket does not answer: it isn't there, it hangs, or it said no JSON."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{path.name}: {why}")


def request(path: Path, message: Message, timeout: float = 1.0) -> Message:
    """Send one message and return the one answer; raises PeerDown, at the latest after `timeout` seconds a step."""
    for answer in stream(path, message, timeout):
        return answer
    raise PeerDown(path, "closed the connection without an answer")


def stream(path: Path, message: Message, timeout: float | None = None) -> Iterator[Message]:
    """Send one message and yield every line that comes back until the peer closes.

    `timeout` (seconds) is for each step of it; None waits for ever between lines. Raises PeerDown.
    """
    with _connected(path, timeout) as connection:
        connection.sendall(json.dumps(message).encode() + b"\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                answer = json.loads(line)
                if not isinstance(answer, dict):
                    raise PeerDown(path, "answered something that is not a JSON object")
                yield answer


@contextmanager
def _connected(path: Path, timeout: float | None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(timeout if timeout is not None else 5.0)
            connection.connect(str(path))
            connection.settimeout(timeout)
            yield connection
        except (OSError, ValueError, RecursionError) as error:
            raise PeerDown(path, str(error) or type(error).__name__) from error
