"""Icecast as its source has it, for the tests of second looks: who is sent which bytes with which titles, and when.

2.4.4: format_mp3.c (complete_read, mp3_get_no_meta, send_stream_metadata), format.c (find_client_start).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hook_service.playout.looks import HEADERS

REFBUF = 1400
# Icecast-KH reads what a source has sent a little later: measured, about this.
_KH_BEHIND = 1200


class Icecast:
    """A mount, of which `sound` will have been sent in the end; `titles` says at which byte the source sets which."""

    def __init__(
        self, sound: bytes, titles: Mapping[int, str], *, interval: int = 16000, burst: int = 65536, kh: bool = False
    ) -> None:
        self.sound = sound
        self.interval = interval
        self.burst = burst
        self.kh = kh
        self.blocks = {self.block(byte): text for byte, text in sorted(titles.items())}

    def block(self, byte: int) -> int:
        """The block that a title is attached to which is set at `byte`: the whole one that is being filled."""
        return max(0, byte - (_KH_BEHIND if self.kh else 0)) // REFBUF * REFBUF

    def title_of_block(self, byte: int) -> str:
        """The title that the block holding `byte` carries."""
        return next((text for begin, text in sorted(self.blocks.items(), reverse=True) if begin <= byte), "")

    def whole(self, head: int) -> int:
        """How much of what the source has sent is in whole blocks."""
        return min(head, len(self.sound)) // REFBUF * REFBUF

    def start(self, head: int) -> int:
        """Where a listener begins who comes when the source has sent `head` bytes."""
        end = self.whole(head)
        return max(0, -((self.burst - end) // REFBUF) * REFBUF) if self.burst else end

    def send(self, start: int, end: int, *, exact: bool = False) -> bytes:
        """What a listener from `start` on is sent until `end`."""
        return b"".join(self._exact(start, end) if exact and self.kh else self._icy(start, end))

    def _icy(self, start: int, end: int) -> Iterator[bytes]:
        told = None
        for byte in range(start, end, self.interval):
            yield self.sound[byte : min(end, byte + self.interval)]
            if byte + self.interval <= end:
                title = self.title_of_block(byte + self.interval - 1)
                text = f"StreamTitle='{title}';".encode()
                size = (len(text) + 15) // 16
                yield b"\0" if title == told else bytes((size,)) + text.ljust(size * 16, b"\0")
                told = title

    def _exact(self, start: int, end: int) -> Iterator[bytes]:
        told = None
        for byte in range(start, end, REFBUF):
            title = self.title_of_block(byte)
            if title != told:
                text = f"\0mode=updinfo\ntitle={title}\n\0".encode()
                yield (len(text) + 2 | 0x8000).to_bytes(2, "big") + text
                told = title
            sound = self.sound[byte : min(end, byte + REFBUF)]
            yield (len(sound) + 2).to_bytes(2, "big") + sound


class Listener:
    """A connection to the mount, made when the source had sent `head` bytes, with what is there `later`."""

    def __init__(self, icecast: Icecast, head: int, later: int, *, look: bool = True) -> None:
        exact = icecast.kh and look and "IceBlocks" in HEADERS
        self.headers = {"iceblocks": "1.1"} if exact else {"icy-metaint": str(icecast.interval)}
        self.interval = 0 if exact else icecast.interval
        raw = icecast.send(icecast.start(head), icecast.whole(later), exact=exact)
        self.first = raw[:500]
        self._rest = raw[500:]
        self.closed = False

    def settimeout(self, seconds: float) -> None:
        """As a socket's."""

    def recv(self, size: int = 1448) -> bytes:
        """The next bytes; like a socket that gives nothing any more, it times out in the end."""
        if not self._rest:
            raise TimeoutError
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """End it."""
        self.closed = True
