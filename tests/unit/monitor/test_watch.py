"""One station watched, at a relay that sends what the tests give it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hook_service.monitor.expected import Expectations
from hook_service.monitor.rtmp import AUDIO, VIDEO, amf
from hook_service.monitor.watch import Watch
from hook_service.playout.control import Control
from hook_service.playout.reactor import Reactor
from tests.unit.monitor.test_rtmp import GREETING
from tests.unit.playout.helpers import run_until
from tests.unit.playout.test_loop_reader import station
from tests.unit.rig.test_rtmp import chunks


class Relay:
    """Greets whoever comes, remembers what each wants to play, and sends two frames ten times a second."""

    def __init__(self) -> None:
        self.played: list[str] = []
        self.sends = True
        self.answer: Callable[[], bytes] = bytes
        self._connections: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self._server.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        except OSError:
            return

    def _serve(self, connection: socket.socket) -> None:
        asked = b""
        try:
            connection.sendall(GREETING)
            while (found := re.search(re.escape(amf("play")) + b".{13}(demo-.)", asked, re.DOTALL)) is None:
                asked += connection.recv(65536)
            self.played.append(found[1].decode())
            connection.sendall(self.answer())
            for n in range(10**6):
                if self.sends:
                    connection.sendall(chunks(6, AUDIO, n * 23, b"\xaf\x01sound", 128))
                    connection.sendall(chunks(7, VIDEO, n * 33, b"\x27\x01\0\0\0picture", 128))
                time.sleep(0.1)
        except OSError:
            return

    def close(self) -> None:
        """Hang up on everyone."""
        self._server.close()
        for connection in self._connections:
            connection.close()


class World:
    """A watch that looks twenty times a second, its relay and its playout."""

    def __init__(self, place: Path) -> None:
        self.reactor = Reactor()
        self.relay = Relay()
        handlers = {"status": lambda _: {}, "lineup": lambda _: {"current": "demo-a"}}
        self.playout = Control(self.reactor, place / "playout-demo.sock", handlers)
        self.watch = Watch(
            self.reactor, replace(station(place), relay_rtmp=self.relay.address), Expectations(self.reactor)
        )
        self.looks = True
        self.reactor.every(0.05, lambda: self.watch.look() if self.looks else None)

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        run_until(self.reactor, lambda: condition(self.watch.status()), 10)
        return self.watch.status()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.looks = False
    world.watch.stop()
    run_until(world.reactor, lambda: world.watch.ended)
    world.playout.close()
    for client in list(world.playout._clients):
        client._close()
    world.relay.close()


def test_what_comes_is_counted_and_what_is_not_known_is_not_told(world: World) -> None:
    assert not world.watch.status()["up"]
    told = world.wait(lambda told: told["frames"]["video"] >= 5 and len(told["bitrate_bps"]) == 2)
    assert told["up"]
    assert told["gaps"] == {"video": 0, "audio": 0}
    # No keyframe has come: nothing was seen, nor heard.
    assert (told["black"], told["frozen"], told["silent"], told["loudness_lufs"]) == (None, None, None, None)
    assert told["keyframe_interval_seconds"] is None
    assert told["expected_bitrate_bps"] == {"video": 3_000_000, "audio": 192_000}


def test_it_follows_the_playout_to_another_key(world: World) -> None:
    world.wait(lambda told: told["up"])
    world.playout.publish("lineup", current="demo-b", next=None)
    told = world.wait(lambda told: told["relay_key"] == "demo-b" and len(world.relay.played) == 2)
    assert world.relay.played == ["demo-a", "demo-b"]
    before = told["frames"]["video"]
    told = world.wait(lambda told: told["frames"]["video"] > before + 3)
    assert told["gaps"] == {"video": 0, "audio": 0}


def test_nothing_comes_any_more(world: World) -> None:
    frames = world.wait(lambda told: told["up"])["frames"]["video"]
    world.relay.sends = False
    told = world.wait(lambda told: not told["up"])
    assert told["bitrate_bps"] == {}
    assert (told["black"], told["frozen"], told["silent"]) == (None, None, None)
    assert told["frames"]["video"] >= frames
    world.relay.sends = True
    world.wait(lambda told: told["up"])


def test_a_relay_that_refuses_is_asked_again(world: World) -> None:
    refusal = amf("onStatus", 0.0, None, {"level": "error", "code": "NetStream.Play.Failed"})
    world.relay.answer = lambda: chunks(3, 20, 0, refusal, 128)
    run_until(world.reactor, lambda: len(world.relay.played) >= 3)
    world.relay.answer = bytes
    world.wait(lambda told: told["up"])
