"""The FFmpeg that looks and listens, with a stream of every kind of frame."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator

import pytest

from hook_service.monitor.decoder import Decoder
from hook_service.monitor.judge import PICTURE_BYTES, is_black
from hook_service.monitor.rtmp import Message
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import State
from tests.rig import flvread
from tests.unit.playout.helpers import run_for, run_until

# FFmpeg's sine is -18 dBFS; it is made quieter, and quieter again when it is put into two channels.
PEAK = -23.0
PICTURE = "color=black:s=320x180:r=10:d=3[a];color=white:s=320x180:r=10:d=3[b];[a][b]concat=n=2"


@pytest.fixture(scope="module")
def stream() -> list[Message]:
    """Three seconds of black, three of white, a keyframe each second; a tone of 1 kHz in both channels."""
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", PICTURE,
         "-f", "lavfi", "-i", "sine=1000:r=44100:d=6,volume=0.8,aformat=channel_layouts=stereo",
         "-c:v", "libx264", "-g", "10", "-sc_threshold", "0", "-bf", "0", "-pix_fmt", "yuv420p",
         "-c:a", "aac", "-f", "flv", "pipe:1"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return [Message(tag.kind, tag.time, tag.body) for tag in flvread.read(io.BytesIO(made)) if tag.kind != 18]


class World:
    """A decoder, and what it has found."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.pictures: list[tuple[int, bytes, bytes]] = []
        self.levels: list[tuple[float, float, float]] = []
        self.decoder = Decoder(
            self.reactor,
            "demo",
            lambda *found: self.pictures.append(found),
            lambda *found: self.levels.append(found),
        )
        self.reactor.every(0.05, self.decoder.look)

    def play(self, stream: list[Message], pictures: int) -> None:
        for message in stream:
            self.decoder.take(message)
        run_until(self.reactor, lambda: len(self.pictures) >= pictures and len(self.levels) >= 30)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.decoder.want(True)
    run_until(world.reactor, lambda: world.decoder.process.pid is not None)
    yield world
    world.decoder.want(False)
    run_until(world.reactor, lambda: world.decoder.process.pid is None)


def test_what_is_seen_and_heard(world: World, stream: list[Message]) -> None:
    world.play(stream, 4)
    keyframes = [message for message in stream if message.kind == 9 and message.body[:2] == b"\x17\x01"]
    assert [(ms, body) for ms, body, _ in world.pictures[:4]] == [(m.ms, m.body) for m in keyframes[:4]]
    assert all(len(picture) == PICTURE_BYTES for _, _, picture in world.pictures)
    assert [is_black(picture) for _, _, picture in world.pictures[:4]] == [True, True, True, False]
    momentary, short_term, peak = world.levels[29]
    # A tone of 1 kHz in both channels is as loud as it is high (BS.1770).
    assert peak == pytest.approx(PEAK, abs=0.5)
    assert momentary == pytest.approx(PEAK, abs=0.5)
    assert short_term == pytest.approx(PEAK, abs=0.5)
    assert world.decoder.process.state is State.RUNNING


def test_another_one_begins_with_the_next_keyframe(world: World, stream: list[Message]) -> None:
    world.play(stream, 3)
    before = world.decoder.process.pid
    world.decoder.process.kill("the test says so")
    run_until(world.reactor, lambda: world.decoder.process.pid not in (None, before))
    world.pictures.clear()
    world.levels.clear()
    # It is in the middle of things: it has its configuration from before.
    world.play([message for message in stream if message.body[1] == 1][5:], 3)
    assert [is_black(picture) for _, _, picture in world.pictures[:3]] == [True, True, False]


def test_nothing_is_kept_for_one_that_is_not_wanted(world: World, stream: list[Message]) -> None:
    world.play(stream, 3)
    world.decoder.want(False)
    for message in stream:
        world.decoder.take(message)
    assert not world.decoder._out
    run_until(world.reactor, lambda: world.decoder.process.pid is None)
    run_for(world.reactor, 0.2)
    assert world.decoder.process.state is State.STOPPED
