"""The monitor on a real station: it sees and hears what a viewer would, and only complains where a viewer would."""

import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from hook_service import ipc
from hook_service.library import catalog
from hook_service.library.loopfile import open_loop
from hook_service.library.profiles import BUILT_IN
from hook_service.playout import adts, flv
from tests.integration.onair import metric, on_air, show
from tests.rig import media
from tests.rig.icecast import Source
from tests.rig.layout import Options
from tests.rig.net import LOOPBACK, http, wait_until
from tests.rig.station import MEDIA_CACHE, Station

KEY = "slow-5d1c3e7f9b2a4680"
PROFILE = BUILT_IN["720p30"]


class Strait:
    """A way to the platform that can be made as narrow as one likes, in bytes a second."""

    def __init__(self) -> None:
        self.rate = 1e9
        self._server = socket.create_server((LOOPBACK, 0))
        # What waits is to wait at the sender, and not here.
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port: int = self._server.getsockname()[1]
        self.to = 0
        threading.Thread(target=self._accept, name="strait", daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection((LOOPBACK, self.to))
                for one, other, rate in ((near, far, lambda: self.rate), (far, near, lambda: 1e9)):
                    threading.Thread(target=self._carry, args=(one, other, rate), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket, rate: Callable[[], float]) -> None:
        with suppress(OSError), one, other:
            while data := one.recv(16384):
                other.sendall(data)
                time.sleep(len(data) / rate())

    def close(self) -> None:
        """Let nobody through any more."""
        self._server.close()


@pytest.fixture(scope="module")
def strait() -> Iterator[Strait]:
    strait = Strait()
    yield strait
    strait.close()


@pytest.fixture(scope="module")
def station(prepared: Path, strait: Strait) -> Iterator[Station]:
    """A station that also sends through the strait."""

    def configure(config: dict[str, Any]) -> None:
        destinations = config["stations"]["demo"]["destinations"]
        ingest = destinations["platform"]["url"]
        strait.to = int(ingest.split(":")[2].split("/")[0])
        destinations["slow"] = {"url": ingest.replace(str(strait.to), str(strait.port))}

    options = Options(
        automation=False, switch_delay=0.0, fade_in=0.0, configure=configure, credentials={"demo.slow.key": KEY}
    )
    with on_air(prepared, options) as station:
        yield station


def onair(station: Station, name: str, **labels: str) -> float | None:
    """One of the monitor's metrics; None where there is no such series."""
    if f"radio_onair_{name}{{" not in station.metrics():
        return None
    return metric(station, f"radio_onair_{name}", labels)


def wait_onair(station: Station, name: str, value: float, seconds: float) -> None:
    wait_until(lambda: onair(station, name) == value, f"radio_onair_{name} {value:g}", seconds, every=0.2)


def test_what_a_viewer_gets(station: Station) -> None:
    show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    wait_onair(station, "up", 1, 10)
    wait_until(lambda: onair(station, "loudness_lufs") is not None, "its loudness", 20, every=0.2)
    wait_until(lambda: (onair(station, "frames_total", kind="video") or 0) > 400, "some pictures", 20, every=0.2)
    for name in ("black", "frozen", "silent"):
        assert onair(station, name) == 0
    assert -40 < (onair(station, "loudness_lufs") or 0) < -5
    assert -30 < (onair(station, "peak_dbfs") or 0) <= 1
    assert 1.9 < (onair(station, "keyframe_interval_seconds") or 0) < 2.1
    for kind, expected in (("video", PROFILE.video_kbps * 1000), ("audio", PROFILE.audio_kbps * 1000)):
        assert onair(station, "expected_bitrate_bps", kind=kind) == expected
        assert expected * 0.9 < (onair(station, "bitrate_bps", kind=kind) or 0) < expected * 1.1
        assert onair(station, "gaps_total", kind=kind) == 0
    told = station.api("status")["stations"]["demo"]["onair"]
    assert told["up"]
    assert told["keyframe_interval_seconds"] == 2.0


def test_the_picture_goes_black(station: Station) -> None:
    black = media.make(
        MEDIA_CACHE,
        "black.mp4",
        [
            "-f",
            "lavfi",
            "-i",
            "color=black:s=1280x720:r=30:d=6",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-f",
            "mp4",
        ],
    )
    (station.loops / "black.mp4").write_bytes(black.read_bytes())
    show(station, "black.mp4")
    station.wait_on_air("black.mp4", seconds=20)
    wait_onair(station, "black", 1, 12)
    # It is still, and so is its loop.
    assert onair(station, "frozen") == 0
    show(station, "coral.mp4")
    wait_onair(station, "black", 0, 6)


def test_the_sound_is_gone(station: Station) -> None:
    assert station.source is not None
    station.source.stop()
    silence = ["-re", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", "-c:a", "libmp3lame", "-b:a", "128k"]
    with Source(station.icecast, silence, name="silence"):
        wait_onair(station, "silent", 1, 30)
        assert (onair(station, "loudness_lufs") or 0) < -60
    station.source.start()
    wait_onair(station, "silent", 0, 15)


def gop_again_and_again(station: Station, loop: str, seconds: int) -> bytes:
    """FLV of the first GOP of a loop over and over, with the floor's sound."""
    library = station.run_dir / "library"
    source = catalog.recall(station.loops / loop, library)
    assert source is not None
    # Stations with other fades may have left theirs beside it: the cache of media is shared.
    with open_loop(catalog.prepared_dir(library, PROFILE.with_fade(0.0), source.sha256)) as prepared:
        bodies, avcc = [body for body, _ in prepared.read_gop(0)], prepared.avcc
    sounds = adts.split(catalog.floor(library, PROFILE.audio_kbps))
    video = [(n * 1000 // 30, flv.VIDEO, bodies[n % len(bodies)]) for n in range(seconds * 30)]
    audio = [
        (n * 10240 // 441, flv.AUDIO, flv.AUDIO_PREFIX + sounds[n % len(sounds)]) for n in range(seconds * 441 // 10)
    ]
    metadata = flv.metadata(PROFILE.width, PROFILE.height, 30, PROFILE.video_kbps, PROFILE.audio_kbps)
    out = flv.HEADER + flv.tag(flv.SCRIPT, 0, metadata) + flv.tag(flv.VIDEO, 0, flv.video_sequence_header(avcc))
    out += flv.tag(flv.AUDIO, 0, flv.AUDIO_SEQUENCE_HEADER)
    return out + b"".join(flv.tag(kind, ms, body) for ms, kind, body in sorted(video + audio, key=lambda f: f[:2]))


def test_the_picture_is_frozen(station: Station) -> None:
    """Somebody who is not the playout publishes one GOP of a loop that has five, which all move."""
    show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    wait_onair(station, "frozen", 0, 5)
    key = station.status()["timeline"]["relay_key"]
    with ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "again.flv"
        file.write_bytes(gop_again_and_again(station, "coral.mp4", 30))
        playout = station.services["playout-demo"]
        station.supervisor.stop(playout)
        stack.callback(station.supervisor.start, playout)
        publisher = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostdin", "-re", "-i", str(file), "-c", "copy", "-f", "flv",
             f"rtmp://{station.address('relay')}/live/{key}"]
        )  # fmt: skip
        stack.callback(publisher.wait)
        stack.callback(publisher.send_signal, signal.SIGKILL)
        wait_onair(station, "frozen", 1, 20)
        assert onair(station, "black") == 0
    wait_onair(station, "frozen", 0, 20)
    wait_onair(station, "up", 1, 5)


def test_nothing_comes_any_more(station: Station) -> None:
    playout = station.services["playout-demo"]
    station.supervisor.stop(playout)
    try:
        wait_onair(station, "up", 0, 12)
        assert onair(station, "black") is None
        assert onair(station, "bitrate_bps") is None
    finally:
        station.supervisor.start(playout)
    wait_onair(station, "up", 1, 15)


def test_nobody_looks(station: Station) -> None:
    monitor = station.services["monitor"]
    restarts = monitor.restarts
    monitor.send(signal.SIGSTOP)
    try:
        wait_onair(station, "up", 0, 5)
        assert onair(station, "frames_total") is None
        assert station.api("status")["stations"]["demo"]["onair"] is None
    finally:
        monitor.send(signal.SIGKILL)
    wait_until(lambda: monitor.restarts > restarts and monitor.state == "RUNNING", "another monitor", 10)
    wait_onair(station, "up", 1, 15)


def slow(station: Station, name: str, destination: str = "slow") -> float:
    return metric(station, f"radio_destination_{name}", {"destination": destination})


def test_a_platform_that_takes_too_little(station: Station, strait: Strait) -> None:
    def process(name: str) -> dict[str, Any]:
        status = ipc.request(station.run_dir / "run/output-demo.sock", {"op": "status"})
        return next(process for process in status["processes"] if process["name"] == f"destination:{name}")

    wait_until(lambda: process("slow")["state"] == "RUNNING", "the slow destination", 20)
    wait_until(lambda: process("slow")["lag_seconds"] is not None, "its lag", 10)
    # What it was given at its start, on a machine that starts much else, it may have to catch up with.
    wait_until(lambda: slow(station, "lag_seconds") < 1, "no lag", 60, every=0.2)
    strait.rate = PROFILE.video_kbps * 1000 / 8 * 0.3
    try:
        wait_until(lambda: slow(station, "queue_bytes") > 500_000, "a queue", 20, every=0.2)
        assert slow(station, "queue_bytes", "platform") < 300_000
        wait_until(lambda: slow(station, "lag_seconds") > 2, "a lag", 30, every=0.2)
        assert slow(station, "lag_seconds", "platform") < 1
    finally:
        strait.rate = 1e9
    wait_until(lambda: slow(station, "queue_bytes") < 300_000 and slow(station, "lag_seconds") < 1, "the end", 40)


def test_whoever_asks_can_watch_it(station: Station) -> None:
    """A player with a token reads the stream itself, and nothing is left of it when nobody does."""
    show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    header = {"Authorization": f"Bearer {station.secret('api-token')}"}
    at = f"{station.base_url}/preview/demo"
    files = station.run_dir / "run/preview/demo"
    assert not list(files.glob("*"))
    for name in ("live.m3u8", "still.mp4", "1.m4s"):
        assert http(f"{at}/{name}")[0] == 401
    assert http(f"{at}/1.m4s", headers=header)[0] == 404
    for name in ("radio.yml", "..%2F..%2Fradio.yml", ".live.m3u8.part"):
        assert http(f"{at}/{name}", headers=header)[0] == 404
    status, still = http(f"{at}/still.mp4", headers=header)
    assert status == 200
    wait_until(lambda: http(f"{at}/live.m3u8", headers=header)[0] == 200, "a list", 10, every=0.5)
    token = f"Authorization: {header['Authorization']}\r\n"
    watched = subprocess.run(
        ["ffmpeg", "-v", "error", "-headers", token, "-i", f"{at}/live.m3u8", "-t", "6", "-f", "framemd5", "-"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert not watched.stderr
    frames = [line.split(",") for line in watched.stdout.splitlines() if line[:1].isdigit()]
    assert len([frame for frame in frames if frame[0] == "0"]) == 180
    assert len([frame for frame in frames if frame[0] == "1"]) >= 255
    # What the file shows is the loop.
    shown = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", "-", "-f", "rawvideo", "-pix_fmt", "gray", "-"],
        input=still, capture_output=True, check=True,
    )  # fmt: skip
    assert (shown.stderr, len(shown.stdout)) == (b"", 1280 * 720)
    wait_until(lambda: not list(files.glob("*")), "nothing of it left", 20, every=0.5)
