"""The audio FFmpeg: the station's mount in, AAC frames for the mixer out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
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
_ASK_SECONDS = 2.0


def demuxer(url: str) -> str | None:
    """FFmpeg's name for what a mount says it sends, None where it says nothing known. Blocks for seconds at most.

    Asked by a process that ends again: what Python needs for HTTP would take 4 MB of this one for months.
    """
    try:
        asked = subprocess.run(
            [sys.executable, "-m", "hook_service.playout.mount"],
            input=url.encode(),
            capture_output=True,
            timeout=_ASK_SECONDS * 2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.decode().strip() or None


class Source:
    """Reads the mount through FFmpeg into the cushion. Polled by the timeline: arrivals wake nobody."""

    def __init__(
        self, reactor: Reactor, url: str, kbps: int, cushion: Cushion, on_state: Callable[[Process], None]
    ) -> None:
        self._reactor = reactor
        self._url = url
        self._format: str | None = None
        self._asking = False
        self._begun = False
        self._cushion = cushion
        self._reader = AdtsReader()
        self._file: int | None = None
        self._moved = 0.0
        self.process = Process(
            reactor,
            "audio",
            POLICY,
            lambda: commands.audio(url, kbps, self._format),
            stdout=True,
            on_spawn=self._spawned,
            on_exit=self._ended,
            on_state=on_state,
        )
        self._ask()
        # A name server that hangs must not keep the mount from being tried.
        reactor.call_later(_ASK_SECONDS * 1.5, self._begin)

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
        self._cushion.settle(now)

    def stop(self) -> None:
        """End it in good order."""
        self._begun = True  # an answer still to come must not start it
        self.process.want(False)

    def _spawned(self, pipes: Pipes) -> None:
        self._file = pipes.stdout
        self._reader = AdtsReader()
        self._cushion.reconnect()

    def _ended(self) -> None:
        self._file = None
        self._cushion.reconnect()
        self._ask()

    def _ask(self) -> None:
        """Find out, beside everything else, what the mount sends now: it counts from the next start on."""
        if self._asking:
            return
        self._asking = True

        def ask() -> None:
            found = demuxer(self._url)
            self._reactor.post(lambda: self._answered(found))

        threading.Thread(target=ask, name="mount", daemon=True).start()

    def _answered(self, found: str | None) -> None:
        self._asking = False
        self._format = found or self._format
        self._begin()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.process.want(True)
