"""The track key: how an artist and a title typed by a person meet the ones that a station sends.

The rule is the project's design, section 3: Unicode lower case (NFKC); letters, digits, spaces and hyphens of
every script are kept; spaces are collapsed last; trimmed. In terms of Unicode's general categories, L* and M*
(letters and the marks that belong to them), N*, Pd and every kind of white space are kept. Pd takes in the en
and em dash as well as the hyphens proper: they stay what they are, as different writers mean them
differently.

Variation selectors are marks in name only (they choose between two drawings of one character) and are
dropped, or the same heart typed on two phones would make two keys.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

MAX_LENGTH: Final = 512
"""Characters. The width of `track_mappings.track_key`, and a little less than what AzuraCast can send (255 +
3 + 255).
"""

_NORMAL: Final = re.compile(r"[a-z0-9-]+(?: [a-z0-9-]+)*")
_ASCII_DROPPED: Final = re.compile(r"[^a-z0-9 -]+")
_SPACES: Final = re.compile(r" {2,}")
_WHITE: Final = re.compile(r"\s")


def track_key(artist: str, title: str) -> str:
    """The key of a track: "artist - title", normalised. At most `MAX_LENGTH` characters.

    A part that is missing takes its separator with it (a live show often has a title only), as AzuraCast does
    in `song.text`. Empty when nothing is left of either: such a track has no key, and matches nothing.
    """
    key = normalise(" - ".join(part for part in (artist.strip(), title.strip()) if part))
    # "!!! - ???" would come down to the hyphen between them, which all such tracks share.
    return key if key != "-" else ""


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """`text` as a key. Applying it again changes nothing, whatever the text was."""
    # Most are keys already: the database is full of them.
    if _NORMAL.fullmatch(text) and len(text) <= MAX_LENGTH:
        return text
    return _cut(_ascii(text) if text.isascii() else _unicode(text))


def _ascii(text: str) -> str:
    return _collapse(_ASCII_DROPPED.sub("", _WHITE.sub(" ", text).lower()))


def _unicode(text: str) -> str:
    # One pass is not a fixed point: lower() can take NFKC apart, and a character that is dropped can bring a
    # letter and a mark together, which then compose. Each pass only ever shortens or composes, so this ends.
    while True:
        folded = unicodedata.normalize("NFKC", text).lower()
        key = _collapse("".join(filter(None, map(_kept, folded))))
        if key == text:
            return key
        text = key


@lru_cache(maxsize=4096)
def _kept(char: str) -> str:
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    if category[0] in "LN" or category == "Pd":
        return char
    return char if category[0] == "M" and not _is_variation_selector(char) else ""


def _is_variation_selector(char: str) -> bool:
    code = ord(char)
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F


def _collapse(text: str) -> str:
    return _SPACES.sub(" ", text).strip(" ")


def _cut(key: str) -> str:
    """The first `MAX_LENGTH` characters, ending on a whole letter: a mark is never parted from what it stands
    on.
    """
    if len(key) <= MAX_LENGTH:
        return key
    end = MAX_LENGTH
    while end and unicodedata.category(key[end])[0] == "M":
        end -= 1
    # Nothing but marks, which no track is called: there is no whole letter to end on.
    return key[: end or MAX_LENGTH].strip(" ")
