"""What the mount's titles come to: which title begins at which second of its sound, and how sure that is.

Pure: marks and looks go in, decided titles come out. A title is decided once its place is known as well as it can be,
or when it must be told because its sound is due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hook_service.playout import looks
from hook_service.playout.looks import Chances, Glimpse, Span
from hook_service.playout.mountstream import Mark, MountStream

TOLD_SECONDS = 0.3
"""How long before its sound a title must be told: the picture is then switched in time."""
# How many bytes after the beginning of the block that it is attached to a title came, at least and at most. Icecast
# takes the block that it is filling; Icecast-KH (known by its exact looks) is behind with reading as well. Measured.
_LATE = (0, looks.BLOCK)
_LATE_KH = (500, 3400)
HELD_SECONDS = {"mp3": 0.045}
"""By format, how much sound an encoder holds back when it passes a title on: the title lies so far before its sound.

Measured with Liquidsoap 2.1.3, beyond what encoder and decoder delay anyway (`feed`): 28 to 57 ms for MP3, by its bit
rate, and -6 to -3 ms for AAC.
"""
# Looks that can't be aligned with our own sound, or contradict it, are no use: after so many in a row a connection
# gets no more.
_USELESS = 3

Left = Callable[[float], float | None]
"""In how many seconds the sound at a second of the connection is written to the timeline; None: not known yet."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A title, and where its sound begins."""

    text: str
    artist: str | None
    title: str | None
    seconds: float | None
    """Of this connection's sound; None where the format is unknown."""
    within: float
    """Seconds that it may be earlier or later."""
    change: bool
    """False where it was playing already when the mount was first connected."""


@dataclass(slots=True)
class _Open:
    """A title that is not decided yet."""

    mark: Mark
    span: Span
    late: tuple[int, int]
    looks: int = looks.LOOKS
    next_look: int | None = None
    """At which head of the stream the next look is made; None while it is not planned."""


class Titles:
    """The titles of one mount, across its connections."""

    def __init__(self) -> None:
        self.current: str | None = None
        """The newest title that was seen."""
        self._open: _Open | None = None
        self._fresh = True
        """Whether this connection has shown no title yet."""
        self._looking = False
        self._asked: int | None = None
        """Where this connection's head was when the last look was asked for."""
        # Icecast attends to a new listener while four blocks come.
        self._reach = looks.BURST - 4 * looks.BLOCK
        self._lasts = looks.LOOK_SECONDS
        self._exact = False
        self._useless = 0

    @property
    def open(self) -> bool:
        """Whether a title waits to be decided: then `step` should be called often."""
        return self._open is not None

    def connected(self) -> None:
        """A new connection begins; call `gone` for the one before first."""
        self._open = None
        self._fresh = True
        self._asked = None
        self._useless = 0

    def gone(self, stream: MountStream) -> list[Decided]:
        """The connection ended: what waited is decided by what is known."""
        if self._open is None:
            return []
        decided = _decided(self._open, stream)
        self._open = None
        return [decided]

    def saw(self, mark: Mark, stream: MountStream) -> list[Decided]:
        """A title came along. Gives what that decides: the title before, if it waited, and what needs no look."""
        exact = mark.byte == mark.since_byte
        # A mount may say nothing for a while first: its engine does not repeat the title after a restart.
        beginning, self._fresh = self._fresh and (exact or mark.since_byte == 0), False
        if mark.text == self.current:
            return []
        decided = self.gone(stream)
        # The first title ever is no change: that would have titles trusted that may never change again.
        first, self.current = self.current is None, mark.text
        found = _Open(mark, Span(mark.since_byte, mark.byte), _LATE_KH if self._exact else _LATE)
        if first:
            decided.append(Decided(mark.text, mark.artist, mark.title, mark.since_seconds, 0.0, change=False))
        elif beginning or not stream.seconds or exact or self._useless >= _USELESS:
            # Of a connection's first stretch a look would show no more, nor where nothing is counted; and Ogg leaves
            # no doubt.
            decided.append(_decided(found, stream))
        else:
            self._open = found
        return decided

    def step(self, stream: MountStream, left: Left) -> tuple[list[Decided], int | None]:
        """What is decided now; and how many bytes a look that is to be made now should read, None for no look.

        Whoever makes the look tells `looked` what came of it. Only one is made at a time.
        """
        found = self._open
        if found is None:
            return [], None
        seconds, _ = _place(found, stream)
        remaining = None if seconds is None else left(seconds)
        if remaining is None or remaining <= TOLD_SECONDS:
            return self.gone(stream), None
        if self._looking:
            return [], None
        if found.next_look is None:
            found.next_look = self._plan(found, stream, remaining)
            if found.next_look is None:
                return self.gone(stream), None
        if stream.bytes < found.next_look:
            return [], None
        found.looks -= 1
        found.next_look = None
        self._looking = True
        self._asked = stream.bytes
        return [], found.span.end - (stream.bytes - self._reach) + 2 * looks.BLOCK

    def looked(self, glimpse: Glimpse | None, seconds: float, stream: MountStream) -> None:
        """A look that `step` asked for has ended after `seconds`; None where it failed."""
        self._looking = False
        if glimpse is not None and self._learnt(glimpse, seconds, stream):
            self._useless = 0
            return
        self._useless += 1
        if self._useless >= _USELESS and self._open is not None:
            self._open.looks = 0

    def _learnt(self, glimpse: Glimpse, seconds: float, stream: MountStream) -> bool:
        """Take from a look what it tells; whether it told anything."""
        start = looks.aligned(glimpse, stream.recent)
        if start is None:
            return False
        self._lasts = seconds
        self._exact = glimpse.exact
        if self._asked is not None:
            self._reach = self._asked - start
        found = self._open
        if found is not None:
            span = looks.narrowed(found.span, found.mark.text, glimpse, start)
            if span is None:
                return False
            found.span = span
            found.late = _LATE_KH if glimpse.exact else _LATE
        return True

    def _plan(self, found: _Open, stream: MountStream, remaining: float) -> int | None:
        """At which head to look next; None where no look is worth it."""
        begin, end = found.span
        rate = _rate(found.mark)
        if not rate or not found.looks or end - begin <= looks.BLOCK:
            return None
        head = stream.bytes
        if self._exact:
            return head
        # A byte in the middle of the span may be told when the head is so far beyond it:
        ahead = head - (begin + end) // 2 + int((remaining - TOLD_SECONDS) * rate)
        chances = Chances(stream.interval, self._reach, int(self._lasts * rate), ahead)
        return looks.plan(found.span, head, chances, found.looks)


def _rate(mark: Mark) -> float:
    """Bytes in a second of sound, as of the bytes before the mark; 0 where that is not known."""
    if mark.seconds is None or mark.since_seconds is None or mark.seconds <= mark.since_seconds:
        return 0.0
    return (mark.byte - mark.since_byte) / (mark.seconds - mark.since_seconds)


def _place(found: _Open, stream: MountStream) -> tuple[float | None, float]:
    """At which second a title begins, as far as is known, and how many seconds it may be earlier or later."""
    mark = found.mark
    seen = stream.seconds_at(mark.byte)
    if seen is None or mark.seconds is None or mark.byte == mark.since_byte:
        return mark.seconds, 0.0
    latest = stream.seconds_at(found.span.end - 1 + found.late[1]) or 0.0
    earliest = stream.seconds_at(found.span.begin + found.late[0]) or 0.0
    held = HELD_SECONDS.get(stream.demuxer or "", 0.0)
    return mark.seconds - seen + (earliest + latest) / 2 + held, (latest - earliest) / 2


def _decided(found: _Open, stream: MountStream) -> Decided:
    seconds, within = _place(found, stream)
    return Decided(found.mark.text, found.mark.artist, found.mark.title, seconds, within, change=True)
