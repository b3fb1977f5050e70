"""Checking an encoded loop by reading and decoding it, before it may be played as whole."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .child import Child, ChildFailed
from .flv import LoopDamaged
from .names import BODY, ENTRY
from .probe import last_line
from .profiles import Profile
from .writer import Survey, survey

__all__ = ["BITRATE_TOLERANCE", "Checked", "Unfit", "bitrate", "check"]

BITRATE_TOLERANCE = Fraction(5, 100)


class Unfit(Exception):
    """What was encoded is not a loop of the profile; the text says in what way."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found: `body` and `entry` for the index, `deviation` of the bitrate as a fraction of it."""

    body: Survey
    entry: Survey | None
    deviation: float


def bitrate(found: Survey, profile: Profile) -> Fraction:
    """Bits a second of the pictures alone, over the time that the frames last."""
    return Fraction(found.nal_bytes * 8) * profile.fps / found.frames


def deviation(found: Survey, profile: Profile) -> float:
    """How far the bitrate is from the profile's: 0.05 is 5 % above it."""
    return float(bitrate(found, profile) / (profile.video_kbps * 1000) - 1)


def check(
    directory: Path,
    profile: Profile,
    reference: bytes | None,
    *,
    nice: int,
    threads: int,
    cancel: threading.Event | None = None,
) -> Checked:
    """Check the body and the entry in a directory. Raises Unfit, or what `Child.wait` raises.

    Read by our own parser: no B-frames, a keyframe exactly every GOP, the reference's SPS and PPS (None: there is no
    reference yet), a bitrate within 5 %. Decoded by FFmpeg: no error, the size, as many pictures as frames.
    """
    body = _read(directory / BODY, profile)
    off = deviation(body, profile)
    if abs(off) > BITRATE_TOLERANCE:
        raise Unfit(f"its bitrate is {off:+.1%} off the profile's {profile.video_kbps} kb/s")
    if reference is not None and body.avcc != reference:
        raise Unfit("its SPS or PPS differ from those of the profile's slate")
    _decode(directory / BODY, body, profile, nice, threads, cancel)
    if not profile.fade_frames:
        return Checked(body, None, off)
    entry = _read(directory / ENTRY, profile)
    if entry.avcc != body.avcc:
        raise Unfit("the SPS or PPS of its entry differ from those of its body")
    if entry.gop_frames != body.gop_frames[:1]:
        raise Unfit(f"its entry has {entry.frames} frames and its first GOP {body.gop_frames[0]}")
    _decode(directory / ENTRY, entry, profile, nice, threads, cancel)
    return Checked(body, entry, off)


def _read(path: Path, profile: Profile) -> Survey:
    try:
        found = survey(path)
    except LoopDamaged as error:
        raise Unfit(f"{path.name} {error}") from error
    expected = profile.gop_frames
    if any(frames != expected for frames in found.gop_frames[:-1]) or found.gop_frames[-1] > expected:
        raise Unfit(f"{path.name} has keyframes elsewhere than every {expected} frames")
    return found


def _decode(
    path: Path, found: Survey, profile: Profile, nice: int, threads: int, cancel: threading.Event | None
) -> None:
    """Decode every frame; the size, the pixel format and the number of pictures must be the profile's."""
    # framecrc names the size of every picture in bytes and none of its pixels: one line a frame, little to read.
    command = [
        *(
            "ffmpeg",
            "-hide_banner",
            "-nostdin",
            "-nostats",
            "-v",
            "error",
            "-xerror",
            "-threads",
            str(threads),
        ),
        *(
            "-err_detect",
            "explode",
            "-protocol_whitelist",
            "file,pipe",
            "-f",
            "flv",
            "-i",
            f"file:{path.name}",
        ),
        *("-map", "0:v:0", "-fps_mode", "passthrough", "-progress", "pipe:1", "-f", "null", "-"),
    ]
    pictures = 0

    def progress(frames: int) -> None:
        nonlocal pictures
        pictures = frames

    try:
        Child(command, nice=nice, cwd=path.parent).wait(limit=4 * 7200, cancel=cancel, progress=progress)
    except ChildFailed as error:
        raise Unfit(f"{path.name} does not decode: {error.why or last_line(error.text)}") from error
    if pictures != found.frames:
        raise Unfit(f"{path.name} decodes to {pictures} pictures of {found.frames} frames")
    _shape(path, profile, nice, cancel)


def _shape(path: Path, profile: Profile, nice: int, cancel: threading.Event | None) -> None:
    fields = "width,height,pix_fmt,profile,has_b_frames,color_space,color_transfer,color_primaries,color_range"
    command = [
        *("ffprobe", "-v", "error", "-protocol_whitelist", "file", "-f", "flv", "-of", "default=nw=1"),
        *("-show_entries", f"stream={fields}", "-i", f"file:{path.name}"),
    ]
    answer = bytearray()
    try:
        Child(command, nice=nice, cwd=path.parent).wait(limit=60, cancel=cancel, stdout=answer)
    except ChildFailed as error:
        raise Unfit(f"{path.name} can't be probed: {last_line(error.text)}") from error
    seen = dict(line.split("=", 1) for line in answer.decode().splitlines() if "=" in line)
    wanted = {"width": str(profile.width), "height": str(profile.height), "pix_fmt": "yuv420p"}
    wanted |= {"has_b_frames": "0", "color_space": "bt709", "color_range": "tv", "profile": "High"}
    wrong = [f"{key} is {seen.get(key)}, not {value}" for key, value in wanted.items() if seen.get(key) != value]
    if wrong:
        raise Unfit(f"{path.name}: {', '.join(wrong)}")


def threads() -> int:
    """How many threads one encode or decode may use."""
    return max(1, min(8, os.cpu_count() or 1))
