"""Ports, waiting with a deadline, and small HTTP requests."""

import json
import os
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes ports for outgoing connections: a port found free here can't be
# taken by one of those before its server binds it.
_LOWEST, _HIGHEST = 20000, 32000

_given: set[int] = set()


class RigError(RuntimeError):
    """Something the rig needs did not come up; the message says what, and where its log is."""


def bindable(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """A free loopback port, `preferred` where that is free; never the same one twice in a process."""
    if preferred is not None and preferred not in _given and bindable(preferred):
        _given.add(preferred)
        return preferred
    for port in random.SystemRandom().sample(range(_LOWEST, _HIGHEST), 500):
        if port not in _given and bindable(port):
            _given.add(port)
            return port
    raise RigError(f"no free port between {_LOWEST} and {_HIGHEST} on {LOOPBACK}")


def release_port(port: int) -> None:
    """Let `free_port` give this one out again."""
    _given.discard(port)


def accepts(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(
    condition: Callable[[], object], what: str, seconds: float, every: float = 0.05, *, log: Path | None = None
) -> None:
    """Return once `condition()` is true; after `seconds` raise RigError naming `what` and the log's last lines."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RigError(f"{what}: not within {seconds:g} s{tail(log)}")
        time.sleep(every)


def tail(log: Path | None, lines: int = 12) -> str:
    """The last lines of a log, ready to be appended to a message; empty without a log."""
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16384))
        last = file.read().decode(errors="replace").splitlines()[-lines:]
    return f"\n  the end of {log}:\n" + "\n".join(f"  | {line}" for line in last)


def http(
    url: str,
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
    timeout: float = 5.0,
) -> tuple[int, bytes]:
    """One request, never through a proxy; a `body` that is not bytes goes as JSON. Returns status and body.

    Raises OSError when there is no answer; an error status is returned, not raised.
    """
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=dict(headers or {}), method=method)
    if data is not None and not request.has_header("Content-type"):
        request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner can read, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
