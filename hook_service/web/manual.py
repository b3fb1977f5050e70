"""What a person has on the air: ordered at once, kept through every track and every restart, and given back.

Tracks go on meanwhile. They get no picture, and each enters the history at its time, with the loop that is really
shown. When the override is over, the track that is playing by then gets the picture that is its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hook_service import ipc
from hook_service.web.chronicle import Chronicle
from hook_service.web.orders import Orders
from hook_service.web.override import RULE, Kind, Override, waiting
from hook_service.web.plays import Memory

SLATE = "slate"
"""What a playout calls the picture that has no file."""
AGAIN = 1.0
"""Seconds after which a playout that is away is asked again to take the picture back."""

log = logging.getLogger("radio.web")


class Manual:
    """Of one station. `default()` is its default loop by now, `wake()` has the worker look."""

    def __init__(
        self,
        station: str,
        *,
        memory: Memory,
        chronicle: Chronicle,
        orders: Orders,
        default: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self.next_due: float | None = None
        """When `look()` has something to do, in Unix seconds; None for never. Read without a lock."""
        self._station = station
        self._memory = memory
        self._chronicle = chronicle
        self._orders = orders
        self._default = default
        self._wake = wake
        self._rearm = False
        self._override = self._kept()
        if self._override is not None:
            self.next_due = 0.0

    @property
    def override(self) -> Override | None:
        """What is on the air by hand now."""
        override = self._override
        return None if override is None or override.over(time.time()) else override

    def take(
        self, kind: Kind, loop: str | None, seconds: float | None, by: str, request_id: str, *, stay: bool = False
    ) -> dict[str, Any]:
        """Show a loop (None: the slate), or `stay` with what is shown, for so long, or until released.

        The playout's answer, with which nothing has changed where it is not `ok`. Raises ipc.PeerDown.
        """
        with self._orders.lock:
            if stay or self._is_shown(loop or SLATE):
                # A switch to what is shown would be seen: it begins anew.
                answer = self._orders.hold()
                held = answer.get("loop")
                loop = None if held == SLATE else held
            else:
                answer = self._orders.show(loop, self._default(), request_id)
            if answer.get("ok"):
                now = time.time()
                until = None if seconds is None else now + seconds
                self._set(Override(kind, loop, now, until, by, request_id))
        self._wake()
        return answer

    def show(self, loop: str, request_id: str) -> dict[str, Any]:
        """Show a loop until the next track. The playout's answer; raises ipc.PeerDown."""
        with self._orders.lock:
            answer = self._orders.show(loop, self._default(), request_id)
            if answer.get("ok"):
                self._set(None)
                # The switch that may have been waiting in the playout has given way; its track comes all the same.
                self._rearm = True
                self.next_due = 0.0
        self._wake()
        return answer

    def release(self) -> bool:
        """Give the picture back to the tracks, at once or as soon as the playout takes it; whether it was held."""
        with self._orders.lock:
            override = self.override
            if override is not None:
                # Kept until it is done: whoever dies over it does it when it is there again.
                self._set(replace(override, until=time.time()))
        self._wake()
        return override is not None

    def look(self) -> None:
        """Do what is due. For the worker alone."""
        override, now = self._override, time.time()
        if self._rearm:
            self._rearm = False
            self._send_waiting(now)
        if override is None:
            self.next_due = None
            return
        with self._chronicle.lock:
            coming = waiting(self._memory.plays.values(), self._memory.current)
            for play in coming:
                if play.at <= now:
                    self._chronicle.began_unseen(play, override.loop or SLATE, RULE)
        if not override.over(now):
            times = [play.at for play in coming if play.at > now]
            self.next_due = min([*times, *([] if override.until is None else [override.until])], default=None)
            return
        self.next_due = None
        if self._give_back(override, now):
            with self._orders.lock:
                if self._override is override:
                    self._set(None)
        else:
            self.next_due = time.time() + AGAIN

    def again(self) -> None:
        """The playout may be another one: it is to show what is held, where it does not."""
        override = self.override
        if override is None:
            return
        try:
            with self._orders.lock:
                if self._override is override and self._orders.wanted() != (override.loop or SLATE):
                    self._orders.show(override.loop, self._default(), override.request_id)
        except ipc.PeerDown:
            return  # what it was told last it shows when it is back

    def _give_back(self, override: Override, now: float) -> bool:
        with self._chronicle.lock:
            current = self._memory.plays.get(self._memory.current or "")
            if current is not None:
                self._chronicle.seen_again(current)
        context = {"station": self._station, "loop_path": override.loop, "request_id": override.request_id}
        log.info("No longer held by hand", extra={"context": context})
        if current is None:
            try:
                return bool(self._orders.show(self._default(), self._default(), override.request_id).get("ok"))
            except ipc.PeerDown:
                return False
        if not self._orders.send(replace(current, at=now, received=now)):
            return False
        self._send_waiting(now)
        return True

    def _send_waiting(self, now: float) -> None:
        """The newest play whose time is still to come."""
        with self._chronicle.lock:
            coming = waiting(self._memory.plays.values(), self._memory.current)
        if coming and coming[-1].at > now:
            self._orders.send(coming[-1])

    def _is_shown(self, loop: str) -> bool:
        status = self._orders.status()
        on_air = status.get("on_air")
        return isinstance(on_air, dict) and on_air.get("loop") == loop

    def _set(self, override: Override | None) -> None:
        with self._chronicle.lock:
            self._override = override
            self._memory.override = None if override is None else override.to_json()
            self._memory.save()
        self.next_due = None if override is None else 0.0

    def _kept(self) -> Override | None:
        document = self._memory.override
        try:
            return None if document is None else Override.from_json(document)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("What was held by hand is unreadable", extra={"context": {"error": str(error)}})
            return None
