"""A mount whose sound ticks once a second, and a playout's ear to it: where each tick is in what goes on the air."""

import contextlib
import socket
import subprocess
import threading
import time
from array import array
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hook_service.playout.announce import Announcer
from hook_service.playout.audio import SURPLUS_WATCH_SECONDS, Mixer
from hook_service.playout.mountstream import MountStream
from hook_service.playout.reactor import Reactor
from hook_service.playout.source import Source
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS, NS, Clock, FrameRate, Timeline, audio_ns
from tests.rig.net import LOOPBACK
from tests.unit.playout.helpers import adts
from tests.unit.playout.icecast_model import Icecast

RATE = 44100
_TICK_HERTZ = 3000
_TICK_SAMPLES = 160
_LOUD = 4000
_SETTLED_SECONDS = SURPLUS_WATCH_SECONDS + 0.5


def sound(place: Path, seconds: int, encoder: list[str], rate: int = RATE, odd: int = 0) -> bytes:
    """Sound with a tick at every full second but 0, encoded. There is none at second `odd`."""
    path = place / f"ticks-{'-'.join(encoder).replace('/', '_')}-{rate}"
    ticks = f"0.8*sin(2*PI*{_TICK_HERTZ}*t)*lt(mod(t\\,1)\\,{_TICK_SAMPLES / RATE})*gt(t\\,0.5)"
    ticks += f"*(1-between(t\\,{odd - 0.1}\\,{odd + 0.5}))" if odd else ""
    quiet = "0.01*sin(2*PI*(200+20*t)*t)"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"aevalsrc={ticks}+{quiet}:s={rate}:d={seconds}",
         "-ac", "2", *encoder, str(path)],
        check=True, timeout=60,
    )  # fmt: skip
    return path.read_bytes()


def byte_at(sound: bytes, demuxer: str, second: float) -> int:
    """The first byte of the frame that holds a second of this sound."""
    stream = MountStream(0, demuxer)
    for byte in range(0, len(sound), 200):
        stream.feed(sound[byte : byte + 200])
        if (stream.seconds or 0.0) > second:
            return byte
    raise ValueError(f"there are no {second} s of it")


def ticks(frames: list[bytes]) -> list[float]:
    """Where the ticks begin in AAC frames, in seconds from the first frame's slot on, as a player hears them."""
    stream = b"".join(adts(frame) for frame in frames)
    done = subprocess.run(
        ["ffmpeg", "-v", "quiet", "-f", "aac", "-i", "pipe:0", "-ac", "1", "-f", "s16le", "-"],
        input=stream, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    samples = array("h", done.stdout)
    found, place = [], 0
    while place < len(samples):
        if abs(samples[place]) > _LOUD:
            found.append(place / RATE)
            place += RATE // 2
        place += 1
    return found


class Mount:
    """An Icecast's mount, as its source has it, on a real socket in real time; 10 s of sound were there before."""

    def __init__(self, sound: bytes, kind: str, kbps: float, titles: Mapping[int, str] | None = None) -> None:
        self.icecast = Icecast(sound, titles or {})
        self.refuse = False
        self.connections = 0
        self._kind = kind
        self._pace = kbps * 125
        self._began = time.monotonic() - 10
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}/radio"
        threading.Thread(target=self._accept, daemon=True).start()

    def head(self) -> int:
        """How much the source has sent."""
        return int((time.monotonic() - self._began) * self._pace)

    def drop(self) -> None:
        """End every connection."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                connection.close()
                continue
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            more = f"icy-metaint: {self.icecast.interval}\r\n" if self.icecast.interval else ""
            connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Type: {self._kind}\r\n{more}\r\n".encode())
            start, sent = self._start(connection), 0
            while self.icecast.whole(self.head()) < len(self.icecast.sound) - 1400:
                data = self._send(start, self.icecast.whole(self.head()))
                connection.sendall(data[sent:])
                sent = len(data)
                time.sleep(0.02)
        self._open.discard(connection)

    def _start(self, _connection: socket.socket) -> int:
        return self.icecast.start(self.head())

    def _send(self, start: int, end: int) -> bytes:
        return self.icecast.send(start, end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.drop()


class OggMount(Mount):
    """The same for one stream of Ogg: a listener gets its headers first, then whole pages."""

    def __init__(self, sound: bytes, kbps: float) -> None:
        super().__init__(sound, "application/ogg", kbps)
        self.icecast.interval = 0
        self._pages = [at for at in range(len(sound)) if sound.startswith(b"OggS", at)]
        granules = (int.from_bytes(sound[at + 6 : at + 14], "little") for at in self._pages)
        self._body = next(at for at, granule in zip(self._pages, granules, strict=True) if granule)

    def _start(self, connection: socket.socket) -> int:
        connection.sendall(self.icecast.sound[: self._body])
        start = self.icecast.start(self.head())
        return next(at for at in self._pages if at >= max(start, self._body))

    def _send(self, start: int, end: int) -> bytes:
        return self.icecast.sound[start : max(start, end)]


class Ear:
    """What a playout makes of a mount: its frames, when each was due, and its events."""

    def __init__(self, url: str) -> None:
        self.frames: list[bytes] = []
        self.sources: list[str] = []
        self.due: list[float] = []
        """Unix time of each frame's slot."""
        self.events: list[dict[str, Any]] = []
        self.reactor = Reactor()
        self.mixer = Mixer([b"\x21\x00\x49\x90\x02\x19\x00\x23\x80"], lambda: None)
        now = time.monotonic_ns()
        self._clock = Clock(0, now)
        self._timeline = Timeline(FrameRate(30))
        announcer = Announcer(self.reactor, url, self.mixer.cushion, self._when, self._publish)
        self.source = Source(self.reactor, url, 192, self.mixer.cushion, announcer, lambda _: None, lambda: None)
        self._tick()

    def run(self, seconds: float) -> None:
        """Listen for so long."""
        self.reactor.call_later(seconds, self.reactor.stop)
        self.reactor.run()

    def end(self) -> None:
        """Stop listening."""
        self.source.stop()
        deadline = time.monotonic() + 8
        while self.source.process.pid is not None and time.monotonic() < deadline:
            self.run(0.05)

    def heard(self) -> list[float]:
        """The Unix times of the mount's ticks, but those of the first seconds: then a surplus may be left out."""
        first = self.sources.index("mount")
        times = [self.due[first] + second for second in ticks(self.frames[first:])]
        return [time for time in times if time - self.due[first] > _SETTLED_SECONDS]

    def gaps(self) -> list[float]:
        """How far apart they were."""
        return [two - one for one, two in pairwise(self.heard())]

    def _publish(self, kind: str, **values: Any) -> None:
        self.events.append({"kind": kind, "at": time.time(), **values})

    def _when(self, slots: float) -> float:
        position = audio_ns(self._timeline.audio_index) + int(slots * AUDIO_FRAME_SECONDS * NS)
        return time.time() + (self._clock.when(position) - time.monotonic_ns()) / NS

    def _tick(self) -> None:
        self.source.poll()
        for kind, index, _ in self._timeline.due(self._clock.advance(time.monotonic_ns())):
            if kind == "audio":
                due = time.time() + (self._clock.when(audio_ns(index)) - time.monotonic_ns()) / NS
                self.frames.append(self.mixer.frame())
                self.sources.append(self.mixer.source)
                self.due.append(due)
        self.reactor.call_later(1 / 15, self._tick)
