"""One thread that waits for files, timers, child processes and other threads.

The playout's own, because it has to be exact to the millisecond, hold next to no memory and never run anything
between two frames that it was not asked to.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any

Callback = Callable[[], object]


class Timer:
    """A call that is due at `when` (seconds, monotonic); `cancel()` takes it back."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Callback | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """It won't be called."""
        self.callback = None


class Reactor:
    """Runs callbacks when their file is ready or their time has come. What a callback raises ends `run()`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []
        self._posted: deque[Callback] = deque()
        self._running = False
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.on_readable(self._wake_read, self._woken)

    def on_readable(self, file: int, callback: Callback) -> None:
        """Call back while there is something to read."""
        self._watch(file, selectors.EVENT_READ, callback)

    def on_writable(self, file: int, callback: Callback | None) -> None:
        """Call back while it can be written to; None ends that."""
        self._watch(file, selectors.EVENT_WRITE, callback)

    def _watch(self, file: int, event: int, callback: Callback | None) -> None:
        known: dict[int, Callback] = {}
        if file in self._selector.get_map():
            known = self._selector.get_key(file).data
        wanted = {**known, event: callback} if callback else {k: v for k, v in known.items() if k != event}
        mask = sum(wanted)
        if not known and mask:
            self._selector.register(file, mask, wanted)
        elif known and mask:
            self._selector.modify(file, mask, wanted)
        elif known:
            self._selector.unregister(file)

    def forget(self, file: int) -> None:
        """No longer watch a file; to be called before it is closed."""
        if file in self._selector.get_map():
            self._selector.unregister(file)

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Call at `when` (seconds of time.monotonic())."""
        timer = Timer(when, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def call_later(self, delay: float, callback: Callback) -> Timer:
        """Call after `delay` seconds."""
        return self.call_at(time.monotonic() + delay, callback)

    def every(self, interval: float, callback: Callback) -> Timer:
        """Call again and again, `interval` seconds apart, the first time now, until that is cancelled."""
        repeated = Timer(time.monotonic(), callback)

        def again() -> None:
            if repeated.callback is not None:
                repeated.callback()
                self.call_later(interval, again)

        self.post(again)
        return repeated

    def post(self, callback: Callback) -> None:
        """Call from the reactor's thread, soon. The only method that other threads may use."""
        self._posted.append(callback)
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # the pipe is full of wake-ups: it will wake

    def stop(self) -> None:
        """End `run()` after the present callback."""
        self._running = False

    def stop_on_signals(self, callback: Callback) -> None:
        """Call back, in the reactor's own time, when the process is asked to end."""

        def asked(_number: int, _frame: Any) -> None:
            self.post(callback)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, asked)

    def run(self) -> None:
        """Work until `stop()`."""
        self._running = True
        while self._running:
            timers = self._timers
            while timers and timers[0].callback is None:
                heapq.heappop(timers)
            timeout = max(0.0, timers[0].when - time.monotonic()) if timers else None
            for key, mask in self._selector.select(timeout):
                for event, callback in list(key.data.items()):
                    # An earlier callback of this round may have forgotten the file.
                    if self._running and mask & event and self._selector.get_map().get(key.fd) is not None:
                        callback()
            now = time.monotonic()
            while self._running and timers and timers[0].when <= now:
                due = heapq.heappop(timers).callback
                if due is not None:
                    due()

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        for _ in range(len(self._posted)):
            if self._running:
                self._posted.popleft()()
