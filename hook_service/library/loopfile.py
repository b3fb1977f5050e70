"""Reading prepared loops from disk, by index, one GOP at a time. Standard library only: the playout imports it.

A prepared loop is a directory `<library>/<profile fingerprint>/<sha256 of the source>/` with `body.flv` (the loop),
`entry.flv` (its first GOP again, with the fade-in; absent when the fade-in is 0) and `index.json`, which is written
last. While it is being encoded the directory is called `<sha256>.partial`, holds `plan.json` instead of an index, and
may be followed with `GrowingLoop`. Renaming the directory is what makes a loop whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from .directory import Directory, count
from .flv import TAG_HEADER, Frame, LoopDamaged, frames_of, is_keyframe
from .growing import GrowingLoop
from .names import BODY, ENTRY, INDEX, PARTIAL, PLAN

__all__ = [
    "BODY",
    "ENTRY",
    "INDEX",
    "PARTIAL",
    "PLAN",
    "Frame",
    "GrowingLoop",
    "LoopDamaged",
    "PreparedLoop",
    "open_loop",
]

# No GOP of any profile comes near this.
_GOP_LIMIT = 64 << 20


def open_loop(directory: Path) -> PreparedLoop:
    """Open a whole prepared loop. Raises LoopDamaged when it is absent, half-written or inconsistent."""
    return PreparedLoop(directory)


class PreparedLoop(Directory):
    """A whole prepared loop, read from disk one GOP at a time; never more than one GOP in memory.

    Attributes: `frames` (in one pass), `gops` (in one pass), `gop_sizes` are frames per GOP as the index implies,
    `avcc` (AVCDecoderConfigurationRecord), `sha256` (of the source), `source` (its path), `has_entry`, `encoder`.
    Keeps its files open: a loop that is replaced or removed on disk plays on until it is closed.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        index = self.json(INDEX)
        if index is None:
            self.close()
            raise LoopDamaged(f"{directory} has no {INDEX}: it was never finished")
        try:
            self.frames = count(index["frames"])
            self.avcc = bytes.fromhex(index["avcc"])
            self.sha256 = str(index["sha256"])
            self.source = str(index["source"])
            self.encoder = str(index.get("encoder", ""))
            self._offsets = [count(offset) for offset in index["gops"]]
            self._entry = None if index["entry"] is None else [count(offset) for offset in index["entry"]]
            self._crcs = [count(crc) for crc in index["crc"]]
            self._entry_crc = None if index["entry"] is None else count(index["entry_crc"])
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise LoopDamaged(f"{directory}/{INDEX} is incomplete: {error}") from error
        self.gops = len(self._offsets) - 1
        self.has_entry = self._entry is not None
        self._check_shape()

    def _check_shape(self) -> None:
        rising = all(a < b <= a + _GOP_LIMIT for a, b in zip(self._offsets, self._offsets[1:], strict=False))
        whole = self._offsets and self.size(BODY) == self._offsets[-1]
        if not (self.gops >= 1 and rising and whole and self.frames >= self.gops and len(self._crcs) == self.gops):
            self.close()
            raise LoopDamaged(f"{self.path}: {BODY} is not what {INDEX} says")
        if self._entry is not None:
            start, end = [*self._entry, 0, 0][:2]
            if not (len(self._entry) == 2 and start < end <= start + _GOP_LIMIT and self.size(ENTRY) == end):
                self.close()
                raise LoopDamaged(f"{self.path}: {ENTRY} is not what {INDEX} says")

    def keyframe(self, n: int, size: int | None = None) -> bytes | None:
        """The body of GOP `n`'s keyframe alone; None where it does not have the `size` that is asked for.

        Raises LoopDamaged where no keyframe is there, IndexError for a GOP that does not exist.
        """
        if not 0 <= n < self.gops:
            raise IndexError(f"GOP {n} of {self.gops}")
        offset = self._offsets[n]
        header = self.read(BODY, offset, TAG_HEADER)
        length = int.from_bytes(header[1:4], "big")
        if size is not None and length != size:
            return None
        body = self.read(BODY, offset + TAG_HEADER, length)
        if len(body) != length or not is_keyframe(body):
            raise LoopDamaged(f"{self.path}/{BODY}: no keyframe at byte {offset}")
        return body

    def excerpt(self, gops: Sequence[int]) -> bytes:
        """An FLV file of these GOPs, in rising order, each with the times that it has in the loop.

        Raises LoopDamaged where it can't be read whole, IndexError for a GOP that does not exist.
        """
        parts = [(0, self._offsets[0]), *((self._offsets[n], self._offsets[n + 1]) for n in gops)]
        data = [self.read(BODY, start, end - start) for start, end in parts]
        if any(len(part) != end - start for part, (start, end) in zip(data, parts, strict=True)):
            raise LoopDamaged(f"{self.path}/{BODY} is short")
        return b"".join(data)

    def read_gop(self, n: int, entry: bool = False) -> list[Frame]:
        """GOP `n` (0 to `gops` - 1) with one pread. `entry` asks for the faded-in first GOP where there is one.

        Raises LoopDamaged when the data is short, altered or unreadable, IndexError for a GOP that does not exist.
        """
        if not 0 <= n < self.gops:
            raise IndexError(f"GOP {n} of {self.gops}")
        if entry and n == 0 and self._entry is not None:
            name, start, end, crc = ENTRY, self._entry[0], self._entry[1], self._entry_crc
        else:
            name, start, end, crc = BODY, self._offsets[n], self._offsets[n + 1], self._crcs[n]
        data = self.read(name, start, end - start)
        # The checksum also catches what a power cut leaves behind: blocks of zeros in a file of the right length.
        if len(data) != end - start or zlib.crc32(data) != crc:
            raise LoopDamaged(f"{self.path}/{name}: GOP {n} is short or altered")
        return frames_of(data)
