"""Webhooks at a constant rate over keep-alive connections, and how long each took to be answered.

Open loop: a request is due at its time whether or not the ones before it have been answered, and its latency counts
from when it was due. A server that stalls is not let off by a client that waits for it.

    python -m tests.bench.webhooks http://127.0.0.1:9000/webhook/azuracast azuracast PASSWORD --rate 1000 --seconds 30
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONNECTIONS = 32


@dataclass(slots=True)
class Latencies:
    """What came of a run. Times are in seconds, `statuses` counts answers by HTTP status (0: no answer)."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def quantile(self, q: float) -> float:
        """The latency that the share `q` of all requests stayed at or under."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("inf")

    def summary(self) -> dict[str, object]:
        """The figures, times in milliseconds."""
        return {
            "requests": sum(self.statuses.values()),
            "per_second": round(len(self.times) / self.seconds, 1) if self.seconds else 0.0,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            **{f"p{q * 100:g}_ms": round(self.quantile(q) * 1000, 2) for q in (0.5, 0.95, 0.99, 0.999)},
            "max_ms": round(max(self.times, default=float("inf")) * 1000, 2),
        }


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on it."""

    def __init__(self, free: deque[_Connection], result: Latencies) -> None:
        self._free = free
        self._result = result
        self._buffer = b""
        self._due = 0.0
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.busy = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._free.append(self)

    def send(self, due: float, request: bytes) -> None:
        assert self.transport is not None
        self.busy, self._due = True, due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._result.times.append(time.perf_counter() - self._due)
        self._result.statuses[int(head[9:12])] += 1
        self.busy = False
        if self.waiting:
            self.send(*self.waiting.popleft())
        else:
            self._free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._free:
            self._free.remove(self)
        lost = int(self.busy) + len(self.waiting)
        if lost:
            self._result.statuses[0] += lost
        self.busy = False
        self.waiting.clear()


async def drive(
    url: str, user: str, password: str, bodies: Sequence[bytes], rate: float, seconds: float
) -> Latencies:
    """POST `bodies`, in turn and over again, `rate` times a second for `seconds` seconds, with Basic auth."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    coded = base64.b64encode(f"{user}:{password}".encode()).decode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Basic {coded}\r\n"
        "User-Agent: AzuraCast\r\nContent-Type: application/json\r\nContent-Length: "
    )
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    result = Latencies()
    free: deque[_Connection] = deque()
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(free, result), host, port))[1] for _ in range(CONNECTIONS)
    ]
    count = int(rate * seconds)
    begin = time.perf_counter()
    for number in range(count):
        due = begin + number / rate
        # Sleeping is coarse: whatever is due by now is sent in one go.
        while (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        request = requests[number % len(requests)]
        if free:
            free.popleft().send(due, request)
        else:
            connections[number % CONNECTIONS].waiting.append((due, request))
    deadline = time.perf_counter() + 10
    while sum(result.statuses.values()) < count and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    if unanswered := count - sum(result.statuses.values()):
        result.statuses[0] += unanswered
    result.seconds = max(seconds, time.perf_counter() - begin) if result.times else seconds
    for connection in connections:
        if connection.transport is not None:
            connection.transport.close()
    return result


def now_playing(station: str, number: int, played_at: int, titles: Sequence[str] = ("Test Tone",)) -> bytes:
    """A body of the size and shape that AzuraCast sends (about 6 KB), for the play `number` of the station."""
    base = "https://radio.example.org"

    def song(index: int) -> dict[str, object]:
        title = titles[index % len(titles)]
        return {
            "id": f"{index:032x}",
            "art": f"{base}/api/station/{station}/art/{index:024x}-1700000000.jpg",
            "custom_fields": [],
            "text": f"Caf\u00e9 Orchestra - {title} {index}",
            "artist": "Caf\u00e9 Orchestra",
            "title": f"{title} {index}",
            "album": "Night Shift / Fr\u00fchdienst",
            "genre": "Ambient",
            "isrc": "DEAB12300001",
            "lyrics": "",
        }

    def mount(index: int) -> dict[str, object]:
        return {
            "id": index,
            "name": f"/radio-{index}.mp3 ({96 * index}kbps MP3)",
            "url": f"{base}/listen/{station}/radio-{index}.mp3",
            "bitrate": 96 * index,
            "format": "mp3",
            "listeners": {"total": 12, "unique": 11, "current": 12},
            "path": f"/radio-{index}.mp3",
            "is_default": index == 1,
        }

    body = {
        "station": {
            "id": 1,
            "name": "Demo FM",
            "shortcode": station,
            "description": "A station that is always there.",
            "frontend": "icecast",
            "backend": "liquidsoap",
            "timezone": "Europe/Berlin",
            "listen_url": f"{base}/listen/{station}/radio.mp3",
            "url": base,
            "public_player_url": f"{base}/public/{station}",
            "playlist_pls_url": f"{base}/public/{station}/playlist.pls",
            "playlist_m3u_url": f"{base}/public/{station}/playlist.m3u",
            "is_public": True,
            "requests_enabled": False,
            "mounts": [mount(index) for index in range(1, 4)],
            "remotes": [],
            "hls_enabled": False,
            "hls_is_default": False,
            "hls_url": None,
            "hls_listeners": 0,
        },
        "listeners": {"total": 36, "unique": 33, "current": 36},
        "live": {"is_live": False, "streamer_name": "", "broadcast_start": None, "art": None},
        "now_playing": {
            "sh_id": 1000 + number,
            "played_at": played_at,
            "duration": 214,
            "playlist": "Rotation",
            "streamer": "",
            "is_request": False,
            "song": song(number),
            "elapsed": 2,
            "remaining": 212,
        },
        "playing_next": {
            "cued_at": played_at + 200,
            "played_at": played_at + 214,
            "duration": 190.5,
            "playlist": "Rotation",
            "is_request": False,
            "song": song(number + 1),
        },
        "song_history": [
            {
                "sh_id": 1000 + number - back,
                "played_at": played_at - 200 * back,
                "duration": 200,
                "playlist": "Rotation",
                "streamer": "",
                "is_request": False,
                "song": song(number + 5000 - back),
            }
            for back in range(1, 6)
        ],
        "is_online": True,
        "cache": "event",
    }
    return json.dumps(body).encode()


def main() -> None:
    """One run against a server that is up, printed as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("url")
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--station", default="demo")
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--tracks", type=int, default=30, help="different tracks in a run")
    options = parser.parse_args()
    began = int(time.time())
    # As AzuraCast does it: each track's body comes many times over, then the next track's.
    total = int(options.rate * options.seconds)
    bodies = []
    for number in range(options.tracks):
        bodies += [now_playing(options.station, number, began + number)] * max(1, total // options.tracks)
    result = asyncio.run(drive(options.url, options.user, options.password, bodies, options.rate, options.seconds))
    print(json.dumps(result.summary(), indent=2))


if __name__ == "__main__":
    main()
