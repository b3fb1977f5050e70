"""What a mount sends: `python -m hook_service.playout.mount` reads its URL, and prints FFmpeg's name for it."""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

ANSWER_SECONDS = 2.0
# A mount's burst begins in the middle of a frame: left to guess, FFmpeg reads 3 to 4.5 s of it to be sure.
_DEMUXERS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/x-aac": "aac",
    "audio/ogg": "ogg",
    "application/ogg": "ogg",
}


def demuxer(url: str) -> str | None:
    """FFmpeg's name for what a mount says it sends, None where it says nothing known. Blocks for seconds at most."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = None
    try:
        connection = connect(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
        # GET, because not every server of streams answers HEAD; nothing but the header is read.
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("GET", path, headers={"User-Agent": "Steadycast"})
        kind = connection.getresponse().headers.get_content_type()
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        if connection is not None:
            connection.close()
    return _DEMUXERS.get(kind)


if __name__ == "__main__":
    # From standard input: an address may hold a password, and a command line is everyone's to read.
    print(demuxer(sys.stdin.read()) or "")
