"""Second looks at a real Icecast: where a title began is known far better than from the listener's own blocks."""

import random
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from hook_service.playout import looks, mount
from hook_service.playout.mountstream import MountStream
from hook_service.playout.titles import HELD_SECONDS, TOLD_SECONDS, Decided, Titles
from tests.rig.icecast import Icecast
from tests.rig.net import LOOPBACK, wait_until
from tests.unit.playout.coded import mp3

RATE = 417 * 44100 / 1152
CUSHION = 3.0
SECONDS = 60


class Paced:
    """A source that sends frames in real time, and knows how many bytes it has sent."""

    def __init__(self, icecast: Icecast) -> None:
        noise = random.Random(5)
        self.sound = b"".join(mp3(fill=noise.randbytes(413)) for _ in range(int(SECONDS * 44100 / 1152)))
        self.sent = 0
        self._icecast = icecast
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send, name="paced", daemon=True)

    def _send(self) -> None:
        login = b64encode(f"source:{self._icecast.password}".encode()).decode()
        head = f"SOURCE /radio.mp3 ICE/1.0\r\nAuthorization: Basic {login}\r\nContent-Type: audio/mpeg\r\n\r\n"
        with socket.create_connection((LOOPBACK, self._icecast.port), timeout=5) as connection:
            connection.sendall(head.encode())
            began = time.monotonic()
            while self.sent < len(self.sound):
                if self._end.wait(max(0.0, began + self.sent / RATE - time.monotonic())):
                    return
                connection.sendall(self.sound[self.sent : self.sent + 417])
                self.sent += 417

    def __enter__(self) -> "Paced":
        self._thread.start()
        wait_until(lambda: "/radio.mp3" in self._icecast.mounts(), "the mount", 10)
        return self

    def __exit__(self, *trouble: object) -> None:
        self._end.set()
        self._thread.join(5)


@pytest.fixture(scope="module")
def icecast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Icecast]:
    place: Path = tmp_path_factory.mktemp("looks")
    with Icecast(place) as running:
        yield running
    running.forget()


class Listener:
    """What the playout does with a mount, without its sound."""

    def __init__(self, icecast: Icecast) -> None:
        self._url = icecast.url()
        self._stream = mount.connect(self._url)
        self._stream.settimeout(0)
        self.sound = MountStream(self._stream.interval, self._stream.demuxer)
        self.titles = Titles()
        self.titles.connected()
        self.decided: dict[str, tuple[Decided, float]] = {}
        """By their text, with the seconds that were left when they were."""
        self.looks = 0
        self._take(self._stream.first)

    def close(self) -> None:
        """Stop listening."""
        self._stream.close()

    def _left(self, seconds: float) -> float:
        return CUSHION - ((self.sound.seconds or 0.0) - seconds)

    def _take(self, raw: bytes) -> None:
        for mark in self.sound.feed(raw)[1]:
            self._told(self.titles.saw(mark, self.sound))

    def _told(self, decided: list[Decided]) -> None:
        for one in decided:
            self.decided[one.text] = one, self._left(one.seconds or 0.0)

    def listen_until(self, text: str, seconds: float) -> None:
        """Go on until this title is decided."""
        deadline = time.monotonic() + seconds
        while text not in self.decided:
            assert time.monotonic() < deadline, f"{text!r} was not told within {seconds} s"
            try:
                self._take(self._stream.recv())
            except BlockingIOError:
                time.sleep(0.02)
            decided, want = self.titles.step(self.sound, self._left)
            self._told(decided)
            if want is not None:
                self.looks += 1
                began = time.monotonic()
                # In this thread: what the mount sends meanwhile waits in the socket, as if nothing had come.
                glimpse = looks.take(partial(mount.connect, self._url, 2.0, looks.HEADERS), want, 2.0)
                self.titles.looked(glimpse, time.monotonic() - began, self.sound)


def _reached(source: Paced, start: int, phase: int) -> bool:
    """Whether the source is about so many bytes behind a metadata block of the listener who began at `start`."""
    return abs((source.sent - start) % 16_000 - phase) < 900


def test_a_title_is_found_within_a_fifth_of_a_second(icecast: Icecast) -> None:
    with Paced(icecast) as source, ExitStack() as stack:
        wait_until(lambda: source.sent > 80_000, "enough sound for a whole burst", 20)
        icecast.set_title("/radio.mp3", "A - One")
        listener = stack.enter_context(closing(Listener(icecast)))
        listener.listen_until("A - One", 10)
        start = source.sound.find(listener.sound.recent.read(0, 2000))
        assert start > 0
        for text, phase in (("B - Two", 2000), ("C - Don't", 9000), ("Ä - Four", 14_000)):
            # At another place of the listener's interval each time.
            wait_until(partial(_reached, source, start, phase), "the moment", 5, every=0.01)
            looked, before = listener.looks, source.sent
            icecast.set_title("/radio.mp3", text)
            after = source.sent
            listener.listen_until(text, 10)
            decided, left = listener.decided[text]
            assert decided.change
            assert decided.seconds is not None
            assert decided.within < 0.22
            truth = ((before + after) / 2 - start) / RATE + HELD_SECONDS["mp3"]
            assert abs(decided.seconds - truth) <= decided.within + (after - before) / RATE + 0.03
            assert left > TOLD_SECONDS
            assert 1 <= listener.looks - looked <= looks.LOOKS
