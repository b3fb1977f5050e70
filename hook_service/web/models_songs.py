"""The API's models of songs, of many mappings at once, and of the defaults."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hook_service.web.models import Kind, PageQuery, Text

Rule = Literal[
    "video_loop", "song_id", "media_id", "track_key", "album", "artist", "playlist", "time_of_day", "default"
]
LoopFile = Annotated[str, Field(min_length=1, max_length=1024)]
Owner = Annotated[str, Field(min_length=1, max_length=100)]
Hours = Annotated[str, Field(pattern=r"^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$")]
SongId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SongsFilter(_Strict):
    """Which songs: all that fit every field that is given.

    `q` is looked for word by word in artist, title, album, genre and playlists, or is an id. `mapped` is whether more
    than a default leads to the loop; `loop` is the name of that loop, `rule` the rule that leads to it.
    """

    q: Text | None = None
    artist: Text | None = None
    album: Text | None = None
    playlist: Text | None = None
    mapped: bool | None = None
    rule: Rule | None = None
    loop: LoopFile | None = None


class OneStation(_Strict):
    """A configured station; it may be left out where there is one alone."""

    station: Text | None = None


class SongsQuery(PageQuery, SongsFilter):
    """A page of the songs of a station, by artist and title. The station may be left out where there is one alone."""


class SongsExportQuery(SongsFilter):
    """Which songs of a station."""

    station: Text | None = None


class SongPath(BaseModel):
    """A song's number."""

    song_id: SongId


class BulkIn(_Strict):
    """One loop for many songs of a station; without `loop_file_path` such mappings of them are taken away.

    Which songs: their numbers, or a filter (`{}` is all of them). `kind` is what the mappings are for: each song, its
    album, its artist, or the playlist that the filter names. `everywhere`: for all stations, else for this one alone.
    `dry_run` changes nothing, and tells what it would come to.
    """

    loop_file_path: LoopFile | None
    station: Text | None = None
    kind: Kind = "track"
    songs: Annotated[list[SongId], Field(min_length=1, max_length=10_000)] | None = None
    filter: SongsFilter | None = None
    everywhere: bool = True
    dry_run: bool = False

    @model_validator(mode="after")
    def _which(self) -> BulkIn:
        if (self.songs is None) == (self.filter is None):
            raise ValueError("name the songs either by songs or by filter")
        if self.kind == "playlist" and (self.filter is None or self.filter.playlist is None):
            raise ValueError("name the playlist in filter.playlist")
        return self


class ImportIn(_Strict):
    """Mappings as CSV: `loop_file_path`, and `track_key` or `artist` and `title`; further columns as in an export.

    `first_line` is the number that the first line of `csv` has in the file, for one that is sent in parts.
    """

    csv: Annotated[str, Field(max_length=250_000)]
    dry_run: bool = True
    first_line: int = Field(1, ge=1, le=10_000_000)


class DefaultQuery(OneStation):
    """Which default: that of a part of the day, or without `hours` that of the rest. Station `*` is all of them."""

    hours: Hours | None = None


class DefaultIn(DefaultQuery):
    """A default loop."""

    loop: LoopFile


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)


class Song(_Answer):
    """A song of the library with the loop that it would get now, and by which rule."""

    id: int
    station: str
    media_id: str
    song_id: str
    artist: str
    title: str
    album: str
    genre: str
    playlists: list[str]
    length_seconds: float | None
    art: str | None
    track_key: str
    loop: str
    rule: Rule
    mapping_id: int | None


class SongsPage(_Answer):
    """A page, and how many songs there are with this filter."""

    items: list[Song]
    next: str | None
    total: int


class LibraryReading(_Answer):
    """How the reading of AzuraCast's library goes; `at` is when it was last read as a whole."""

    state: Literal["off", "waiting", "reading", "read", "away"]
    error: str | None
    at: datetime | None
    songs: int | None
    changed: int
    removed: int
    refused: int


class Playlist(_Answer):
    """A playlist, how many songs it has, and for how many of them there is no mapping."""

    name: str
    songs: int
    unmapped: int


class SongsSummary(_Answer):
    """The whole library: how many songs get their loop by which rule."""

    station: str
    songs: int
    unmapped: int
    rules: dict[str, int]
    playlists: list[Playlist]
    default_loop: str
    reading: LibraryReading


class Suggestion(_Answer):
    """A loop that may suit a song, how well (0 to 1), and why."""

    loop: str
    score: float
    reason: str


class Suggestions(_Answer):
    """The best first."""

    items: list[Suggestion]


class Changes(_Answer):
    """What a change comes down to. `skipped` songs have nothing that this kind of mapping could be for; `overruled`
    ones have another loop nevertheless, by a rule that goes before. `missing_loops` are of no file yet.
    """

    songs: int
    created: int
    replaced: int
    removed: int
    unchanged: int
    skipped: int
    overruled: int
    missing_loops: list[str]
    dry_run: bool


class BadLine(_Answer):
    """A line of an import that is no mapping, and why."""

    line: int
    reason: str


class Imported(Changes):
    """What an import comes down to. `blank` lines have no loop; at most 1,000 bad ones are told."""

    lines: int
    blank: int
    bad: int
    bad_lines: list[BadLine]


class Default(_Answer):
    """A default loop; `hours` is null for the rest of the day. Those of the configuration file can't be changed here.

    `valid`: this is the one that counts now.
    """

    station: str
    hours: str | None
    loop: str
    source: Literal["database", "configuration"]
    valid: bool


class Defaults(_Answer):
    """In the order in which they count; the time zone is that of the hours."""

    items: list[Default]
    timezone: str
    now: str
