"""A second nginx-rtmp that stands in for the platform, and what it has seen of whom."""

import re
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig import flvread, nginx
from tests.rig.child import Child
from tests.rig.flvread import AUDIO, VIDEO, Analysis, Tag
from tests.rig.layout import PLATFORM_APP as APP
from tests.rig.net import LOOPBACK, RigError, accepts, free_port, release_port, wait_until
from tests.rig.reader import Reader
from tests.rig.rtmp import Player

CONFIG = """worker_processes 1;
daemon off;
{user}
pid {place}/platform.pid;
# At this level nginx-rtmp says who published what, and when it left; the keys in it are the rig's own.
error_log {place}/platform-events.log info;
load_module {module};
events {{ worker_connections 512; }}
rtmp {{
    access_log off;
    server {{
        listen {host}:{rtmp};
        max_message 8M;
        out_queue 4096;
        application {app} {{
            live on;
            wait_key off;
            wait_video off;
            idle_streams on;
            allow publish {host};
            deny publish all;
        }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen {host}:{stat};
        location = /stat {{ rtmp_stat all; }}
        location / {{ return 404; }}
    }}
}}
"""

_LINE = re.compile(
    r"(?P<when>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[\w+\] \d+#\d+: \*(?P<connection>\d+) (?P<what>.*?)(?:, client: .*)?$"
)
_PUBLISH = re.compile(r"publish: name='(?P<key>[^']*)'")
_STARTED = re.compile(r"(?P<when>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[notice\] \d+#\d+: start worker processes$")


@dataclass(slots=True)
class Session:
    """One publisher's connection to the platform: Unix times to the second, `end` None while it lasts."""

    connection: int
    key: str
    begin: float
    end: float | None = None
    refused: bool = False


class Platform:
    """An ingest on loopback. Everything an operator's platform would notice can be asked of it."""

    def __init__(self, run_dir: Path, port: int | None = None, stat_port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self.stat_port = free_port() if stat_port is None else stat_port
        self.place = run_dir / "platform"
        self.place.mkdir(parents=True, exist_ok=True)
        self.events = self.place / "platform-events.log"
        self.events.unlink(missing_ok=True)
        user = f"user {account};" if (account := nginx.account()) else ""
        config = self.place / "platform.conf"
        config.write_text(
            CONFIG.format(
                user=user, place=self.place.resolve(), module=nginx.module(), app=APP,
                host=LOOPBACK, rtmp=self.port, stat=self.stat_port,
            )
        )  # fmt: skip
        self.process = Child("platform", [nginx.program(), "-c", str(config.resolve())], run_dir=run_dir)

    @property
    def url(self) -> str:
        """The ingest, without a key."""
        return f"rtmp://{LOOPBACK}:{self.port}/{APP}"

    @property
    def stat_url(self) -> str:
        """Its statistics, as XML."""
        return f"http://{LOOPBACK}:{self.stat_port}/stat"

    def start(self) -> None:
        """Start it and wait until both ports accept."""
        self.process.start_until(lambda: accepts(self.port) and accepts(self.stat_port), 10)

    def stop(self) -> None:
        """End it: every publisher and reader is disconnected."""
        self.process.stop()

    def forget(self) -> None:
        """Stop it and give its ports back."""
        self.stop()
        release_port(self.port)
        release_port(self.stat_port)

    def streams(self) -> dict[str, dict[str, int]]:
        """What it receives now, by key; see `nginx.streams`."""
        return nginx.streams(self.stat_port, APP)

    def sessions(self, key: str | None = None) -> list[Session]:
        """Every publish there has been, in order, of one key or of all; refused ones too, marked so."""
        found: list[Session] = []
        open_now: dict[int, Session] = {}
        for line in self.events.read_text(errors="replace").splitlines() if self.events.exists() else ():
            match = _LINE.match(line) or _STARTED.match(line)
            if match is None:
                continue
            when = time.mktime(time.strptime(match["when"], "%Y/%m/%d %H:%M:%S"))
            if match.re is _STARTED:
                # It was stopped or killed, and has said nothing of the sessions that it had.
                while open_now:
                    open_now.popitem()[1].end = when
                continue
            connection, what = int(match["connection"]), match["what"]
            if published := _PUBLISH.match(what):
                session = Session(connection, published["key"], when)
                found.append(session)
                open_now[connection] = session
            elif connection in open_now and "already publishing" in what.lower():
                open_now[connection].refused = True
            elif connection in open_now and (what.startswith(("disconnect", "deleteStream", "closeStream"))):
                open_now.pop(connection).end = when
        return [session for session in found if key is None or session.key == key]

    def wait_for(self, key: str, seconds: float = 30.0) -> None:
        """Return when both sound and picture of a key have come for a moment; RigError after `seconds`."""
        before = self.streams().get(key, {}).get("bytes_in", 0)

        def grows() -> bool:
            return self.streams().get(key, {}).get("bytes_in", 0) > before + 20_000

        wait_until(grows, f"{key} at the platform", seconds, every=0.1, log=self.events)
        deadline = time.monotonic() + seconds
        seen: set[int] = set()
        with Player(f"{self.url}/{key}", timeout=seconds) as player:
            for _, tag in player:
                if tag.is_frame:
                    seen.add(tag.kind)
                if {AUDIO, VIDEO} <= seen:
                    return
                if time.monotonic() > deadline:
                    break
        raise RigError(
            f"{key} at the platform: {'sound' if AUDIO in seen else 'picture' if seen else 'nothing'} only"
        )

    def capture(self, key: str, path: Path) -> "Capture":
        """Begin to write down what a reader of this key receives."""
        return Capture(f"{self.url}/{key}", path)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Capture(Reader):
    """A reader that writes FLV exactly as it comes, from the first keyframe on, and notes when each frame came.

    `arrivals` has a (Unix time, tag without its body's rest) for every frame in the file, which is whole once the
    capture was stopped.
    """

    def __init__(self, url: str, path: Path) -> None:
        super().__init__(url)
        self.path = path
        self.arrivals: list[tuple[float, Tag]] = []

    def read(self) -> None:
        """With the file open."""
        with self.path.open("wb") as self._file:
            self._file.write(flvread.HEADER)
            super().read()

    def take(self, at: float, tag: Tag) -> None:
        """Write it down."""
        self._file.write(flvread.encode(tag))
        if tag.is_frame:
            self.arrivals.append((at, Tag(tag.kind, tag.time, tag.body[:2])))

    def finish(self, *, decode: bool = True) -> Analysis:
        """Stop, and analyse what came; RigError when the capture ended before it was told to."""
        self.stop()
        if self.error:
            raise RigError(f"the capture of {self.url} broke off: {self.error}") from self.error
        return flvread.analyse(self.path, decode=decode)

    @property
    def frames(self) -> int:
        """How many pictures came until now."""
        return sum(tag.kind == VIDEO for _, tag in list(self.arrivals))


class BlackHole:
    """A platform that accepts every connection and never reads a byte nor answers one."""

    def __init__(self) -> None:
        self.port = free_port()
        self.accepted = 0
        self._connections: list[socket.socket] = []
        self._server = socket.create_server((LOOPBACK, self.port))
        self._thread = threading.Thread(target=self._run, name="black hole", daemon=True)

    @property
    def url(self) -> str:
        """The ingest, without a key."""
        return f"rtmp://{LOOPBACK}:{self.port}/{APP}"

    def _run(self) -> None:
        try:
            while True:
                self._connections.append(self._server.accept()[0])
                self.accepted += 1
        except OSError:
            return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        for connection in self._connections:
            connection.close()
        release_port(self.port)
