"""Frames of MP3 and pages of Ogg as bytes, for the tests of those who count them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

_MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {44100: (3, 0), 48000: (3, 1), 32000: (3, 2), 22050: (2, 0), 24000: (2, 1), 16000: (2, 2), 11025: (0, 0)}


def mp3(kbps: int = 128, rate: int = 44100, *, padding: int = 0, fill: bytes = b"\0") -> bytes:
    """One frame of layer III without a checksum, in stereo; its body is `fill` over and over (ISO 11172-3, 2.4.1)."""
    version, index = _RATES[rate]
    table = _MPEG1_KBPS if version == 3 else _MPEG2_KBPS
    size = (144 if version == 3 else 72) * kbps * 1000 // rate + padding
    header = bytes((0xFF, 0xE3 | version << 3, table.index(kbps) << 4 | index << 2 | padding << 1, 0))
    body = fill * (size // len(fill) + 1)
    return header + body[: size - 4]


def page(serial: int, granule: int, packets: Iterable[bytes], *, flags: int = 0, whole: bool = True) -> bytes:
    """One page of Ogg (RFC 3533). With `whole` false its last packet goes on in the next page."""
    lacing, body = b"", b""
    for packet in packets:
        body += packet
        lacing += b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
    if not whole:
        assert lacing.endswith(b"\0"), "what goes on ends with full segments"
        lacing = lacing[:-1]
    return struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, 0, 0, len(lacing)) + lacing + body


def opus_head(skip: int = 312) -> bytes:
    """The first packet of an Opus stream (RFC 7845, 5.1)."""
    return struct.pack("<8sBBHIHB", b"OpusHead", 1, 2, skip, 48000, 0, 0)


def vorbis_head(rate: int = 44100) -> bytes:
    """The first packet of a Vorbis stream."""
    return struct.pack("<7sIBIIIIBB", b"\x01vorbis", 0, 2, rate, 0, 128000, 0, 0xB8, 1)


def flac_head(rate: int = 44100) -> bytes:
    """The first packet of a FLAC stream in Ogg."""
    info = (
        struct.pack(">HH", 4096, 4096) + bytes(6) + (rate << 44 | 1 << 41 | 15 << 36).to_bytes(8, "big") + bytes(16)
    )
    return b"\x7fFLAC\x01\x00\x00\x01fLaC\x00\x00\x00\x22" + info


def comments(begin: bytes, fields: Mapping[str, str], vendor: bytes = b"test") -> bytes:
    """A comment packet: `begin` is what the codec puts first."""
    packet = begin + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(fields))
    for name, value in fields.items():
        text = f"{name}={value}".encode()
        packet += struct.pack("<I", len(text)) + text
    return packet
