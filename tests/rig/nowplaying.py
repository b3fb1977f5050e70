"""AzuraCast's NowPlaying entity, field for field (Entity/Api/NowPlaying, Entity/ApiGenerator)."""

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

PLAYBACK_DELAY = 5
"""Seconds that `played_at` is later than the row's own start (SongHistory::PLAYBACK_DELAY_SECONDS)."""
OFFLINE_SONG_ID = "5a6a865199cf5df73b1417326d2ff24f"
OFFLINE_TEXT = "Station Offline"
SITE = "http://azuracast.invalid"
HISTORY_ITEMS = 5

# 2026-01-01. A row's number must not be lower than one an earlier run sent to the same database.
_EPOCH = 1_767_225_600
_row = itertools.count(int((time.time() - _EPOCH) * 10))
_row_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Track:
    """A song in AzuraCast's library. `loop` fills the custom field `video_loop`."""

    artist: str
    title: str
    album: str = ""
    duration: int = 180
    playlist: str = "default"
    loop: str | None = None
    song_id: str | None = None
    genre: str = ""
    more_playlists: tuple[str, ...] = ()
    art: str | None = None
    """Where its cover is; an address that nobody answers at where not given."""

    @property
    def playlists(self) -> tuple[str, ...]:
        """All that it is in; it plays in the first."""
        return (self.playlist, *self.more_playlists)

    @property
    def media_id(self) -> str:
        """The unique id of its file."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:24]

    @property
    def text(self) -> str:
        """As a player would show it."""
        return " - ".join(part for part in (self.artist, self.title) if part)

    @property
    def id(self) -> str:
        """AzuraCast's own id of it: of two tracks that are spelt alike there is one."""
        return self.song_id or song_hash(self.text)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of song_history: `start` is in Unix seconds. A streamer's song is in no library."""

    sh_id: int
    start: float
    track: Track
    streamer: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What AzuraCast knows of a station at one moment. Without a row the station is offline."""

    station: str
    number: int = 1
    name: str = "Demo FM"
    row: Row | None = None
    next: Track | None = None
    history: Sequence[Row] = ()
    online: bool = True
    streamer: str = ""
    broadcast_start: int | None = None
    fields: Sequence[str] = field(default=())
    """The custom fields of the installation."""

    @property
    def song_id(self) -> str:
        """What a change of song is recognised by."""
        return self.row.track.id if self.row is not None else OFFLINE_SONG_ID


def song_hash(text: str) -> str:
    """AzuraCast's song id of a text (Song::getSongHash)."""
    kept = "".join(char for char in text[:150] if char not in " -\"'\n\t\r")
    return hashlib.md5(kept.lower().encode()).hexdigest() if kept else OFFLINE_SONG_ID


def next_row() -> int:
    """A number for a song_history row, higher than any before."""
    with _row_lock:
        return next(_row)


def body(
    station: str,
    track: Track,
    *,
    sh_id: int | None = None,
    played_at: int | None = None,
    name: str = "Demo FM",
    online: bool = True,
    next: Track | None = None,
) -> dict[str, Any]:
    """A webhook's body for a song that begins now. `played_at` is 5 s after the song's real start."""
    at = time.time()
    start = at if played_at is None else played_at - PLAYBACK_DELAY
    row = Row(next_row() if sh_id is None else sh_id, start, track)
    entity = document(Snapshot(station, name=name, row=row, history=[row], next=next), at, "event")
    return {**entity, "is_online": online}


def document(now: Snapshot, at: float, cache: str | None = None) -> dict[str, Any]:
    """The entity as it is written at `at`. `cache` is "event" in webhooks and SSE, None in the API."""
    listeners = {"total": 1, "unique": 1, "current": 1}
    return {
        "station": _station(now, listeners),
        "listeners": listeners if now.row is not None else dict.fromkeys(listeners, 0),
        "live": {
            "is_live": bool(now.streamer), "streamer_name": now.streamer, "broadcast_start": now.broadcast_start,
            "art": None,
        },
        "now_playing": _current(now, at),
        "playing_next": _next(now),
        "song_history": [_played(now, row) for row in list(now.history)[:HISTORY_ITEMS]],
        "is_online": now.online and now.row is not None,
        "cache": cache,
    }  # fmt: skip


def encode(entity: object) -> bytes:
    """JSON as PHP writes it for a webhook: no spaces, `\\uXXXX` and `\\/`."""
    # A slash is in strings only, so this can't hit anything else.
    return json.dumps(entity, separators=(",", ":")).replace("/", "\\/").encode()


def encode_for_api(entity: object) -> bytes:
    """JSON as the API writes it: UTF-8 and slashes as they are (Http/Response.php)."""
    return json.dumps(entity, separators=(",", ":"), ensure_ascii=False).encode()


def encode_for_file(entity: object) -> bytes:
    """JSON as the static file holds it."""
    return json.dumps(entity, indent=4).encode()


def _station(now: Snapshot, listeners: dict[str, int]) -> dict[str, Any]:
    short = now.station
    listen = f"{SITE}/listen/{short}/radio.mp3"
    mount = {
        "path": "/radio.mp3", "is_default": True, "id": now.number, "name": "/radio.mp3 (128kbps MP3)", "url": listen,
        "bitrate": 128, "format": "mp3", "listeners": listeners,
    }  # fmt: skip
    return {
        "id": now.number, "name": now.name, "shortcode": short, "description": "", "frontend": "icecast",
        "backend": "liquidsoap", "timezone": "UTC", "listen_url": listen, "url": None,
        "public_player_url": f"{SITE}/public/{short}",
        "playlist_pls_url": f"{SITE}/public/{short}/playlist.pls",
        "playlist_m3u_url": f"{SITE}/public/{short}/playlist.m3u",
        "is_public": True, "requests_enabled": False, "mounts": [mount], "remotes": [],
        "hls_enabled": False, "hls_is_default": False, "hls_url": None, "hls_listeners": 0,
    }  # fmt: skip


def _current(now: Snapshot, at: float) -> dict[str, Any]:
    if now.row is None:
        # Offline: nothing has begun, so the time since then is the time itself.
        return {
            "sh_id": 0, "played_at": 0, "duration": 0, "playlist": None, "streamer": None, "is_request": False,
            "song": _song(now, Track("", OFFLINE_TEXT, song_id=OFFLINE_SONG_ID), library=False),
            "elapsed": int(at) + PLAYBACK_DELAY, "remaining": 0,
        }  # fmt: skip
    played = _played(now, now.row)
    elapsed = max(0, int(at) + PLAYBACK_DELAY - played["played_at"])
    if played["duration"]:
        elapsed = min(elapsed, played["duration"])
    return {**played, "elapsed": elapsed, "remaining": max(0, played["duration"] - elapsed)}


def _played(now: Snapshot, row: Row) -> dict[str, Any]:
    live = bool(row.streamer)
    return {
        "sh_id": row.sh_id, "played_at": int(row.start) + PLAYBACK_DELAY,
        "duration": 0 if live else row.track.duration, "playlist": "" if live else row.track.playlist,
        "streamer": row.streamer, "is_request": False, "song": _song(now, row.track, library=not live),
    }  # fmt: skip


def _next(now: Snapshot) -> dict[str, Any] | None:
    if now.next is None:
        return None
    cued = int(now.row.start) + PLAYBACK_DELAY + now.row.track.duration if now.row is not None else 0
    return {
        "cued_at": cued, "played_at": None, "duration": float(now.next.duration), "playlist": now.next.playlist,
        "is_request": False, "song": _song(now, now.next, library=True),
    }  # fmt: skip


def _song(now: Snapshot, track: Track, library: bool) -> dict[str, Any]:
    fields: dict[str, str | None] = dict.fromkeys(now.fields)
    if library and track.loop is not None:
        fields["video_loop"] = track.loop
    art = (
        f"{SITE}/api/station/{now.station}/art/{track.media_id}-1760000000.jpg"
        if library
        else f"{SITE}/static/img/art.jpg"
    )
    return {
        "text": track.text, "artist": track.artist, "title": track.title, "album": track.album, "genre": track.genre,
        "isrc": "", "lyrics": "", "id": track.id, "art": track.art or art,
        # An empty list, not an object, is what an installation without custom fields sends.
        "custom_fields": fields or [],
    }  # fmt: skip
