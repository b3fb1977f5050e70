"""Looking at a source before it is encoded: what it is, or why it is refused."""

from __future__ import annotations

import json
import os
import re
import threading
from fractions import Fraction
from typing import Any

from .child import Child, ChildFailed
from .errors import NotNow, Refused
from .media import DEMUXERS, MAX_SECONDS, STILL_DEMUXERS, Media

__all__ = ["probe"]

# Known only so that the reason can be "no video" rather than "unknown".
_AUDIO_DEMUXERS = (
    "mp3",
    "flac",
    "wav",
    "aac",
    "aiff",
    "ape",
    "wv",
    "tta",
    "ac3",
    "eac3",
    "caf",
    "w64",
    "amr",
)
_PROBE_SECONDS = 20.0
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,6}):(\d{1,6}):(\d{1,6})(\.\d{1,12})?", re.ASCII)
# What playlists begin with. FFmpeg would not follow them here either; this is for the reason's sake.
_PLAYLISTS = {
    b"#EXTM3U": "an HLS or M3U playlist",
    b"ffconcat": "an FFmpeg concat script",
    b"<?xml": "an XML document (a playlist or manifest)",
    b"<MPD": "a DASH manifest",
    b"<svg": "an SVG drawing",
    b"[playlist]": "a PLS playlist",
    b"v=0": "an SDP session description",
    b"[Reference]": "an ASX playlist",
    b"<asx": "an ASX playlist",
    b"file '": "an FFmpeg concat script",
}


def probe(fd: int, nice: int, cancel: threading.Event | None = None) -> Media:
    """What FFmpeg can read from an open file.

    Raises Refused with a reason, or NotNow when it could not be found out.
    """
    head = os.pread(fd, 1024, 0)
    if not head:
        raise Refused("empty: zero bytes")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, what in _PLAYLISTS.items():
        if start.startswith(magic.lower()):
            raise Refused(f"not a video but {what}; those are never followed")
    demuxers = ",".join((*DEMUXERS, *_AUDIO_DEMUXERS))
    command = [
        *(
            "ffprobe",
            "-hide_banner",
            "-v",
            "error",
            "-protocol_whitelist",
            "file",
            "-format_whitelist",
            demuxers,
        ),
        *("-max_pixels", str(8192 * 8192), "-of", "json", "-show_entries", _ENTRIES),
        *("-i", f"file:/proc/self/fd/{fd}"),
    ]
    answer = bytearray()
    try:
        child = Child(command, nice=nice, fds=(fd,))
        child.wait(limit=_PROBE_SECONDS, cancel=cancel, stdout=answer)
    except ChildFailed as error:
        if error.why is not None:
            raise NotNow(error.why) from error
        raise Refused(_reason(error, head)) from error
    except OSError as error:
        raise NotNow(f"ffprobe can't be started: {error.strerror}") from error
    return _media(json.loads(answer), fd, nice, cancel)


def whitelisted() -> list[str]:
    """Input options that keep FFmpeg to formats that hold what they show, and to the file itself."""
    return ["-protocol_whitelist", "file", "-format_whitelist", ",".join((*DEMUXERS, *_AUDIO_DEMUXERS))]


_ENTRIES = (
    "format=format_name,duration:stream=index,codec_type,codec_name,width,height,duration,pix_fmt,color_space,"
    "color_transfer,color_primaries,field_order,nb_frames:stream_disposition=attached_pic:stream_tags=DURATION"
)


def _reason(error: ChildFailed, head: bytes) -> str:
    if "moov atom not found" in error.text:
        return "damaged: truncated, its index (moov) is missing"
    if "whitelist" in error.text:
        return "not a video in any format that is accepted here"
    if not any(byte < 9 for byte in head):
        return "not a video: this is text"
    return f"not a video: {last_line(error.text)}"


def last_line(text: str) -> str:
    """The end of what FFmpeg said, for a reason: without addresses of objects and the descriptor's name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else "FFmpeg gives no reason"
    if line.startswith("[") and "] " in line:
        line = line.split("] ", 1)[1]
    if line.startswith("file:/proc/") and ": " in line:
        line = line.split(": ", 1)[1]
    return "".join(c if c.isprintable() else "?" for c in line)[:200]


def _media(answer: dict[str, Any], fd: int, nice: int, cancel: threading.Event | None) -> Media:
    demuxer = str(answer.get("format", {}).get("format_name", ""))
    streams = [stream for stream in answer.get("streams", []) if stream.get("codec_type") == "video"]
    pictures = [stream for stream in streams if not stream.get("disposition", {}).get("attached_pic")]
    if demuxer in _AUDIO_DEMUXERS or not pictures:
        raise Refused("no video: only a cover picture" if streams else "no video: sound only")
    if demuxer not in DEMUXERS:
        raise Refused(f"not a format that is accepted here: {demuxer}")
    stream = pictures[0]
    width, height = int(stream.get("width", 0)), int(stream.get("height", 0))
    if not width or not height:
        raise Refused("damaged: no picture can be decoded")
    still = demuxer in STILL_DEMUXERS or (demuxer in ("gif", "apng") and _is_single(fd, demuxer, nice, cancel))
    seconds = None if still else _seconds(stream, answer)
    if seconds is not None and seconds > MAX_SECONDS:
        raise Refused(f"too long: {float(seconds):.0f} s, the limit is {MAX_SECONDS} s")
    if seconds is not None and seconds < Fraction(9, 10):
        raise Refused(f"too short: {float(seconds):.2f} s, a loop lasts at least 1 s; repeat it in the file")
    return Media(
        demuxer,
        int(stream["index"]),
        width,
        height,
        seconds,
        still,
        pix_fmt=str(stream.get("pix_fmt", "")),
        color_space=_known(stream.get("color_space")),
        color_transfer=_known(stream.get("color_transfer")),
        color_primaries=_known(stream.get("color_primaries")),
        interlaced=stream.get("field_order", "progressive") not in ("progressive", "unknown"),
    )


def _known(value: object) -> str:
    return "" if value in (None, "unknown", "unspecified", "reserved") else str(value)


def _seconds(stream: dict[str, Any], answer: dict[str, Any]) -> Fraction | None:
    """How long the picture lasts: the stream's own word, else the file's, else None."""
    tag = stream.get("tags", {}).get("DURATION")
    for text in (stream.get("duration"), _clock(tag), answer.get("format", {}).get("duration")):
        # Whoever made the file wrote the tag: a fraction takes "1/0" too, and computes every digit of "1e999999999".
        value = Fraction(str(text)) if _SECONDS.fullmatch(str(text)) else Fraction(0)
        if value:
            return value
    return None


def _clock(text: object) -> str | None:
    """Matroska's 00:00:10.500000000 as seconds."""
    found = _CLOCK.fullmatch(str(text))
    if found is None:
        return None
    hours, minutes, seconds, part = found.groups()
    return f"{int(hours) * 3600 + int(minutes) * 60 + int(seconds)}{part or ''}"


def _is_single(fd: int, demuxer: str, nice: int, cancel: threading.Event | None) -> bool:
    """Whether an animation format holds just one picture."""
    command = [
        *("ffprobe", "-v", "error", "-protocol_whitelist", "file", "-f", demuxer, "-read_intervals", "%+#2"),
        *("-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"),
        *("-i", f"file:/proc/self/fd/{fd}"),
    ]
    answer = bytearray()
    try:
        Child(command, nice=nice, fds=(fd,)).wait(limit=_PROBE_SECONDS, cancel=cancel, stdout=answer)
    except ChildFailed as error:
        raise Refused(f"damaged: {last_line(error.text)}") from error
    return answer.strip() == b"1"
