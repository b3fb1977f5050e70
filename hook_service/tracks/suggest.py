"""Which loops may suit a song: those that are called like it, and those that its neighbours have.

The likeness of names is PostgreSQL's (trigrams); here is what is compared, and how what was found is weighed.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .track_key import normalise

_SIGNS: Final = re.compile(r"[_.\-\u2010-\u2015]+")
_TOLD: Final = {
    "title": "is called like the title",
    "song": "is called like artist and title",
    "artist": "is called like the artist",
    "album": "is called like the album",
}
_OF_ALBUM: Final = 0.95
_OF_ARTIST: Final = 0.5
_LEAST: Final = 0.3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A loop, how well it suits (0 to 1), and why, in words."""

    loop: str
    score: float
    reason: str


def words_of(loop: str) -> str:
    """The words of a loop's name: without its directory's signs, its ending and what stands between words."""
    return normalise(_SIGNS.sub(" ", posixpath.splitext(loop)[0].replace("/", " ")))


def texts_of(song: Mapping[str, Any]) -> dict[str, str]:
    """What loops' names are compared with: normalised words, by the names that `ranked` knows them by."""
    artist, title, album = (normalise(str(song[name])) for name in ("artist", "title", "album"))
    found = {
        "title": title,
        "song": f"{artist} {title}" if artist and title else "",
        "artist": artist,
        "album": album,
    }
    return {name: _SIGNS.sub(" ", text) for name, text in found.items() if len(text) > 1}


def ranked(alike: Iterable[Mapping[str, Any]], near: Sequence[Mapping[str, Any]], limit: int = 5) -> list[Suggestion]:
    """The best, each loop once.

    `alike` has `loop`, `text` (of `texts_of`) and `score`; `near` has `loop` and how many songs of the `album` and of
    the `artist` have it.
    """
    found = [Suggestion(row["loop"], round(float(row["score"]), 3), _TOLD[row["text"]]) for row in alike]
    for kind, weight in (("album", _OF_ALBUM), ("artist", _OF_ARTIST)):
        together = sum(row[kind] for row in near)
        for row in near:
            # Where the neighbours do not agree, each of their loops is the less likely.
            if row[kind]:
                count = f"{row[kind]} song{'s' if row[kind] > 1 else ''}"
                score = round(weight * row[kind] / together, 3)
                found.append(
                    Suggestion(row["loop"], score, f"{count} of the {kind} {'have' if row[kind] > 1 else 'has'} it")
                )
    best: dict[str, Suggestion] = {}
    for one in sorted(found, key=lambda each: (-each.score, each.loop)):
        if one.score >= _LEAST:
            best.setdefault(one.loop, one)
    return list(best.values())[:limit]
