"""How much sound is in an Ogg stream, and its titles: pages counted as they pass, without decoding.

A radio's Ogg is a chain: for each song a stream of its own begins, with its title in its second packet, so a title's
place is exact. Sources: RFC 3533 (pages), RFC 7845 (Opus), the Vorbis I specification (5: comments), the FLAC
to Ogg mapping.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hook_service.playout.frames import Places
from hook_service.playout.icy import cut

_PAGE = struct.Struct("<4sBBqIIIB")
_FIRST = 2
_FLAGS = 7  # all there are
# A comment packet may hold a picture; this much of it is kept.
_COMMENT_LIMIT = 1 << 18
# No page of music is as long: granules that leap further belong to another place of the stream.
_LEAP_SECONDS = 60.0


class Codec(NamedTuple):
    """What a stream's first packet says."""

    rate: int
    """Granules in a second."""
    skip: int
    """Granules at its beginning that are not played."""
    comment: bytes
    """How its second packet begins."""


class Tags(NamedTuple):
    """A title, and where the stream that carries it begins."""

    artist: str | None
    title: str | None
    byte: int
    seconds: float


class OggCounter:
    """Counts the sound in the bytes that it is fed, and finds the titles."""

    def __init__(self) -> None:
        self._buffer = b""
        self._fed = 0
        self._sound = 0.0
        self._places = Places()
        self._serial = -1
        self._codec = Codec(1, 0, b"")
        self._last: int | None = None
        self._joined: tuple[int, int] | None = None
        """The granule and the packets of a stream's first page, while it is not known how much sound is in it."""
        self._comment: bytearray | None = None
        self._began = (0, 0.0)

    @property
    def seconds(self) -> float:
        """The sound in all pages until now."""
        return self._sound

    def seconds_at(self, byte: int) -> float:
        """The sound before a byte: one of the last `KEPT_SECONDS`."""
        return self._places.seconds_at(byte)

    def feed(self, data: bytes) -> list[Tags]:
        """Bytes as they come, in any portions; gives the titles whose packets they complete."""
        self._fed += len(data)
        buffer = self._buffer + data
        found: list[Tags] = []
        at = 0
        while True:
            begin = buffer.find(b"OggS", at)
            if begin < 0:
                at = max(at, len(buffer) - 3)  # what belongs to a page is not looked at again
                break
            at = begin
            if at + _PAGE.size > len(buffer):
                break
            _, version, flags, granule, serial, _, _, segments = _PAGE.unpack_from(buffer, at)
            if version or flags > _FLAGS:
                at += 4
                continue
            body = at + _PAGE.size + segments
            lacing = buffer[at + _PAGE.size : body]
            end = body + sum(lacing)
            if end > len(buffer) or body > len(buffer):
                break
            place = self._fed - len(buffer) + at
            if flags & _FIRST:
                self._begin(buffer[body:end], serial, place)
            elif serial == self._serial:
                if self._comment is not None and self._collect(self._comment, buffer[body:end], lacing):
                    found += self._titles(bytes(self._comment))
                    self._comment = None
                self._count(granule, sum(length < 255 for length in lacing))
            at = end
            self._places.add(self._fed - len(buffer) + at, self._sound)
        self._buffer = buffer[at:]
        return found

    def _begin(self, packet: bytes, serial: int, place: int) -> None:
        codec = codec_of(packet)
        if codec is None:
            return
        if self._joined is not None:
            self._sound += min(1.0, self._joined[0] / self._codec.rate)
        self._serial, self._codec, self._last, self._joined = serial, codec, None, None
        self._comment = bytearray()
        self._began = (place, self._sound)

    def _count(self, granule: int, packets: int) -> None:
        """A page in which so many packets end, the last of them with sample `granule`."""
        if granule <= 0:
            return  # a header, or a page within which no packet ends
        rate = self._codec.rate
        if self._last is None or not 0 <= granule - self._last <= _LEAP_SECONDS * rate:
            self._joined = (granule, packets)
        elif self._joined is None:
            self._sound += (granule - self._last) / rate
        else:
            # Of a listener's first page only the end is known. Its packets are as long as the next one's, unless it
            # says less. (Opus and FLAC keep to one length, Vorbis mostly; their sizes in bytes differ widely.)
            first, first_packets = self._joined
            like_next = (granule - self._last) * first_packets / max(1, packets)
            played = max(0, first - self._codec.skip)
            self._sound += (played if played <= 1.5 * like_next + rate / 5 else like_next) / rate
            self._sound += (granule - self._last) / rate
            self._joined = None
        self._last = granule

    def _collect(self, comment: bytearray, body: bytes, lacing: bytes) -> bool:
        """Gather the comment packet; whether it is whole: it ends with the first segment that is not full."""
        full = 0
        while full < len(lacing) and lacing[full] == 255:
            full += 1
        comment += body[: sum(lacing[: full + 1])][: max(0, _COMMENT_LIMIT - len(comment))]
        return full < len(lacing)

    def _titles(self, comment: bytes) -> list[Tags]:
        tags = comments(comment, self._codec.comment)
        artist, title = tags.get("ARTIST"), tags.get("TITLE")
        return [Tags(artist, title, *self._began)] if artist or title else []


def codec_of(packet: bytes) -> Codec | None:
    """What a stream's first packet says, None for one that is not Opus, Vorbis or FLAC."""
    if packet.startswith(b"OpusHead") and len(packet) >= 19:
        return Codec(48000, int.from_bytes(packet[10:12], "little"), b"OpusTags")
    if packet.startswith(b"\x01vorbis") and len(packet) >= 30:
        rate = int.from_bytes(packet[12:16], "little")
        return Codec(rate, 0, b"\x03vorbis") if rate else None
    if packet.startswith(b"\x7fFLAC") and packet[9:13] == b"fLaC" and len(packet) >= 51:
        # STREAMINFO's 20 bits of sample rate, behind 13 + 4 bytes of headers and 10 of block and frame sizes
        rate = int.from_bytes(packet[27:30], "big") >> 4
        return Codec(rate, 0, b"") if rate else None
    return None


def comments(packet: bytes, begin: bytes) -> dict[str, str]:
    """The comments in a stream's second packet, names in capitals; several of one name are joined with ", "."""
    if begin:
        if not packet.startswith(begin):
            return {}
        at = len(begin)
    else:
        # FLAC: a metadata block of type 4, its length in three bytes
        if not packet or packet[0] & 0x7F != 4:
            return {}
        at = 4
    found: dict[str, str] = {}
    try:
        at += 4 + int(struct.unpack_from("<I", packet, at)[0])
        (count,) = struct.unpack_from("<I", packet, at)
        at += 4
        for _ in range(count):
            (length,) = struct.unpack_from("<I", packet, at)
            at += 4
            if at + length > len(packet):
                break
            name, _, value = packet[at : at + length].decode(errors="replace").partition("=")
            at += length
            # There is room for 256 KB: whoever compares such a title with a song's would be at it for minutes.
            value = cut(value)
            if value:
                name = name.upper()
                found[name] = cut(f"{found[name]}, {value}") if name in found else value
    except struct.error:
        pass  # cut off: what was before counts
    return found
