"""Following a playout that comes and goes, over its real control socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hook_service.monitor.follow import Follower
from hook_service.playout.control import Control
from hook_service.playout.reactor import Reactor
from tests.unit.playout.helpers import run_until

STATUS = {"on_air": {"loop": "/srv/loops/a.mp4"}}


def control(reactor: Reactor, path: Path, key: str = "demo-a") -> Control:
    return Control(reactor, path, {"status": lambda _: STATUS, "lineup": lambda _: {"current": key}})


def end(follower: Follower | None, playout: Control) -> None:
    """Close every socket."""
    if follower is not None:
        follower.stop()
    playout.close()
    for client in list(playout._clients):
        client._close()


def test_its_state_now_and_what_happens_from_now_on(tmp_path: Path) -> None:
    reactor, told = Reactor(), list[dict[str, Any]]()
    playout = control(reactor, tmp_path / "playout.sock")
    playout.publish("on_air", loop="/srv/loops/before.mp4")
    follower = Follower(reactor, tmp_path / "playout.sock", told.append)
    run_until(reactor, lambda: len(told) >= 2)
    assert told == [{"ok": True, **STATUS}, {"ok": True, "current": "demo-a"}]
    playout.publish("on_air", loop="/srv/loops/b.mp4")
    run_until(reactor, lambda: len(told) >= 3)
    assert told[2]["loop"] == "/srv/loops/b.mp4"
    end(follower, playout)


def test_a_playout_that_comes_later_and_one_that_takes_its_place(tmp_path: Path) -> None:
    reactor, told = Reactor(), list[dict[str, Any]]()
    path = tmp_path / "playout.sock"
    follower = Follower(reactor, path, told.append)
    first = control(reactor, path)
    run_until(reactor, lambda: len(told) >= 2)
    end(None, first)
    second = control(reactor, path, "demo-b")
    run_until(reactor, lambda: len(told) >= 4)
    assert [message.get("current") for message in told] == [None, "demo-a", None, "demo-b"]
    end(follower, second)
