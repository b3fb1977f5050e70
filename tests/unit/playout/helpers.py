"""What the tests of the playout share: running a reactor for a moment, ADTS, and simple frames."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

from hook_service.playout.reactor import Reactor

ROOT = Path(__file__).parents[3]


def run_until(reactor: Reactor, condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Run the reactor until `condition()`; fails the test when it does not come true in time."""
    deadline = time.monotonic() + seconds

    def look() -> None:
        if condition() or time.monotonic() > deadline:
            reactor.stop()
        else:
            reactor.call_later(0.003, look)

    reactor.call_later(0.0, look)
    reactor.run()
    assert condition(), f"it did not happen within {seconds} s"


def run_for(reactor: Reactor, seconds: float) -> None:
    """Run the reactor for a while."""
    reactor.call_later(seconds, reactor.stop)
    reactor.run()


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
    except OSError:
        return False


def open_files() -> int:
    """How many descriptors this process holds, without those that only wait to be collected."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def adts(body: bytes, *, profile: int = 1, frequency: int = 4, channels: int = 2, mpeg2: bool = False) -> bytes:
    """One ADTS frame around an access unit; the defaults are AAC-LC, 44.1 kHz, stereo (ISO 14496-3, 1.A.2.2)."""
    size = len(body) + 7
    bits = (
        (0xFFF << 44)
        | (int(mpeg2) << 43)
        | (1 << 40)
        | (profile << 38)
        | (frequency << 34)
        | (channels << 30)
        | (size << 13)
        | (0x7FF << 2)
    )
    return bits.to_bytes(7, "big") + body
