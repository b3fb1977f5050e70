"""The audio FFmpeg: the station's mount in, AAC frames for the mixer out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hook_service.playout import commands
from hook_service.playout.adts import AdtsReader
from hook_service.playout.audio import Cushion
from hook_service.playout.process import Pipes, Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy

# A mount that is away is usually back within seconds, and asking costs it nothing: never wait for long.
POLICY = Policy(stale=4.0, spawning=8.0, backoff=0.25, backoff_limit=2.0, slow=3.0)
_READ = 1 << 16


class Source:
    """Reads the mount through FFmpeg into the cushion. Polled by the timeline: arrivals wake nobody."""

    def __init__(
        self, reactor: Reactor, url: str, kbps: int, cushion: Cushion, on_state: Callable[[Process], None]
    ) -> None:
        self._cushion = cushion
        self._reader = AdtsReader()
        self._file: int | None = None
        self._moved = 0.0
        self.process = Process(
            reactor,
            "audio",
            POLICY,
            lambda: commands.audio(url, kbps),
            stdout=True,
            on_spawn=self._spawned,
            on_exit=self._ended,
            on_state=on_state,
        )
        self.process.want(True)

    def poll(self) -> None:
        """Take what has arrived."""
        if self._file is None:
            return
        now = time.monotonic()
        if not self._cushion.full:
            try:
                data = os.read(self._file, _READ)
            except BlockingIOError:
                data = b""
            frames = self._reader.feed(data) if data else []
            if frames:
                self._cushion.add(frames, now)
        # A full cushion is the mount's haste, not the process's fault.
        if (self._cushion.full or (data and frames)) and now - self._moved > 0.5:
            self._moved = now
            self.process.moved()
        self._cushion.join(now)

    def _spawned(self, pipes: Pipes) -> None:
        self._file = pipes.stdout
        self._reader = AdtsReader()
        self._cushion.reconnect()

    def _ended(self) -> None:
        self._file = None
        self._cushion.reconnect()
