"""Platforms that refuse, hang, or never read; RTMPS, SRT: the others never notice, and what is wrong can be seen."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.onair import assert_unbroken, metric, on_air, wait_frames
from tests.rig import child, nginx
from tests.rig.child import Child
from tests.rig.layout import Options
from tests.rig.net import LOOPBACK, accepts, free_port, release_port, wait_until
from tests.rig.platform import BlackHole, Capture, Platform
from tests.rig.station import Station

KEYS = {name: f"key-of-{name}-5b1e9c04" for name in ("closed", "taken", "silent", "stalls", "secure")}
STREAM_ID = "publish-77aa01"


@dataclass(slots=True)
class World:
    """A station, and the platforms it sends to."""

    station: Station
    hole: BlackHole
    slow: Platform
    squatter: Child
    received: Path

    def destination(self, name: str) -> dict[str, Any]:
        """What the API says of a destination."""
        items = self.station.api("destinations")["items"]
        return next(item for item in items if item["name"] == name)

    def up(self, name: str) -> float:
        return metric(self.station, "radio_destination_up", {"destination": name})


def squat(run_dir: Path, url: str) -> Child:
    """Someone else who publishes under a key."""
    return Child(
        "squatter",
        [
            child.find_program("ffmpeg"), "-v", "error", "-nostdin", "-re",
            "-f", "lavfi", "-i", "color=c=black:s=160x90:r=5", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo",
            "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-c:a", "aac", "-f", "flv", url,
        ],
        run_dir=run_dir,
    )  # fmt: skip


def tls(run_dir: Path, port: int, target: int) -> Child:
    """A TLS server in front of the platform, with a certificate that it has signed itself."""
    key, certificate, config = (run_dir / f"tls.{end}" for end in ("key", "crt", "conf"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    config.write_text(
        f"foreground = yes\npid =\nsyslog = no\n[rtmps]\naccept = {LOOPBACK}:{port}\nconnect = {LOOPBACK}:{target}\n"
        f"cert = {certificate}\nkey = {key}\n"
    )
    return Child("tls", [child.find_program("stunnel4"), str(config)], run_dir=run_dir)


def srt(run_dir: Path, port: int, received: Path) -> Child:
    """A listener that writes down what comes."""
    url = f"srt://{LOOPBACK}:{port}?mode=listener"
    argv = ["-v", "error", "-nostdin", "-y", "-i", url, "-map", "0", "-c", "copy", "-f", "mpegts", str(received)]
    return Child("srt", [child.find_program("ffmpeg"), *argv], run_dir=run_dir)


@pytest.fixture(scope="module")
def world(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("world")
    ports = {name: free_port() for name in ("closed", "secure", "srt")}
    received = place / "srt.ts"
    with ExitStack() as stack:
        hole = stack.enter_context(BlackHole())
        # Another platform, in a directory that its worker may enter.
        slow = Platform(place)
        stack.callback(slow.forget)
        slow.start()
        squatter = squat(place, f"{slow.url}/{KEYS['taken']}")
        stack.callback(squatter.stop)
        squatter.start_until(lambda: KEYS["taken"] in slow.streams(), 15)
        listener = srt(place, ports["srt"], received)
        stack.callback(listener.stop)
        listener.start()

        def configure(config: dict[str, Any]) -> None:
            destinations = config["stations"]["demo"]["destinations"]
            target = int(destinations["platform"]["url"].split(":")[2].split("/")[0])
            terminator = tls(place, ports["secure"], target)
            stack.callback(terminator.stop)
            terminator.start_until(lambda: accepts(ports["secure"]), 10)
            destinations |= {
                "closed": {"url": f"rtmp://{LOOPBACK}:{ports['closed']}/live2"},
                "taken": {"url": slow.url},
                "silent": {"url": hole.url},
                "stalls": {"url": slow.url},
                "secure": {"url": f"rtmps://{LOOPBACK}:{ports['secure']}/live2"},
                "srt": {"url": f"srt://{LOOPBACK}:{ports['srt']}"},
            }

        credentials = {f"demo.{name}.key": key for name, key in KEYS.items()}
        credentials["demo.srt.key"] = STREAM_ID
        options = Options(
            automation=False, switch_delay=0.0, fade_in=0.0, configure=configure, credentials=credentials
        )
        station = stack.enter_context(on_air(prepared, options))
        yield World(station, hole, slow, squatter, received)
        for port in ports.values():
            release_port(port)


@pytest.fixture
def good(world: World) -> Iterator[Capture]:
    """What the good platform receives during a test: everything."""
    with world.station.capture() as capture:
        yield capture
    assert_unbroken(capture)


def wait_state(world: World, name: str, states: set[str], seconds: float) -> None:
    wait_until(
        lambda: world.destination(name)["state"] in states,
        f"{name} {' or '.join(states)}, which is {world.destination(name)}",
        seconds,
    )


def test_rtmps(world: World, good: Capture) -> None:
    wait_state(world, "secure", {"RUNNING"}, 20)
    with world.station.platform.capture(KEYS["secure"], good.path.with_suffix(".secure")) as capture:
        wait_frames(capture, 90)
    assert_unbroken(capture)
    assert [one.end for one in world.station.platform.sessions(KEYS["secure"])][-1] is None


def test_srt(world: World, good: Capture) -> None:
    wait_state(world, "srt", {"RUNNING"}, 20)
    wait_until(lambda: world.received.exists() and world.received.stat().st_size > 2_000_000, "SRT's bytes", 20)
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,sample_rate,channels", "-of", "csv=p=0",
         str(world.received)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(probe.stdout.split()) == {"h264,1280", "aac,44100,2"}
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-i", str(world.received), "-t", "4", "-map", "0", "-f", "null", "-"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # The end of the file is still being written: only whole pictures count.
    assert decoded.returncode == 0
    assert "error" not in decoded.stderr.lower(), decoded.stderr


def test_refusals_are_seen_and_retried_with_backoff(world: World, good: Capture) -> None:
    station = world.station
    for name in ("closed", "taken"):
        wait_state(world, name, {"FAILED", "CRASHED"}, 40)
        told = world.destination(name)
        assert told["last_error"]
        assert KEYS[name] not in str(told)
        assert world.up(name) == 0
        assert metric(station, "radio_ffmpeg_restarts_total", {"process": f"destination:{name}"}) > 1
    # With pauses that grow, and half a minute between tries once it has failed.
    assert world.destination("closed")["restarts"] <= 12
    for text in (
        station.app_log.read_text(),
        station.metrics(),
        str(station.api("status")),
        str(station.api("errors")),
    ):
        assert not [key for key in KEYS.values() if key in text]


@pytest.mark.flaky(reruns=0)  # who has left does not come again
def test_free_again(world: World, good: Capture) -> None:
    """Who held the key has left: the destination gets in by itself."""
    assert world.destination("taken")["state"] != "RUNNING"
    world.squatter.stop()
    wait_state(world, "taken", {"RUNNING"}, 45)
    with world.slow.capture(KEYS["taken"], good.path.with_suffix(".taken")) as capture:
        wait_frames(capture, 30)
    assert_unbroken(capture, decode=False)
    assert world.up("taken") == 1


def test_accepts_and_says_nothing(world: World, good: Capture) -> None:
    restarts = world.destination("silent")["restarts"]
    wait_until(lambda: world.destination("silent")["restarts"] > restarts, "another try", 60, every=0.5)
    assert world.hole.accepted >= 2
    assert world.up("silent") == 0
    assert world.destination("silent")["last_error"]


def test_never_reads(world: World, good: Capture) -> None:
    """A platform that has taken the stream for a while reads no more: noticed, mended once it reads again."""
    wait_state(world, "stalls", {"RUNNING"}, 20)
    pid = world.destination("stalls")["pid"]
    world.slow.process.send_all(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        # The platform's kernel goes on taking what it has room for: up to tcp_rmem's 32 MB on today's.
        wait_until(lambda: world.destination("stalls")["pid"] != pid, "its end", 120)
        print("noticed after", round(time.monotonic() - begun, 1), "s")
        wait_until(lambda: world.up("stalls") == 0, "a word of it in the metrics", 15)
    finally:
        world.slow.process.send_all(signal.SIGCONT)
    wait_state(world, "stalls", {"RUNNING"}, 45)
    with world.slow.capture(KEYS["stalls"], good.path.with_suffix(".stalls")) as capture:
        wait_frames(capture, 30)


def test_the_good_one_has_had_one_session(world: World) -> None:
    sessions = world.station.platform.sessions(world.station.key())
    assert [one.end for one in sessions] == [None]
    assert nginx.streams(world.station.ports["platform_stat"], "live2")[world.station.key()]["publishing"] == 1
