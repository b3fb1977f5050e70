"""The songs of a station's library, as AzuraCast's API tells of them: a page of `GET /api/station/ID/files`.

The shape is that of AzuraCast's own source (`backend/src/Entity/Api/StationMedia.php`, `backend/src/Paginator.php`).
Unknown fields are ignored; a song that can't be used is counted and left out, so that one odd file does not keep an
operator from seeing the other ten thousand.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .loops import LoopNameError, loop_path
from .nowplaying import MAX_TEXT, ValidationError
from .track_key import normalise, track_key

_ART: Final = re.compile(r"(?:https?:/)?/[!-~]{1,1000}")

MAX_PLAYLISTS: Final = 100
"""Of one song; further ones are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySong:
    """A song of the library. Text is never None: unknown is ""."""

    media_id: str
    """AzuraCast's unique id of the file."""
    song_id: str = ""
    artist: str = ""
    title: str = ""
    album: str = ""
    genre: str = ""
    playlists: tuple[str, ...] = ()
    length_seconds: float | None = None
    art: str | None = None
    video_loop: str | None = None
    """The custom field `video_loop`, where it names what can be a loop."""

    @property
    def track_key(self) -> str:
        """What a mapping of this song is found by; empty where nothing is left of its names."""
        return track_key(self.artist, self.title)

    @property
    def artist_album_key(self) -> str:
        """What a mapping of its artist's album is found by."""
        return track_key(self.artist, self.album) if self.album else ""

    @property
    def words(self) -> str:
        """What a search looks in, normalised."""
        parts = (self.artist, self.title, self.album, self.genre, *self.playlists)
        return " ".join(filter(None, map(normalise, parts)))


@dataclass(frozen=True, slots=True)
class LibraryPage:
    """A page of the library. `total` and `pages` are those of the whole; `refused` songs could not be used."""

    songs: tuple[LibrarySong, ...]
    total: int
    pages: int
    refused: int


def parse_page(body: bytes, loops_dir: str) -> LibraryPage:
    """A page as AzuraCast answers it. Raises ValidationError for what is none.

    `loops_dir` is absolute: a `video_loop` that leads elsewhere is left out, as the resolver leaves it out.
    """
    try:
        page = _Page.model_validate_json(body)
    except pydantic.ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ValidationError([{"field": ".".join(map(str, fault["loc"])), "reason": fault["msg"]}]) from None
    songs = []
    for row in page.rows:
        try:
            songs.append(_song(_File.model_validate(row), loops_dir))
        except pydantic.ValidationError:
            continue
    return LibraryPage(tuple(songs), page.total, page.total_pages, len(page.rows) - len(songs))


def _text(value: object) -> object:
    if value is None:
        return ""
    # PostgreSQL's text can hold every character but this one.
    return value.replace("\0", "").strip()[:MAX_TEXT].rstrip() if isinstance(value, str) else value


def _fields(value: object) -> object:
    # PHP writes an empty map as [].
    return None if isinstance(value, list) and not value else value


_Text = Annotated[str, BeforeValidator(_text)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _CustomFields(_Model):
    video_loop: str | None = None


class _Playlist(_Model):
    name: _Text = ""


class _File(_Model):
    unique_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    song_id: Annotated[_Text, Field(max_length=128)] = ""
    artist: _Text = ""
    title: _Text = ""
    album: _Text = ""
    genre: _Text = ""
    text: _Text = ""
    length: Annotated[float | None, Field(ge=0, le=1e9, allow_inf_nan=False)] = None
    art: str | None = None
    custom_fields: Annotated[_CustomFields | None, BeforeValidator(_fields)] = None
    playlists: list[_Playlist] = Field(default_factory=list)


class _Page(_Model):
    rows: list[Any]
    total: Annotated[int, Field(ge=0, lt=2**31)]
    total_pages: Annotated[int, Field(ge=0, lt=2**31)]


def _song(file: _File, loops_dir: str) -> LibrarySong:
    names = dict.fromkeys(playlist.name for playlist in file.playlists if playlist.name)
    art = file.art
    return LibrarySong(
        media_id=file.unique_id.lower(),
        song_id=file.song_id.lower(),
        artist=file.artist,
        # A file without tags has its name for a title, or nothing at all.
        title=file.title or ("" if file.artist else file.text.strip(" -")),
        album=file.album,
        genre=file.genre,
        playlists=tuple(names)[:MAX_PLAYLISTS],
        length_seconds=file.length or None,
        art=art if art and _ART.fullmatch(art) else None,
        video_loop=_loop(file.custom_fields.video_loop if file.custom_fields else None, loops_dir),
    )


def _loop(name: str | None, loops_dir: str) -> str | None:
    if not name or not name.strip():
        return None
    try:
        return loop_path(loops_dir, name).removeprefix(loops_dir.rstrip("/") + "/")
    except LoopNameError:
        return None
