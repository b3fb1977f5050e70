"""How things are shown: tables, times, sizes, colours. All text that came from elsewhere goes through `plain`."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

# A title may hold what a terminal obeys, or turns the line round.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_COLOURS = {"good": "green", "bad": "red", "warn": "yellow", "faint": "bright_black"}
_WORDS = {
    "good": ("up", "RUNNING", "prepared", "connected", "mount", "well", "receiving"),
    "bad": ("down", "off_air", "FAILED", "CRASHED", "refused", "fault", "CRITICAL", "critical", "black", "silent"),
    "warn": (
        "degraded",
        "SPAWNING",
        "STOPPED",
        "encoding",
        "pending",
        "warning",
        "away",
        "fallback",
        "floor",
        "frozen",
    ),
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words}
_NAMES = {"off_air": "off the air", "up": "up"}


def plain(value: Any) -> str:
    """A value as text without anything that a terminal would act on; nothing for None."""
    return "" if value is None else _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", str(value))


def coloured(text: str, kind: str) -> str:
    """Text in the colour of `good`, `bad`, `warn` or `faint`. The text alone must say it as well."""
    return click.style(text, fg=_COLOURS[kind])


def state(word: Any) -> str:
    """A state's word, in its colour where it has one."""
    text = plain(word)
    kind = _KINDS.get(text)
    text = _NAMES.get(text, text)
    return coloured(text, kind) if kind else text


def document(value: Any) -> str:
    """JSON, readable, in which no character that a terminal obeys is left as it is."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    # json escapes those below a space; the line breaks between values are its own.
    return re.sub("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", lambda m: f"\\u{ord(m[0]):04x}", text)


def width(text: str) -> int:
    """The columns that a text takes on a terminal, without its colours."""
    bare = click.unstyle(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in bare
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of columns, each as wide as it must be; the last one is not filled."""
    body = [list(row) for row in rows]
    if not body:
        return []
    lines = [[click.style(head, bold=True) for head in heads], *body]
    widths = [max(width(line[column]) for line in lines) for column in range(len(heads))]
    return ["  ".join(filled(cell, widths[i]) for i, cell in enumerate(line)).rstrip() for line in lines]


def filled(cell: str, wanted: int) -> str:
    """A cell, widened to so many columns."""
    return cell + " " * (wanted - width(cell))


def moment(value: Any) -> datetime | None:
    """A time of the API's: ISO 8601, or Unix seconds. None where there is none that can be read."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value).astimezone()
        return datetime.fromisoformat(value).astimezone() if value else None
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def clock(value: Any) -> str:
    """A time in this machine's zone, to the second."""
    at = moment(value)
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""


def span(seconds: float) -> str:
    """How long: in two units at most."""
    whole = max(0, round(seconds))
    for unit, length, below, small in (("d", 86400, 3600, "h"), ("h", 3600, 60, "min"), ("min", 60, 1, "s")):
        if whole >= length:
            rest = whole % length // below
            return f"{whole // length} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def since(value: Any) -> str:
    """For how long something has been so."""
    at = moment(value)
    return span(time.time() - at.timestamp()) if at else ""


def size(count: float | None) -> str:
    """Bytes, in the unit that makes them readable."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def song(entry: dict[str, Any] | None) -> str:
    """Artist and title, as far as they are known."""
    if not entry:
        return ""
    named = " - ".join(plain(entry[part]) for part in ("artist", "title") if entry.get(part))
    return named or plain(entry.get("track_key"))
