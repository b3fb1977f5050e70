"""Whether a title in the audio and a song that the station tells of are the same.

A title is one line, "Artist - Title" as a rule; an event has artist, title and album apart. Both are compared by the
rule of the track key. Tolerated are guests ("feat. …") that only one of them names, and an album behind the title.
A remix or a live version is another song.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from .nowplaying import Song
from .track_key import normalise

_GUESTS: Final = re.compile(
    r"\s*[(\[]\s*(?:feat|ft|featuring)\b[^)\]]*[)\]]|\s+(?:feat|ft|featuring)\b.*?(?=\s-\s|\s*[(\[]|$)", re.IGNORECASE
)


def split(text: str) -> tuple[str, str]:
    """Artist and title of a line, parted at the first " - "; no artist where there is none."""
    artist, dash, title = text.partition(" - ")
    return (artist.strip(), title.strip()) if dash else ("", text.strip())


def is_song(text: str, names: Collection[str]) -> bool:
    """Whether a title can be a song's: there is something in it, and it is not just the station's name.

    `names` are normalised.
    """
    return bool(text.strip(" -")) and normalise(text) not in names


def same_title(one: str, other: str) -> bool:
    """Whether two lines are the same title."""
    return _key(one) == _key(other)


def matches(text: str, song: Song) -> bool:
    """Whether the title `text` is that song's."""
    said, told = _key(text), _key(" - ".join(part for part in (song.artist, song.title) if part))
    if said == told:
        return bool(said)
    album = normalise(song.album) if song.album else ""
    return bool(album) and said in (f"{told} {album}", f"{told} - {album}")


@lru_cache(maxsize=1024)
def _key(text: str) -> str:
    key = normalise(_GUESTS.sub("", text))
    # Of "!!! - ???" nothing but the hyphen is left, which all such titles would share.
    return key if key not in ("", "-") else " ".join(text.casefold().split())
