"""FFmpeg command lines of the library: how a loop is encoded. Right for FFmpeg 5.1 and for 7.1.

Every command reads its input from a descriptor that the caller has opened and checked, by `/proc/self/fd/N`: the
name of a file (a leading dash, a percent sign, a newline, bytes that are no text) never reaches FFmpeg, and what is
encoded is the file that was hashed even when another one takes its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .profiles import Profile

__all__ = [
    "DEMUXERS",
    "MAX_SECONDS",
    "STILL_SECONDS",
    "Media",
    "Overlay",
    "body_command",
    "crossfade_command",
    "entry_command",
    "poster_command",
]

MIN_SECONDS = 1
MAX_SECONDS = 7200
STILL_SECONDS = 10

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

# Bits that the decoder may have in hand, as seconds of the bitrate. Small, because what the encoder borrows from this
# buffer at the end of a file is the file's deviation from its bitrate; large enough for a keyframe of a hard picture.
VBV_SECONDS = 1.0
_X264_PRESET = "veryfast"
# Same SPS and PPS as veryfast (one reference, CABAC, 8x8 transform, weightp 1), three quarters of the time: the entry
# is what somebody is waiting for.
_X264_ENTRY_PRESET = "superfast"

_FLV = [
    *("-flvflags", "no_metadata+no_duration_filesize+no_sequence_end"),
    # Whoever follows the file sees each frame as soon as it is encoded, not 32 KB later.
    *("-flush_packets", "1", "-f", "flv"),
]


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


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture with transparency that is laid over a loop: a PNG of the profile's size, in the loop's directory.

    Only the rectangle is laid over, in pixels, all even. With `frames` only so many of the loop are made, and the
    picture comes and goes softly, since what follows is without it.
    """

    png: str
    x: int
    y: int
    width: int
    height: int
    frames: int | None = None


_SOFT_SECONDS = Fraction(1, 2)


def _laid_over(chain: str, media: Media, overlay: Overlay, profile: Profile, after: str) -> list[str]:
    """Options that lay a picture over a loop, and what comes of that."""
    card = [
        f"crop={overlay.width}:{overlay.height}:{overlay.x}:{overlay.y}",
        "scale=out_color_matrix=bt709:out_range=tv",
        "format=yuva420p",
    ]
    if overlay.frames is not None:
        soft = min(overlay.frames // 2, round(_SOFT_SECONDS * profile.fps))
        card += [
            "loop=loop=-1:size=1:start=0",
            f"settb={profile.fps_den}/{profile.fps_num}",
            "setpts=N",
            f"fade=t=in:start_frame=0:nb_frames={soft}:alpha=1",
            f"fade=t=out:start_frame={overlay.frames - soft}:nb_frames={soft}:alpha=1",
        ]
    graph = [
        f"[0:{media.stream}]{chain}[loop]",
        f"[1:0]{','.join(card)}[card]",
        f"[loop][card]overlay=x={overlay.x}:y={overlay.y}:format=yuv420{after}[out]",
    ]
    return ["-filter_complex", ";".join(graph), "-map", "[out]"]


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


def _picture(profile: Profile, media: Media) -> list[str]:
    """Filters from whatever comes in to one picture of the profile: geometry and colour."""
    width, height = profile.width, profile.height
    chain = []
    if media.interlaced:
        chain.append("yadif=deint=interlaced")
    # Pixel aspect honoured: `dar` is the shape on the screen, after rotation. Even sizes, since chroma is halved.
    fit_width = f"max(2,if(gte(dar,{width}/{height}),{width},2*round({height}*dar/2)))"
    fit_height = f"max(2,if(gte(dar,{width}/{height}),2*round({width}/dar/2),{height}))"
    size = f"w='{fit_width}':h='{fit_height}':flags=bicubic"
    if media.has_alpha:
        chain += [f"scale={size}", "format=gbrap", "premultiply=inplace=1", "format=gbrp"]
        size = "flags=bicubic"
    if media.is_hdr:
        primaries = media.color_primaries or "bt2020"
        chain += [
            f"scale={size}",
            f"zscale=tin={media.color_transfer}:pin={primaries}:t=linear:npl=203",
            "format=gbrpf32le",
            "tonemap=tonemap=mobius:desat=0",
            "zscale=p=bt709:t=bt709:m=bt709:r=tv",
            "format=yuv420p",
        ]
    else:
        matrix = "" if media.color_space else f":in_color_matrix={'bt709' if media.height >= 720 else 'bt601'}"
        chain += [f"scale={size}{matrix}:out_color_matrix=bt709:out_range=tv", "format=yuv420p"]
    return [
        *chain,
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:black",
        "setsar=1",
        # The SPS says what the colours are, and all loops of a profile share it: never the source's own tags.
        "setparams=field_mode=prog:range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
        # Closed captions, HDR metadata and the like would be copied into the stream.
        "sidedata=mode=delete",
    ]


def filters(profile: Profile, media: Media, still_seconds: float = STILL_SECONDS) -> str:
    """The filter chain of a loop without its fade: constant frame rate, the profile's size and colours."""
    rate = f"fps={profile.fps_num}/{profile.fps_den}"
    if not media.still:
        return ",".join(["setpts=PTS-STARTPTS", rate, *_picture(profile, media)])
    frames = round(still_seconds * profile.fps)
    repeat = [
        f"loop=loop={frames - 1}:size=1:start=0",
        f"settb={profile.fps_den}/{profile.fps_num}",
        "setpts=N",
        rate,
        f"trim=end_frame={frames}",
    ]
    # One picture, scaled once, then repeated.
    return ",".join(["setpts=0", *_picture(profile, media), *repeat])


def encoder(profile: Profile, name: str, kbps: float, entry: bool, threads: int) -> list[str]:
    """Encoder options. `kbps` is the rate to aim at: not always the profile's, see encode.py."""
    gop, rate = profile.gop_frames, round(kbps * 1000)
    common = [
        *("-r", f"{profile.fps_num}/{profile.fps_den}", "-pix_fmt", "yuv420p", "-profile:v", "high"),
        *("-level:v", profile.level, "-g", str(gop), "-bf", "0"),
        *("-b:v", str(rate), "-maxrate", str(rate), "-bufsize", str(round(rate * VBV_SECONDS))),
        *("-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-a53cc", "0", "-map_metadata", "-1", "-an", "-sn", "-dn"),
    ]
    if name == "h264_nvenc":
        # Not tried on a GPU by those who wrote it. What it yields is checked like everything else, and the slate,
        # the easiest of pictures, decides: an encoder that does not keep its bitrate up there is not used at all.
        return [
            *("-c:v", "h264_nvenc", "-preset", "p4", "-tune", "hq", "-rc", "cbr", "-forced-idr", "1"),
            *("-no-scenecut", "1", "-strict_gop", "1", "-rc-lookahead", "0", "-spatial-aq", "1", *common),
        ]
    x264 = {
        # No B-frames: then the order of frames is the order of their times, every frame slot is a clean cut (whatever
        # was sent before it can be shown), and a keyframe of another loop can follow any frame at all.
        "bframes": 0,
        "keyint": gop,
        "min-keyint": gop,
        "scenecut": 0,
        "open-gop": 0,
        # Filler up to the bitrate, without the HRD fields of nal-hrd, whose values would make the SPS depend on it.
        "filler": 1,
        # Full at the start: a still then yields exactly its bitrate from the first second on.
        "vbv-init": "1.0",
        # SPS and PPS must depend on the profile alone, not on what is encoded.
        "stitchable": 1,
        "ref": 1,
        "weightp": 1,
        "8x8dct": 1,
        "cabac": 1,
        # JPEG and some others place chroma elsewhere, and FFmpeg would pass that on into the SPS.
        "chromaloc": 0,
        "force-cfr": 1,
        "sync-lookahead": 0,
        "threads": threads,
    }
    if entry:
        # No looking ahead: the first frame leaves the encoder as soon as it went in.
        x264 |= {"rc-lookahead": 0, "mbtree": 0}
    preset = _X264_ENTRY_PRESET if entry else _X264_PRESET
    params = ":".join(f"{key}={value}" for key, value in x264.items())
    return ["-c:v", "libx264", "-preset", preset, "-x264-params", params, *common]


def _command(
    fd: int, media: Media, pictures: list[str], options: list[str], frames: int, target: str, overlay: Overlay | None
) -> list[str]:
    beside = [] if overlay is None else ["-protocol_whitelist", "file", "-f", "png_pipe", "-i", f"file:{overlay.png}"]
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-xerror", "-y"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        *reading(fd, media.demuxer),
        *beside,
        *pictures,
        *("-frames:v", str(frames), *options, *_FLV, f"file:{target}"),
    ]


def _pictures(profile: Profile, media: Media, overlay: Overlay | None, after: str = "") -> list[str]:
    """Options that make a loop's pictures; `after` is a further filter, with a comma in front."""
    chain = filters(profile, media)
    if overlay is None:
        return ["-map", f"0:{media.stream}", "-vf", chain + after]
    return _laid_over(chain, media, overlay, profile, after)


def entry_command(
    fd: int,
    media: Media,
    profile: Profile,
    encoder_name: str,
    target: str,
    threads: int,
    overlay: Overlay | None = None,
) -> list[str]:
    """The first GOP with its fade-in from black. `target` is a path that FFmpeg may write."""
    fade = f",fade=t=in:start_frame=0:nb_frames={profile.fade_frames}"
    options = encoder(profile, encoder_name, profile.video_kbps, entry=True, threads=threads)
    pictures = _pictures(profile, media, overlay, fade)
    return _command(fd, media, pictures, options, profile.gop_frames, target, overlay)


def body_command(
    fd: int,
    media: Media,
    profile: Profile,
    encoder_name: str,
    target: str,
    threads: int,
    kbps: float,
    one_gop: bool = False,
    overlay: Overlay | None = None,
) -> list[str]:
    """The whole loop at a rate of `kbps`, or one GOP of it, cut a little past the longest that is accepted."""
    options = encoder(profile, encoder_name, kbps, entry=False, threads=threads)
    limit = profile.gop_frames if one_gop else int((MAX_SECONDS + 1) * profile.fps)
    if overlay is not None and overlay.frames is not None:
        limit = overlay.frames
    return _command(fd, media, _pictures(profile, media, overlay), options, limit, target, overlay)


def poster_command(fd: int, still: int, step: int, rate: Fraction, poster: str, preview: str) -> list[str]:
    """A still and a moving picture, both small, of an excerpt of a prepared loop (FLV).

    `still` is the number of the frame that becomes the still, in JPEG; each `step`th frame is in the moving one, in
    MP4 at `rate` frames a second.
    """
    width = "scale=w=320:h=-2:flags=bicubic"
    # Four cores' worth of threads would only wait for each other at this size.
    common = ["-map", "0:v:0", "-threads", "1", "-map_metadata", "-1", "-an"]
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y", "-threads", "1"),
        *reading(fd, "flv"),
        *(*common, "-vf", f"select=eq(n\\,{still}),{width}:out_range=full,format=yuvj420p", "-frames:v", "1"),
        *("-c:v", "mjpeg", "-q:v", "5", "-f", "mjpeg", f"file:{poster}"),
        *(*common, "-vf", f"select=not(mod(n\\,{step})),setpts=N/({rate}*TB),{width}", "-r", str(rate)),
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-crf", "30", "-pix_fmt", "yuv420p"),
        *("-movflags", "+faststart", "-f", "mp4", f"file:{preview}"),
    ]


def crossfade_command(
    fds: tuple[int, int], skip: int, frames: int, profile: Profile, encoder_name: str, target: str, threads: int
) -> list[str]:
    """One GOP of `frames` pictures in which the first of two streams of this profile gives way to the second.

    `fds` are descriptors of FLV. Of the first one, `skip` pictures are left out.
    """
    rate = f"{profile.fps_num}/{profile.fps_den}"
    steady = f"settb={profile.fps_den}/{profile.fps_num},setpts=N,fps={rate}"
    chain = (
        f"[0:v:0]trim=start_frame={skip}:end_frame={skip + frames},{steady}[a];"
        f"[1:v:0]trim=end_frame={frames},{steady},"
        # As an overlay that grows opaque, a fraction of what `xfade` costs.
        f"format=yuva420p,fade=t=in:start_frame=0:nb_frames={frames}:alpha=1[b];"
        "[a][b]overlay=format=yuv420:eof_action=endall,format=yuv420p,setsar=1,"
        "setparams=field_mode=prog:range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709[v]"
    )
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-xerror", "-y"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        *(option for fd in fds for option in reading(fd, "flv")),
        *("-filter_complex", chain, "-map", "[v]", "-frames:v", str(frames)),
        *encoder(profile, encoder_name, profile.video_kbps, entry=True, threads=threads),
        *_FLV,
        f"file:{target}",
    ]
