"""Drawing a card: a template and a song become an SVG, and that a picture with transparency.

The words come from outside. They are escaped where they enter the SVG, and the template is an operator's file that
runs in Jinja's sandbox. The SVG is drawn by rsvg-convert from its standard input: without an address of its own it
can refer to nothing outside of itself, neither a file nor the network.
"""

from __future__ import annotations

import base64
import colorsys
import hashlib
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from . import card_text
from .card import SHIPPED, SUFFIX, Card, template_file
from .child import Child, ChildFailed
from .errors import NotNow, Refused
from .media import reading
from .probe import last_line
from .profiles import Profile

__all__ = ["ART_TYPES", "Drawn", "art_demuxer", "draw", "fault", "svg"]

_ART_SIDE = 512
_ART_BYTES = 5 << 20
_SVG_BYTES = 4 << 20
_LIMIT_SECONDS = 20.0
# By what a file begins with, never by what it is called or said to be.
ART_TYPES: dict[bytes, str] = {
    b"\xff\xd8\xff": "jpeg_pipe",
    b"\x89PNG\r\n\x1a\n": "png_pipe",
    b"RIFF": "webp_pipe",
    b"GIF8": "gif",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A card as a PNG of the profile's size, and the part of it that is not transparent, in pixels, all even."""

    png: Path
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Art:
    """A cover as it meets the SVG: a square picture as a data address, and a colour that goes with it."""

    href: str
    accent: str


def art_demuxer(head: bytes) -> str | None:
    """Which picture a file is by its first 16 bytes, as FFmpeg names its demuxer; None for anything else."""
    for sign, demuxer in ART_TYPES.items():
        if head.startswith(sign):
            return demuxer if demuxer != "webp_pipe" or head[8:12] == b"WEBP" else None
    return None


def draw(
    card: Card, template: str, art: Path | None, profile: Profile, directory: Path, nice: int, cancel: threading.Event
) -> Drawn:
    """Draw a card into `directory`. `template` is the template's text, `art` the cover's file.

    Raises Refused for a template that can't be drawn, NotNow, or Cancelled. A cover that is no good is left out.
    """
    cover = _cover(art, nice, cancel) if art is not None else None
    drawing = svg(card, template, cover, profile).encode()
    png = directory / "card.png"
    with tempfile.TemporaryFile() as file:
        file.write(drawing)
        file.seek(0)
        size = ["-w", str(profile.width), "-h", str(profile.height)]
        command = ["rsvg-convert", "--format", "png", *size, "--output", png.name]
        try:
            Child(command, nice=nice, cwd=directory, stdin=file.fileno(), file_bytes=64 << 20).wait(
                limit=_LIMIT_SECONDS, cancel=cancel
            )
        except ChildFailed as error:
            text = last_line(error.text)
            if "No such file" in text and "rsvg-convert" in text:
                raise NotNow("rsvg-convert is missing: install librsvg2-bin") from error
            raise Refused(f"the card's template can't be drawn: {error.why or text}") from error
    return Drawn(png, *_bounds(png, profile, nice, cancel))


def fault(name: str, own: Path, profile: Profile) -> str | None:
    """What is wrong with a design, for the operator; None where a card can be made of it."""
    file = template_file(name, own)
    if file is None:
        known = sorted(
            {path.name.removesuffix(SUFFIX) for place in (SHIPPED, own) for path in place.glob(f"*{SUFFIX}")}
        )
        return f"there is no design {name!r}; use one of {', '.join(known)}, or put {name}{SUFFIX} into {own}"
    try:
        svg(Card(name, "", "Artist", "Title", "Album", None, 2), file.read_text(encoding="utf-8"), None, profile)
    except (Refused, OSError, UnicodeDecodeError) as error:
        return f"{file}: {error}"
    return None


def svg(card: Card, template: str, art: Art | None, profile: Profile) -> str:
    """The SVG of a card. Raises Refused where the template is no template, or makes no end of it."""
    # The short side is 720 units whatever the profile: a design is drawn once for all sizes and shapes.
    wide, high = profile.width, profile.height
    scale = 720 / min(wide, high)
    environment = ImmutableSandboxedEnvironment(autoescape=True, undefined=StrictUndefined)
    hue = int.from_bytes(hashlib.sha256(card.artist.encode()).digest()[:2], "big") / 65536
    try:
        text = environment.from_string(template).render(
            w=round(wide * scale),
            h=round(high * scale),
            artist=card.artist,
            title=card.title,
            album=card.album,
            art=art.href if art else None,
            accent=art.accent if art else _colour(hue, 0.7),
            line=_line,
        )
    except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
        raise Refused(f"the card's template {card.template} can't be filled in: {error}") from error
    if len(text) > _SVG_BYTES:
        raise Refused(f"the card's template {card.template} makes a drawing of more than 4 MB")
    return text


def _line(
    text: str,
    x: float,
    y: float,
    width: float,
    size: float,
    *,
    smallest: float | None = None,
    weight: int = 400,
    fill: str = "#fff",
    align: str = "start",
    shadow: bool = False,
) -> Markup:
    """One line of text as an SVG element, made smaller, then cut, to be no wider than `width`.

    `x` is the left edge of its space (`align` "middle": its middle, "end": its right edge), whichever way it runs.
    """
    if not text:
        return Markup("")
    bold = weight >= 600
    shown, points = card_text.fit(text, width, size, size * 0.72 if smallest is None else smallest, bold)
    rtl = card_text.is_rtl(text)
    anchor = {"start": "end", "end": "start"}.get(align, align) if rtl else align
    element = Markup(
        '<text x="{x}" y="{y}" font-size="{points}" font-weight="{weight}" font-family="{families}"'
        ' text-anchor="{anchor}" direction="{direction}" xml:space="preserve" {paint}>{shown}</text>'
    )
    values: dict[str, Any] = {
        "y": y,
        "points": points,
        "weight": weight,
        "families": card_text.families(text),
        "anchor": anchor,
        "direction": "rtl" if rtl else "ltr",
        "shown": shown,
    }
    under = Markup("")
    if shadow:
        paint = Markup(
            'fill="#000" fill-opacity="0.6" '
            'stroke="#000" stroke-opacity="0.5" stroke-width="4" stroke-linejoin="round"'
        )
        under = element.format(x=x, paint=paint, **values)
    return under + element.format(x=x, paint=Markup('fill="{}"').format(fill), **values)


def _cover(art: Path, nice: int, cancel: threading.Event) -> Art | None:
    """A cover as a small square PNG; None where it can't be used."""
    try:
        with art.open("rb") as file:
            data = file.read(_ART_BYTES + 1)
            demuxer = art_demuxer(data[:16])
            if demuxer is None or len(data) > _ART_BYTES:
                return None
            side = f"{_ART_SIDE}:{_ART_SIDE}"
            square = f"scale={side}:force_original_aspect_ratio=increase:flags=area,crop={side},format=rgb24"
            picture = _picture(file.fileno(), demuxer, square, ["-c:v", "png", "-f", "image2pipe"], nice, cancel)
            dots = _picture(
                file.fileno(), demuxer, "scale=8:8:flags=area,format=rgb24", ["-f", "rawvideo"], nice, cancel
            )
    except (OSError, ChildFailed):
        return None
    if not picture.startswith(b"\x89PNG") or len(dots) != 192:
        return None
    return Art(f"data:image/png;base64,{base64.b64encode(picture).decode()}", _accent(dots))


def _picture(fd: int, demuxer: str, chain: str, output: list[str], nice: int, cancel: threading.Event) -> bytes:
    command = [
        *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y", *reading(fd, demuxer)),
        *("-map", "0:v:0", "-frames:v", "1", "-vf", chain, "-threads", "1", *output, "pipe:1"),
    ]
    answer = bytearray()
    Child(command, nice=nice, fds=(fd,)).wait(limit=_LIMIT_SECONDS, cancel=cancel, stdout=answer)
    return bytes(answer)


def _accent(dots: bytes) -> str:
    """A colour that goes with a cover: its most vivid one, light enough to be seen on dark ground."""
    pixels = [colorsys.rgb_to_hls(*(value / 255 for value in dots[at : at + 3])) for at in range(0, len(dots), 3)]
    hue, light, vivid = max(pixels, key=lambda found: found[2] * (1 - abs(2 * found[1] - 1)))
    return _colour(hue, max(0.7, light), min(vivid, 0.85))


def _colour(hue: float, light: float, vivid: float = 0.7) -> str:
    red, green, blue = (round(255 * value) for value in colorsys.hls_to_rgb(hue, min(light, 0.8), vivid))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _bounds(png: Path, profile: Profile, nice: int, cancel: threading.Event) -> tuple[int, int, int, int]:
    """Where a card is not transparent: what is laid over every picture of a loop should be no larger than that."""
    wide, high = profile.width, profile.height
    with png.open("rb") as file:
        alpha = _picture(file.fileno(), "png_pipe", "format=rgba,alphaextract", ["-f", "rawvideo"], nice, cancel)
    if len(alpha) != wide * high:
        raise Refused("the card's template does not make a picture of the profile's size")
    rows = [alpha[at : at + wide] for at in range(0, len(alpha), wide)]
    filled = [number for number, row in enumerate(rows) if row.strip(b"\0")]
    if not filled:
        raise Refused("the card's template draws nothing")
    left = min(wide - len(rows[number].lstrip(b"\0")) for number in filled)
    right = max(len(rows[number].rstrip(b"\0")) for number in filled)
    top, bottom = filled[0], filled[-1] + 1
    # Even: chroma is halved in both directions.
    x, y = left & ~1, top & ~1
    return x, y, min(wide, right + 1 & ~1) - x, min(high, bottom + 1 & ~1) - y
