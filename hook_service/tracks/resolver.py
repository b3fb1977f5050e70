"""Which loop belongs on screen.

The order is the project's design, section 3: the song's `video_loop` custom field, AzuraCast's song id, the
media's unique id, the track key, then album, artist and playlist, then the time-of-day default, then the
default loop. Within one rule a mapping made for the station goes before one made for every station ("*").
What the database says of defaults goes before what the configuration says.

A name that can't be a loop (see `loops.loop_path`) is left out, reported, and the next rule has its turn: a
slip in one mapping costs that mapping, never the picture.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from .loops import LoopNameError, loop_path
from .nowplaying import Song, TrackEvent
from .snapshot import EVERY_STATION, Claims, Daypart, MappingRow, Snapshot
from .track_key import normalise, track_key

RULES: Final = (
    "video_loop",
    "song_id",
    "media_id",
    "track_key",
    "album",
    "artist",
    "playlist",
    "time_of_day",
    "default",
)
"""The names of the rules, in their order; `play_history.resolved_by` holds one of them, or `policies.RULE`."""


@dataclass(frozen=True, slots=True)
class StationDefaults:
    """What the configuration says of a station. `timezone` is a name of the IANA database.

    Of dayparts that overlap the one listed first counts.
    """

    default_loop: str = "default.mp4"
    timezone: str = "UTC"
    dayparts: tuple[Daypart, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer: absolute paths, and how it was come by."""

    loop: str
    rule: str
    mapping_id: int | None
    default: str
    """The default loop valid now: what to show when `loop` can't be."""
    problems: tuple[str, ...] = field(default=())
    """One sentence for each rule that led to a name that can't be a loop."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves songs against one snapshot; cheap to make, so make one for each snapshot or even for each
    event.

    `loops_dir` is absolute. A station that is not in `stations` has the defaults of `StationDefaults`.
    """

    snapshot: Snapshot
    loops_dir: str = "/srv/loops"
    stations: Mapping[str, StationDefaults] = field(default_factory=dict)

    def resolve(self, event: TrackEvent, at: datetime | None = None) -> Resolution:
        """The loop for what is playing now. `at` is the time it is shown, aware; now when not given."""
        return self.resolve_song(event.station, event, at)

    def resolve_next(self, event: TrackEvent, at: datetime | None = None) -> Resolution | None:
        """The loop for what plays next, so that it can be made ready; None when the station doesn't say."""
        return None if event.next is None else self.resolve_song(event.station, event.next, at)

    def resolve_song(self, station: str, song: Song, at: datetime | None = None) -> Resolution:
        """The loop for a song on a station."""
        problems: list[str] = []
        default_rule, default = self._default(station, at, problems)
        if song.video_loop and (loop := self._accepted("video_loop", song.video_loop, problems)) is not None:
            return Resolution(loop, "video_loop", None, default, tuple(problems))
        for rule, mapping in self._candidates(station, song):
            loop = self._accepted(rule, mapping.loop_file_path, problems)
            if loop is not None:
                return Resolution(loop, rule, mapping.id, default, tuple(problems))
        return Resolution(default, default_rule, None, default, tuple(problems))

    def default_loop(self, station: str, at: datetime | None = None) -> str:
        """The default loop that is valid for a station at a time: the time-of-day default, or the default
        loop.
        """
        return self.default(station, at)[1]

    def default(self, station: str, at: datetime | None = None) -> tuple[str, str]:
        """The rule by which a song that no mapping is for gets its loop at a time, and that loop."""
        return self._default(station, at, [])

    def _candidates(self, station: str, song: Song) -> Iterator[tuple[str, MappingRow]]:
        found = self.snapshot
        if song.song_id:
            yield from _lookup("song_id", found.by_song_id, station, song.song_id.lower())
        if song.media_id:
            yield from _lookup("media_id", found.by_media_id, station, song.media_id.lower())
        keyed = found.by_key
        yield from _lookup("track_key", keyed["track"], station, track_key(song.artist, song.title))
        if song.album and keyed["album"]:
            # "Greatest Hits" is the name of a thousand albums, so a mapping may name the artist as well.
            yield from _lookup("album", keyed["album"], station, track_key(song.artist, song.album))
            yield from _lookup("album", keyed["album"], station, normalise(song.album))
        if song.artist and keyed["artist"]:
            yield from _lookup("artist", keyed["artist"], station, normalise(song.artist))
        if song.playlist and keyed["playlist"]:
            yield from _lookup("playlist", keyed["playlist"], station, normalise(song.playlist))

    def _default(self, station: str, at: datetime | None, problems: list[str]) -> tuple[str, str]:
        configured = self.stations.get(station) or StationDefaults()
        snapshot = self.snapshot
        parts = [
            *snapshot.dayparts.get(station, ()),
            *snapshot.dayparts.get(EVERY_STATION, ()),
            *configured.dayparts,
        ]
        if parts:
            now = (at or datetime.now(UTC)).astimezone(_zone(configured.timezone)).time()
            for part in parts:
                if part.covers(now):
                    loop = self._accepted("time_of_day", part.loop, problems)
                    if loop is not None:
                        return "time_of_day", loop
        for name in (
            snapshot.default_loops.get(station),
            snapshot.default_loops.get(EVERY_STATION),
            configured.default_loop,
        ):
            if name is not None:
                loop = self._accepted("default", name, problems)
                if loop is not None:
                    return "default", loop
        return "default", loop_path(self.loops_dir, StationDefaults().default_loop)

    def _accepted(self, rule: str, name: str, problems: list[str]) -> str | None:
        try:
            return loop_path(self.loops_dir, name)
        except LoopNameError as reason:
            problems.append(f"{rule}: the loop {name[:200]!r} {reason}")
            return None


def _lookup(rule: str, claims: Claims, station: str, key: str) -> Iterator[tuple[str, MappingRow]]:
    for owner in (station, EVERY_STATION):
        mapping = claims.get(owner, {}).get(key)
        if mapping is not None:
            yield rule, mapping


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name)  # cached by the standard library
