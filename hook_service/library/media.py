"""What a loop may be made of, and how FFmpeg is given it to read.

Every command reads its input from a descriptor that the caller has opened and checked, by `/proc/self/fd/N`: the
name of a file (a leading dash, a percent sign, a newline, bytes that are no text) never reaches FFmpeg, and what is
encoded is the file that was hashed even when another one takes its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

MIN_SECONDS = 1
MAX_SECONDS = 7200

# Containers that hold their pictures themselves. Not among them: everything that opens other files or addresses
# (hls, dash, concat, imf, sdp, rtsp, image2 with its patterns, avisynth and other scripts), everything that makes
# pictures out of text (tty), and raw formats that any bytes would pass for.
# fmt: off
STILL_DEMUXERS = (
    "bmp_pipe", "jpeg_pipe", "jpegxl_pipe", "png_pipe", "webp_pipe", "tiff_pipe", "ppm_pipe", "pgm_pipe",
    "qoi_pipe", "psd_pipe", "j2k_pipe",
)
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "mxf",
    "gxf", "nut", "ivf", "h264", "hevc", "obu", "m4v", "mjpeg", "mjpeg_2000", "dv", "gif", "apng", "yuv4mpegpipe",
    "rm", "dirac", "vc1", "h261", "h263", "wtv", "swf", "cavsvideo", "lxf", "flic", "roq", "smk", "bink",
    *STILL_DEMUXERS,
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Media:
    """What is known about a source before it is encoded.

    `demuxer` is one of DEMUXERS, `stream` the index of the picture's stream, `seconds` its duration or None where
    the file does not say, `still` whether it is a single picture. The rest is as FFmpeg names it, "" if unknown.
    """

    demuxer: str
    stream: int
    width: int
    height: int
    seconds: Fraction | None
    still: bool
    pix_fmt: str = ""
    color_space: str = ""
    color_transfer: str = ""
    color_primaries: str = ""
    interlaced: bool = False

    @property
    def has_alpha(self) -> bool:
        """Whether the pixel format has transparency (composed over black)."""
        return self.pix_fmt.startswith(("rgba", "bgra", "argb", "abgr", "yuva", "gbrap", "ya8", "ya16", "pal8"))

    @property
    def is_hdr(self) -> bool:
        """Whether brightness is coded as PQ or HLG, which looks grey and dull when taken for ordinary video."""
        return self.color_transfer in ("smpte2084", "arib-std-b67")


def reading(fd: int, demuxer: str) -> list[str]:
    """Input options for an opened file, as one demuxer and nothing else, with no way to anything beyond it."""
    return [
        *("-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", _short(demuxer)),
        # A picture of 8192 x 8192 takes 100 MB; more is a mistake or an attack.
        *("-max_pixels", str(8192 * 8192)),
        *("-i", f"file:/proc/self/fd/{fd}"),
    ]


def _short(demuxer: str) -> str:
    return demuxer.split(",", 1)[0]
