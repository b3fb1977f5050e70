"""Ordering crossfades: when there is one to be had, and when it is safe to enter with it."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hook_service.library.flv import LoopDamaged
from hook_service.library.profiles import BUILT_IN
from hook_service.playout.crossfade import Crossfades, _follow, _is_safe
from hook_service.playout.picture import Blend, Cursor, Still, Whole
from hook_service.playout.reactor import Reactor
from tests.unit.library.samples import AVCC, flv
from tests.unit.playout.helpers import run_for, run_until

PROFILE = BUILT_IN["720p30"]
GOP = flv([60])


class Prepare:
    """radio-prepare's socket: what it is asked, and what it answers."""

    def __init__(self, place: Path) -> None:
        self.file = place / "growing.flv"
        self.asked: list[dict[str, Any]] = []
        self.answers: Callable[[], dict[str, Any]] = lambda: {"state": "encoding", "file": str(self.file)}
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer.asked.append(json.loads(self.rfile.readline()))
                self.wfile.write(json.dumps(outer.answers()).encode() + b"\n")

        self.server = socketserver.ThreadingUnixStreamServer(str(place / "prepare.sock"), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    server = Prepare(tmp_path)
    yield server
    server.server.shutdown()
    server.server.server_close()


class Desk:
    """Crossfades, `ahead` slots before a switch from one loop of ten seconds to another."""

    def __init__(self, place: Path, ahead: int = 90, *, crossfade: bool = True) -> None:
        self.reactor = Reactor()
        station: Any = SimpleNamespace(profile=PROFILE, crossfade=crossfade, prepare_socket=place / "prepare.sock")
        self.crossfades = Crossfades(self.reactor, station, lambda _: ahead)
        self.ready: list[Blend] = []
        self.outgoing, self.incoming = self.cursor("/library/one"), self.cursor("/library/two")
        self.outgoing.supply([(b"", True)] * 60, 1)
        for _ in range(61):
            self.outgoing.take()

    def cursor(self, directory: str) -> Cursor:
        cursor = Cursor(AVCC, [(b"", True)] * 60, lambda _: None)
        cursor.whole = Whole(Path(directory), 300, 60)
        return cursor

    def order(self, outgoing: Cursor | Still | None = None) -> None:
        self.crossfades.order(outgoing or self.outgoing, self.incoming, 0, self.ready.append)


def test_it_is_ordered_for_the_frame_that_the_loop_will_be_left_at(tmp_path: Path, prepare: Prepare) -> None:
    prepare.file.write_bytes(GOP)
    desk = Desk(tmp_path)
    desk.order()
    run_until(desk.reactor, lambda: len(desk.ready) == 1)
    [asked] = prepare.asked
    assert (asked["from"], asked["frame"], asked["to"]) == ("/library/one", 61 + 90, "/library/two")
    assert 3 < asked["within"] < 3 + 2
    [blend] = desk.ready
    assert (blend.outgoing, blend.frame, blend.size, len(blend.gop)) == (desk.outgoing, 151, 60, 60)
    assert [key for _, key in blend.gop] == [True] + [False] * 59


def test_it_is_good_before_it_is_whole_and_grows(tmp_path: Path, prepare: Prepare) -> None:
    prepare.file.write_bytes(GOP[: len(GOP) // 2])
    desk = Desk(tmp_path)
    desk.order()
    run_until(desk.reactor, lambda: len(desk.ready) == 1)
    [blend] = desk.ready
    assert 20 < len(blend.gop) < 40
    prepare.file.write_bytes(GOP)
    run_until(desk.reactor, lambda: len(blend.gop) == 60)


@pytest.mark.parametrize(
    ("there", "elapsed", "whole", "safe"),
    [(0.3, 0.0, False, False), (0.4, 0.2, False, True), (1.0, 0.9, False, False), (2.0, 9.0, True, True)],
)
def test_what_is_safe(there: float, elapsed: float, whole: bool, safe: bool) -> None:
    assert _is_safe(there, elapsed, whole) == safe


def spoil(prepare: Prepare, how: str) -> None:
    """Let nothing come of it."""
    prepare.file.write_bytes(GOP[:300])
    if how == "refused":
        prepare.answers = lambda: {"state": "refused", "reason": "no time", "again": True}
    elif how == "gone":
        prepare.file.unlink()
    elif how == "another profile":
        prepare.file.write_bytes(GOP.replace(AVCC, b"\x01" + AVCC[1:-1] + b"\x02"))
    elif how == "two keyframes":
        prepare.file.write_bytes(flv([30, 30]))
    else:
        prepare.file.write_bytes(b"rubbish" * 99)


@pytest.mark.parametrize("how", ["refused", "gone", "another profile", "two keyframes", "rubbish"])
def test_nothing_comes_of_it(tmp_path: Path, prepare: Prepare, how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    spoil(prepare, how)
    desk = Desk(tmp_path)
    desk.order()
    run_until(desk.reactor, lambda: "No crossfade" in caplog.text)
    assert desk.ready == []


def test_one_that_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "growing.flv"
    path.write_bytes(GOP[:900])
    with path.open("rb", buffering=0) as file:
        following = _follow(file, AVCC, 60, time.monotonic() + 30)
        assert next(following)
        path.unlink()
        with pytest.raises(LoopDamaged, match="given up"):
            next(following)


def test_what_can_not_be_known_is_not_asked_for(tmp_path: Path, prepare: Prepare) -> None:
    late, off, entering, growing = (
        Desk(tmp_path, 4),
        Desk(tmp_path, crossfade=False),
        Desk(tmp_path, 7),
        Desk(tmp_path),
    )
    late.order()
    off.order()
    entering.order(entering.cursor("/library/just-entered"))
    growing.incoming.whole = None
    growing.order()
    growing.order(Still(b"avcc", [[(b"", True)]]))
    run_for(late.reactor, 0.1)
    assert prepare.asked == []


def test_a_short_loop_is_entered_with_what_it_has(tmp_path: Path, prepare: Prepare) -> None:
    prepare.file.write_bytes(flv([36]))
    desk = Desk(tmp_path)
    assert desk.incoming.whole is not None
    desk.incoming.whole = replace(desk.incoming.whole, frames=36)
    desk.order()
    run_until(desk.reactor, lambda: len(desk.ready) == 1)
    assert desk.ready[0].size == len(desk.ready[0].gop) == 36
