"""FFmpeg command lines of the library: how a loop is encoded. Right for FFmpeg 5.1 and for 7.1."""

from __future__ import annotations

from fractions import Fraction

from .filters import Overlay, pictures
from .media import MAX_SECONDS, Media, reading
from .profiles import Profile

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
    fd: int, media: Media, shown: list[str], options: list[str], frames: int, target: str, overlay: Overlay | None
) -> list[str]:
    beside = [] if overlay is None else ["-protocol_whitelist", "file", "-f", "png_pipe", "-i", f"file:{overlay.png}"]
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-xerror", "-y"),
        *("-progress", "pipe:1", "-stats_period", "0.25"),
        *reading(fd, media.demuxer),
        *beside,
        *shown,
        *("-frames:v", str(frames), *options, *_FLV, f"file:{target}"),
    ]


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
    shown = pictures(profile, media, overlay, fade)
    return _command(fd, media, shown, options, profile.gop_frames, target, overlay)


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
    return _command(fd, media, pictures(profile, media, overlay), options, limit, target, overlay)


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
