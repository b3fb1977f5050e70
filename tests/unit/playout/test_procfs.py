"""What waits in a process's sockets, and how far a destination is behind."""

from __future__ import annotations

import contextlib
import os
import socket
from types import SimpleNamespace
from typing import cast

from hook_service.playout.destination import Lag
from hook_service.playout.process import Process
from hook_service.playout.procfs import cpu_seconds, in_table, queued_bytes
from hook_service.playout.supervise import State

# As Linux prints it.
TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:078F 0100007F:D2C4 01 0000A000:00000010 01:00000014 00000000  1000        0 4711 2 0000000000000000 20
   1: 0100007F:078F 0100007F:D2C5 01 00000001:00000000 01:00000014 00000000  1000        0 4712 2 0000000000000000 20
   2: 0100007F:078F 0100007F:D2C6 01 00000001:00000000 01:00000014 00000000  1000        0 471 2 0000000000000000 20
"""


def test_cpu_time_is_read() -> None:
    mine = cpu_seconds(os.getpid())
    assert mine is not None
    assert mine > 0.05
    assert cpu_seconds(None) is None
    assert cpu_seconds(2**22 + 1) is None


def test_the_kernels_table() -> None:
    assert in_table(TABLE.splitlines(), {"4711", "4712"}) == 0xA001
    assert in_table(TABLE.splitlines(), set()) == 0


def test_what_nobody_reads_is_counted() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sender,
        server.accept()[0],
    ):
        before = queued_bytes(os.getpid())
        sender.setblocking(False)
        written = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                written += sender.send(b"x" * 65536)
        held = queued_bytes(os.getpid())
    assert before is not None
    assert held is not None
    assert before < held <= before + written


def test_a_process_that_is_not_there() -> None:
    assert queued_bytes(2**22 + 1) is None


class World:
    """A timeline, and an FFmpeg that tells how far it has come."""

    def __init__(self) -> None:
        self.lag = Lag()
        self.process = SimpleNamespace(pid=1, state=State.RUNNING, progress={}, told_at=0.0)

    def told(self, at: float, out: float) -> None:
        self.process.told_at, self.process.progress = at, {"bytes": 1, "out_time_ms": round(out * 1000), "kbps": 0}

    def at(self, now: float, line: float | None = None, key: str = "demo-a") -> float | None:
        timeline = (key, now + 500 if line is None else line, now)
        return self.lag.seconds(cast("Process", self.process), "demo-a", timeline, now)


def test_one_that_keeps_up_is_not_behind() -> None:
    world = World()
    assert world.at(10.0) is None
    for second in range(20, 30):
        world.told(second - 0.4, second - 19.4)
        assert world.at(float(second)) == 0


def test_one_that_is_too_slow_and_catches_up() -> None:
    world = World()
    world.told(20.0, 1.0)
    assert world.at(20.5) == 0
    world.told(30.0, 6.0)
    assert world.at(30.5) == 5
    world.told(40.0, 20.9)
    assert world.at(40.5) == 0.1


def test_one_that_says_nothing_falls_behind() -> None:
    world = World()
    world.told(20.0, 1.0)
    assert world.at(20.5) == 0
    assert world.at(26.5) == 5


def test_neither_another_line_nor_another_process_counts() -> None:
    world = World()
    world.told(20.0, 1.0)
    assert world.at(20.5) == 0
    assert world.at(20.5, key="demo-b") is None
    world.process.pid = 2
    world.told(30.0, 1.0)
    assert world.at(30.5) == 0
    world.process.state = State.CRASHED
    assert world.at(30.5) is None


def test_a_timeline_that_is_faster_than_the_clock_is_no_lag() -> None:
    """By as much as 500 ppm: it is the timeline's own time that counts."""
    world = World()
    for hour in range(100):
        now = 3600.0 * hour + 10
        world.told(now, now * 1.0005)
        assert world.at(now, line=now * 1.0005 + 500) == 0
