"""The FFmpeg that looks and listens: keyframes and all sound go in, small pictures and levels come out.

It is given a time of its own that only the sound moves on, so that neither gaps nor a turn-over nor months on the air
are its business. What it has to say is read at each look and not as it comes: it writes ten times a second, and
every write would wake us.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Callable

from hook_service.monitor.flow import is_configuration, is_frame, is_keyframe
from hook_service.monitor.judge import HEIGHT, PICTURE_BYTES, WIDTH, Levels
from hook_service.monitor.rtmp import VIDEO, Message
from hook_service.playout import commands, flv
from hook_service.playout.process import Pipes, Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy

POLICY = Policy(stale=10.0, spawning=15.0, backoff=1.0, backoff_limit=30.0, slow=60.0)
_BACKLOG_BYTES = 8 << 20
# Keyframes whose pictures are awaited. Usually one or two are: more than that, and some gave no picture.
_AWAITED = 8
# FLV's time ends after 24.8 days.
_RENEW_MS = flv.LAST_MS - 3_600_000
# It is filled once a look: a keyframe of 1080p alone is several times what a pipe usually holds.
_PIPE_BYTES = 1 << 20


class Decoder:
    """One station's. `picture(ms, keyframe, picture)` and `level(momentary, short_term, peak)` come from `look`."""

    def __init__(
        self,
        reactor: Reactor,
        station: str,
        picture: Callable[[int, bytes, bytes], None],
        level: Callable[[float, float, float], None],
    ) -> None:
        self._picture = picture
        self._level = level
        self._pipes = Pipes(None, None)
        self._configuration: dict[int, bytes] = {}
        self._joined = False
        self._sounds = 0
        self._out = bytearray()
        self._awaited: deque[tuple[int, bytes]] = deque()
        self._pictures = b""
        self._levels = Levels()
        self.process = Process(
            reactor,
            f"decoder:{station}",
            POLICY,
            lambda: commands.monitor(WIDTH, HEIGHT),
            stdin=True,
            stdout=True,
            side=True,
            on_spawn=self._spawned,
            on_exit=self._ended,
        )

    def want(self, wanted: bool) -> None:
        """Have it run, or not."""
        if not wanted:
            self._ended()  # its pipes are about to be closed
        self.process.want(wanted)

    def restart(self) -> None:
        """Have another in its place."""
        self._ended()
        self.process.restart()

    def take(self, message: Message) -> None:
        """What the relay sent. Pictures that need others, and sound before the first keyframe, are left out."""
        if is_configuration(message):
            self._configuration[message.kind] = message.body
            if self._joined:
                self._put(message)
        elif self._pipes.stdin is None or not is_frame(message):
            return
        elif is_keyframe(message):
            if not self._joined:
                self._join()
            if self._joined:
                self._awaited.append((message.ms, message.body))
                self._put(message)
        elif self._joined and message.kind != VIDEO:
            self._put(message)
            self._sounds += 1

    def look(self) -> None:
        """Hand on what has gathered, and take what it has found, without ever waiting for it."""
        self._flush()
        if self._pipes.side is not None:
            *whole, self._pictures = _cut(self._pictures + _read(self._pipes.side), PICTURE_BYTES)
            for picture in whole:
                if self._awaited:
                    ms, keyframe = self._awaited.popleft()
                    self._picture(ms, keyframe, picture)
            if len(self._awaited) > _AWAITED:
                self._awaited.clear()
        if self._pipes.stdout is not None:
            levels = self._levels.feed(_read(self._pipes.stdout))
            if levels:
                self.process.moved()
            for level in levels:
                self._level(*level)
        if self._time() > _RENEW_MS:
            self.restart()

    def _time(self) -> int:
        return self._sounds * 10240 // 441

    def _join(self) -> None:
        """It begins with what tells it what comes: both configurations, then a keyframe."""
        if not {flv.VIDEO, flv.AUDIO} <= self._configuration.keys():
            return
        self._joined = True
        self._out += flv.HEADER
        for kind in (flv.VIDEO, flv.AUDIO):
            self._put(Message(kind, 0, self._configuration[kind]))

    def _put(self, message: Message) -> None:
        self._out += flv.tag(message.kind, self._time(), message.body)

    def _flush(self) -> None:
        file = self._pipes.stdin
        if file is None:
            self._out.clear()
            return
        try:
            while self._out:
                del self._out[: os.write(file, self._out)]
        except BlockingIOError:
            if len(self._out) > _BACKLOG_BYTES:
                self.process.kill("it has stopped reading")
                self._ended()
        except OSError:  # it has just died; its exit is on its way
            self._out.clear()

    def _spawned(self, pipes: Pipes) -> None:
        self._ended()
        self._pipes = pipes
        if pipes.stdin is not None:
            with contextlib.suppress(OSError):  # the host's limit for a user's pipes: then it takes longer
                fcntl.fcntl(pipes.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def _ended(self) -> None:
        self._pipes = Pipes(None, None)
        self._joined = False
        self._sounds = 0
        self._out.clear()
        self._awaited.clear()
        self._pictures = b""
        self._levels = Levels()


def _read(file: int) -> bytes:
    """What is there."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while data := os.read(file, 65536):
            found.append(data)
    return b"".join(found)


def _cut(data: bytes, size: int) -> list[bytes]:
    """Pieces of this size, and what is left behind them."""
    whole = len(data) // size * size
    return [*(data[at : at + size] for at in range(0, whole, size)), data[whole:]]
