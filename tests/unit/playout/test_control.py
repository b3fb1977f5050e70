"""The control socket, from the other side, with clients that behave and clients that don't."""

from __future__ import annotations

import json
import os
import resource
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hook_service.playout.control import BadRequest, Control, Message
from hook_service.playout.reactor import Reactor
from tests.unit.playout.helpers import open_files, run_for, run_until


class Client:
    """One connection, served by the reactor of the same thread."""

    open: ClassVar[list[socket.socket]] = []

    def __init__(self, reactor: Reactor, path: Path) -> None:
        self.reactor = reactor
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self.socket.setblocking(False)
        self.open.append(self.socket)
        self.buffer = b""
        self.closed = False

    def send(self, data: bytes) -> None:
        while data:
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                run_for(self.reactor, 0.005)
            except (BrokenPipeError, ConnectionResetError):
                self.closed = True
                return

    def read(self) -> None:
        try:
            while data := self.socket.recv(1 << 16):
                self.buffer += data
            self.closed = True
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.closed = True

    def lines(self, count: int) -> list[dict[str, Any]]:
        def there() -> bool:
            self.read()
            return self.buffer.count(b"\n") >= count

        run_until(self.reactor, there)
        *found, self.buffer = self.buffer.split(b"\n")
        return [json.loads(line) for line in found]

    def ask(self, message: object) -> dict[str, Any]:
        self.send(json.dumps(message).encode() + b"\n")
        [answer] = self.lines(1)
        return answer

    def is_cut_off(self) -> bool:
        self.read()
        return self.closed


def refuse(_message: Message) -> Message:
    raise BadRequest("loop is not a path")


def lookup(message: Message) -> Message:
    return {"value": {"a": 1}[message["key"]]}


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def control(reactor: Reactor, run_dir: Path) -> Iterator[Control]:
    handlers = {
        "status": lambda m: {"said": m.get("say")},
        "refuse": refuse,
        "lookup": lookup,
        "big": lambda m: {"text": "x" * m["size"]},
        "at": lambda m: {"slot": int(m["at"] * 1e9)},
        "odd": lambda _: {"path": Path("/srv/loops")},
    }
    it = Control(reactor, run_dir / "playout.sock", handlers)
    yield it
    for each in Client.open:
        each.close()
    Client.open.clear()
    run_until(reactor, lambda: not it._clients)
    it.close()


@pytest.fixture
def client(control: Control, reactor: Reactor, run_dir: Path) -> Client:
    return Client(reactor, run_dir / "playout.sock")


def test_one_line_out_one_line_back(client: Client) -> None:
    assert client.ask({"op": "status", "say": "hé"}) == {"ok": True, "said": "hé"}
    assert client.ask({"op": "odd"}) == {"ok": True, "path": "/srv/loops"}


def test_partial_lines_and_several_at_once(client: Client, reactor: Reactor) -> None:
    line = b'{"op": "status", "say": 1}\n'
    for byte in line:
        client.send(bytes([byte]))
        run_for(reactor, 0.001)
    assert client.lines(1) == [{"ok": True, "said": 1}]
    client.send(line * 3 + line[:5])
    assert len(client.lines(3)) == 3
    client.send(line[5:])
    assert len(client.lines(1)) == 1


def test_unknown_ops_are_told_the_known_ones(client: Client) -> None:
    answer = client.ask({"op": "explode"})
    assert answer["ok"] is False
    for known in ("status", "refuse", "events", "'explode'"):
        assert known in answer["error"]
    assert "events" in client.ask({"no": "op"})["error"]


def test_a_refusal_is_told_in_its_words(client: Client) -> None:
    assert client.ask({"op": "refuse"}) == {"ok": False, "error": "loop is not a path"}
    assert client.ask({"op": "lookup", "key": "b"})["ok"] is False
    assert client.ask({"op": "lookup"})["ok"] is False
    assert client.ask({"op": "lookup", "key": []})["ok"] is False
    assert client.ask({"op": "lookup", "key": "a"}) == {"ok": True, "value": 1}


GARBAGE = [
    b"",
    b"{",
    b"null",
    b"5",
    b'"op"',
    b"[]",
    b'["op"]',
    b"\xff\xfe",
    b"\x00",
    b'{"op": []}',
    b'{"op": {}}',
    b"op=1",
]


@pytest.mark.parametrize("line", GARBAGE)
def test_garbage_is_answered_and_the_connection_goes_on(client: Client, line: bytes) -> None:
    client.send(line + b"\n")
    [answer] = client.lines(1)
    assert answer["ok"] is False
    assert client.ask({"op": "status"})["ok"] is True


@given(st.lists(st.binary(max_size=200), max_size=5))
@example([b'{"op": "events", "after": "x"}'])
@example([b'{"op": "events", "after": null}'])
@example([b'{"op": "events", "after": NaN}'])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_no_bytes_end_the_loop(reactor: Reactor, control: Control, run_dir: Path, lines: list[bytes]) -> None:
    it = Client(reactor, run_dir / "playout.sock")
    it.send(b"\n".join(lines) + b"\n")
    run_for(reactor, 0.002)
    it.socket.close()
    assert Client(reactor, run_dir / "playout.sock").ask({"op": "status"})["ok"] is True


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b'{"op": "events", "after": Infinity}',
        b'{"op": "events", "after": 1e999}',
        b'{"op": "at", "at": 1e999}',
    ],
    ids=lambda line: line[:40].decode(),
)
def test_no_well_formed_line_ends_the_loop_either(client: Client, reactor: Reactor, line: bytes) -> None:
    client.send(line + b"\n")
    run_for(reactor, 0.05)
    it = Client(reactor, Path(client.socket.getpeername()))
    assert it.ask({"op": "status"})["ok"] is True


def test_a_line_without_an_end_is_cut_off(client: Client, reactor: Reactor, control: Control) -> None:
    client.send(b"x" * (65 * 1024))
    client.send(b"x" * (65 * 1024))
    run_until(reactor, client.is_cut_off)


def test_a_long_line_within_the_limit_is_taken(client: Client) -> None:
    assert client.ask({"op": "status", "say": "y" * 60_000})["said"] == "y" * 60_000


def test_an_answer_larger_than_the_sockets_buffer_arrives_whole(client: Client) -> None:
    assert len(client.ask({"op": "big", "size": 3_000_000})["text"]) == 3_000_000


def test_a_reader_that_does_not_read_is_cut_off(
    client: Client, control: Control, reactor: Reactor, run_dir: Path
) -> None:
    other = Client(reactor, run_dir / "playout.sock")
    other.send(b'{"op": "events", "after": 0}\n')
    client.send(b'{"op": "events", "after": 0}\n')
    run_for(reactor, 0.02)
    sent = 0
    while len(control._clients) > 1 and sent < 100:
        control.publish("error", message="z" * 200_000)
        sent += 1
        run_for(reactor, 0.001)
        other.read()
    assert len(control._clients) == 1, "it would cost the playout its memory"
    assert 20 <= sent <= 40  # 4 MB, and what the socket holds
    assert [event["seq"] for event in other.lines(sent)] == list(range(1, sent + 1)), "the other one misses nothing"


def test_one_that_asks_and_never_reads_is_cut_off(client: Client, control: Control, reactor: Reactor) -> None:
    for _ in range(10):
        client.send(b'{"op": "big", "size": 1000000}\n')
    run_for(reactor, 0.1)
    assert not control._clients


def test_hundreds_of_clients_come_and_go(control: Control, reactor: Reactor, run_dir: Path) -> None:
    clients = []
    for _ in range(60):
        clients.append(Client(reactor, run_dir / "playout.sock"))
        run_for(reactor, 0.0)
    before = open_files()
    for each in clients:
        assert each.ask({"op": "status"})["ok"] is True
    assert len(control._clients) == 60
    for each in clients:
        each.socket.close()
    run_until(reactor, lambda: not control._clients)
    assert open_files() <= before - 60


def test_no_number_of_clients_ends_the_loop(control: Control, reactor: Reactor, run_dir: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(10)]
    highest = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        for each in clients:
            each.connect(str(run_dir / "playout.sock"))
        spare = []
        for _ in range(1000):
            try:
                spare.append(os.dup(0))
            except OSError:
                break
        try:
            run_for(reactor, 0.05)
        finally:
            for file in spare:
                os.close(file)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in clients:
            each.close()
        run_for(reactor, 0.1)  # past the timer that an exception left


class TestEvents:
    def follow(self, client: Client, **more: object) -> None:
        client.send(json.dumps({"op": "events", **more}).encode() + b"\n")
        run_for(client.reactor, 0.02)

    def test_old_ones_then_new_ones(self, client: Client, control: Control) -> None:
        for n in range(5):
            control.publish("on_air", play_id=f"p{n}")
        self.follow(client, after=3)
        assert [event["play_id"] for event in client.lines(2)] == ["p3", "p4"]
        control.publish("superseded", play_id="p5")
        [event] = client.lines(1)
        assert (event["seq"], event["kind"], event["play_id"], event["boot"]) == (6, "superseded", "p5", control.boot)
        assert event["at"] > 1e9

    def test_numbers_of_another_boot_say_nothing(self, client: Client, control: Control) -> None:
        control.publish("on_air")
        control.publish("on_air")
        self.follow(client, after=500, boot="0123456789abcdef")
        assert [event["seq"] for event in client.lines(2)] == [1, 2]

    def test_numbers_of_this_boot_hold(self, client: Client, control: Control) -> None:
        control.publish("on_air")
        control.publish("on_air")
        self.follow(client, after=1, boot=control.boot)
        assert [event["seq"] for event in client.lines(1)] == [2]

    def test_a_thousand_are_kept(self, client: Client, control: Control) -> None:
        for _ in range(1_500):
            control.publish("process")
        self.follow(client)
        assert [event["seq"] for event in client.lines(1_000)] == list(range(501, 1_501))

    def test_nothing_is_missed_or_told_twice_between_old_and_new(self, client: Client, control: Control) -> None:
        for n in range(300):
            control.publish("process", n=n)
            if n == 100:
                self.follow(client, after=0)
        assert [event["n"] for event in client.lines(300)] == list(range(300))

    def test_each_run_is_another_boot(self, control: Control, reactor: Reactor, run_dir: Path) -> None:
        other = Control(reactor, run_dir / "other.sock", {})
        assert other.boot != control.boot
        other.close()


class TestSocketFile:
    def test_only_its_user_and_group_may_use_it(self, control: Control, run_dir: Path) -> None:
        assert stat.S_IMODE((run_dir / "playout.sock").stat().st_mode) == 0o660

    def test_what_a_dead_one_left_is_replaced(self, reactor: Reactor, run_dir: Path) -> None:
        path = run_dir / "deep" / "x.sock"
        first = Control(reactor, path, {})
        second = Control(reactor, path, {"status": lambda _: {"second": True}})
        first.close()
        assert path.exists(), "it is its successor's"
        it = Client(reactor, path)
        assert it.ask({"op": "status"}) == {"ok": True, "second": True}
        it.socket.close()
        run_until(reactor, lambda: not second._clients)
        second.close()
        assert not path.exists()

    def test_closing_twice_is_no_fault(self, reactor: Reactor, run_dir: Path) -> None:
        it = Control(reactor, run_dir / "x.sock", {})
        it.close()
        it.close()
