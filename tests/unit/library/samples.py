"""Prepared loops made of nothing: the library's files with frames that no decoder will ever see."""

import json
import zlib
from pathlib import Path

from hook_service.library.flv import FILE_HEADER

AVCC = bytes.fromhex(
    "0164001fffe1001d6764001facb402802dd80b50101014000003000400000300f23c60ca8001000468ef3cb0fdf8f800"
)
SHA = "ab" * 32


def tag(body: bytes, milliseconds: int = 0, kind: int = 9) -> bytes:
    stamp = (milliseconds & 0xFFFFFF).to_bytes(3, "big") + bytes([milliseconds >> 24])
    head = bytes([kind]) + len(body).to_bytes(3, "big") + stamp + b"\0\0\0"
    return head + body + (11 + len(body)).to_bytes(4, "big")


def frame(key: bool, payload: bytes = b"\x01\x02\x03") -> bytes:
    nal = bytes([0x65 if key else 0x41]) + payload
    return (b"\x17" if key else b"\x27") + b"\x01\0\0\0" + len(nal).to_bytes(4, "big") + nal


def header(avcc: bytes = AVCC) -> bytes:
    return tag(b"\x17\0\0\0\0" + avcc)


def gop(frames: int, mark: int = 0) -> bytes:
    return b"".join(tag(frame(n == 0, bytes([mark, n % 256, 7])), 33 * n) for n in range(frames))


def flv(gops: list[int]) -> bytes:
    return FILE_HEADER + header() + b"".join(gop(frames, n) for n, frames in enumerate(gops))


def write_loop(directory: Path, gops: list[int], entry: bool = True, sha256: str = SHA) -> Path:
    """A whole prepared loop whose GOPs have these many frames."""
    directory.mkdir(parents=True)
    parts = [gop(frames, n) for n, frames in enumerate(gops)]
    offsets = [len(FILE_HEADER + header())]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    (directory / "body.flv").write_bytes(flv(gops))
    faded = gop(gops[0], 255)
    index = {
        "source": "/srv/loops/a.mp4",
        "sha256": sha256,
        "encoder": "libx264",
        "frames": sum(gops),
        "avcc": AVCC.hex(),
        "gops": offsets,
        "crc": [zlib.crc32(part) for part in parts],
        "entry": [offsets[0], offsets[0] + len(faded)] if entry else None,
        "entry_crc": zlib.crc32(faded) if entry else None,
    }
    if entry:
        (directory / "entry.flv").write_bytes(FILE_HEADER + header() + faded)
    (directory / "index.json").write_text(json.dumps(index))
    return directory


def write_plan(directory: Path, gop_frames: int, entry: bool = True) -> Path:
    """The directory of a loop whose encoding is about to begin."""
    directory.mkdir(parents=True)
    plan = {"source": "/srv/loops/a.mp4", "sha256": SHA, "gop_frames": gop_frames, "entry": entry}
    (directory / "plan.json").write_text(json.dumps(plan | {"expected_frames": None}))
    return directory
