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
Card = dict[str, Any]
GIVE_UP = 900.0
"""Seconds that a switch is tried for while the playout is away: by then its track is over."""

log = logging.getLogger("radio.web")


class Orders:
    """For one playout.

    `pause(seconds)` waits, and says whether something newer is to be done instead; `complain(play, what, severity,
    message, why)` is told of what went wrong; `held()` says whether the picture is no track's now. Who orders by hand
    holds `lock` until that is known. `card(play)` is the card of a play, as far as it is known.
    """

    def __init__(
        self,
        playout: Path,
        *,
        pause: Callable[[float], bool],
        complain: Callable[[Play, str, str, str, str], None],
        held: Callable[[], bool],
        card: Callable[[Play], Card | None] = lambda _: None,
    ) -> None:
        self.lock = threading.Lock()
        self._playout = playout
        self._pause = pause
        self._complain = complain
        self._held = held
        self._card = card
        self._announced: set[tuple[str, str | None]] = set()
        self._worn: tuple[str, str | None] | None = None
        """The play that was ordered last, and the key of its card."""
        self._foretold: tuple[str, float, str | None] | None = None

    def send(self, play: Play) -> bool:
        """Give the playout the switch; tries until it answers, something newer is due, or the track must be over.

        Whether it has answered. Nothing is sent while the picture is held by hand.
        """
        card = self._card(play)
        message = {
            "op": "switch",
            "play_id": play.play_id,
            "loop": play.resolution.loop or None,
            "default": play.resolution.default,
            "at": play.at,
            "request_id": play.request_id,
            "card": card,
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
                    self._worn = (play.play_id, _key(card))
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

    def dress(self, play: Play, card: Card | None) -> None:
        """Have the play that was ordered last, if that is this one, shown with this card, or with none."""
        if self._worn is None or self._worn[0] == play.play_id:
            self._wear(play.play_id, card)

    def undress(self) -> None:
        """Have the play that was ordered last shown without its card."""
        if self._worn is not None:
            self._wear(self._worn[0], None)

    def _wear(self, play_id: str, card: Card | None) -> None:
        worn = (play_id, _key(card))
        if worn == self._worn:
            return
        try:
            ipc.request(self._playout, {"op": "card", "play_id": play_id, "card": card})
        except ipc.PeerDown as error:
            log.debug("Card not ordered", extra={"context": {"why": error.why}})
        else:
            self._worn = worn

    def announce(self, pictures: Iterable[tuple[str, Card | None]]) -> None:
        """Have loops, and their cards, prepared and read before they are due; each once while it is among them."""
        wanted = {(loop, _key(card)): card for loop, card in pictures}
        self._announced.intersection_update(wanted)
        for picture, card in wanted.items():
            if picture in self._announced:
                continue
            try:
                ipc.request(self._playout, {"op": "warm", "loop": picture[0], "card": card})
            except ipc.PeerDown as error:
                log.debug("Next loop not announced", extra={"context": {"why": error.why}})
                return
            self._announced.add(picture)

    def foretell(self, loop: str, at: float, card: Card | None = None) -> None:
        """Say which loop will be switched to, and when (Unix seconds), before it is ordered: what it enters with can
        be made for that very moment.
        """
        if (loop, at, _key(card)) == self._foretold or at <= time.time():
            return
        try:
            ipc.request(self._playout, {"op": "warm", "loop": loop, "at": at, "card": card})
        except ipc.PeerDown as error:
            log.debug("Next switch not foretold", extra={"context": {"why": error.why}})
        else:
            self._foretold = loop, at, _key(card)

    def show(self, loop: str | None, default: str, request_id: str) -> dict[str, Any]:
        """Show a loop now, or None: the slate; the playout's answer. Raises ipc.PeerDown."""
        self._worn = None
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


def _key(card: Card | None) -> str | None:
    return None if card is None else str(card["key"])
