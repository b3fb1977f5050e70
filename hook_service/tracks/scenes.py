"""What a station's story is made of: titles that were heard, events that were told, scenes, and decisions.

A `Plot` is all that a story knows; it can be written as plain JSON values and read again.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .nowplaying import Song, Source, TrackEvent

Via = Literal["icy", "ogg"]
"""How titles come with the sound."""

Stage = Literal["due", "shown", "skipped"]
Kind = Literal["switch", "enrich", "ended", "offline"]

CONNECTED: Final = "connected"
_SCENES: Final = 24
_SONGS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A title in the sound. Times are unix seconds."""

    text: str
    artist: str = ""
    title: str = ""
    sound_at: float
    """When its first sound is on the timeline."""
    change: bool = True
    """False: it was there when the mount was connected, so when it began is not known."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and when each source first told of it."""

    event: TrackEvent
    source: Source
    received: float
    request_id: str
    times: dict[str, float]


@dataclass(slots=True, kw_only=True)
class Scene:
    """A song of the story, from the first word of it on. One scene is one play."""

    number: int
    event: TrackEvent
    """Everything that is known of the song."""
    at: float
    """When its picture is due."""
    send_at: float
    """When the playout is to be told."""
    decided_by: str
    """The source, or `Via`, that decided when."""
    received: float
    request_id: str
    heard: str | None = None
    """The title that was heard."""
    sound_at: float | None = None
    """When its sound began; None where that is not known."""
    alone: bool = False
    """Nothing is known of the song but its title."""
    held: bool = False
    """Its event was held back: it is due once no more of them come."""
    stage: Stage = "due"
    enriched: bool = False
    """More is known since it was decided on, which has not been handed on yet."""
    told: dict[str, float] = field(default_factory=dict)
    """When each source first told of it."""
    offsets: dict[str, float] = field(default_factory=dict)
    """Seconds by which each source told later than the sound began; negative is earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Something to do.

    "switch": show the scene's picture at `at`. "enrich": more is known of the scene shown; where that leads to
    another picture, show it. "ended": the station's track is over. "offline": show what is shown then.
    """

    kind: Kind
    scene: int
    event: TrackEvent
    at: float
    decided_by: str
    received: float
    request_id: str
    newest: bool = True
    """Whether no later scene was shown."""


def event_from_json(document: Mapping[str, Any]) -> TrackEvent:
    """The event of `asdict(event)`. Raises KeyError or TypeError for anything else."""
    values = _known(TrackEvent, document)
    following = values.pop("next")
    return TrackEvent(**values, next=Song(**_known(Song, following)) if following else None)


def _known(kind: type[Song], document: Mapping[str, Any]) -> dict[str, Any]:
    """What a later version knows of a song is left out: a rollback must not cost the story."""
    return {name: value for name, value in document.items() if name in kind.__dataclass_fields__}


@dataclass(slots=True)
class Plot:
    """All that a story knows. Times are unix seconds."""

    trusted: bool = False
    """Whether titles decide when."""
    mount: str | None = None
    """The mount's state, in the playout's word; None where it never told."""
    via: Via | None = None
    """How titles come; None where the mount has none, or none was seen yet."""
    title: Title | None = None
    """The newest title."""
    scenes: list[Scene] = field(default_factory=list)
    """In their order; the oldest are forgotten."""
    newest: Told | None = None
    """The newest event."""
    unheard: list[Told] = field(default_factory=list)
    """Events for which no title was heard yet, the newest last."""
    deadline: float | None = None
    """When the newest of them happens without a title."""
    offline: Told | None = None
    ended: bool = False
    """Whether the end of the track was handed on, while `offline`."""
    number: int = 0
    misses: int = 0
    """Events in a row for which no title came."""
    songs: OrderedDict[str, Song] = field(default_factory=OrderedDict)
    """Songs told of, by track key; the oldest are forgotten."""
    last_told: dict[str, float] = field(default_factory=dict)
    """When each source last told anything."""
    measured: list[tuple[str, float]] = field(default_factory=list)
    """Offsets found (source, seconds); for whoever counts them, and clears."""
    dropped: list[str] = field(default_factory=list)
    """Why events were not acted on; the same."""

    @property
    def titled(self) -> bool:
        """Whether titles can be heard now."""
        return self.mount == CONNECTED and self.via is not None

    @property
    def listens(self) -> bool:
        """Whether titles decide, now."""
        return self.titled and self.trusted

    def add(self, scene: Scene) -> None:
        """A further scene."""
        self.scenes.append(scene)
        del self.scenes[:-_SCENES]

    def remember(self, key: str, song: Song) -> None:
        """Know a song when its title is heard."""
        self.songs[key] = song
        self.songs.move_to_end(key)
        while len(self.songs) > _SONGS:
            self.songs.popitem(last=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes an equal plot."""
        songs = [[key, _plain(song)] for key, song in self.songs.items()]
        return {**{name: _plain(getattr(self, name)) for name in Plot.__dataclass_fields__}, "songs": songs}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Plot":
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        values = {name: document[name] for name in cls.__dataclass_fields__}
        title, newest, offline = values["title"], values["newest"], values["offline"]
        values |= {
            "title": Title(**title) if title else None,
            "newest": _told(newest) if newest else None,
            "offline": _told(offline) if offline else None,
            "unheard": [_told(told) for told in values["unheard"]],
            "measured": [(str(source), float(offset)) for source, offset in values["measured"]],
            "scenes": [Scene(**{**scene, "event": event_from_json(scene["event"])}) for scene in values["scenes"]],
            "songs": OrderedDict((key, Song(**_known(Song, song))) for key, song in values["songs"]),
        }
        return cls(**values)


def _told(document: Mapping[str, Any]) -> Told:
    return Told(**{**document, "event": event_from_json(document["event"])})


def _plain(value: Any) -> Any:
    # asdict() copies everything deeply, which takes ten times as long.
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return dict(value)
    names = getattr(value, "__dataclass_fields__", None)
    return {name: _plain(getattr(value, name)) for name in names} if names else value
