"""Taking the titles out of a mount's sound: the metadata blocks that Icecast and SHOUTcast put between its bytes.

After every `interval` bytes of sound (the answer's `icy-metaint`) comes a byte n and n·16 bytes of text,
`StreamTitle='…';StreamUrl='…';`, padded with NULs. n is 0 while nothing is new. (Icecast 2.4.4, format_mp3.c; there
is no other specification.)
"""

from __future__ import annotations

import re

MAX_TITLE = 1024
"""Characters kept of a title: twice what AzuraCast can send. A block of metadata has room for 4,080, Ogg for more,
and everyone who is told of a title keeps it, and compares it.
"""
# The title ends where the block does or another field begins: it may hold quotes, and "';" itself.
_TITLE = re.compile(rb"StreamTitle='(.*?)(?:';\s*\Z|';(?=[A-Za-z]\w*=)|\Z)", re.DOTALL)


class IcyReader:
    """Fed with what the mount sends, gives sound and titles apart, in their order."""

    def __init__(self, interval: int) -> None:
        """`interval` is the answer's `icy-metaint`; 0 is a mount without metadata: all of it is sound."""
        self.interval = interval
        self._sound = interval
        """Bytes of sound until the next block."""
        self._block = bytearray()
        self._missing = 0
        """Bytes that the block which has begun still lacks."""

    def feed(self, data: bytes) -> list[bytes | str]:
        """Sound, and the title of each block that has one (not empty), in the order in which they came."""
        if self.interval <= 0:
            return [data] if data else []
        found: list[bytes | str] = []
        at, end = 0, len(data)
        while at < end:
            if self._missing:
                self._block += data[at : at + self._missing]
                taken = min(self._missing, end - at)
                self._missing -= taken
                at += taken
                if not self._missing:
                    text = title_of(bytes(self._block))
                    self._block.clear()
                    self._sound = self.interval
                    if text:
                        found.append(text)
            elif self._sound:
                sound = data[at : at + self._sound]
                found.append(sound)
                self._sound -= len(sound)
                at += len(sound)
            else:
                self._missing = data[at] * 16
                at += 1
                if not self._missing:
                    self._sound = self.interval
        return found


def title_of(block: bytes) -> str:
    """The title in a metadata block (without its length byte); empty where it has none.

    A block cut off by its server has no end: what is there of the title counts.
    """
    found = _TITLE.search(block.split(b"\0", 1)[0])
    return decoded(found[1]) if found else ""


def decoded(text: bytes) -> str:
    """Text that is UTF-8, as AzuraCast sends it, or else Latin-1, Icecast's own default; without space around it, and
    cut at `MAX_TITLE`.
    """
    try:
        found = text.decode()
    except UnicodeDecodeError:
        found = text.decode("latin-1")
    return cut(found)


def cut(text: str) -> str:
    """The text without space around it, and no longer than a title may be."""
    return text.strip()[:MAX_TITLE].rstrip()


def split(text: str) -> tuple[str | None, str | None]:
    """Artist and title of "Artist - Title"; without a dash all of it is the title."""
    artist, dash, title = text.partition(" - ")
    if not dash:
        return None, text.strip() or None
    return artist.strip() or None, title.strip() or None
