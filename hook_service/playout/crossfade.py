"""Crossfades: ordered from radio-prepare when a switch is known ahead, used if they are there at its slot.

A loop enters with its fade or cut unless this gives it something better in time. Nothing waits for it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hook_service import ipc
from hook_service.library.flv import LoopDamaged, one_gop
from hook_service.playout.picture import Blend, Cursor, Frame, Still
from hook_service.playout.reactor import Reactor
from hook_service.settings import Station

_log = logging.getLogger("radio.crossfade")

# So long before its slot a crossfade is in memory, or is not used.
_SPARE_SECONDS = 0.1
# In less time than this none was ever made.
_LEAST_SECONDS = 0.2


class Crossfades:
    """One station's."""

    def __init__(self, reactor: Reactor, station: Station, slots_to: Callable[[int], int]) -> None:
        """`slots_to(position)`: how many pictures are due before the first one at or after it."""
        self._reactor = reactor
        self._station = station
        self._slots_to = slots_to

    def order(
        self,
        outgoing: Cursor | Still,
        incoming: Cursor | Still,
        at: int,
        ready: Callable[[Blend], object] = lambda _: None,
    ) -> None:
        """Have a crossfade made for a switch at the position `at`; `ready` gets it on the reactor, or is not called.

        Does nothing where the station has no crossfades. radio-prepare keeps what it makes, for who asks again.
        """
        if not (self._station.crossfade and isinstance(outgoing, Cursor) and isinstance(incoming, Cursor)):
            return
        slots = self._slots_to(at)
        frame, seconds = outgoing.frame_in(slots), slots / float(self._station.profile.fps) - _SPARE_SECONDS
        if frame is None or outgoing.whole is None or incoming.whole is None or seconds < _LEAST_SECONDS:
            return
        message = {
            "op": "crossfade",
            "profile": self._station.profile.name,
            "fingerprint": self._station.profile.fingerprint(),
            "from": os.fspath(outgoing.whole.directory),
            "frame": frame,
            "to": os.fspath(incoming.whole.directory),
            "within": round(seconds, 3),
        }

        def work() -> None:
            try:
                gop = _made(ipc.request(self._station.prepare_socket, message, timeout=seconds), incoming.avcc)
            except (ipc.PeerDown, LoopDamaged, OSError) as reason:
                _log.info("No crossfade", extra={"context": {"why": str(reason), "to": message["to"]}})
            else:
                self._reactor.post(partial(ready, Blend(outgoing, frame, gop)))

        threading.Thread(target=work, name="crossfade", daemon=True).start()


def _made(answer: ipc.Message, avcc: bytes) -> list[Frame]:
    """The GOP that an answer of radio-prepare names. Raises LoopDamaged or OSError."""
    if answer.get("state") != "ready":
        raise LoopDamaged(str(answer.get("reason")))
    found, gop = one_gop(Path(str(answer.get("file"))).read_bytes())
    if found != avcc:
        raise LoopDamaged("its SPS or PPS are not those of the loop")
    return gop
