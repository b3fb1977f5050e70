"""Second looks: where exactly a title began, asked with short connections of their own.

A listener sees a title only at its next metadata block, up to `icy-metaint` bytes after the first sound that it was
attached to. A new listener gets the same bytes once more (Icecast's burst), but the blocks lie elsewhere in them:
each of its blocks within the doubtful stretch tells whether the title had begun by then. Where a look's blocks lie
follows from when it is made, so `plan` chooses the moment. Icecast-KH, which AzuraCast runs, can send its sound in
blocks that each say which title they have (`IceBlocks`): one look tells it exactly.

Sources: Icecast 2.4.4 (format.c find_client_start, format_mp3.c), Icecast-KH (source.c locate_start_on_queue,
format_mp3.c send_iceblock_to_client).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hook_service.playout import icy
from hook_service.playout.mountstream import Recent

HEADERS = {"IceBlocks": "1", "Initial-Burst": "65536"}
"""What a look asks for besides the titles: both mean something to Icecast-KH only."""
BURST = 65536
"""How many old bytes Icecast sends at first, until a look has shown it."""
BLOCK = 1400
"""A title is attached to a whole block of so many bytes: no look can tell more."""
LOOKS = 3
"""How many looks one title is worth: each is a listener for a moment."""
LOOK_SECONDS = 0.45
"""How long a look takes, until one has shown it."""
# Where within the doubtful stretch a look may ask.
_SPOTS = (0.5, 0.25, 0.75, 0.375, 0.625)


class Connection(Protocol):
    """What `mount.connect` gives."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers, their names in lower case."""

    @property
    def first(self) -> bytes:
        """What came with the headers."""

    @property
    def interval(self) -> int:
        """Its `icy-metaint`, 0 without."""

    def settimeout(self, seconds: float) -> None:
        """How long `recv` may wait."""

    def recv(self, size: int = ...) -> bytes:
        """More bytes; empty at the end."""

    def close(self) -> None:
        """End it."""


class Span(NamedTuple):
    """The first block of sound with a title begins at one of the bytes from `begin` (possible) to before `end`."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What one look saw."""

    sound: bytes
    titles: tuple[tuple[int, str], ...]
    """After how many bytes of `sound` which title was seen: one pair for each metadata block, new or not."""
    exact: bool
    """Whether a title holds from its very byte on, instead of having begun somewhere before it."""


def take(connect: Callable[[], Connection], want: int, seconds: float) -> Glimpse:
    """Make one look: read `want` bytes of sound, for `seconds` at most. Blocks.

    Raises OSError, and what `connect` raises.
    """
    until = time.monotonic() + seconds
    connection = connect()
    try:
        # Asked whether it says so: a proxy may answer for a server that knows nothing of it.
        exact = "iceblocks" in connection.headers
        reader = IceBlocks() if exact else Blocks(connection.interval)
        reader.feed(connection.first)
        while len(reader.sound) < want:
            left = until - time.monotonic()
            if left <= 0:
                break
            connection.settimeout(left)
            try:
                data = connection.recv()
            except TimeoutError:
                break
            if not data:
                break
            reader.feed(data)
    finally:
        connection.close()
    return Glimpse(bytes(reader.sound), tuple(reader.titles), exact)


class Blocks:
    """Sound with a metadata block after every `interval` bytes, in which an empty one repeats the title before."""

    def __init__(self, interval: int) -> None:
        self.sound = bytearray()
        self.titles: list[tuple[int, str]] = []
        self._interval = interval
        self._reader = icy.IcyReader(interval)

    def feed(self, data: bytes) -> None:
        """Bytes as they come."""
        for piece in self._reader.feed(data):
            if isinstance(piece, str):
                self._repeat(len(self.sound))
                self.titles.append((len(self.sound), piece))
            else:
                self.sound += piece
        # A block that is due is only known to be empty once something came after it.
        self._repeat(len(self.sound) - 1)

    def _repeat(self, until: int) -> None:
        """Note the empty blocks before `until`, each after a title."""
        while self.titles and self.titles[-1][0] + self._interval < until:
            byte, text = self.titles[-1]
            self.titles.append((byte + self._interval, text))


class IceBlocks:
    """Icecast-KH's blocks: two bytes of length, the highest bit set for metadata; both bytes count.

    Metadata is a type byte and lines of `name=value`, and precedes the first block of sound that it belongs to.
    """

    def __init__(self) -> None:
        self.sound = bytearray()
        self.titles: list[tuple[int, str]] = []
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Bytes as they come."""
        data = self._rest + data
        at = 0
        while len(data) - at >= 2:
            size = int.from_bytes(data[at : at + 2], "big")
            length = max(2, size & 0x7FFF)
            if at + length > len(data):
                break
            if size & 0x8000:
                self._metadata(data[at + 3 : at + length])
            else:
                self.sound += data[at + 2 : at + length]
            at += length
        self._rest = data[at:]

    def _metadata(self, lines: bytes) -> None:
        fields: dict[bytes, bytes] = {}
        for line in lines.rstrip(b"\0").split(b"\n"):
            name, _, value = line.partition(b"=")
            fields[name] = value
        parts = [icy.decoded(fields[name]) for name in (b"artist", b"title") if fields.get(name)]
        self.titles.append((len(self.sound), " - ".join(parts)))


def aligned(glimpse: Glimpse, recent: Recent) -> int | None:
    """The place of the look's first byte in the mount's own sound; None where it can't be told.

    Some of either may lack the other: the look's last bytes may not have come here yet.
    """
    half = len(glimpse.sound) // 2
    for begin, end in ((0, half), (half, len(glimpse.sound)), (0, len(glimpse.sound))):
        if end - begin < BLOCK:
            continue
        place = recent.find(glimpse.sound[begin:end])
        if place is not None:
            return place - begin
    return None


def narrowed(span: Span, text: str, glimpse: Glimpse, start: int) -> Span | None:
    """What is left of the doubt about the title `text` after a look that began at byte `start`; never empty.

    None where the look says that it began before `span`, which our own connection knows better: some servers send the
    newest title with whatever sound, and looks at them tell nothing.
    """
    begin, end = span
    for byte, seen in glimpse.titles:
        place = start + byte
        if seen == text and place < span.begin:
            return None
        if glimpse.exact:
            if seen == text and place < end:
                begin, end = place, place + 1
        elif span.begin < place < span.end:
            # At its place a block tells the title of the byte before it.
            if seen == text:
                end = min(end, place)
            else:
                begin = max(begin, place)
    return Span(begin, end) if begin < end else span


class Chances(NamedTuple):
    """What `plan` needs to know; bytes are those of the mount's own sound, and pass at the pace of real time."""

    interval: int
    """Bytes between two blocks of a look."""
    reach: int
    """How far behind the head of the moment at which it is asked for a look begins."""
    lasts: int
    """Bytes that pass while a look is made."""
    ahead: int
    """How many bytes later a byte must be told than it arrived, at the latest; told by the middle of its span."""


def plan(span: Span, head: int, chances: Chances, looks: int) -> int | None:
    """At which head (not before `head`) to look next, for the least doubt after `looks` looks; None: none helps."""
    return _best(span.begin, span.end, head, chances, looks)[1]


def _best(begin: int, end: int, head: int, chances: Chances, looks: int) -> tuple[float, int | None]:
    """The bytes of doubt to expect in the end, and the head of the first look."""
    width = end - begin
    best: tuple[float, int | None] = (float(width), None)
    if not looks or width <= BLOCK:
        return best
    for share in _SPOTS:
        spot = begin + round(width * share)
        # The look begins at `at - reach` and has a block at every multiple of the interval from there on.
        at = spot + chances.reach
        at -= (at - head) // chances.interval * chances.interval
        if at - chances.reach + chances.interval > spot:
            continue  # its first block is behind the spot
        told = at + chances.lasts
        # Should it have begun before the spot, its middle is the earlier one.
        if told > (begin + spot) // 2 + chances.ahead:
            continue
        earlier, _ = _best(begin, spot, told, chances, looks - 1)
        later, _ = _best(spot, end, told, chances, looks - 1)
        doubt = ((spot - begin) * earlier + (end - spot) * later) / width
        if doubt < best[0] - 1:
            best = doubt, at
    return best
