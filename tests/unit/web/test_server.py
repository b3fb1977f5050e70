from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator

import pytest

from hook_service.config import Web
from hook_service.web.server import Server, build
from tests.rig.net import free_port


class Stuck:
    """An application whose answers wait for `free`."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.called = threading.Event()

    def __call__(self, environ: object, start_response: object) -> Iterable[bytes]:
        self.called.set()
        self.free.wait(10)
        start_response("204 No Content", [])  # type: ignore[operator]
        return []


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    app = Stuck()
    yield app
    app.free.set()


@pytest.fixture
def server(stuck: Stuck) -> Iterator[Server]:
    server = build(stuck, Web(listen=f"127.0.0.1:{free_port()}", threads=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    stuck.free.set()
    server.close()


def test_alive_only_while_threads_take_tasks(server: Server, stuck: Stuck) -> None:
    assert server.alive(5)
    with socket.create_connection(("127.0.0.1", server.adj.listen[0][3][1])) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert stuck.called.wait(5)
        assert not server.alive(0.1)
        stuck.free.set()
        assert connection.recv(1000).startswith(b"HTTP/1.1 204")
    assert server.alive(5)


def test_a_connection_outlives_an_answer_without_a_body_unless_asked_not_to(server: Server, stuck: Stuck) -> None:
    stuck.free.set()
    with socket.create_connection(("127.0.0.1", server.adj.listen[0][3][1]), timeout=5) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 204")
            assert b"close" not in answer.lower()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"connection: close" in connection.recv(1000).lower()
        assert connection.recv(1000) == b""
