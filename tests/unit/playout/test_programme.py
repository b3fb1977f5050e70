"""What the programme does with orders, where no loop has to be loaded for it."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hook_service.library import catalog
from hook_service.library.errors import NotNow
from hook_service.playout import loops, programme, state
from hook_service.playout.control import BadRequest
from hook_service.playout.picture import Still
from hook_service.playout.programme import Programme
from hook_service.playout.reactor import Reactor
from tests.unit.playout.helpers import run_until


class Desk:
    """A programme of a station that has no loops at all."""

    def __init__(self, place: Path) -> None:
        self.reactor = Reactor()
        self.events: list[dict[str, Any]] = []
        self.armed = 0
        station: Any = SimpleNamespace(
            shortcode="demo",
            state=place,
            loops=place / "loops",
            library=place / "library",
            default_loop=place / "loops/default.mp4",
            prepare_socket=place / "prepare.sock",
            profile=None,
            crossfade=False,
        )
        slate = Still(b"avcc", [[(b"slate/0", True), (b"slate/1", False)]])
        self.programme = Programme(
            self.reactor, station, slate, self._publish, lambda at: 0, lambda at: 0, lambda: 77, self._arm
        )

    def _publish(self, kind: str, **values: Any) -> None:
        self.events.append({"kind": kind, **values})

    def _arm(self) -> None:
        self.armed += 1

    def shown(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == "on_air"]


def test_no_loop_is_the_slate_also_after_a_restart(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.programme.switch({"loop": None, "play_id": "p"})
    run_until(desk.reactor, lambda: desk.programme.picture.next is not None)
    assert desk.programme.status()["next"] == {"loop": "slate", "play_id": "p"}
    assert desk.programme.picture.frame(1)[0] == b"slate/0"
    assert desk.armed
    assert [(e["loop"], e["reason"], e["play_id"]) for e in desk.shown()] == [("slate", "switch", "p")]
    kept = tmp_path / "on-air-demo.json"
    run_until(desk.reactor, lambda: state.load_on_air(kept) is not None)

    again = Desk(tmp_path)
    run_until(again.reactor, lambda: again.programme.picture.next is not None)
    again.programme.picture.frame(1)
    assert [(e["loop"], e["reason"]) for e in again.shown()] == [("slate", "resumed")]


def test_another_order_takes_its_place(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.programme.switch({"loop": None, "play_id": "p"})
    desk.programme.switch({"loop": None, "play_id": "q"})
    run_until(desk.reactor, lambda: desk.programme.picture.next is not None)
    desk.programme.picture.frame(1)
    assert [e["play_id"] for e in desk.shown()] == ["q"]
    assert [e["play_id"] for e in desk.events if e["kind"] == "superseded"] == ["p"]


@pytest.mark.parametrize("message", [{}, {"loop": ""}, {"loop": 3}, {"loop": "a\0b"}])
def test_what_is_no_loop(tmp_path: Path, message: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        Desk(tmp_path).programme.switch(message)


@pytest.mark.parametrize("at", [math.inf, -math.inf, math.nan, 1e300, 10**400, True, "1"])
def test_a_time_that_is_none_changes_nothing(tmp_path: Path, at: object) -> None:
    desk = Desk(tmp_path)
    before = desk.programme.status()
    with pytest.raises(BadRequest, match="at is not a time"):
        desk.programme.switch({"loop": "other.mp4", "play_id": "p", "at": at})
    assert desk.programme.status() == before
    assert desk.events == []


def test_a_request_is_named_when_its_loop_is_on_the_air(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    desk = Desk(tmp_path)
    desk.programme.switch({"loop": None, "play_id": "p", "request_id": "request-1"})
    run_until(desk.reactor, lambda: desk.programme.picture.next is not None)
    desk.programme.picture.frame(1)
    assert [event["request_id"] for event in desk.shown()] == ["request-1"]
    [context] = [record.__dict__["context"] for record in caplog.records if "On the air" in record.message]
    assert (context["request_id"], context["play_id"]) == ("request-1", "p")
    kept = tmp_path / "on-air-demo.json"
    run_until(desk.reactor, lambda: state.load_on_air(kept) is not None)
    assert Desk(tmp_path).programme._wanted.request_id == "request-1"


def test_holding_drops_what_waits_and_outlives_a_restart(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.programme.switch({"loop": None, "play_id": "p"})
    run_until(desk.reactor, lambda: desk.programme.picture.next is not None)
    desk.programme.picture.frame(1)
    desk.programme.switch({"loop": "later.mp4", "play_id": "q"})
    armed = desk.armed
    assert desk.programme.hold() == "slate"
    assert [e["play_id"] for e in desk.events if e["kind"] == "superseded"] == ["q"]
    assert desk.programme.picture.next is None
    assert desk.programme.status()["wanted"]["loop"] == "slate"
    assert desk.armed == armed, "nothing is shown anew"
    kept = tmp_path / "on-air-demo.json"
    run_until(desk.reactor, lambda: (state.load_on_air(kept) or state.OnAir("", "", None)).loop == "slate")


def test_what_is_not_due_is_not_tried_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FORETOLD_PATIENCE", 0.2)
    monkeypatch.setattr(loops, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(programme, "FORETOLD_PATIENCE", 0.2)
    desk = Desk(tmp_path)
    (tmp_path / "loops").mkdir()

    def away(*_: object) -> None:
        raise NotNow("it is being written to")

    monkeypatch.setattr(catalog, "identify", away)
    path = tmp_path / "loops/coral.mp4"
    desk.programme.warm({"loop": str(path)})
    desk.programme.warm({"loop": str(path), "at": 1000.0})
    fetches = [thread for thread in threading.enumerate() if thread.name == "fetch coral.mp4"]
    assert len(fetches) == 2
    run_until(desk.reactor, lambda: not any(thread.is_alive() for thread in fetches))
