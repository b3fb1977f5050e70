"""A real Icecast, and the sources that feed its mounts."""

import json
import secrets
import shutil
import signal
import socket
import threading
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.rig import child
from tests.rig.child import Child
from tests.rig.media import Song
from tests.rig.net import LOOPBACK, RigError, accepts, free_port, http, release_port, wait_until, write_private

CONFIG = """<icecast>
  <limits>
    <clients>200</clients><sources>20</sources><queue-size>524288</queue-size>
    <client-timeout>30</client-timeout><header-timeout>15</header-timeout><source-timeout>10</source-timeout>
    <burst-size>{burst}</burst-size>
  </limits>
  <authentication>
    <source-password>{password}</source-password><relay-password>{password}</relay-password>
    <admin-user>admin</admin-user><admin-password>{password}</admin-password>
  </authentication>
  <hostname>{host}</hostname>
  <listen-socket><port>{port}</port><bind-address>{host}</bind-address></listen-socket>
  <fileserve>0</fileserve>
  <paths>
    <basedir>{place}</basedir><logdir>{place}</logdir>
    <webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
  <security><chroot>0</chroot></security>
</icecast>
"""


class Icecast:
    """Icecast on loopback. As AzuraCast's does, it sends a new listener `burst` bytes of old sound first."""

    def __init__(self, run_dir: Path, port: int | None = None, burst: int = 65536) -> None:
        self.run_dir = run_dir
        self.port = free_port() if port is None else port
        self.password = secrets.token_urlsafe(18)
        user = child.unprivileged("icecast2")
        self.place = child.private_place(run_dir, "icecast", user)
        config = self.place / "icecast.xml"
        write_private(
            config,
            CONFIG.format(burst=burst, password=self.password, host=LOOPBACK, port=self.port, place=self.place),
        )
        if user is not None:
            shutil.chown(config, user)
        self.process = Child(
            "icecast",
            [child.find_program("icecast2"), "-c", str(config)],
            run_dir=run_dir,
            user=user,
            cwd=self.place,
        )

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self.process.start_until(lambda: accepts(self.port), 15)

    def stop(self) -> None:
        """End it; `start()` brings it back on the same port."""
        self.process.stop()

    def forget(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        child.forget_place(self.run_dir, "icecast")
        release_port(self.port)

    def url(self, mount: str = "/radio.mp3") -> str:
        """Where a listener finds the mount."""
        return f"http://{LOOPBACK}:{self.port}{mount}"

    def source_url(self, mount: str) -> str:
        """Where a source sends; holds the password."""
        return f"icecast://source:{self.password}@{LOOPBACK}:{self.port}{mount}"

    def mounts(self) -> dict[str, dict[str, Any]]:
        """The mounts that have a source now, by path, with what Icecast says of each."""
        try:
            _, body = http(f"http://{LOOPBACK}:{self.port}/status-json.xsl", timeout=2)
            # Icecast 2.4 writes a title it does not know as a bare dash, which is not JSON.
            stats = json.loads(body.replace(b'"title":-,', b'"title":null,'))["icestats"].get("source", [])
        except (OSError, json.JSONDecodeError):
            return {}
        found = stats if isinstance(stats, list) else [stats]
        return {"/" + source["listenurl"].split("/", 3)[3]: source for source in found if "listenurl" in source}

    def set_title(self, mount: str, title: str) -> None:
        """What AzuraCast does at a song change: the title travels in the sound's own metadata."""
        login = b64encode(f"admin:{self.password}".encode()).decode()
        query = f"mount={quote(mount)}&mode=updinfo&charset=UTF-8&song={quote(title)}"
        url = f"http://{LOOPBACK}:{self.port}/admin/metadata?{query}"
        status, body = http(url, headers={"Authorization": f"Basic {login}"})
        if status != 200:
            raise RigError(f"Icecast refused the title for {mount}: {status} {body[:200]!r}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Source:
    """An FFmpeg that feeds one mount in real time, from any FFmpeg input."""

    def __init__(
        self, icecast: Icecast, input_args: Sequence[str], mount: str = "/radio.mp3", name: str = ""
    ) -> None:
        self.icecast = icecast
        self.mount = mount
        self.process = Child(
            name or f"source{mount.replace('/', '-')}",
            [
                child.find_program("ffmpeg"), "-hide_banner", "-nostdin", "-loglevel", "warning",
                *input_args, "-content_type", "audio/mpeg", "-f", "mp3", icecast.source_url(mount),
            ],
            run_dir=icecast.run_dir,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until the mount is there."""
        self.process.start_until(lambda: self.mount in self.icecast.mounts(), 15)

    def stop(self) -> None:
        """End it: listeners are disconnected, the mount goes."""
        self.process.stop()
        if self.icecast.process.running:
            wait_until(lambda: self.mount not in self.icecast.mounts(), f"the end of {self.mount}", 10)

    def pause(self) -> None:
        """The source hangs: the mount stays, nothing comes."""
        self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`; FFmpeg then sends what it is behind at once."""
        self.process.send(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def tone(
    icecast: Icecast, mount: str = "/radio.mp3", *, hertz: int = 440, rate: int = 44100, channels: int = 2
) -> Source:
    """A source of one steady tone; `rate` and `channels` are those of the MP3 on the mount."""
    return Source(
        icecast,
        [
            "-re", "-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate={rate}",
            "-ac", str(channels), "-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0",
        ],
        mount,
    )  # fmt: skip


class Playlist(Source):
    """A source that plays songs one after the other, for ever."""

    def __init__(self, icecast: Icecast, songs: Sequence[Song], mount: str = "/radio.mp3") -> None:
        playlist = icecast.run_dir / f"playlist{mount.replace('/', '-')}.txt"
        playlist.write_text("".join(f"file '{song.path.resolve()}'\n" for song in songs))
        super().__init__(
            icecast,
            [
                "-re", "-f", "concat", "-safe", "0", "-stream_loop", "-1", "-i", str(playlist),
                "-c", "copy", "-write_xing", "0",
            ],
            mount,
        )  # fmt: skip


class Rubbish:
    """A source that sends bytes which are no sound, as fast as 128 kb/s would be."""

    def __init__(self, icecast: Icecast, mount: str = "/radio.mp3") -> None:
        self.icecast = icecast
        self.mount = mount
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send, name="rubbish", daemon=True)

    def _send(self) -> None:
        login = b64encode(f"source:{self.icecast.password}".encode()).decode()
        head = f"SOURCE {self.mount} ICE/1.0\r\nAuthorization: Basic {login}\r\nContent-Type: audio/mpeg\r\n\r\n"
        with socket.create_connection((LOOPBACK, self.icecast.port), timeout=5) as connection:
            connection.sendall(head.encode())
            while not self._end.wait(0.1):
                connection.sendall(secrets.token_bytes(1600))

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.mount in self.icecast.mounts(), f"rubbish on {self.mount}", 10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(5)
