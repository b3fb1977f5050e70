"""FFmpeg's command lines for what goes on the air. Options hold on FFmpeg 5.1 (Debian 12) and 7.1 (Debian 13)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from hook_service.settings import Destination

_QUIET = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]
_PROGRESS = ["-progress", "{progress}", "-stats_period", "1"]
# Metadata and both sequence headers come before any frame, so both streams are known at once; FFmpeg would watch the
# frame rate for another second and a half. (`-fflags nobuffer` would throw away what it read to find out.)
_PROBE = ["-probesize", "500000", "-analyzeduration", "3000000", "-fpsprobesize", "0"]
# Timestamps are ours from end to end: what the timeline wrote is what the platform gets, also after a restart.
# The tags are FLV's numbers for H.264 and AAC: without them FFmpeg refuses a copy it has already made once.
_COPY = ["-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-copyts"]
# Dither at the level of a CD's (-87 dBFS, below hearing): without it a mount that sends digital silence would leave
# at 4 kb/s, which platforms take for a dead stream, and the coder spends twice its time on pure tones.
_DITHER = (
    "aformat=sample_fmts=fltp,aresample=44100:osf=s16:dither_method=triangular:dither_scale=4,aresample=osf=fltp"
)
# Nobody sees what the deblocking filter would have smoothed in so small a picture.
_KEYFRAMES_IN = ["-threads", "1", "-flags", "low_delay", "-skip_loop_filter", "all", "-f", "flv", "-i", "pipe:0"]
_FLV = ["-tag:v", "7", "-tag:a", "10", "-flvflags", "no_duration_filesize", "-f", "flv"]


def audio(kbps: int, demuxer: str | None) -> list[str]:
    """The mount's sound on standard input, whatever it is encoded in, as ADTS AAC on standard output.

    `demuxer` None: FFmpeg finds out what it is.
    """
    known = ["-f", demuxer] if demuxer else []
    return [
        *_QUIET,
        # FFmpeg's default probing of an MP3 mount takes 5 s.
        *("-probesize", "65536", "-analyzeduration", "1000000", "-threads", "1"),
        # What a mount sends must not have FFmpeg open anything else.
        *("-protocol_whitelist", "pipe"),
        *known,
        *("-i", "pipe:0", "-map", "0:a:0", "-vn", "-sn", "-dn"),
        *("-af", _DITHER),
        # The fast coder costs half the CPU of the default one.
        *("-c:a", "aac", "-aac_coder", "fast", "-b:a", f"{kbps}k", "-threads", "1"),
        *("-ar", "44100", "-ac", "2"),
        *("-f", "adts", "-flush_packets", "1", "pipe:1"),
    ]


def publisher(url: str) -> list[str]:
    """The timeline, from standard input to the relay."""
    return [
        *_QUIET,
        *_PROGRESS,
        *_PROBE,
        *("-f", "flv", "-i", "pipe:0"),
        *_COPY,
        *("-flush_packets", "1", "-rw_timeout", "5000000"),
        *_FLV,
        url,
    ]


def destination(relay_url: str, target: Destination, secrets: Path) -> list[str]:
    """From the relay to a platform. The key is read from the option file `secrets`, never from the command line."""
    scheme = urlsplit(target.url).scheme
    to = ["-f", "mpegts", "-flush_packets", "1"] if scheme == "srt" else _FLV
    return [
        *_QUIET,
        *_PROGRESS,
        *_PROBE,
        *("-rw_timeout", "10000000", "-i", relay_url),
        *_COPY,
        # Until the next keyframe there is sound only; the platform gets it without waiting for the picture.
        *("-max_interleave_delta", "1000"),
        *("-flush_packets", "1", "-rw_timeout", "10000000"),
        *to,
        *("-fpre", str(secrets)),
        target.url,
    ]


def destination_secrets(target: Destination) -> str:
    """The option file of a destination: FFmpeg's `-fpre` reads `option=value` lines for the protocol."""
    if not target.key:
        return ""
    parts = urlsplit(target.url)
    if parts.scheme == "srt":
        return f"streamid={target.key}\n"
    app = parts.path.strip("/") + (f"?{parts.query}" if parts.query else "")
    return f"rtmp_app={app}\nrtmp_playpath={target.key}\n"


def monitor(width: int, height: int) -> list[str]:
    """FLV with keyframes and sound comes in; grey pictures of this size go to the side, levels to standard output.

    Levels are of every tenth of a second: EBU R128's loudness and the highest sample, as `ametadata` prints them.
    """
    levels = (
        "ebur128=metadata=1:framelog=verbose,"
        "astats=metadata=1:reset=1:measure_perchannel=none:measure_overall=Peak_level,"
        "ametadata=mode=print:file=-:direct=1"
    )
    return [
        *_QUIET[:-1],
        # What is damaged or out of order is for the figures, not for the log.
        *("error", "-filter_threads", "1"),
        *_PROBE,
        *_KEYFRAMES_IN,
        *_grey(width, height),
        *("-flush_packets", "1", "{side}"),
        # As the filters give it: to convert it would cost more than all else that is done with it.
        *("-map", "0:a:0", "-af", levels, "-c:a", "pcm_f64le", "-f", "null", "-"),
    ]


def grey_pictures(width: int, height: int) -> list[str]:
    """Keyframes in FLV on standard input: grey pictures of this size on standard output."""
    return [*_QUIET, *_PROBE, *_KEYFRAMES_IN, *_grey(width, height), "pipe:1"]


def _grey(width: int, height: int) -> list[str]:
    """Every picture that comes, at once, a byte of luma a pixel."""
    return [
        *("-map", "0:v:0", "-vf", f"scale={width}:{height}:flags=area,format=gray", "-fps_mode", "passthrough"),
        *("-c:v", "rawvideo", "-f", "rawvideo"),
    ]
