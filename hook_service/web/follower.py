"""Following a process's events: nothing is missed and nothing is dealt with twice, whoever restarts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hook_service import ipc

FIRST_WAIT = 0.1  # seconds before the first new attempt; doubled up to LAST_WAIT
LAST_WAIT = 2.0

log = logging.getLogger("radio.web.follower")


class Follower:
    """A thread that reads a socket's `events` stream and hands each event on once, in order.

    It always asks for everything the process still has (a thousand events at most) and skips what it knows by
    boot id and sequence number. To ask for what came after number N would be wrong after the process was
    restarted: its numbers begin again, and everything up to N would be missed.

    `mark` is (boot id, sequence number) of the last event dealt with, from before a restart of this process.
    `handle` gets the event; the mark is moved before it is called, so that it can be kept with what it did.
    """

    def __init__(
        self, path: Path, handle: Callable[[dict[str, Any]], None], mark: tuple[str, int] | None = None
    ) -> None:
        self.path = path
        self.mark = mark
        self.connected = False
        self._handle = handle
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{path.stem}", daemon=True)

    def start(self) -> None:
        """Begin; connects, and connects again, until stopped."""
        self._thread.start()

    def stop(self) -> None:
        """Hand nothing more on. The thread ends with the next event or when the peer closes."""
        self._stopped.set()

    def _run(self) -> None:
        wait = FIRST_WAIT
        while not self._stopped.is_set():
            try:
                for event in ipc.stream(self.path, {"op": "events", "after": 0}):
                    self.connected = True
                    wait = FIRST_WAIT
                    if self._stopped.is_set():
                        return
                    self._deliver(event)
                why = "closed the stream"
            except ipc.PeerDown as error:
                why = error.why
            if self.connected:
                log.warning("Events lost", extra={"context": {"socket": self.path.name, "why": why}})
            self.connected = False
            self._stopped.wait(wait)
            wait = min(2 * wait, LAST_WAIT)

    def _deliver(self, event: dict[str, Any]) -> None:
        boot, seq = event.get("boot"), event.get("seq")
        if not isinstance(boot, str) or not isinstance(seq, int):
            return
        if self.mark is not None and self.mark[0] == boot and seq <= self.mark[1]:
            return
        self.mark = (boot, seq)
        try:
            self._handle(event)
        except Exception:
            # One event that can't be dealt with must not end the following of all that come after it.
            log.exception("Event not dealt with", extra={"context": {"socket": self.path.name, "event": event}})
