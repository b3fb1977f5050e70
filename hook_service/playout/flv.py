"""Writing FLV: the one stream that the publisher reads. Adobe's "Video File Format Specification", version 10.1.

An FLV time has 32 bits of milliseconds, but FFmpeg writes 31 of them and the next FFmpeg drops every packet after
that (24.8 days). `TURN_OVER_MS` is where a timeline must have been replaced by another; see `lines`.
"""

from __future__ import annotations

import struct

AUDIO = 8
VIDEO = 9
SCRIPT = 18

LAST_MS = 2**31 - 1

HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"  # version 1, audio and video

# AudioSpecificConfig (ISO 14496-3): AAC-LC, 44.1 kHz, two channels. All our audio is that.
AUDIO_CONFIG = bytes([0x12, 0x10])
_AAC = 0xAF  # AAC, "44 kHz", 16 bit, stereo: constants for AAC in FLV
AUDIO_SEQUENCE_HEADER = bytes([_AAC, 0]) + AUDIO_CONFIG
AUDIO_PREFIX = bytes([_AAC, 1])


def tag_header(kind: int, size: int, timestamp: int) -> bytes:
    """The 11 bytes before a body of `size` bytes at `timestamp` (ms, 0 to 2^31 - 1)."""
    return ((kind << 80) | (size << 56) | ((timestamp & 0xFFFFFF) << 32) | ((timestamp >> 24) << 24)).to_bytes(
        11, "big"
    )


def tag_trailer(size: int) -> bytes:
    """The 4 bytes after a body of `size` bytes: how far back the tag began."""
    return (size + 11).to_bytes(4, "big")


def tag(kind: int, timestamp: int, body: bytes) -> bytes:
    """One whole tag."""
    return tag_header(kind, len(body), timestamp) + body + tag_trailer(len(body))


def video_sequence_header(avcc: bytes) -> bytes:
    """The body that announces the AVCDecoderConfigurationRecord `avcc` (ISO 14496-15)."""
    return b"\x17\x00\x00\x00\x00" + avcc


def metadata(width: int, height: int, fps: float, video_kbps: int, audio_kbps: int) -> bytes:
    """The body of `onMetaData`: readers that probe little take the streams' presence and shape from it."""
    values: dict[str, float | bool] = {
        "width": float(width),
        "height": float(height),
        "framerate": fps,
        "videocodecid": 7.0,
        "videodatarate": float(video_kbps),
        "audiocodecid": 10.0,
        "audiodatarate": float(audio_kbps),
        "audiosamplerate": 44100.0,
        "audiosamplesize": 16.0,
        "stereo": True,
    }
    out = b"\x02" + _text("onMetaData") + b"\x08" + struct.pack(">I", len(values))
    for name, value in values.items():
        out += _text(name)
        out += bytes([1, value]) if isinstance(value, bool) else b"\x00" + struct.pack(">d", value)
    return out + b"\x00\x00\x09"


def _text(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode()
