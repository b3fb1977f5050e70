"""What a person holds on the air: tracks go on without a picture, and get it back. The playout is a double."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.resolver import Resolution
from hook_service.web.override import Override, waiting
from hook_service.web.plays import Play
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import BASIC, BEARER, Rig, body, eventually, make_director
from tests.unit.web.peers import FakePeer


@pytest.fixture
def live(make_rig: MakeRig, playout: FakePeer) -> Iterator[Rig]:
    rig = make_rig(start=True)
    yield rig
    for director in rig.directors.values():
        director.stop()


def post(rig: Rig, path: str, **document: object) -> int:
    return rig.client.post(f"/api/v1/stations/demo/{path}", json=document, headers=BEARER).status_code


def hear(rig: Rig, title: str, number: int, **changes: Any) -> None:
    answer = rig.client.post("/webhook/azuracast", json=body(title, number, **changes), headers=BASIC)
    assert answer.status_code == 202


def shown(playout: FakePeer) -> list[str | None]:
    """The loops ordered, by their names."""
    return [order["loop"] and order["loop"].rpartition("/")[2] for order in playout.switches]


def test_what_is_on_the_air_is_held_through_tracks_and_given_back(live: Rig, playout: FakePeer) -> None:
    hear(live, "One", 1)
    eventually(lambda: live.ledger.started)
    assert post(live, "hold") == 202
    assert shown(playout) == ["one.mp4"], "what is on the air is not shown anew"
    hear(live, "Two", 2)
    first, second = eventually(lambda: len(live.ledger.started) == 2 and live.ledger.started)
    assert shown(playout) == ["one.mp4"]
    assert (second["event"].title, second["rule"], second["mapping_id"]) == ("Two", "manual", None)
    assert second["loop"] == first["loop"]
    assert live.ledger.ended[-1]["event_id"] == first["event_id"]
    status = live.client.get("/api/v1/status", headers=BEARER).get_json()["stations"]["demo"]
    assert (status["override"]["kind"], status["override"]["by"]) == ("hold", "api-token")
    assert status["track"]["title"] == "Two"

    assert post(live, "release") == 202
    eventually(lambda: shown(playout) == ["one.mp4", "two.mp4"])
    assert playout.switches[-1]["play_id"] == second["event_id"]
    # Its row says what is shown from now on.
    assert eventually(lambda: live.ledger.told)[-1]["rule"] == "track_key"
    assert eventually(lambda: playout.on_air["play_id"] == second["event_id"])
    assert len(live.ledger.started) == 2
    assert live.directors["demo"].manual.override is None
    assert [row["action"] for row in live.ledger.audited] == ["station.hold", "station.release"]


def test_a_slate_for_a_time(live: Rig, playout: FakePeer) -> None:
    hear(live, "One", 1)
    eventually(lambda: live.ledger.started)
    assert post(live, "slate", seconds=1) == 202
    assert shown(playout) == ["one.mp4", None]
    eventually(lambda: shown(playout) == ["one.mp4", None, "one.mp4"])
    eventually(lambda: live.directors["demo"].manual.next_due is None)


def test_a_loop_for_a_time_is_kept_through_a_track(live: Rig, playout: FakePeer) -> None:
    hear(live, "One", 1)
    eventually(lambda: live.ledger.started)
    assert post(live, "switch", loop="any.mp4", seconds=1.5) == 202
    hear(live, "Two", 2)
    eventually(lambda: len(live.ledger.started) == 2)
    assert shown(playout) == ["one.mp4", "any.mp4"]
    eventually(lambda: shown(playout) == ["one.mp4", "any.mp4", "two.mp4"])


def test_a_switch_that_was_waiting_gives_way_and_its_track_is_kept(make_rig: MakeRig, playout: FakePeer) -> None:
    station = {"name": "Demo", "audio": {"url": "http://127.0.0.1:1/x"}, "switch_delay": 1.5, "destinations": {}}
    playout.hold = True  # it never comes to it, however slow the machine is
    rig = make_rig(start=True, stations={"demo": station})
    hear(rig, "One", 1)
    eventually(lambda: playout.switches)
    assert post(rig, "hold") == 202
    [row] = eventually(lambda: rig.ledger.started)
    assert (row["event"].title, row["rule"]) == ("One", "manual")
    assert playout.on_air["loop"] == "/srv/loops/default.mp4"


def test_by_hand_until_the_next_track(make_rig: MakeRig, playout: FakePeer) -> None:
    """Also where that one was waiting in the playout already."""
    station = {"name": "Demo", "audio": {"url": "http://127.0.0.1:1/x"}, "switch_delay": 2.5, "destinations": {}}
    rig = make_rig(start=True, stations={"demo": station})
    hear(rig, "One", 1)
    eventually(lambda: playout.switches)
    assert post(rig, "switch", loop="any.mp4") == 202
    eventually(lambda: shown(playout) == ["one.mp4", "any.mp4", "one.mp4"])
    assert eventually(lambda: rig.ledger.started)[0]["rule"] == "track_key"


def test_a_restart_of_the_web_service_keeps_what_is_held(live: Rig, playout: FakePeer) -> None:
    hear(live, "One", 1)
    eventually(lambda: live.ledger.started)
    assert post(live, "hold", loop="any.mp4") == 202
    live.directors["demo"].stop()
    playout.wanted = {"loop": "/another", "default": None}  # the playout was another in between

    again = make_director(live.host, "demo", live.ledger, live.metrics)
    again.start()
    try:
        held = again.manual.override
        assert held is not None
        assert (held.kind, held.by) == ("hold", "api-token")
        eventually(lambda: shown(playout) == ["one.mp4", "any.mp4", "any.mp4"])
        assert again.manual.release()
        assert not again.manual.release()
        eventually(lambda: shown(playout)[-1] == "one.mp4")
    finally:
        again.stop()


def test_released_while_the_playout_is_away(live: Rig, playout: FakePeer) -> None:
    """Whoever dies over it does it when it is there again."""
    hear(live, "One", 1)
    eventually(lambda: live.ledger.started)
    assert post(live, "slate") == 202
    playout.close()
    assert post(live, "slate") == 503
    assert post(live, "release") == 202
    live.directors["demo"].stop()

    back = FakePeer(playout.path)
    again = make_director(live.host, "demo", live.ledger, live.metrics)
    again.start()
    try:
        eventually(lambda: shown(back) == ["one.mp4"])
    finally:
        again.stop()
        back.close()


def test_the_next_loop_at_once(live: Rig, playout: FakePeer) -> None:
    assert post(live, "next") == 409
    hear(live, "One", 1, playing_next={"song": {"id": "n", "artist": "Artist", "title": "Two"}, "playlist": ""})
    eventually(lambda: live.ledger.started)
    assert post(live, "next") == 202
    assert shown(playout) == ["one.mp4", "two.mp4"]


def test_without_a_track_the_default_comes_back(live: Rig, playout: FakePeer) -> None:
    assert post(live, "slate") == 202
    assert post(live, "release") == 202
    assert eventually(lambda: len(playout.switches) == 2)
    assert shown(playout) == [None, "default.mp4"]


def test_a_hold_that_can_not_be(live: Rig) -> None:
    assert post(live, "hold", loop="../secret.mp4") == 422
    assert post(live, "hold", seconds=0) == 422
    assert post(live, "slate", seconds=1e9) == 422
    assert live.client.post("/api/v1/stations/nowhere/slate", headers=BEARER).status_code == 404
    assert live.client.post("/api/v1/stations/other/slate", headers=BEARER).status_code == 503
    assert live.directors["demo"].manual.override is None
    assert not live.ledger.audited


def test_destinations_and_processes(live: Rig, playout: FakePeer) -> None:
    output = FakePeer(playout.path.with_name("output-demo.sock"))
    try:
        for path in ("destinations/demo/tube/stop", "destinations/demo/tube/start", "destinations/demo/tube/restart",
                     "stations/demo/processes/publisher/restart",
                     "stations/demo/processes/destination:tube/restart"):  # fmt: skip
            assert live.client.post(f"/api/v1/{path}", headers=BEARER).status_code == 202
        for path, status in (("destinations/demo/none/stop", 404), ("destinations/none/tube/stop", 404),
                             ("stations/demo/processes/none/restart", 422),
                             ("destinations/other/tube/stop", 404)):  # fmt: skip
            assert live.client.post(f"/api/v1/{path}", headers=BEARER).status_code == status
    finally:
        output.close()
    assert output.orders == [("stop", "tube"), ("start", "tube"), ("restart", "tube"), ("restart", "tube")]
    assert playout.orders == [("restart", "publisher")]
    assert [row["action"] for row in live.ledger.audited] == [
        "destination.stop", "destination.start", "destination.restart", "process.restart", "process.restart",
    ]  # fmt: skip


def test_an_override_as_json() -> None:
    held = Override("slate", None, 1.0, 2.5, "ada", "r")
    assert Override.from_json(held.to_json()) == held
    assert not held.over(2.4)
    assert held.over(2.5)


def test_what_waits_is_behind_what_is_on_the_air() -> None:
    plays = [_play(name) for name in "abc"]
    assert [play.play_id for play in waiting(plays, "b")] == ["c"]
    assert waiting(plays, "c") == []
    assert len(waiting(plays, None)) == 3


def _play(play_id: str) -> Play:
    event = TrackEvent(station="demo", artist="A", title=play_id)
    return Play(play_id, event, Resolution("a.mp4", "track_key", None, "d.mp4"), time.time(), "r", time.time())
