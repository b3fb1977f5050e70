"""The operator's fallback audio, played over and over from disk while the mount is away."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hook_service.library import basics
from hook_service.library.errors import LibraryError, NotNow
from hook_service.playout.adts import AdtsReader
from hook_service.playout.reactor import Reactor

_CHUNK = 64 * 1024  # 2.7 s at 192 kb/s
_LOW = 100  # frames: 2.3 s
_RETRY_SECONDS = 30.0


class Fallback:
    """Frames of one audio file, read ahead by a thread so that a hanging disk costs nothing but the fallback."""

    def __init__(
        self, reactor: Reactor, source: Path, library: Path, kbps: int, trouble: Callable[[str], None]
    ) -> None:
        """`trouble(text)` is told why there is no fallback, once for each reason."""
        self._reactor = reactor
        self._source = source
        self._library = library
        self._kbps = kbps
        self._trouble = trouble
        self._frames: deque[bytes] = deque()
        self._wanted = threading.Semaphore(1)
        self._asked = True
        threading.Thread(target=self._work, name="fallback", daemon=True).start()

    def take(self) -> bytes | None:
        """The next frame, or None while there is none."""
        if len(self._frames) < _LOW and not self._asked:
            self._asked = True
            self._wanted.release()
        return self._frames.popleft() if self._frames else None

    def _supply(self, frames: list[bytes]) -> None:
        self._frames.extend(frames)
        self._asked = False

    def _work(self) -> None:
        told = None
        while True:
            try:
                prepared = basics.prepare_audio(self._source, self._library, self._kbps)
                told = None
                self._play(prepared)
            except (LibraryError, OSError) as reason:
                text = f"no fallback audio: {reason}"
                if text != told and not isinstance(reason, NotNow):
                    self._reactor.post(partial(self._trouble, text))
                    told = text
                time.sleep(_RETRY_SECONDS)

    def _play(self, prepared: Path) -> None:
        while True:
            reader = AdtsReader()
            with prepared.open("rb", buffering=0) as file:
                while data := file.read(_CHUNK):
                    frames = reader.feed(data)
                    self._wanted.acquire()
                    self._reactor.post(partial(self._supply, frames))
