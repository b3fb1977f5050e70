"""Lines of text for a card: how wide they are about, where they are cut, which way they run. Pure.

Nothing here knows a font. Widths are estimates in em, a little on the wide side; what they get wrong is cut off by
the card's own clip and does no harm.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

__all__ = ["clusters", "cut", "emoji", "families", "fit", "is_rtl", "width"]

ELLIPSIS = "\u2026"
_JOINER = "\u200d"
_NARROW = frozenset("iljtfrI1.,:;'|!()[]{}-`\u2019\u2018\u00b7 ")
_WIDE = frozenset("mwMW@%&\u2014\u2026\u0428\u0429\u042e\u0416\u0444\u0448\u0449")
_BOLD = 1.07


def clusters(text: str) -> Iterator[str]:
    """What a reader takes for one character: a letter with its marks, an emoji with what is joined to it, a flag."""
    found = ""
    for char in text:
        joined = found.endswith(_JOINER) and not char.isspace()
        flag = _is_regional(char) and _is_regional(found)
        if found and not (joined or flag or _extends(char)):
            yield found
            found = ""
        found += char
    if found:
        yield found


def _extends(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Mn", "Me", "Mc")
        or char in "\u200c\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= char <= "\U000e007f"  # tags of flags
    )


def _is_regional(text: str) -> bool:
    return len(text) == 1 and "\U0001f1e6" <= text <= "\U0001f1ff"


def emoji(cluster: str) -> bool:
    """Whether a cluster is drawn as a coloured picture."""
    return "\ufe0f" in cluster or any("\U0001f000" <= char <= "\U0001faff" for char in cluster)


def width(text: str, bold: bool = False) -> float:
    """About how wide a line is, in em."""
    return sum(map(_width, clusters(text))) * (_BOLD if bold else 1.0)


def _width(cluster: str) -> float:
    char = cluster[0]
    if emoji(cluster):
        return 1.3
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    if char in _NARROW:
        return 0.32
    if char in _WIDE:
        return 0.95
    if char.isupper():
        return 0.69
    # Letters of scripts that are neither Latin, Greek nor Cyrillic, which may be wider, and drawn with their marks.
    return 0.58 if char < "\u0530" else 0.72


def cut(text: str, ems: float, bold: bool = False) -> str:
    """The line where it fits, else as much of it as does and an ellipsis; never in the middle of a cluster."""
    if width(text, bold) <= ems:
        return text
    room = ems / (_BOLD if bold else 1.0) - _width(ELLIPSIS)
    kept = []
    for cluster in clusters(text):
        room -= _width(cluster)
        if room < 0:
            break
        kept.append(cluster)
    return "".join(kept).rstrip(" ,;:-\u2013(") + ELLIPSIS


def fit(text: str, wide: float, size: float, smallest: float, bold: bool = False) -> tuple[str, float]:
    """The line and its size for a space `wide` wide: smaller where that is enough, cut where it is not."""
    ems = width(text, bold)
    if ems * size > wide:
        size = max(smallest, wide / ems)
    # A hair of tolerance, or what was made to fit exactly would be cut.
    return cut(text, wide / size + 0.01, bold), round(size, 2)


def is_rtl(text: str) -> bool:
    """Whether a line runs from right to left: its first letter that has a direction decides."""
    for char in text:
        direction = unicodedata.bidirectional(char)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def families(text: str) -> str:
    """The fonts for a line, the best first: Chinese, Japanese and Korean write the same characters differently."""
    if any("\u3040" <= char <= "\u30ff" for char in text):
        cjk = "JP"
    elif any("\uac00" <= char <= "\ud7a3" or "\u1100" <= char <= "\u11ff" for char in text):
        cjk = "KR"
    else:
        cjk = "SC"
    # The emoji's font is found without being named. Named, it would give the digits and spaces as well.
    return f"Noto Sans, Noto Sans CJK {cjk}, DejaVu Sans, sans-serif"
