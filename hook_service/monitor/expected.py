"""Whether a picture that is still should move: what the loop on the air shows in the library.

Everything on the air was copied, so a keyframe's bytes tell where in its loop it is. From there on as many
keyframes of the loop are decoded as have come since; where they all show the same, the loop is still there too.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from hook_service.library import catalog
from hook_service.library.flv import LoopDamaged
from hook_service.library.loopfile import PreparedLoop, open_loop
from hook_service.monitor.judge import HEIGHT, PICTURE_BYTES, WIDTH, same
from hook_service.playout import commands, flv
from hook_service.playout.reactor import Reactor
from hook_service.settings import Station

_log = logging.getLogger("radio.monitor")

# Of a longer stretch so many are looked at, evenly spaced: about a tenth of a second of one core.
_LOOKED_AT = 9
_DECODE_SECONDS = 30.0
# A picture that comes back more often than this can't be placed.
_PLACES = 16
# The card on the air is hardly ever an older one than this.
_CARDS = 3


def moves(station: Station, loop: Path, keyframe: bytes, seconds: float) -> bool | None:
    """Whether the loop, from this keyframe on, shows more than one picture within so many seconds.

    None where that can't be known: the loop is not prepared (any more), or damaged, or the keyframe is all over it.
    Blocks for a moment.
    """
    source = catalog.recall(loop, station.library)
    if source is None:
        return None
    try:
        plain = catalog.prepared_dir(station.library, station.profile, source.sha256)
        with open_loop(_worn(plain, keyframe) or plain) as prepared:
            return _moves(station, prepared, keyframe, seconds)
    except (LoopDamaged, OSError, subprocess.SubprocessError) as reason:
        _log.debug("%s can't be compared with what is on the air: %s", loop.name, reason)
        return None


def _worn(plain: Path, keyframe: bytes) -> Path | None:
    """The loop with a card that this keyframe is of, among those that were wanted last; None where it is of none."""
    found = sorted(plain.parent.glob(f"{plain.name}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for directory in [path for path in found if "." not in path.name][:_CARDS]:
        with contextlib.suppress(LoopDamaged), open_loop(directory) as dressed:
            if any(dressed.keyframe(n, len(keyframe)) == keyframe for n in range(dressed.gops)):
                return directory
    return None


def _moves(station: Station, loop: PreparedLoop, keyframe: bytes, seconds: float) -> bool | None:
    gop_seconds = loop.frames / loop.gops / float(station.profile.fps)
    # As many as have come in this time, the first and the last one of it included.
    count = min(loop.gops, int(seconds / gop_seconds) + 1)
    if count < 2:
        return False
    step = max(1, -(-count // _LOOKED_AT))
    begins = find(loop, keyframe)
    if len(begins) > _PLACES:
        return None
    for begin in begins:
        bodies = [body for n in range(0, count, step) if (body := loop.keyframe((begin + n) % loop.gops)) is not None]
        first, *others = decode(loop.avcc, bodies)
        if all(same(first, other) for other in others):
            return False
    return True


def find(loop: PreparedLoop, keyframe: bytes) -> list[int]:
    """The GOPs that begin with this keyframe: several where a picture comes back.

    The first one where it is none's, or the faded-in first one's.
    """
    size = len(keyframe)
    return [n for n in range(loop.gops) if loop.keyframe(n, size) == keyframe] or [0]


def decode(avcc: bytes, keyframes: list[bytes]) -> list[bytes]:
    """What keyframes show, as small pictures. Raises subprocess.SubprocessError, OSError and LoopDamaged."""
    stream = flv.HEADER + flv.tag(flv.VIDEO, 0, flv.video_sequence_header(avcc))
    stream += b"".join(flv.tag(flv.VIDEO, n * 1000, body) for n, body in enumerate(keyframes))
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", "--", *commands.grey_pictures(WIDTH, HEIGHT)],
        input=stream,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=_DECODE_SECONDS,
    )
    pictures = [done.stdout[at : at + PICTURE_BYTES] for at in range(0, len(done.stdout), PICTURE_BYTES)]
    if len(pictures) != len(keyframes):
        raise LoopDamaged(f"{len(keyframes)} keyframes gave {len(pictures)} pictures")
    return pictures


class Expectations:
    """Asks `moves` in a thread, one question at a time; the answers come in the reactor's."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._questions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="expectations", daemon=True).start()

    def ask(
        self, station: Station, loop: Path, keyframe: bytes, seconds: float, answer: Callable[[bool | None], None]
    ) -> None:
        """Call `answer` with what `moves` says."""

        def question() -> None:
            found = moves(station, loop, keyframe, seconds)
            self._reactor.post(lambda: answer(found))

        self._questions.put(question)

    def _run(self) -> None:
        while True:
            self._questions.get()()
