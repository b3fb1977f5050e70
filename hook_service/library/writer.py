"""Writing a prepared loop: measuring what FFmpeg wrote and the index that makes it playable."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path

from .flv import FILE_HEADER, LoopDamaged, Tag, as_frame, scan

__all__ = ["Survey", "survey"]

_CHUNK = 1 << 20


@dataclass(slots=True)
class Survey:
    """What is in an FLV file of the library.

    `gops` are the byte offsets of the keyframes' tags and the end; `gop_frames` how many frames follow each,
    `crc` a CRC-32 for each; `nal_bytes` counts what the bitrate is made of, the frames without FLV's own headers.
    """

    avcc: bytes = b""
    gops: list[int] = field(default_factory=list)
    gop_frames: list[int] = field(default_factory=list)
    crc: list[int] = field(default_factory=list)
    nal_bytes: int = 0

    @property
    def frames(self) -> int:
        """Frames in the file."""
        return sum(self.gop_frames)

    def take(self, tag: Tag, base: int, data: memoryview) -> None:
        """Add one tag that lies at `base` + its own offset in the file."""
        if not self.avcc:
            if not tag.is_header:
                raise LoopDamaged("does not begin with a sequence header")
            self.avcc = tag.body[5:]
            return
        body, key = as_frame(tag)
        if key:
            self.gops.append(base + tag.start)
            self.gop_frames.append(0)
            self.crc.append(0)
        if not self.gops:
            raise LoopDamaged("does not begin with a keyframe")
        self.gop_frames[-1] += 1
        self.crc[-1] = zlib.crc32(data[tag.start : tag.end], self.crc[-1])
        self.nal_bytes += len(body) - 5


def survey(path: Path) -> Survey:
    """Read a finished file from one end to the other, in little memory. Raises LoopDamaged, OSError."""
    found = Survey()
    with path.open("rb") as file:
        if file.read(len(FILE_HEADER)) != FILE_HEADER:
            raise LoopDamaged("is not FLV")
        base, data = len(FILE_HEADER), b""
        while chunk := file.read(_CHUNK):
            data += chunk
            end = 0
            view = memoryview(data)
            for tag in scan(data):
                found.take(tag, base, view)
                end = tag.end
            base, data = base + end, data[end:]
            if len(data) > 16 * _CHUNK:
                raise LoopDamaged("holds a frame of more than 16 MB")
        if data or not found.gops:
            raise LoopDamaged("ends in the middle of a frame" if data else "has no frame")
        found.gops.append(base)
    return found
