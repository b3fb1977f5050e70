"""Talking to a process that answers, and to all those that don't."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hook_service import ipc
from hook_service.ipc import PeerDown

Behaviour = Callable[[socket.socket], None]
Serve = Callable[[Behaviour], Path]


@pytest.fixture
def serve(run_dir: Path) -> Iterator[Serve]:
    """Runs a peer that does `behaviour(connection)` with its one client; gives the socket's path."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def begin(behaviour: Behaviour) -> Path:
        path = run_dir / f"peer{len(threads)}.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(5)
        listeners.append(listener)

        def work() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    behaviour(connection)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return path

    yield begin
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(10)


def heard(connection: socket.socket) -> dict[str, object]:
    data = b""
    while not data.endswith(b"\n"):
        data += connection.recv(65536)
    message = json.loads(data)
    assert isinstance(message, dict)
    return message


def says(*parts: bytes, pause: float = 0.0) -> Behaviour:
    def behaviour(connection: socket.socket) -> None:
        heard(connection)
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return behaviour


def test_one_line_out_one_line_back(serve: Serve) -> None:
    def echo(connection: socket.socket) -> None:
        connection.sendall(json.dumps({"ok": True, "said": heard(connection)}).encode() + b"\n")

    path = serve(echo)
    assert ipc.request(path, {"op": "status", "name": "Björk\n"}) == {
        "ok": True,
        "said": {"op": "status", "name": "Björk\n"},
    }


def test_an_answer_in_pieces(serve: Serve) -> None:
    assert ipc.request(serve(says(b'{"a":', b" 1", b"}\n", pause=0.02)), {}) == {"a": 1}


def test_a_large_answer_and_a_large_question(serve: Serve) -> None:
    answer = json.dumps({"text": "x" * 2_000_000}).encode() + b"\n"
    assert len(ipc.request(serve(says(answer)), {"text": "y" * 500_000})["text"]) == 2_000_000


def test_only_the_first_answer_of_a_request(serve: Serve) -> None:
    assert ipc.request(serve(says(b'{"n": 1}\n{"n": 2}\n')), {}) == {"n": 1}


def test_a_stream_until_it_is_closed(serve: Serve) -> None:
    path = serve(says(b'{"n": 1}\n{"n"', b': 2}\n{"n": 3}\n', pause=0.02))
    assert [event["n"] for event in ipc.stream(path, {"op": "events"}, 2.0)] == [1, 2, 3]


def test_a_stream_may_be_silent_for_long_without_a_timeout(serve: Serve) -> None:
    path = serve(says(b'{"n": 1}\n', b'{"n": 2}\n', pause=0.3))
    assert [event["n"] for event in ipc.stream(path, {}, None)] == [1, 2]


def test_a_stream_that_is_left_closes_its_connection(serve: Serve) -> None:
    gone = threading.Event()

    def behaviour(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(b'{"n": 1}\n')
        if connection.recv(1) == b"":
            gone.set()

    stream = ipc.stream(serve(behaviour), {}, 5.0)
    assert next(stream) == {"n": 1}
    stream.close()  # type: ignore[attr-defined]
    assert gone.wait(5)


class TestPeerDown:
    def down(self, path: Path, timeout: float = 0.3) -> PeerDown:
        begun = time.monotonic()
        with pytest.raises(PeerDown) as caught:
            ipc.request(path, {"op": "status"}, timeout)
        assert time.monotonic() - begun < 3 * timeout + 0.5
        assert caught.value.path == path
        assert caught.value.why
        assert str(caught.value).startswith(path.name)
        return caught.value

    def test_no_socket(self, run_dir: Path) -> None:
        assert "No such file" in self.down(run_dir / "absent.sock").why

    def test_nobody_listens(self, run_dir: Path) -> None:
        path = run_dir / "dead.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        assert "refused" in self.down(path).why

    def test_a_file_that_is_no_socket(self, run_dir: Path) -> None:
        path = run_dir / "file.sock"
        path.write_text("x")
        self.down(path)

    def test_a_path_too_long_for_a_socket(self, tmp_path: Path) -> None:
        assert "too long" in self.down(tmp_path / ("x" * 120)).why

    def test_it_hangs_before_accepting(self, run_dir: Path) -> None:
        path = run_dir / "full.sock"
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen(0)
            for _ in range(3):  # its queue is full
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    waiting.connect(str(path))
            self.down(path)

    def test_it_hangs_without_an_answer(self, serve: Serve) -> None:
        over = threading.Event()
        path = serve(lambda _: (over.wait(5), None)[1])
        assert "timed out" in self.down(path).why
        over.set()

    def test_it_hangs_within_an_answer(self, serve: Serve) -> None:
        over = threading.Event()

        def behaviour(connection: socket.socket) -> None:
            connection.sendall(b'{"ok": tr')
            over.wait(5)

        self.down(serve(behaviour))
        over.set()

    def test_it_never_reads_the_question(self, serve: Serve) -> None:
        over = threading.Event()
        path = serve(lambda _: (over.wait(5), None)[1])
        with pytest.raises(PeerDown):
            ipc.request(path, {"text": "x" * 3_000_000}, 0.3)
        over.set()

    def test_it_closes_without_an_answer(self, serve: Serve) -> None:
        assert "without an answer" in self.down(serve(says())).why

    def test_it_resets_the_connection(self, serve: Serve) -> None:
        self.down(serve(lambda connection: connection.close()))

    @pytest.mark.parametrize(
        "answer", [b"nonsense\n", b"\n", b'{"ok": tru', b"\xff\xfe\n", b"[1]\n", b"null\n", b"5\n"]
    )
    def test_it_says_no_json_object(self, serve: Serve, answer: bytes) -> None:
        self.down(serve(says(answer)))

    def test_it_dies_within_a_stream(self, serve: Serve) -> None:
        stream = ipc.stream(serve(says(b'{"n": 1}\n{"n')), {}, 2.0)
        assert next(stream) == {"n": 1}
        with pytest.raises(PeerDown):
            next(stream)

    def test_it_says_something_too_deep(self, serve: Serve) -> None:
        self.down(serve(says(b"[" * 100_000 + b"\n")))
