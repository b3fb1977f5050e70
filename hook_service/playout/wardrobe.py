"""Loops with a card: ordered from radio-prepare, and read in the place of the plain ones once they are there.

A loop with a card has the pictures of the plain one, GOP by GOP, so that either can follow the other at every
keyframe. Nothing waits for a card: what is not there is shown without.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from hook_service import ipc
from hook_service.library import catalog
from hook_service.library.loopfile import Frame, LoopDamaged, PreparedLoop, open_loop
from hook_service.settings import Station

__all__ = ["Card", "Dressed", "card_of", "order"]

_log = logging.getLogger("radio.loops")

Card = dict[str, Any]
"""A card as radio-prepare takes it. All that is looked at here is its `key`."""

# Drawing and encoding one takes seconds; on a busy host, with others before it, much longer.
_ORDER_SECONDS = 600.0
_KEY = re.compile(r"[0-9a-f]{64}\Z")


def card_of(value: object) -> Card | None:
    """The card in a message, or None where it has none. Raises ValueError."""
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("key"), str) or not _KEY.match(value["key"]):
        raise ValueError("card is neither null nor a card with its key")
    return value


def order(station: Station, path: Path, card: Card, *, urgent: bool) -> None:
    """Have a loop with a card made; comes back at once. Asking again does no harm."""
    message = {
        "op": "card",
        "path": os.fspath(path),
        "profile": station.profile.name,
        "fingerprint": station.profile.fingerprint(),
        "card": card,
        "urgent": urgent,
    }

    def ask() -> None:
        try:
            answer = ipc.request(station.prepare_socket, message, timeout=_ORDER_SECONDS)
        except ipc.PeerDown as error:
            why = error.why
        else:
            if answer.get("state") == "ready":
                return
            why = str(answer.get("reason"))
        _log.warning("No card for %s", path.name, extra={"context": {"station": station.shortcode, "why": why}})

    threading.Thread(target=ask, name="card", daemon=True).start()


class Dressed:
    """What a reader knows of a loop's card. `wear` may be called from any thread, the rest from the reading one."""

    def __init__(self, station: Station, sha256: str) -> None:
        self._station = station
        self._sha256 = sha256
        self._wanted: Path | None = None
        self._loop: PreparedLoop | None = None

    def wear(self, card: Card | None) -> None:
        """Show this card from the next GOP on that is read when it is there; None: no card any more."""
        station = self._station
        directory = partial(catalog.dressed_dir, station.library, station.profile, self._sha256)
        self._wanted = None if card is None else directory(card["key"])

    @property
    def worn(self) -> tuple[Path, int] | None:
        """Where the loop with the card is that is shown, and how many frames it has."""
        return None if self._loop is None else (self._loop.path, self._loop.frames)

    def gop(self, n: int, plain: PreparedLoop, entry: bool = False) -> list[Frame] | None:
        """GOP `n` with the card; None where it is to be shown without."""
        wanted = self._wanted
        if self._loop is not None and self._loop.path != wanted:
            self.close()
        if wanted is None:
            return None
        try:
            if self._loop is None:
                if not wanted.is_dir():
                    return None
                self._loop = _fitting(wanted, plain)
            return self._loop.read_gop(n, entry) if n < self._loop.gops else None
        except (LoopDamaged, OSError) as error:
            _log.warning("A card is left out", extra={"context": {"why": str(error)}})
            self.close()
            self._wanted = None
            _put_aside(wanted)
            return None

    def close(self) -> None:
        """Give its files back."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None


def _fitting(directory: Path, plain: PreparedLoop) -> PreparedLoop:
    """Open a loop with a card. Raises LoopDamaged where it is not, frame for frame, a beginning of the plain one."""
    loop = open_loop(directory)
    # Only the last GOP of a loop is shorter than the others: so the same number of them has the same frames.
    same = loop.frames == plain.frames if loop.gops == plain.gops else loop.gops < plain.gops
    if loop.avcc != plain.avcc or loop.sha256 != plain.sha256 or not same:
        loop.close()
        raise LoopDamaged(f"{directory.name[:16]}: it is no likeness of its loop")
    return loop


def _put_aside(directory: Path) -> None:
    """So that it is made again when it is wanted next time."""
    try:
        directory.rename(directory.with_name(f"{directory.name}.damaged-{time.time_ns()}"))
    except OSError:
        return  # it is gone already
