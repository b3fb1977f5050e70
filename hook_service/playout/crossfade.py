"""Crossfades: ordered from radio-prepare when a switch is known ahead, used if they are there at its slot.

A loop enters with its fade or cut unless this gives it something better in time. Nothing waits for it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hook_service import ipc
from hook_service.library.flv import FILE_HEADER, SEQUENCE_HEADER, Frame, LoopDamaged, as_frame, scan
from hook_service.playout.picture import Blend, Cursor, Still
from hook_service.playout.reactor import Reactor
from hook_service.settings import Station

_log = logging.getLogger("radio.crossfade")

# In less time than this none was ever begun.
_LEAST_SECONDS = 0.2
# One that is still being encoded is good once this much of it is there, and comes so much faster than it is played.
_LEAD_SECONDS = 0.4
_OUTRUN = 1.7
_FOLLOW_SECONDS = 0.02
_MOST_SECONDS = 30.0


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
        slots, profile = self._slots_to(at), self._station.profile
        frame, seconds = outgoing.frame_in(slots), slots / float(profile.fps)
        if frame is None or outgoing.whole is None or incoming.whole is None or seconds < _LEAST_SECONDS:
            return
        size = min(incoming.whole.gop_frames, incoming.whole.frames)
        # What is begun in time may be played while it is encoded.
        within = min(_MOST_SECONDS, seconds + size / float(profile.fps) / _OUTRUN)
        message = {
            "op": "crossfade",
            "profile": profile.name,
            "fingerprint": profile.fingerprint(),
            "from": os.fspath(outgoing.whole.holding(frame)),
            "frame": frame,
            "to": os.fspath(incoming.whole.holding(0)),
            "within": round(within, 3),
        }
        gop: list[Frame] = []
        blend = Blend(outgoing, frame, gop, size)

        def work() -> None:
            have, told, began = 0, False, time.monotonic()
            try:
                with self._found(message, within) as file:
                    for frames in _follow(file, incoming.avcc, size, began + within):
                        began = began if have else time.monotonic()
                        have += len(frames)
                        self._reactor.post(partial(gop.extend, frames))
                        if not told and _is_safe(have / float(profile.fps), time.monotonic() - began, have == size):
                            told = True
                            self._reactor.post(partial(ready, blend))
            except (ipc.PeerDown, LoopDamaged, OSError) as reason:
                _log.info("No crossfade", extra={"context": {"why": str(reason), "to": message["to"]}})

        threading.Thread(target=work, name="crossfade", daemon=True).start()

    def _open(self, message: ipc.Message, within: float) -> BinaryIO:
        """The file of a crossfade, whole or growing. Raises PeerDown, LoopDamaged or OSError."""
        answer = ipc.request(self._station.prepare_socket, message, timeout=within)
        if answer.get("state") not in ("encoding", "ready"):
            raise LoopDamaged(str(answer.get("reason")))
        return Path(str(answer.get("file"))).open("rb", buffering=0)

    def _found(self, message: ipc.Message, within: float) -> BinaryIO:
        try:
            return self._open(message, within)
        except FileNotFoundError:
            # It was whole, and got its name, before it could be opened by the one that it grew under.
            return self._open(message, within)


def _is_safe(there: float, elapsed: float, whole: bool) -> bool:
    """Whether one of which `there` seconds came in `elapsed` seconds may be played from now on."""
    return whole or (there >= _LEAD_SECONDS and there >= _OUTRUN * elapsed)


def _follow(file: BinaryIO, avcc: bytes, size: int, until: float) -> Iterator[list[Frame]]:
    """The frames of a file of one GOP, as they come; ends with the last of `size` frames.

    Raises LoopDamaged where it is another GOP, or stays unfinished until `until` (monotonic), and OSError.
    """
    data, offset, have = b"", len(FILE_HEADER), 0
    while have < size:
        data += file.read()
        frames = []
        for tag in scan(data, offset):
            offset = tag.end
            if not tag.is_header:
                frames.append(as_frame(tag))
            elif tag.body[len(SEQUENCE_HEADER) :] != avcc:
                raise LoopDamaged("its SPS or PPS are not those of the loop")
        if any(key != (have + place == 0) for place, (_, key) in enumerate(frames)):
            raise LoopDamaged("its keyframes are not where they should be")
        have += len(frames)
        if frames:
            yield frames
        elif os.fstat(file.fileno()).st_nlink == 0:
            raise LoopDamaged("it was given up")
        elif time.monotonic() > until:
            raise LoopDamaged("it takes too long")
        else:
            time.sleep(_FOLLOW_SECONDS)
