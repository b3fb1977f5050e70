"""AzuraCast's webhook as AzuraCast sends it (Webhook/Connector/Generic.php, Entity/Api/NowPlaying)."""

import hashlib
import itertools
import threading
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.icecast import Playlist
from tests.rig.net import RigError, http

# 2026-01-01. A row's number must not be lower than one an earlier run sent to the same database.
_EPOCH = 1_767_225_600
_row = itertools.count(int((time.time() - _EPOCH) * 10))
_row_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Track:
    """What a webhook says of a song. `loop` fills the custom field `video_loop`."""

    artist: str
    title: str
    album: str = ""
    duration: int = 180
    playlist: str = "default"
    loop: str | None = None
    song_id: str | None = None

    @property
    def text(self) -> str:
        """As a player would show it."""
        return f"{self.artist} - {self.title}"


def next_row() -> int:
    """A number for a song_history row, higher than any before."""
    with _row_lock:
        return next(_row)


def _song(track: Track, station: str) -> dict[str, Any]:
    media = hashlib.sha256(track.text.encode()).hexdigest()[:24]
    return {
        "id": track.song_id or hashlib.md5(track.text.lower().encode()).hexdigest(),
        "art": f"http://azuracast.invalid/api/station/{station}/art/{media}-1760000000.jpg",
        # An empty list, not an object, is what an installation without custom fields sends.
        "custom_fields": {"video_loop": track.loop} if track.loop is not None else [],
        "text": track.text,
        "artist": track.artist,
        "title": track.title,
        "album": track.album,
        "genre": "",
        "isrc": "",
        "lyrics": "",
    }


def body(
    station: str,
    track: Track,
    *,
    sh_id: int | None = None,
    played_at: int | None = None,
    name: str = "Demo FM",
    online: bool = True,
) -> dict[str, Any]:
    """The NowPlaying entity. `played_at` is 5 s after the song's real start, as in AzuraCast."""
    listen = f"http://azuracast.invalid/listen/{station}/radio.mp3"
    mount = {
        "id": 1, "name": "/radio.mp3 (192kbps MP3)", "url": listen, "bitrate": 192, "format": "mp3",
        "listeners": {"total": 1, "unique": 1, "current": 1}, "path": "/radio.mp3", "is_default": True,
    }  # fmt: skip
    start = int(time.time()) + 5 if played_at is None else played_at
    listeners = {"total": 1, "unique": 1, "current": 1}
    return {
        "station": {
            "id": 1, "name": name, "shortcode": station, "description": "", "frontend": "icecast",
            "backend": "liquidsoap", "timezone": "UTC", "listen_url": listen, "url": "",
            "public_player_url": f"http://azuracast.invalid/public/{station}",
            "playlist_pls_url": f"http://azuracast.invalid/public/{station}/playlist.pls",
            "playlist_m3u_url": f"http://azuracast.invalid/public/{station}/playlist.m3u",
            "is_public": True, "requests_enabled": False, "mounts": [mount], "remotes": [],
            "hls_enabled": False, "hls_is_default": False, "hls_url": None, "hls_listeners": 0,
        },
        "listeners": listeners,
        "live": {"is_live": False, "streamer_name": "", "broadcast_start": None, "art": None},
        "now_playing": {
            "sh_id": next_row() if sh_id is None else sh_id, "played_at": start, "duration": track.duration,
            "playlist": track.playlist, "streamer": "", "is_request": False, "song": _song(track, station),
            "elapsed": 0, "remaining": track.duration,
        },
        "playing_next": None,
        "song_history": [],
        "is_online": online,
        "cache": None,
    }  # fmt: skip


def send(url: str, user: str, password: str, message: object, timeout: float = 5.0) -> int:
    """Post a webhook with Basic auth; the status. Raises OSError when nobody answers: AzuraCast never tries again."""
    login = b64encode(f"{user}:{password}".encode()).decode()
    return http(url, body=message, headers={"Authorization": f"Basic {login}"}, timeout=timeout)[0]


class Automation:
    """AzuraCast's part of the demo: at each song change the title goes to Icecast and a webhook to each station."""

    def __init__(
        self, source: Playlist, stations: Sequence[str], url: str, login: tuple[str, str], log: Path
    ) -> None:
        self.current: Track | None = None
        self._source = source
        self._stations = list(stations)
        self._url = url
        self._login = login
        self._log = log
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="automation", daemon=True)

    def start(self) -> None:
        """Send the song that plays now, then each one as it begins."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def _run(self) -> None:
        last = None
        while not self._end.wait(0.2):
            number, song, _ = self._source.at(time.time())
            if number == last:
                continue
            last = number
            self.current = Track(song.artist, song.title, song.album, round(song.seconds))
            self._try("the title", lambda track: self._source.icecast.set_title(self._source.mount, track.text))
            for station in self._stations:
                self._try(f"the webhook for {station}", lambda track, station=station: self._hook(station, track))

    def _hook(self, station: str, track: Track) -> None:
        status = send(self._url, *self._login, body(station, track))
        if status != 202:
            raise RigError(f"answered {status}")

    def _try(self, what: str, call: Any) -> None:
        try:
            call(self.current)
            outcome = "sent"
        except (OSError, RigError) as error:
            outcome = f"lost: {error}"
        with self._log.open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {self.current.text if self.current else ''}: {what} {outcome}\n")
