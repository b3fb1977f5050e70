"""What a now-playing card says, and the name that follows from it. Standard library only: web and playout import it.

A card is told in full by whoever orders it: the words, the cover art by its hash, the template by name and hash. Its
key is a hash of all that, so that the same card is made once, and never mistaken for another.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["SHIPPED", "Card", "card_from", "clean", "template_file", "template_sha256"]

SHIPPED: Final = Path(__file__).resolve().parents[2] / "templates" / "cards"
"""The designs that come with the software."""
SUFFIX: Final = ".svg.j2"

# Raised whenever the same card comes out another way: what was made before is then made again.
_RECIPE = 1
MAX_TEXT: Final = 300
"""Code points of a line that are looked at; far more than any design shows."""
_MARKS = 4  # more of them on one letter are no writing, and leave the card

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
# What turns the direction of the text after it around; the card decides on that by itself.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Format characters that writing needs: joiners of letters and of emoji, and the tags that flags are made of.
_FORMAT = frozenset("\u200c\u200d") | frozenset(map(chr, range(0xE0020, 0xE0080)))


@dataclass(frozen=True, slots=True)
class Card:
    """A card: texts are clean, `art` is the SHA-256 of the cover's file or None.

    `template_sha256` is that of the design. `seconds` is how much of a loop carries it; a shorter one all of it.
    """

    template: str
    template_sha256: str
    artist: str
    title: str
    album: str
    art: str | None
    seconds: int

    def key(self) -> str:
        """64 hexadecimal digits over everything that changes its pictures."""
        text = json.dumps([_RECIPE, *asdict(self).values()], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `card_from` makes an equal card, and its key for those who look at no more."""
        return {"key": self.key(), **asdict(self)}


def card_from(value: object) -> Card:
    """The card of a message. Raises ValueError, saying what is wrong with it."""
    if not isinstance(value, Mapping) or set(value) != {"key", *Card.__slots__}:
        raise ValueError(f"a card is an object of key, {', '.join(Card.__slots__)}")
    for name in ("artist", "title", "album"):
        text = value[name]
        if not isinstance(text, str) or clean(text) != text:
            raise ValueError(f"{name} is not a line of clean text")
    if not (isinstance(value["template"], str) and _NAME.match(value["template"])):
        raise ValueError("template is not a name")
    if not (isinstance(value["template_sha256"], str) and _SHA256.match(value["template_sha256"])):
        raise ValueError("template_sha256 is not a hash")
    if value["art"] is not None and not (isinstance(value["art"], str) and _SHA256.match(value["art"])):
        raise ValueError("art is not a hash")
    seconds = value["seconds"]
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 2 <= seconds <= 600:
        raise ValueError("seconds is not a whole number from 2 to 600")
    card = Card(**{name: value[name] for name in Card.__slots__})
    if card.key() != value["key"]:
        raise ValueError("key is not that of this card")
    return card


def clean(text: str) -> str:
    """One line of text as it may be drawn: composed, without control and direction characters, not endless.

    Gives the same for what it gave.
    """
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", text[: 4 * MAX_TEXT]):
        kind = unicodedata.category(char)
        if kind[0] == "Z" or char in "\t\n\r\v\f\x85":
            kept.append(" ")
            continue
        if char in _BIDI or kind in ("Cc", "Cs", "Cn") or (kind == "Cf" and char not in _FORMAT):
            continue
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks <= _MARKS:
            kept.append(char)
    # What was left out may have kept two apart that compose.
    line = " ".join(unicodedata.normalize("NFC", "".join(kept)).split())
    return line[:MAX_TEXT].rstrip()


def template_file(name: str, own: Path) -> Path | None:
    """A design by its name: the operator's own directory goes before what ships. None where there is none."""
    if not _NAME.match(name):
        return None
    return next((file for file in (own / f"{name}{SUFFIX}", SHIPPED / f"{name}{SUFFIX}") if file.is_file()), None)


def template_sha256(file: Path) -> str:
    """The hash of a design, by which a changed one is noticed. Raises OSError."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
