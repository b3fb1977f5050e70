"""FFmpeg's filters from whatever comes in to the pictures of a loop: size, rate, colours, what is laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .media import Media
from .profiles import Profile

STILL_SECONDS = 10

_SOFT_SECONDS = Fraction(1, 2)


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


def pictures(profile: Profile, media: Media, overlay: Overlay | None, after: str = "") -> list[str]:
    """Options that make a loop's pictures; `after` is a further filter, with a comma in front."""
    chain = filters(profile, media)
    if overlay is None:
        return ["-map", f"0:{media.stream}", "-vf", chain + after]
    return _laid_over(chain, media, overlay, profile, after)


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
