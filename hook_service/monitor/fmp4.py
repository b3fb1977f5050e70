"""Writing MP4 as browsers play it: an initialisation, fragments that follow it, and a single picture. Pure.

ISO 14496-12 (boxes), 14496-14 and -1 (sound's descriptors), 14496-15 (AVC). Track 1 is the picture, in milliseconds
as FLV has them; track 2 the sound, in samples. Without B-frames every frame is shown when it is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

PICTURE_SCALE = 1000
"""Units a second of a picture's times."""
SOUND_SCALE = 44100
"""Units a second of a sound's times: all our sound is AAC-LC of 44.1 kHz in stereo."""
SOUND_FRAME = 1024

_PICTURE, _SOUND = 1, 2
_KEY, _INTER = 0x02000000, 0x01010000  # needs no other frame; needs others, and is no place to begin
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UND = 0x55C4  # no language, in mdhd's packed ISO 639-2
_FILLER = 12  # NAL unit type


class Picture(NamedTuple):
    """A frame: how long it is shown (ms), whether it is a keyframe, and its length-prefixed NAL units."""

    duration: int
    key: bool
    data: bytes


class Sound(NamedTuple):
    """A frame: how many samples until the next one begins, and its bytes without ADTS."""

    duration: int
    data: bytes


def initialisation(width: int, height: int, avcc: bytes, asc: bytes) -> bytes:
    """What goes before all fragments. `avcc`: AVCDecoderConfigurationRecord, `asc`: AudioSpecificConfig."""
    tracks = _trak(_PICTURE, PICTURE_SCALE, _avc1(width, height, avcc), (width, height)) + _trak(
        _SOUND, SOUND_SCALE, _mp4a(asc), None
    )
    defaults = b"".join(_full(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, 0)) for track in (_PICTURE, _SOUND))
    return _ftyp() + _box(b"moov", _mvhd(0), tracks, _box(b"mvex", defaults))


def fragment(
    number: int, pictures_at: int, pictures: Sequence[Picture], sounds_at: int, sounds: Sequence[Sound]
) -> bytes:
    """Frames that begin at `pictures_at` (ms) and `sounds_at` (samples). `number` counts from 1."""

    def moof(of_pictures: int, of_sounds: int) -> bytes:
        trafs = _traf(
            _PICTURE,
            pictures_at,
            0x701,  # where the data is; of each frame: duration, size, flags
            of_pictures,
            (struct.pack(">3I", one.duration, len(one.data), _KEY if one.key else _INTER) for one in pictures),
            len(pictures),
        )
        if sounds:
            each = (struct.pack(">2I", one.duration, len(one.data)) for one in sounds)
            trafs += _traf(_SOUND, sounds_at, 0x301, of_sounds, each, len(sounds))
        return _box(b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", number)), trafs)

    video = b"".join(one.data for one in pictures)
    audio = b"".join(one.data for one in sounds)
    begin = len(moof(0, 0)) + 8  # behind the header of mdat
    return moof(begin, begin + len(video)) + _box(b"mdat", video, audio)


def still(width: int, height: int, avcc: bytes, data: bytes) -> bytes:
    """A whole file of one keyframe, which every browser shows without Media Source Extensions."""
    shown = 1000
    entry = _avc1(width, height, avcc)

    def moov(at: int) -> bytes:
        return _box(
            b"moov", _mvhd(shown), _trak(_PICTURE, PICTURE_SCALE, entry, (width, height), (shown, len(data), at))
        )

    head = _ftyp()
    return head + moov(len(head) + len(moov(0)) + 8) + _box(b"mdat", data)


def without_filler(data: bytes) -> bytes:
    """Length-prefixed NAL units without those that only fill the bitrate up. Damaged ones stay as they are."""
    kept, at = [], 0
    while at + 4 < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4] & 31 != _FILLER:
            kept.append(data[at:end])
        at = end
    return b"".join(kept) if at == len(data) and kept else data


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _ftyp() -> bytes:
    return _box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6", b"isom", b"avc1", b"mp41")


def _mvhd(duration: int) -> bytes:
    # Times, rate 1, full volume, reserved, the matrix, six words that were QuickTime's, the next track's number.
    return _full(
        b"mvhd",
        0,
        0,
        struct.pack(">4IIH10x", 0, 0, PICTURE_SCALE, duration, 0x10000, 0x100),
        _MATRIX,
        struct.pack(">24xI", _SOUND + 1),
    )


def _trak(
    number: int, scale: int, entry: bytes, size: tuple[int, int] | None, only: tuple[int, int, int] | None = None
) -> bytes:
    """`size`: the picture's; None is sound. `only`: duration, bytes and place of a single frame."""
    width, height = size or (0, 0)
    duration, length, place = only or (0, 0, 0)
    tkhd = _full(
        b"tkhd",
        0,
        7,  # enabled, in the film, in its preview
        struct.pack(">2II4xI8xHHH2x", 0, 0, number, duration, 0, 0, 0 if size else 0x100),
        _MATRIX,
        struct.pack(">2I", width << 16, height << 16),
    )
    mdhd = _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, scale, duration, _UND, 0))
    hdlr = _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"vide" if size else b"soun"), b"\0")
    media = _full(b"vmhd", 0, 1, bytes(8)) if size else _full(b"smhd", 0, 0, bytes(4))
    # The data is in this file.
    dinf = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
    if only:
        tables = (
            _full(b"stts", 0, 0, struct.pack(">3I", 1, 1, duration)),
            _full(b"stsc", 0, 0, struct.pack(">4I", 1, 1, 1, 1)),
            _full(b"stsz", 0, 0, struct.pack(">3I", 0, 1, length)),
            _full(b"stco", 0, 0, struct.pack(">2I", 1, place)),
        )
    else:
        tables = (
            _full(b"stts", 0, 0, bytes(4)),
            _full(b"stsc", 0, 0, bytes(4)),
            _full(b"stsz", 0, 0, bytes(8)),
            _full(b"stco", 0, 0, bytes(4)),
        )
    stsd = _full(b"stsd", 0, 0, struct.pack(">I", 1), entry)
    return _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, _box(b"minf", media, dinf, _box(b"stbl", stsd, *tables))))


def _avc1(width: int, height: int, avcc: bytes) -> bytes:
    # Data reference 1, the size, 72 dpi both ways, one frame a sample, no compressor's name, 24 bits of depth.
    fields = struct.pack(">6xH16xHHII4xH32xHh", 1, width, height, 0x480000, 0x480000, 1, 24, -1)
    return _box(b"avc1", fields, _box(b"avcC", avcc))


def _mp4a(asc: bytes) -> bytes:
    decoder = bytes([0x40, 0x15]) + bytes(11) + _descriptor(5, asc)  # AAC, a stream of sound, no bitrates told
    stream = struct.pack(">HB", 0, 0) + _descriptor(4, decoder) + _descriptor(6, b"\x02")
    fields = struct.pack(">6xH8xHH4xI", 1, 2, 16, SOUND_SCALE << 16)
    return _box(b"mp4a", fields, _full(b"esds", 0, 0, _descriptor(3, stream)))


def _descriptor(tag: int, body: bytes) -> bytes:
    # The length in four groups of seven bits, of which all but the last say that another follows.
    groups = [len(body) >> shift & 0x7F for shift in (21, 14, 7, 0)]
    return bytes([tag, *(group | 0x80 for group in groups[:3]), groups[3]]) + body


def _traf(track: int, at: int, flags: int, offset: int, frames: Iterable[bytes], count: int) -> bytes:
    tfhd = _full(b"tfhd", 0, 0x20000, struct.pack(">I", track))  # places are counted from the moof
    tfdt = _full(b"tfdt", 1, 0, struct.pack(">Q", at))
    return _box(b"traf", tfhd, tfdt, _full(b"trun", 0, flags, struct.pack(">Ii", count, offset), *frames))
