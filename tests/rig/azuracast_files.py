"""A station's library as AzuraCast's API serves it: `GET /api/station/ID/files`.

Read in Controller/Api/Stations/FilesController.php, Entity/Api/StationMedia.php, Entity/Api/HashMap.php,
Paginator.php and config/routes/api_station.php.
"""

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from tests.rig.nowplaying import SITE, Track


def files(station: str, tracks: Sequence[Track], query: str) -> Any:
    """What is answered to a query string: all in a list, or a page where one is asked for. None: an error (500)."""
    values = {name: found[-1] for name, found in parse_qs(query).items()}
    ordered = sorted(enumerate(tracks, 1), key=lambda one: _path(one[1]))
    size = values.get("rowCount", values.get("per_page"))
    if size is None:
        return [_file(station, number, track) for number, track in ordered]
    per_page = max(_whole(size), 0) or 2**31
    pages = max(1, math.ceil(len(ordered) / per_page))
    page = max(1, _whole(values.get("current", values.get("page", "1"))))
    if page > pages:
        return None  # Pagerfanta raises: OutOfRangeCurrentPageException
    rows = ordered[(page - 1) * per_page : page * per_page]
    link = f"/api/station/{station}/files?page="
    return {
        "page": page, "per_page": per_page, "total": len(ordered), "total_pages": pages,
        "links": {
            "first": f"{link}1", "previous": f"{link}{max(1, page - 1)}", "next": f"{link}{min(pages, page + 1)}",
            "last": f"{link}{pages}",
        },
        "rows": [_file(station, number, track) for number, track in rows],
    }  # fmt: skip


def _whole(text: str) -> int:
    """As PHP's (int) does."""
    return int(text) if text.lstrip("-").isdigit() else 0


def _path(track: Track) -> str:
    return f"{track.text}.mp3"


def _file(station: str, number: int, track: Track) -> dict[str, Any]:
    own = f"{SITE}/api/station/{station}"
    playlists = [
        {"id": place, "name": name, "short_name": name.lower().replace(" ", "_"), "folder": None, "count": 1}
        for place, name in enumerate(track.playlists, 1)
    ]
    return {
        "text": f"{track.artist} - {track.title}", "artist": track.artist, "title": track.title,
        "album": track.album, "genre": track.genre, "isrc": "", "lyrics": "",
        "id": number, "unique_id": track.media_id, "song_id": track.id,
        "art": f"{own}/art/{track.media_id}-1760000000.jpg", "path": _path(track),
        "mtime": 1_760_000_000, "uploaded_at": 1_750_000_000, "art_updated_at": 1_760_000_000,
        "length": track.duration, "length_text": f"{track.duration // 60}:{track.duration % 60:02}",
        # Here an object even where it is empty, and only the fields that are set.
        "custom_fields": {} if track.loop is None else {"video_loop": track.loop},
        "extra_metadata": {}, "playlists": playlists,
        "links": {"self": f"{own}/file/{number}", "play": f"{own}/file/{number}/play"},
    }  # fmt: skip
