"""The mount over real sockets, through a real child that plays FFmpeg's part: what is sent is ADTS already."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hook_service.playout import commands
from hook_service.playout import source as module
from hook_service.playout.announce import Announcer
from hook_service.playout.audio import CUSHION_SECONDS, FULL_SECONDS, Cushion
from hook_service.playout.reactor import Reactor
from hook_service.playout.source import Source
from hook_service.playout.supervise import State
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS
from tests.unit.playout.helpers import adts, open_files, run_for, run_until
from tests.unit.playout.icecast_model import Icecast

CUSHION = round(CUSHION_SECONDS / AUDIO_FRAME_SECONDS)
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: audio/aac\r\n\r\n"


def frame(number: int, size: int = 400) -> bytes:
    return b"%06d" % number + bytes((number * 7 + n) % 251 for n in range(size - 6))


def sound(first: int, end: int) -> bytes:
    return b"".join(adts(frame(n)) for n in range(first, end))


class Mount:
    """Sends what it is told to its newest listener; a new one gets `burst` first."""

    def __init__(self) -> None:
        self.head = HEAD
        self.burst = b""
        self.listeners = 0
        self.refuse = False
        self.sent = 0
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/radio"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Send it, as far as the listener takes it."""
        with contextlib.suppress(OSError):
            self._connections[-1].settimeout(0.5)
            while data:
                done = self._connections[-1].send(data)
                self.sent += done
                data = data[done:]

    def drop(self) -> None:
        """End the listener's connection."""
        self._connections[-1].close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                connection.close()
                continue
            connection.recv(4096)
            connection.sendall(self.head + self.burst)
            self._connections.append(connection)
            self.listeners += 1

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._connections:
            connection.close()


class Rig:
    """A source on a mount, polled as the timeline does."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.reactor = Reactor()
        self.cushion = Cushion()
        self.told: list[tuple[str, str | None]] = []
        self.events: list[dict[str, Any]] = []
        # The next slot is due now.
        announcer = Announcer(self.reactor, mount.url, self.cushion, self._when, self._publish)
        self.source = Source(self.reactor, mount.url, 192, self.cushion, announcer, lambda _: None, self._tell)
        self._poll()

    def _when(self, slots: float) -> float:
        return time.time() + slots * AUDIO_FRAME_SECONDS

    def _publish(self, kind: str, **values: Any) -> None:
        assert kind == "title"
        self.events.append({"at": time.time(), **values})

    def _tell(self) -> None:
        self.told.append((self.source.state, self.source.error))

    def _poll(self) -> None:
        self.source.poll()
        self.reactor.call_later(0.01, self._poll)

    def until(self, condition: Callable[[], bool]) -> None:
        run_until(self.reactor, condition)

    def play(self) -> list[int]:
        """Everything that waits, by number."""
        played = []
        while data := self.cushion.take():
            played.append(int(data[:6]))
        return played


@pytest.fixture
def mount() -> Iterator[Mount]:
    made = Mount()
    yield made
    made.end()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(script: str) -> None:
        monkeypatch.setattr(commands, "audio", lambda kbps, demuxer: ["sh", "-c", script])

    use("exec cat")
    return use


@pytest.fixture
def start(mount: Mount, command: Callable[[str], None]) -> Iterator[Callable[[], Rig]]:
    made: list[Rig] = []

    def begin() -> Rig:
        made.append(Rig(mount))
        return made[-1]

    yield begin
    for rig in made:
        rig.source.stop()
        rig.until(lambda rig=rig: rig.source.process.pid is None)  # type: ignore[misc]


def joined(rig: Rig, end: int = 202) -> None:
    """Be on the mount, which has sent frames up to `end`."""
    rig.until(lambda: rig.source.process.state is State.RUNNING)
    run_for(rig.reactor, 0.35)
    rig.mount.send(sound(end - 2, end))
    rig.until(lambda: rig.cushion.joined)


def test_a_burst_is_trimmed_to_the_cushion(mount: Mount, start: Callable[[], Rig]) -> None:
    mount.burst = b"rubbish" + sound(0, 100) + b"more of it" + sound(100, 200)
    rig = start()
    joined(rig)
    assert rig.source.status() | {"since": 0} == {
        "state": "connected", "since": 0, "error": None, "format": "aac", "titles": None, "title": None,
        "reconnects": 0,
    }  # fmt: skip
    assert rig.cushion.seconds == pytest.approx(CUSHION_SECONDS, abs=0.03)
    assert rig.play() == list(range(202 - CUSHION, 202))
    assert rig.told == [("connected", None)]


@pytest.mark.parametrize("portion", [100_000, 1000])
def test_after_a_drop_it_goes_on_at_the_very_frame(mount: Mount, start: Callable[[], Rig], portion: int) -> None:
    mount.burst = sound(0, 200)
    rig = start()
    joined(rig)
    before = len(rig.cushion._playing)
    data = sound(100, 230)[777:]  # it begins in the middle of a frame
    mount.burst = data[:portion]
    mount.drop()
    rig.until(lambda: mount.listeners == 2 and rig.source.process.state is State.RUNNING)
    mount.send(data[portion:])
    rig.until(lambda: len(rig.cushion._playing) >= before + 28)
    assert rig.play() == list(range(202 - CUSHION, 230)), "nothing lost, nothing twice"
    assert rig.source.reconnects == 1
    assert [state for state, _ in rig.told] == ["connected", "connecting", "connected"]


def test_what_was_lost_in_ffmpeg_comes_again(mount: Mount, start: Callable[[], Rig]) -> None:
    mount.burst = sound(0, 200)
    rig = start()
    joined(rig)
    pid = rig.source.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    mount.send(sound(202, 220))  # goes to the one that stands still
    run_for(rig.reactor, 0.2)
    mount.burst = sound(150, 225)
    os.kill(pid, signal.SIGKILL)
    rig.until(lambda: mount.listeners == 2 and len(rig.cushion._playing) >= CUSHION + 23)
    assert rig.play() == list(range(202 - CUSHION, 225))
    assert rig.source.process.supervision.restarts == 1
    assert rig.source.state == "connected"


def test_one_that_stands_still_is_replaced_while_one_with_nothing_to_do_is_not(
    mount: Mount, start: Callable[[], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    mount.burst = sound(0, 200)
    rig = start()
    joined(rig)
    run_for(rig.reactor, module.POLICY.stale + 0.7)
    assert rig.source.process.supervision.restarts == 0, "nothing came, so nothing was to be done"
    assert rig.source.process.pid is not None
    os.kill(rig.source.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    mount.send(sound(202, 210))
    mount.burst = sound(150, 215)
    rig.until(lambda: rig.source.process.supervision.restarts == 1)
    assert time.monotonic() - began < CUSHION_SECONDS - 0.4, "soon enough for nobody to hear it"
    rig.until(lambda: len(rig.cushion._playing) >= CUSHION + 13)
    assert rig.play() == list(range(202 - CUSHION, 215))


def test_another_broadcast_is_not_taken_for_the_same(mount: Mount, start: Callable[[], Rig]) -> None:
    mount.burst = sound(0, 200)
    rig = start()
    joined(rig)
    mount.burst = sound(5000, 5020)
    mount.drop()
    rig.until(lambda: mount.listeners == 2 and rig.source.process.state is State.RUNNING)
    while len(rig.cushion._playing) > 8:
        rig.cushion.take()
    mount.send(sound(5020, 5030))
    rig.until(lambda: rig.cushion.joined)
    assert rig.play() == [*range(194, 202), *range(5000, 5030)]


def test_away_says_why_and_is_asked_again(mount: Mount, start: Callable[[], Rig]) -> None:
    mount.head = b"HTTP/1.0 404 File Not Found\r\nContent-Type: text/html\r\n\r\n"
    rig = start()
    rig.until(lambda: rig.source.state == "away" and mount.listeners > 2)
    assert rig.source.error is not None
    assert "404" in rig.source.error
    assert rig.source.process.pid is None
    assert rig.source.process.state is State.STOPPED
    assert len(rig.told) == 1, "the same is told once"
    mount.head, mount.burst = HEAD, sound(0, 200)
    joined(rig)
    assert rig.told[1:] == [("connected", None)]


def test_a_server_that_closes_at_once_is_not_asked_without_end(mount: Mount, start: Callable[[], Rig]) -> None:
    before = open_files()
    mount.burst = sound(0, 20)
    rig = start()
    for number in range(1, 4):
        rig.until(lambda number=number: mount.listeners == number)  # type: ignore[misc]
        mount.drop()
    run_for(rig.reactor, 1.0)
    assert mount.listeners <= 5
    rig.source.stop()
    rig.until(lambda: rig.source.process.pid is None)
    assert open_files() <= before + 4, "the reactor's own and the mount's"


def test_a_mount_that_sends_nothing_is_connected_to_anew(
    mount: Mount, start: Callable[[], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.3)
    mount.burst = sound(0, 200)
    rig = start()
    rig.until(lambda: mount.listeners >= 3)
    assert not rig.cushion.joined, "the burst of one that hangs is not the present"
    assert any(error is not None and "sent nothing" in error for _, error in rig.told)


def test_an_ffmpeg_that_does_not_read_slows_down_the_mount_only(
    mount: Mount, start: Callable[[], Rig], command: Callable[[str], None]
) -> None:
    command("exec sleep 60")
    sender = threading.Thread(target=mount.send, args=(sound(0, 40_000),))
    rig = start()
    rig.until(lambda: mount.listeners == 1)
    longest, last = 0.0, time.monotonic()

    def look() -> None:
        nonlocal longest, last
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        rig.reactor.call_later(0.01, look)

    look()
    sender.start()
    rig.until(lambda: not sender.is_alive())
    assert mount.sent < 10 << 20, "the rest stays where it is"
    assert longest < 0.3
    assert rig.source._feed is not None
    assert len(rig.source._feed._waiting) < 300_000
    assert rig.source.state == "connected", "that is not the mount's fault"


def test_a_file_instead_of_a_mount_is_held_back_and_not_called_stale(mount: Mount, start: Callable[[], Rig]) -> None:
    rig = start()
    rig.until(lambda: mount.listeners == 1)
    sender = threading.Thread(target=mount.send, args=(sound(0, 40_000),))
    sender.start()
    rig.until(lambda: rig.cushion.full)
    run_for(rig.reactor, module.POLICY.stale + 0.5)
    sender.join()
    assert rig.cushion.seconds < FULL_SECONDS + 6
    assert rig.source.process.supervision.restarts == 0


def test_sound_of_another_shape_is_no_sound(
    mount: Mount, start: Callable[[], Rig], command: Callable[[str], None]
) -> None:
    mount.burst = b"".join(adts(bytes(200), channels=1) for _ in range(200))
    rig = start()
    rig.until(lambda: rig.source.process.pid is not None)
    run_for(rig.reactor, 0.5)
    assert not rig.cushion.joined
    assert rig.cushion.seconds == 0
    assert rig.source.process.state is State.SPAWNING


def test_its_end_while_it_connects(mount: Mount, start: Callable[[], Rig]) -> None:
    before = open_files()
    rig = start()
    rig.source.stop()
    rig.until(lambda: mount.listeners == 1)
    run_for(rig.reactor, 0.2)
    assert rig.source.process.pid is None
    assert rig.source._feed is None
    assert open_files() <= before + 4


class TestTitles:
    """When which title is told. A frame is 407 bytes here; a title belongs to a block of 1400."""

    FRAME = 407
    HEAD = HEAD[:-2] + b"icy-metaint: 4070\r\n\r\n"

    def on_air(self, mount: Mount) -> Icecast:
        """A broadcast whose first title is A, whose second begins with frame 150, and whose third with frame 215."""
        mount.head = self.HEAD
        titles = {0: "A - One", 150 * self.FRAME: "B - Two", 215 * self.FRAME: "C - Three"}
        return Icecast(sound(0, 400), titles, interval=4070)

    def test_of_the_burst_and_of_what_follows(self, mount: Mount, start: Callable[[], Rig]) -> None:
        radio = self.on_air(mount)
        mount.burst = radio.send(0, 200 * self.FRAME)
        rig = start()
        rig.until(lambda: rig.source.process.state is State.RUNNING)
        run_for(rig.reactor, 0.4)
        assert rig.events == [], "its sound has no place yet"
        mount.send(radio.send(0, 202 * self.FRAME)[len(mount.burst) :])
        rig.until(lambda: len(rig.events) == 2)
        assert [(e["text"], e["change"]) for e in rig.events] == [("A - One", False), ("B - Two", True)]
        # 129 of the 202 frames wait, so frame 150 is 77 frames ahead.
        ahead = rig.events[1]["sound_at"] - rig.events[1]["at"]
        doubt = rig.events[1]["within"] + 4 * AUDIO_FRAME_SECONDS
        assert ahead == pytest.approx((CUSHION - 52) * AUDIO_FRAME_SECONDS, abs=doubt)
        assert rig.source.status()["titles"] == "icy"
        assert rig.source.status()["title"] == "B - Two"

    def test_of_long_ago_are_not_told_again(self, mount: Mount, start: Callable[[], Rig]) -> None:
        radio = self.on_air(mount)
        mount.burst = radio.send(0, 200 * self.FRAME)
        rig = start()
        rig.until(lambda: rig.source.process.state is State.RUNNING)
        run_for(rig.reactor, 0.4)
        mount.send(radio.send(0, 202 * self.FRAME)[len(mount.burst) :])
        rig.until(lambda: len(rig.events) == 2)
        mount.burst = radio.send(100 * self.FRAME, 230 * self.FRAME)
        mount.drop()
        rig.until(lambda: mount.listeners == 2 and len(rig.events) == 3)
        assert [e["text"] for e in rig.events] == ["A - One", "B - Two", "C - Three"]
        played = rig.play()
        assert played == list(range(played[0], 230))
        assert len(played) == CUSHION, "what was too much is left out at the old end"

    def test_that_came_while_nobody_listened_is_told(self, mount: Mount, start: Callable[[], Rig]) -> None:
        radio = self.on_air(mount)
        mount.burst = radio.send(0, 200 * self.FRAME)
        rig = start()
        rig.until(lambda: rig.source.process.state is State.RUNNING)
        run_for(rig.reactor, 0.4)
        mount.send(radio.send(0, 202 * self.FRAME)[len(mount.burst) :])
        rig.until(lambda: len(rig.events) == 2)
        mount.burst = radio.send(220 * self.FRAME, 400 * self.FRAME)
        mount.drop()
        rig.until(lambda: len(rig.events) == 3)
        assert (rig.events[2]["text"], rig.events[2]["change"]) == ("C - Three", True)
