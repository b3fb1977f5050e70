"""The world outside, run in a host of its own: Icecast with demo songs, an ingest, and an AzuraCast.

The servers are the rig's and listen on loopback; this passes connections from outside on to them. What tests ask and
order goes over HTTP on port 8090, as JSON:

    GET  /songs                          what the mount plays, and which loop belongs to each
    GET  /streams                        what the ingest receives, by key
    GET  /sessions?key=K                 every publish there has been
    GET  /picture?key=K&seconds=2        the loops in what a viewer receives, from decoded frames
    POST /watch                          {key: K}: a viewer comes; answered once it sees the stream
    POST /watched                        {key: K}: it goes, and tells what it has received, as /picture does
    GET  /await?key=K&loop=L&seconds=20  the same, until that loop is seen
    GET  /ports?host=H                   the ports of a host that answer here: every one of TCP, the usual ones of UDP
    POST /webhook                        {url, user, password, station, track: {artist, title, …}}, as AzuraCast does
    POST /platform                       {up: true or false}: the ingest goes away, and comes back
    POST /automation                     {stations: […], webhooks: [[url, user, password], …]}: play as AzuraCast does
    POST /azuracast                      {up: true or false}: it goes away with webhooks, event stream and API
    POST /skip                           the song that plays ends, the next one begins
    POST /authority                      {}: where certificates are given by ACME, and the certificate of that server
    POST /sound                          {kind: …}: what is wrong with the sound, see tests.hosts.sound
    GET  /begun                          the songs that have begun, each with its Unix time and length

Until that order the mount has a light source without titles. Then Liquidsoap takes its place, and an AzuraCast serves
its API on port 8010. With a later order that AzuraCast is set up anew.

The ingest is reached on port 1937 too: a second destination, to which the network can be cut alone.
"""

import asyncio
import fcntl
import json
import re
import signal
import subprocess
import threading
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.hosts.authority import Authority
from tests.hosts.sound import Sound
from tests.rig import azuracast, child, media
from tests.rig.azuracast import AzuraCast, Track
from tests.rig.icecast import Icecast, Playlist
from tests.rig.layout import MOUNT, PORTS
from tests.rig.net import LOOPBACK, RigError, wait_until
from tests.rig.platform import Capture, Platform
from tests.rig.radio import Began, Radio, rotation

PORT = 8090
SECOND_PORT = 1937
STATE = Path("/var/lib/studio")
MEDIA = Path("/var/cache/studio")
# What hosts are asked for from all over the world, and the numbers of what listens on ours.
UDP_PORTS = (
    "7,19,53,67,69,111,123,137,138,161,162,177,389,443,500,514,520,623,631,1194,1434,1604,1701,1812,1900,1935,2049,"
    "3283,3478,3702,4500,5060,5093,5351,5353,5432,5683,8080,9000,9090,9093,9100,10001,11211,17185,27015,51820"
)
# Port from outside: port on loopback.
_FORWARDED = {PORTS[name]: PORTS[name] for name in ("icecast", "platform", "platform_stat", "azuracast")} | {
    SECOND_PORT: PORTS["platform"]
}


class Studio:
    """The servers, and what can be asked of them."""

    def __init__(self) -> None:
        MEDIA.mkdir(exist_ok=True)
        # Several studios share what is generated.
        with (MEDIA / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            media.make_all(MEDIA, MEDIA / "short-loops", loop_seconds=4)
            self.songs = media.make_all(MEDIA, MEDIA / "loops")
        self.icecast = Icecast(STATE, PORTS["icecast"])
        self.platform = Platform(STATE, PORTS["platform"], PORTS["platform_stat"])
        self.icecast.start()
        self.playlist = Playlist(self.icecast, self.songs, MOUNT)
        self.playlist.start()
        self.platform.start()
        self.radio: Radio | None = None
        self.azuracast: AzuraCast | None = None
        self.sound: Sound | None = None
        self.authority: Authority | None = None
        self._count = 0
        self._viewers: dict[str, Capture] = {}

    def stop(self) -> None:
        """End everything."""
        if self.sound is not None:
            self.sound.restore()
        for server in (self.authority, self.platform, self.azuracast, self.radio, self.playlist, self.icecast):
            if server is not None:
                server.stop()

    def picture(self, key: str, seconds: float = 2.0) -> dict[str, Any]:
        """What a viewer receives for so long."""
        self._count += 1
        path = STATE / f"capture-{self._count}.flv"
        try:
            with self.platform.capture(key, path) as capture:
                time.sleep(seconds)
                return _seen(capture)
        finally:
            path.unlink(missing_ok=True)

    def watch(self, key: str) -> None:
        """A viewer who stays until `watched`."""
        self._count += 1
        viewer = self.platform.capture(key, STATE / f"capture-{self._count}.flv")
        viewer.start()
        self._viewers[key] = viewer
        wait_until(lambda: viewer.frames > 30, "the first second of the stream", 20)

    def watched(self, key: str) -> dict[str, Any]:
        """What that viewer has received, up to a second from now."""
        viewer = self._viewers.pop(key)
        try:
            frames = viewer.frames
            wait_until(lambda: viewer.frames > frames + 30, "one second more of it", 20)
            return _seen(viewer)
        finally:
            viewer.stop()
            viewer.path.unlink(missing_ok=True)

    def await_loop(self, key: str, loop: str, seconds: float = 20.0) -> dict[str, Any]:
        """Look until a viewer sees this loop."""
        began = time.monotonic()
        seen: list[str | None] = []
        while True:
            try:
                last = self.picture(key, 0.5)["loops"][-1][0]
            except (RigError, IndexError, OSError):
                last = None
            if last == loop:
                return {"loop": loop, "seconds": round(time.monotonic() - began, 1), "before": seen}
            if seen[-1:] != [last]:
                seen.append(last)
            if time.monotonic() - began > seconds:
                raise RigError(f"{loop} is not seen at the platform after {seconds:g} s; seen: {seen}")

    def ports(self, host: str) -> dict[str, list[int]]:
        """What answers of all TCP ports, and of the usual UDP ones; a firewall that drops makes this take seconds."""
        # nmap sends to each UDP port what its usual service would answer.
        ways = {"tcp": ["-p-", "--min-rate=8000"], "udp": ["-sU", f"-p{UDP_PORTS}", "--min-rate=200"]}
        found = {}
        for kind, options in ways.items():
            done = subprocess.run(
                ["nmap", "-Pn", "-n", *options, "-T5", "--max-retries=1", "-oG", "-", host],
                capture_output=True, text=True, check=True, timeout=120,
            )  # fmt: skip
            found[kind] = sorted(int(port) for port in re.findall(rf"(\d+)/open/{kind}", done.stdout))
        return found

    def webhook(self, order: dict[str, Any]) -> int:
        """Send one track's webhook; the status of the answer."""
        message = azuracast.body(order["station"], Track(**order["track"]))
        return azuracast.send(order["url"], order["user"], order["password"], message)

    def set_platform(self, up: bool) -> None:
        """A platform that is away, and one that is back."""
        if up:
            self.platform.start()
        else:
            self.platform.stop()

    def automate(self, order: dict[str, Any]) -> None:
        """Play and tell as AzuraCast does: to these webhooks, and to whoever asks for these stations."""
        before, playing = self.azuracast, self.radio
        if before is not None:
            before.stop()
        webhooks = [(url, user, password) for url, user, password in order["webhooks"]]
        log = STATE / "log/azuracast.log"
        self.azuracast = AzuraCast(order["stations"], webhooks, port=PORTS["azuracast"], log=log)
        for library in self.azuracast.library.values():
            library += [track for track, _ in rotation(self.songs)]
        self.azuracast.start()
        if playing is None:
            self.playlist.stop()
            self.radio = Radio(STATE, self.icecast, MOUNT, songs=rotation(self.songs), on_begin=self._announce)
            self.radio.start()
            self.sound = Sound(self.icecast, self.radio, MEDIA)
        elif playing.begun:
            self._announce(playing.begun[-1])

    def set_azuracast(self, up: bool) -> None:
        """An AzuraCast that is away while its radio plays on, and one that is back."""
        if self.azuracast is None or self.radio is None:
            raise RigError("there is no AzuraCast: order /automation first")
        if not up:
            self.azuracast.stop()
            return
        self.azuracast.start()
        if self.radio.begun:
            self._announce(self.radio.begun[-1])

    def skip(self) -> None:
        """The next song, now."""
        if self.radio is None:
            raise RigError("nothing plays songs: order /automation first")
        self.radio.skip()

    def break_sound(self, kind: str) -> None:
        """See Sound."""
        if self.sound is None:
            raise RigError("nothing plays songs: order /automation first")
        self.sound.set(kind)

    def begun(self) -> list[dict[str, Any]]:
        """Every song so far."""
        begun = list(self.radio.begun) if self.radio is not None else []
        return [
            {"artist": one.track.artist, "title": one.track.title, "at": one.at, "seconds": one.track.duration}
            for one in begun
        ]

    def give_certificates(self) -> dict[str, str]:
        """From now on; asked again, the same."""
        if self.authority is None:
            self.authority = Authority(STATE, "studio")
            self.authority.start()
        return {"directory": self.authority.directory, "certificate": self.authority.certificate.read_text()}

    def _announce(self, began: Began) -> None:
        if self.azuracast is not None and self.radio is not None:
            self.azuracast.begin(began.track, began.at, next=self.radio.after(began.track))


def _seen(capture: Capture) -> dict[str, Any]:
    analysis = capture.finish(decode=False)
    return {"loops": media.runs(media.read_pictures(capture.path)), **analysis.as_dict()}


class _Handler(BaseHTTPRequestHandler):
    studio: Studio

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        key = query.get("key", "")
        answers = {
            "/songs": lambda: [
                {"artist": song.artist, "title": song.title, "loop": song.loop} for song in self.studio.songs
            ],
            "/streams": self.studio.platform.streams,
            "/sessions": lambda: [asdict(session) for session in self.studio.platform.sessions(key)],
            "/picture": lambda: self.studio.picture(key, float(query.get("seconds", 2))),
            "/await": lambda: self.studio.await_loop(key, query["loop"], float(query.get("seconds", 20))),
            "/ports": lambda: self.studio.ports(query["host"]),
            "/begun": self.studio.begun,
        }
        self._answer(answers.get(parts.path))

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answers = {
            "/webhook": lambda: {"status": self.studio.webhook(order)},
            "/platform": lambda: self.studio.set_platform(order["up"]),
            "/automation": lambda: self.studio.automate(order),
            "/azuracast": lambda: self.studio.set_azuracast(order["up"]),
            "/skip": self.studio.skip,
            "/authority": self.studio.give_certificates,
            "/watch": lambda: self.studio.watch(order["key"]),
            "/watched": lambda: self.studio.watched(order["key"]),
            "/sound": lambda: self.studio.break_sound(order["kind"]),
        }
        self._answer(answers.get(self.path))

    def _answer(self, question: Any) -> None:
        try:
            status, answer = (200, question()) if question else (404, {"error": f"nothing at {self.path}"})
        except (RigError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            status, answer = 502, {"error": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads a log of questions."""


async def _pass_on(port: int, address: str, to: int) -> None:
    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    server = await asyncio.start_server(accept, address, port)
    await server.serve_forever()


async def _forward(address: str) -> None:
    await asyncio.gather(*(_pass_on(port, address, to) for port, to in _FORWARDED.items()))


def _own_address() -> str:
    """The one that other hosts of the group know."""
    said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    return said.stdout.split()[0]


def main() -> None:
    """Serve until SIGTERM."""
    child.become_subreaper()
    studio = Studio()
    threading.Thread(target=asyncio.run, args=(_forward(_own_address()),), daemon=True).start()
    _Handler.studio = studio
    server = ThreadingHTTPServer(("", PORT), _Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    try:
        server.serve_forever()
    finally:
        studio.stop()


if __name__ == "__main__":
    main()
