"""Reading and judging FLV, written apart from the code it judges."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from tests.rig import child

AUDIO, VIDEO, SCRIPT = 8, 9, 18
HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"


class FlvDamagedError(ValueError):
    """Not FLV, or broken; the message gives the byte offset."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One FLV tag: `kind` 8, 9 or 18, `time` in ms (32 bits), the body without its header."""

    kind: int
    time: int
    body: bytes

    @property
    def is_header(self) -> bool:
        """A sequence header: it configures a decoder and is no frame."""
        if len(self.body) < 2 or self.body[1] != 0:
            return False
        return self.body[0] & 0x0F == 7 if self.kind == VIDEO else self.kind == AUDIO and self.body[0] >> 4 == 10

    @property
    def is_keyframe(self) -> bool:
        """A video frame from which decoding can begin."""
        return self.kind == VIDEO and not self.is_header and self.body[:1] != b"" and self.body[0] >> 4 == 1

    @property
    def is_frame(self) -> bool:
        """Audio or video that is played, not configuration, metadata or an end-of-sequence mark."""
        if self.kind == VIDEO:
            return len(self.body) > 5 and self.body[0] & 0x0F == 7 and self.body[1] == 1
        return self.kind == AUDIO and len(self.body) > 2 and not self.is_header


def encode(tag: Tag) -> bytes:
    """The tag as it stands in a file, with the length behind it."""
    size = len(tag.body)
    head = bytes([tag.kind]) + size.to_bytes(3, "big")
    time = (tag.time & 0xFFFFFF).to_bytes(3, "big") + bytes([tag.time >> 24 & 0xFF])
    return head + time + b"\0\0\0" + tag.body + (size + 11).to_bytes(4, "big")


def read(stream: BinaryIO, *, cut: bool = False) -> Iterator[Tag]:
    """The tags of an FLV file. With `cut`, a file that ends inside a tag is one that is still being written."""
    head = stream.read(len(HEADER))
    if len(head) < len(HEADER) and cut:
        return
    if head[:4] != HEADER[:4] or head[5:] != HEADER[5:]:
        raise FlvDamagedError(f"no FLV header: {head!r}")
    offset = len(HEADER)
    while start := stream.read(11):
        if len(start) == 11:
            size = int.from_bytes(start[1:4], "big")
            body = stream.read(size + 4)
        if len(start) < 11 or len(body) < size + 4:
            if cut:
                return
            raise FlvDamagedError(f"ends inside the tag at byte {offset}")
        if start[0] not in (AUDIO, VIDEO, SCRIPT) or start[8:] != b"\0\0\0":
            raise FlvDamagedError(f"no tag at byte {offset}: {start.hex()}")
        if int.from_bytes(body[size:], "big") != size + 11:
            raise FlvDamagedError(f"the length behind the tag at byte {offset} is wrong")
        yield Tag(start[0], int.from_bytes(start[4:7], "big") | start[7] << 24, body[:size])
        offset += size + 15


def read_file(path: Path, *, cut: bool = False) -> list[Tag]:
    """All tags of a file; see `read`."""
    with path.open("rb") as stream:
        return list(read(stream, cut=cut))


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a capture is worth. Steps are the largest distance between two frames of a stream, in ms.

    `non_monotonic` counts frames whose time is not later than that of the frame before in the same stream;
    `gops` holds the number of frames from each keyframe to the next; `codec_changes` the sequence headers after
    the first that differ from the one before; `decode_errors` the lines of a full decode.
    """

    video_frames: int = 0
    audio_frames: int = 0
    max_video_step: int = 0
    max_audio_step: int = 0
    non_monotonic: int = 0
    codec_changes: int = 0
    first_time: int = 0
    last_time: int = 0
    gops: list[int] = field(default_factory=list)
    decode_errors: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (self.last_time - self.first_time) / 1000

    def as_dict(self) -> dict[str, Any]:
        """For a report in JSON."""
        return asdict(self)


def judge(tags: Sequence[Tag], decode_errors: Sequence[str] = ()) -> Analysis:
    """Count and measure; see Analysis."""
    times: dict[int, list[int]] = {AUDIO: [], VIDEO: []}
    headers: dict[int, bytes] = {}
    keys, changes = [], 0
    for tag in tags:
        if tag.is_header:
            changes += tag.kind in headers and headers[tag.kind] != tag.body
            headers[tag.kind] = tag.body
        elif tag.is_frame:
            if tag.is_keyframe:
                keys.append(len(times[VIDEO]))
            times[tag.kind].append(tag.time)
    steps = {kind: [b - a for a, b in pairwise(values)] for kind, values in times.items()}
    every = times[AUDIO] + times[VIDEO]
    return Analysis(
        video_frames=len(times[VIDEO]),
        audio_frames=len(times[AUDIO]),
        max_video_step=max(steps[VIDEO], default=0),
        max_audio_step=max(steps[AUDIO], default=0),
        non_monotonic=sum(step <= 0 for values in steps.values() for step in values),
        codec_changes=changes,
        first_time=min(every, default=0),
        last_time=max(every, default=0),
        gops=[b - a for a, b in pairwise(keys)],
        decode_errors=list(decode_errors),
    )


def decode_errors(path: Path) -> list[str]:
    """Decode every frame of a file and return what FFmpeg had to say; empty when all is well."""
    done = subprocess.run(
        [
            child.find_program("ffmpeg"), "-v", "error", "-nostdin", "-xerror", "-err_detect",
            "crccheck+bitstream+buffer", "-i", str(path), "-map", "0",
            # Otherwise FFmpeg guesses a rate from the first frames, and complains where it has guessed wrong.
            "-fps_mode", "passthrough", "-enc_time_base:v", "1:1000", "-f", "null", "-",
        ],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    return lines if lines or done.returncode == 0 else [f"ffmpeg ended with {done.returncode}"]


def analyse(path: Path, *, decode: bool = True) -> Analysis:
    """Read, measure and, with `decode`, decode a whole capture."""
    return judge(read_file(path), decode_errors(path) if decode else ())
