"""Bodies as AzuraCast 0.23 sends them: every field that its entities have, not only those that are used."""

import copy
from typing import Any


def song(title: str, artist: str = "Daft Punk", **more: Any) -> dict[str, Any]:
    return {
        "id": "23b53c7dd0d2b8f4f41a5dcc8a6a8a2f",
        "art": "https://radio.example/api/station/demo/art/5f3c0a1b2d4e6f708192a3b4-1754000000.jpg",
        "custom_fields": {"video_loop": None, "mood": None},
        "text": f"{artist} - {title}",
        "artist": artist,
        "title": title,
        "album": "Discovery",
        "genre": "House",
        "isrc": "GBDUW0000053",
        "lyrics": "",
        **more,
    }


def _mount(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"/radio{number}.mp3 (192kbps MP3)",
        "url": f"https://radio.example/listen/demo/radio{number}.mp3",
        "bitrate": 192,
        "format": "mp3",
        "listeners": {"total": 12, "unique": 11, "current": 12},
        "path": f"/radio{number}.mp3",
        "is_default": number == 1,
    }


_BODY: dict[str, Any] = {
    "station": {
        "id": 1,
        "name": "Demo FM",
        "shortcode": "demo",
        "description": "A station",
        "frontend": "icecast",
        "backend": "liquidsoap",
        "timezone": "Europe/Berlin",
        "listen_url": None,
        "url": "",
        "public_player_url": "https://radio.example/public/demo",
        "playlist_pls_url": "https://radio.example/public/demo/playlist.pls",
        "playlist_m3u_url": "https://radio.example/public/demo/playlist.m3u",
        "is_public": True,
        "requests_enabled": False,
        "mounts": [_mount(1), _mount(2), _mount(3)],
        "remotes": [],
        "hls_enabled": True,
        "hls_is_default": False,
        "hls_url": "https://radio.example/hls/demo/live.m3u8",
        "hls_listeners": 2,
    },
    "listeners": {"total": 36, "unique": 33, "current": 36},
    "live": {"is_live": False, "streamer_name": "", "broadcast_start": None, "art": None},
    "now_playing": {
        "sh_id": 182736,
        "played_at": 1754000005,
        "duration": 320,
        "playlist": "Heavy Rotation",
        "streamer": "",
        "is_request": False,
        "song": song("One More Time"),
        "elapsed": 1,
        "remaining": 319,
    },
    "playing_next": {
        "cued_at": 1754000001,
        "played_at": 1754000325,
        "duration": 224.53,
        "playlist": "Heavy Rotation",
        "is_request": False,
        "song": song("Aerodynamic", id="9f0c"),
    },
    "song_history": [
        {
            "sh_id": 182735 - n,
            "played_at": 1753999000 - 200 * n,
            "duration": 200,
            "playlist": "Heavy Rotation",
            "streamer": "",
            "is_request": False,
            "song": song(f"History {n}"),
        }
        for n in range(6)
    ],
    "is_online": True,
    "cache": "event",
}


def body() -> dict[str, Any]:
    """A track of the library, with the next one known."""
    return copy.deepcopy(_BODY)


def offline_body() -> dict[str, Any]:
    """What a restart sends first."""
    offline = body()
    offline["now_playing"] = {
        "sh_id": 0,
        "played_at": 0,
        "duration": 0,
        "playlist": None,
        "streamer": None,
        "is_request": False,
        "song": song(
            "Station Offline", "", art="https://radio.example/static/img/generic_song.jpg", custom_fields=[]
        ),
        "elapsed": 1754000400,
        "remaining": 0,
    }
    offline["playing_next"] = None
    offline["is_online"] = False
    return offline


def small_body() -> dict[str, Any]:
    """The original architecture's."""
    return {
        "song": {"id": "abc123", "artist": "Daft Punk", "title": "One More Time", "album": "Discovery"},
        "station": {"id": "1", "name": "Demo FM"},
    }
