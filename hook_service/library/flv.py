"""FLV as the library writes it: one AVC sequence header and video tags, nothing else. Pure functions on bytes.

Layout (Adobe FLV 10.1, annex E): a 9-byte header and a zero "previous tag size", then tags of an 11-byte header
(type, 24-bit size, 24+8-bit milliseconds, stream id 0), a body, and the 32-bit size of header and body again.
A video body of AVC begins with frame type and codec (0x17 keyframe, 0x27 other), packet type (0 header, 1 frames),
a signed 24-bit composition time, and then length-prefixed NAL units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "FILE_HEADER",
    "SEQUENCE_HEADER",
    "Frame",
    "LoopDamaged",
    "Tag",
    "as_frame",
    "frames_of",
    "is_keyframe",
    "nal_types",
    "one_gop",
    "scan",
    "tag",
]

FILE_HEADER = b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"
TAG_HEADER = 11
TAG_TRAILER = 4
VIDEO = 9
SEQUENCE_HEADER = b"\x17\x00\x00\x00\x00"
_KEYFRAME = b"\x17\x01\x00\x00\x00"
_INTER = b"\x27\x01\x00\x00\x00"
NAL_IDR = 5
# A second of uncompressed 4096x2304 would still be smaller than this 24-bit field's limit times its frames; the
# smallest video body that can carry a slice is the five bytes above, a length and one byte of NAL unit.
_SMALLEST_BODY = 5 + 4 + 1

Frame = tuple[bytes, bool]
"""The body of an FLV video tag (from 0x17/0x27 on) and whether it is a keyframe."""


class LoopDamaged(Exception):
    """A prepared loop cannot be played; the text says what is wrong with it."""


class Tag(NamedTuple):
    """A whole tag inside a buffer: where it starts and ends there, and its body."""

    start: int
    end: int
    body: bytes

    @property
    def is_header(self) -> bool:
        """Whether this is the AVC sequence header (the body after five bytes is the decoder configuration record)."""
        return self.body[:5] == SEQUENCE_HEADER

    @property
    def is_keyframe(self) -> bool:
        """Whether this is an IDR frame."""
        return is_keyframe(self.body)


def is_keyframe(body: bytes) -> bool:
    """Whether the body of a video tag is an IDR frame's."""
    return body[:5] == _KEYFRAME


def scan(data: bytes, offset: int = 0) -> Iterator[Tag]:
    """The whole tags in `data` from `offset` on; stops in front of one that is not complete yet.

    Raises LoopDamaged for anything the library never writes: other tag types, codecs, composition times or sizes.
    """
    while offset + TAG_HEADER <= len(data):
        size = int.from_bytes(data[offset + 1 : offset + 4], "big")
        if data[offset] != VIDEO or data[offset + 8 : offset + 11] != b"\0\0\0" or size < _SMALLEST_BODY:
            raise LoopDamaged(f"no video tag at byte {offset}")
        end = offset + TAG_HEADER + size + TAG_TRAILER
        if end > len(data):
            return
        if int.from_bytes(data[end - TAG_TRAILER : end], "big") != TAG_HEADER + size:
            raise LoopDamaged(f"the tag at byte {offset} does not repeat its size")
        body = bytes(data[offset + TAG_HEADER : end - TAG_TRAILER])
        if body[:5] not in (SEQUENCE_HEADER, _KEYFRAME, _INTER):
            raise LoopDamaged(f"the tag at byte {offset} is not a frame of AVC without B-frames")
        yield Tag(offset, end, body)
        offset = end


def nal_types(body: bytes) -> list[int]:
    """The NAL unit types of a frame's body, in order; raises LoopDamaged unless the lengths add up exactly."""
    types: list[int] = []
    position = 5
    while position < len(body):
        length = int.from_bytes(body[position : position + 4], "big")
        if length < 1 or position + 4 + length > len(body):
            raise LoopDamaged("the NAL units of a frame do not fill its tag")
        types.append(body[position + 4] & 0x1F)
        position += 4 + length
    return types


def as_frame(tag: Tag) -> Frame:
    """A frame from its tag; raises LoopDamaged for a sequence header or a keyframe flag that the slices deny."""
    if tag.is_header:
        raise LoopDamaged(f"a second sequence header at byte {tag.start}")
    if (NAL_IDR in nal_types(tag.body)) != tag.is_keyframe:
        raise LoopDamaged(f"the keyframe flag at byte {tag.start} is not what the slices say")
    return tag.body, tag.is_keyframe


def frames_of(data: bytes) -> list[Frame]:
    """The frames of exactly one GOP: a keyframe, then others, no byte left over. Raises LoopDamaged otherwise."""
    frames: list[Frame] = []
    end = 0
    for tag in scan(data):
        frames.append(as_frame(tag))
        end = tag.end
    if end != len(data) or not frames:
        raise LoopDamaged("a GOP ends in the middle of a tag")
    if not frames[0][1] or any(key for _, key in frames[1:]):
        raise LoopDamaged("keyframes are not where the index says")
    return frames


def one_gop(data: bytes) -> tuple[bytes, list[Frame]]:
    """Decoder configuration and frames of a whole file that holds one GOP. Raises LoopDamaged for any other."""
    head = next(scan(data, len(FILE_HEADER)), None) if data.startswith(FILE_HEADER) else None
    if head is None or not head.is_header:
        raise LoopDamaged("does not begin with a sequence header")
    return head.body[len(SEQUENCE_HEADER) :], frames_of(data[head.end :])


def tag(milliseconds: int, body: bytes) -> bytes:
    """A video tag with this time and body."""
    time = (milliseconds & 0xFFFFFF).to_bytes(3, "big") + bytes([milliseconds >> 24 & 0xFF])
    head = bytes([VIDEO]) + len(body).to_bytes(3, "big") + time + b"\0\0\0"
    return head + body + (len(head) + len(body)).to_bytes(TAG_TRAILER, "big")
