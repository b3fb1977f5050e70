"""What a station tells us is playing: AzuraCast's NowPlaying body, and the small one of the original
architecture.

The shape is that of AzuraCast's own source (`backend/src/Entity/Api/NowPlaying/*`): fields that are unset are
null, `custom_fields` is `[]` on an install that has none, numbers may be whole or not, a station that is
offline or has just restarted sends `sh_id` 0 and `played_at` 0. Unknown fields are ignored, so that a newer
AzuraCast is understood.

Both shapes become one `TrackEvent`. Parsing is on the path of every webhook: only the parts that are used are
validated, `song_history` and the mounts are skipped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypedDict

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Source = Literal["webhook", "sse", "poll"]
"""The way by which an event came."""

MAX_TEXT: Final = 512
"""Characters kept of an artist, title, album or playlist. AzuraCast's own limits are 255 and 200."""

_MAX_URL: Final = 2048

_LATEST: Final = 253_402_300_799
"""The last second of the year 9999: later ones have no date in Python."""

_ART_ID: Final = re.compile(r"/art/([0-9a-f]{24})(?![0-9a-f])", re.IGNORECASE)


class FieldFault(TypedDict):
    """One field that can't be used: its path in the body, like `now_playing.song.title`, and why."""

    field: str
    reason: str


class ValidationError(ValueError):
    """The body is not one of the two shapes. `fields` names each field at fault; no value is ever repeated in
    it.
    """

    def __init__(self, fields: list[FieldFault]) -> None:
        super().__init__("; ".join(f"{fault['field']}: {fault['reason']}" for fault in fields))
        self.fields = fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """A song as far as a loop can depend on it. Text is never None: unknown is ""."""

    song_id: str | None = None
    """AzuraCast's own id: matched as it is, never recomputed, since its recipe changed between versions."""
    media_id: str | None = None
    """The unique id of a file in the library, 24 hexadecimal digits. It survives edits of the tags."""
    artist: str = ""
    title: str = ""
    album: str = ""
    playlist: str = ""
    duration: float | None = None
    """Seconds as the station knows them; None when it doesn't (a live DJ)."""
    video_loop: str | None = None
    """The custom field `video_loop`."""
    art: str | None = None
    """The address of its cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackEvent(Song):
    """What a station says is playing now. The song's own fields are those of `Song`."""

    station: str
    """`station.shortcode`; in the small body the first of shortcode, name and id that is there."""
    sh_id: int | None = None
    """AzuraCast's row of this play; 0 when offline; None in the small body."""
    played_at: float | None = None
    """Unix seconds; 0 when offline; None in the small body."""
    elapsed: float | None = None
    """Seconds into the song when AzuraCast wrote the body; stops at the duration. Offline: unix seconds."""
    is_live: bool = False
    streamer: str = ""
    """The name of the DJ who is live; "" when none is."""
    online: bool = True
    next: Song | None = None


def parse(body: Mapping[str, Any]) -> TrackEvent:
    """The event in an already decoded body. Raises ValidationError."""
    try:
        return _event(_Body.model_validate(body))
    except pydantic.ValidationError as error:
        raise _explained(error) from None


def parse_json(body: bytes | str) -> TrackEvent:
    """The event in a JSON document, which is the fast way. Raises ValidationError; for what is not JSON its
    only field is "" (the whole body).
    """
    try:
        return _event(_Body.model_validate_json(body))
    except pydantic.ValidationError as error:
        raise _explained(error) from None


def _text(value: object) -> object:
    if value is None:
        return ""
    return value.strip()[:MAX_TEXT].rstrip() if isinstance(value, str) else value


def _identity(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value.strip() or None
    return value


def _fields(value: object) -> object:
    # PHP writes an empty map as [].
    return None if isinstance(value, list) and not value else value


_Text = Annotated[str, BeforeValidator(_text)]
_Id = Annotated[Annotated[str, Field(max_length=128)] | None, BeforeValidator(_identity)]
_Seconds = Annotated[float | None, Field(ge=0, le=_LATEST, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=False, hide_input_in_errors=True)


class _CustomFields(_Model):
    video_loop: Annotated[str | None, Field(max_length=1024)] = None


class _Song(_Model):
    id: _Id = None
    art: str | None = None
    artist: _Text = ""
    title: _Text = ""
    album: _Text = ""
    text: _Text = ""
    duration: _Seconds = None
    custom_fields: Annotated[_CustomFields | None, BeforeValidator(_fields)] = None


class _Playing(_Model):
    song: _Song
    sh_id: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    played_at: _Seconds = None
    duration: _Seconds = None
    playlist: _Text = ""
    streamer: _Text = ""
    elapsed: Annotated[float | None, Field(allow_inf_nan=False)] = None


class _Next(_Model):
    song: _Song | None = None
    duration: _Seconds = None
    playlist: _Text = ""


class _Live(_Model):
    is_live: bool | None = None
    streamer_name: _Text = ""


class _Station(_Model):
    id: _Id = None
    name: _Id = None
    shortcode: _Id = None


class _Body(_Model):
    station: _Station
    now_playing: _Playing | None = None
    song: _Song | None = None
    playing_next: _Next | None = None
    live: _Live | None = None
    is_online: bool | None = None


def _event(body: _Body) -> TrackEvent:
    playing = body.now_playing
    station = body.station.shortcode
    if playing is None:
        if body.song is None:
            raise ValidationError([_fault("now_playing", "is missing, and there is no song in its place")])
        station = station or body.station.name or body.station.id
        if not station:
            raise ValidationError(
                [_fault("station.shortcode", "is missing, and there is no name or id in its place")]
            )
        return _named("song", TrackEvent(station=station, **_song(body.song, "", body.song.duration)))
    if not station:
        raise ValidationError([_fault("station.shortcode", "is missing or empty")])
    following = body.playing_next
    live = body.live is not None and bool(body.live.is_live)
    event = TrackEvent(
        station=station,
        sh_id=playing.sh_id,
        played_at=playing.played_at,
        elapsed=playing.elapsed,
        is_live=live,
        streamer=(playing.streamer or (body.live.streamer_name if body.live is not None else "")) if live else "",
        # A restart sends sh_id 0 with is_online still true: either of them means that nothing is playing.
        online=playing.sh_id != 0 and body.is_online is not False,
        next=Song(**_song(following.song, following.playlist, following.duration))
        if following is not None and following.song is not None
        else None,
        **_song(playing.song, playing.playlist, playing.duration),
    )
    return _named("now_playing.song", event) if event.online else event


def _named(field: str, event: TrackEvent) -> TrackEvent:
    if not (event.song_id or event.title or event.artist):
        raise ValidationError([_fault(field, "has neither an id nor a title nor an artist")])
    return event


def _song(song: _Song, playlist: str, duration: float | None) -> dict[str, Any]:
    art = _ART_ID.search(song.art) if song.art else None
    fields = song.custom_fields
    # Some senders fill in `text` alone ("Artist - Title"); AzuraCast always sends all three.
    artist, title = song.artist, song.title
    if not artist and not title:
        artist, dash, title = song.text.partition(" - ")
        if not dash:
            artist, title = "", song.text
    return {
        "song_id": song.id,
        "media_id": art[1].lower() if art else None,
        "artist": artist.strip(),
        "title": title.strip(),
        "album": song.album,
        "playlist": playlist,
        "duration": duration or None,
        "art": song.art if song.art and len(song.art) <= _MAX_URL else None,
        "video_loop": (fields.video_loop or "").strip() or None if fields else None,
    }


def _fault(field: str, reason: str) -> FieldFault:
    return {"field": field, "reason": reason}


def _explained(error: pydantic.ValidationError) -> ValidationError:
    return ValidationError(
        [
            _fault(".".join(str(part) for part in fault["loc"]), fault["msg"])
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    )
