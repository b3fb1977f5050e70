"""Orders to a station's playout: switches, which are tried until it takes them, and loops to make ready."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hook_service import ipc
from hook_service.web.chronicle import about
from hook_service.web.plays import Play

RETRY_FIRST, RETRY_LAST = 0.25, 5.0
GIVE_UP = 900.0
"""Seconds that a switch is tried for while the playout is away: by then its track is over."""

log = logging.getLogger("radio.web")


class Orders:
    """For one playout.

    `pause(seconds)` waits, and says whether something newer is to be done instead; `complain(play, what, severity,
    message, why)` is told of what went wrong; `held()` says whether the picture is no track's now. Who orders by hand
    holds `lock` until that is known.
    """

    def __init__(
        self,
        playout: Path,
        *,
        pause: Callable[[float], bool],
        complain: Callable[[Play, str, str, str, str], None],
        held: Callable[[], bool],
    ) -> None:
        self.lock = threading.Lock()
        self._playout = playout
        self._pause = pause
        self._complain = complain
        self._held = held
        self._announced: set[str] = set()
        self._foretold: tuple[str, float] | None = None

    def send(self, play: Play) -> bool:
        """Give the playout the switch; tries until it answers, something newer is due, or the track must be over.

        Whether it has answered. Nothing is sent while the picture is held by hand.
        """
        message = {
            "op": "switch",
            "play_id": play.play_id,
            "loop": play.resolution.loop or None,
            "default": play.resolution.default,
            "at": play.at,
            "request_id": play.request_id,
        }
        wait = RETRY_FIRST
        while True:
            try:
                with self.lock:
                    if self._held():
                        return False
                    answer = ipc.request(self._playout, message)
            except ipc.PeerDown as error:
                if wait == RETRY_FIRST:
                    self._complain(play, "away", "ERROR", "The playout does not take a switch", error.why)
            else:
                if answer.get("ok"):
                    log.info("Switch ordered", extra={"context": about(play)})
                else:
                    why = str(answer.get("error"))
                    self._complain(play, "refused", "ERROR", "The playout refused a switch", why)
                return True
            if self._pause(wait):
                return False
            wait = min(2 * wait, RETRY_LAST)
            if time.time() > play.received + GIVE_UP:
                log.error("Switch given up", extra={"context": about(play)})
                return False

    def again(self, play: Play) -> None:
        """Send a switch once more where the playout neither shows it nor has it waiting."""
        if time.time() > play.received + GIVE_UP:
            return
        try:
            status = self.status()
        except ipc.PeerDown:
            pass  # sending tries until it is there
        else:
            waiting = (status.get("on_air"), status.get("next"))
            if any(isinstance(entry, dict) and entry.get("play_id") == play.play_id for entry in waiting):
                return
        log.info("Switch is ordered again", extra={"context": about(play)})
        self.send(play)

    def announce(self, loops: Iterable[str]) -> None:
        """Have loops prepared, and read, before they are due. Each is announced once while it is among them."""
        wanted = list(loops)
        self._announced.intersection_update(wanted)
        for loop in wanted:
            if loop in self._announced:
                continue
            try:
                ipc.request(self._playout, {"op": "warm", "loop": loop})
            except ipc.PeerDown as error:
                log.debug("Next loop not announced", extra={"context": {"why": error.why}})
                return
            self._announced.add(loop)

    def foretell(self, loop: str, at: float) -> None:
        """Say which loop will be switched to, and when (Unix seconds), before it is ordered: what it enters with can
        be made for that very moment.
        """
        if (loop, at) == self._foretold or at <= time.time():
            return
        try:
            ipc.request(self._playout, {"op": "warm", "loop": loop, "at": at})
        except ipc.PeerDown as error:
            log.debug("Next switch not foretold", extra={"context": {"why": error.why}})
        else:
            self._foretold = loop, at

    def show(self, loop: str | None, default: str, request_id: str) -> dict[str, Any]:
        """Show a loop now, or None: the slate; the playout's answer. Raises ipc.PeerDown."""
        message = {"op": "switch", "play_id": None, "loop": loop, "default": default, "at": None}
        return ipc.request(self._playout, {**message, "request_id": request_id})

    def hold(self) -> dict[str, Any]:
        """Stay with what is on the air; the playout's answer, with its `loop`. Raises ipc.PeerDown."""
        return ipc.request(self._playout, {"op": "hold"})

    def status(self) -> dict[str, Any]:
        """The playout's. Raises ipc.PeerDown."""
        return ipc.request(self._playout, {"op": "status"})

    def wanted(self) -> str | None:
        """The loop that the playout was told to show last, or "slate". Raises ipc.PeerDown."""
        wanted = self.status().get("wanted")
        return str(wanted.get("loop")) if isinstance(wanted, dict) else None
