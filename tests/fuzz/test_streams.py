"""What the relay and other processes of the host send: RTMP, orders to the playout, what FFmpeg says of the sound."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from hook_service.library.profiles import BUILT_IN
from hook_service.monitor.flow import Flow
from hook_service.monitor.judge import Levels
from hook_service.monitor.rtmp import AUDIO, VIDEO, Demuxer, Message, Player, RtmpError, amf
from hook_service.playout.control import BadRequest, Control, Handler
from hook_service.playout.reactor import Reactor
from tests.fuzz.cases import VALUES, changed, fuzz, spoiled
from tests.unit.library.samples import frame
from tests.unit.playout.pieces import cuts, pieces


def chunk(kind: int, ms: int, body: bytes, *, stream: int = 4, size: int = 4096) -> bytes:
    """A message of RTMP in its chunks."""
    extended = ms >= 0xFFFFFF
    stamp = (0xFFFFFF if extended else ms).to_bytes(3, "big")
    more = ms.to_bytes(4, "big") if extended else b""
    head = bytes([stream]) + stamp + len(body).to_bytes(3, "big") + bytes([kind]) + b"\1\0\0\0" + more
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    return head + (bytes([0xC0 | stream]) + more).join(parts)


AAC = b"\xaf\1" + bytes(40)
SAMPLES = [
    chunk(1, 0, (4096).to_bytes(4, "big"), stream=2)
    + chunk(5, 0, (2_500_000).to_bytes(4, "big"), stream=2)
    + chunk(4, 0, b"\0\6\0\0\0\1", stream=2)
    + chunk(20, 0, amf("onStatus", 0.0, None, {"level": "status", "code": "NetStream.Play.Start"}), stream=3)
    + chunk(VIDEO, 0, frame(True, bytes(9000)))
    + b"".join(
        chunk(VIDEO, 33 * n, frame(False)) + chunk(AUDIO, 23 * n, b"\xaf\1" + bytes(40), stream=6) for n in range(4)
    )
    + chunk(VIDEO, 0x1000000, frame(True)),
    chunk(VIDEO, 5, frame(True, bytes(300)), size=128) + b"\x44\0\0\x21\0\0\x0b\x09" + frame(False)[:11],
    chunk(20, 0, amf("_error", 1.0, None), stream=3),
]


@fuzz("RTMP chunks", 8, data=spoiled(SAMPLES), at=cuts)
def test_chunks(data: bytes, at: list[int]) -> None:
    def read(parts: Iterator[bytes]) -> tuple[list[Message], bool]:
        demuxer, found = Demuxer(), []
        try:
            for part in parts:
                found += demuxer.feed(part)
        except RtmpError:
            return found, False
        return found, True

    whole, well = read(iter([data]))
    parts, also = read(pieces(data, at))
    assert well == also
    assert parts[: len(whole)] == whole
    assert sum(len(message.body) for message in parts) <= len(data)
    flow = Flow(BUILT_IN["720p30"])
    for number, message in enumerate(parts):
        if message.kind in (AUDIO, VIDEO):
            flow.take(message, number)
            flow.mark(number)
            assert flow.keyframe_interval is None or flow.keyframe_interval >= 0
            assert all(rate >= 0 for rate in flow.bitrates.values())


@fuzz("RTMP from the first byte", 3, data=spoiled([b"\3" + bytes(2 * 1536) + sample for sample in SAMPLES]), at=cuts)
def test_player(data: bytes, at: list[int]) -> None:
    player = Player("127.0.0.1:1935", "live", "demo")
    with contextlib.suppress(RtmpError):
        for piece in pieces(data, at):
            assert all(message.kind in (AUDIO, VIDEO) for message in player.feed(piece))
            player.take()


LEVELS = [b"lavfi.r128.M=-23.1\nlavfi.r128.S=-22\nlavfi.astats.Overall.Peak_level=-3\nframe:1\n" * 3]


@fuzz("levels", 3, data=spoiled(LEVELS), at=cuts)
def test_levels(data: bytes, at: list[int]) -> None:
    levels = Levels()
    found = [block for piece in pieces(data, at) for block in levels.feed(piece)]
    assert found == Levels().feed(data)
    assert all(value == value for block in found for value in block)


ORDERS = [{"op": "status"}, {"op": "switch", "loop": "a.mp4", "at": 1.5, "play_id": "1"}, {"op": "warm", "loop": "b"}]


@pytest.fixture(scope="module")
def control() -> Iterator[Control]:
    def switch(message: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(message.get("loop"), str):
            raise BadRequest("loop is not a path")
        return {"at": float(message["at"])}

    with tempfile.TemporaryDirectory(prefix="steadycast-fuzz-") as directory:
        reactor = Reactor()
        handlers: dict[str, Handler] = {
            "status": dict,
            "switch": switch,
            "warm": switch,
        }
        found = Control(reactor, Path(directory) / "control.sock", handlers)
        yield found
        found.close()


class Asked:
    """Stands for a client; what it is answered has to be a line of JSON."""

    following = False

    def __init__(self) -> None:
        self.answers = 0

    def send(self, data: bytes) -> None:
        for line in data.splitlines():
            assert isinstance(json.loads(line), dict)
            self.answers += 1


@fuzz(
    "orders to the playout",
    6,
    line=st.one_of(*(changed(order).map(lambda document: json.dumps(document).encode()) for order in ORDERS))
    | spoiled([json.dumps(order).encode() for order in ORDERS])
    | changed({"op": "events", "after": 3, "boot": None}, values=VALUES).map(lambda value: json.dumps(value).encode())
    | st.just(b"[" * 60_000),
)
def test_orders(control: Control, line: bytes) -> None:
    client = Asked()
    control._answer(client, line)  # type: ignore[arg-type]  # a client without a socket
    assert client.answers or client.following
