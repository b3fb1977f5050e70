"""Taking AAC frames out of an ADTS stream (ISO 14496-3, 1.A.2.2), as FFmpeg's `-f adts` writes it.

Rubbish between frames is skipped; what is not AAC-LC at 44.1 kHz in stereo is not taken for a frame, since the
platform was told nothing else.
"""

from __future__ import annotations

_HEADER = 7
# Sync word 0xFFF, MPEG-4 or MPEG-2, layer 0; no CRC. profile LC (1), frequency index 4 (44.1 kHz), 2 channels.
_PROFILE_MASK = 0b11_1111_0_111
_PROFILE_BITS = 0b01_0100_0_010


class AdtsReader:
    """Fed with bytes as they arrive, gives whole frames without their headers."""

    def __init__(self) -> None:
        self._rest = b""
        self.skipped = 0
        """Bytes that belonged to no frame."""

    def feed(self, data: bytes) -> list[bytes]:
        """The AAC access units completed by `data`."""
        buffer = self._rest + data
        frames = []
        at = 0
        end = len(buffer)
        while end - at >= _HEADER:
            if not _is_header(buffer, at):
                found = buffer.find(b"\xff", at + 1)
                found = end if found < 0 else found
                self.skipped += found - at
                at = found
                continue
            size = ((buffer[at + 3] & 3) << 11) | (buffer[at + 4] << 3) | (buffer[at + 5] >> 5)
            if end - at < size:
                break
            frames.append(buffer[at + _HEADER : at + size])
            at += size
        self._rest = buffer[at:]
        return frames


def _is_header(buffer: bytes, at: int) -> bool:
    if buffer[at] != 0xFF or buffer[at + 1] & 0xF7 != 0xF1:
        return False
    # profile (2 bits), frequency index (4), private bit, channel configuration (3), as one number
    shape = (buffer[at + 2] << 2) | (buffer[at + 3] >> 6)
    if shape & _PROFILE_MASK != _PROFILE_BITS:
        return False
    size = ((buffer[at + 3] & 3) << 11) | (buffer[at + 4] << 3) | (buffer[at + 5] >> 5)
    return size > _HEADER and buffer[at + 6] & 3 == 0


def split(data: bytes) -> list[bytes]:
    """All frames of a whole ADTS file."""
    return AdtsReader().feed(data)
