from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hook_service.tracks.nowplaying import parse
from hook_service.web.director import Director
from hook_service.web.plays import Memory
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import Rig, body, eventually, make_director
from tests.unit.web.peers import FakePeer


def offer(director: Director, title: str, number: int, **changes: Any) -> str:
    return director.offer(parse(body(title, number, **changes)), time.time(), f"request-{number}")


@pytest.fixture
def live(make_rig: MakeRig, playout: FakePeer) -> Rig:
    return make_rig(start=True)


def test_a_webhook_becomes_a_switch_and_then_a_row(live: Rig, playout: FakePeer) -> None:
    director = live.directors["demo"]
    before = time.time()
    assert offer(director, "One", 1) == "fresh"
    [row] = eventually(lambda: live.ledger.started)
    [switch] = playout.switches
    assert switch["loop"] == str(live.host.paths.loops / "one.mp4") == row["loop"]
    assert switch["default"] == str(live.host.paths.loops / "default.mp4")
    assert before <= switch["at"] <= time.time()
    assert switch["request_id"] == "request-1"
    assert (row["event_id"], row["rule"], row["mapping_id"]) == (switch["play_id"], "track_key", 1)
    assert row["publisher_pid"] == 4711
    assert row["started_at"] == playout.events[-1]["at"]
    assert live.count("radio_tracks_played_total", station="demo") == 1
    assert live.count("radio_track_switch_duration_seconds_count", station="demo") == 1


def test_a_play_ends_when_the_next_is_on_the_air(live: Rig, playout: FakePeer) -> None:
    director = live.directors["demo"]
    offer(director, "One", 1)
    eventually(lambda: live.ledger.started)
    offer(director, "Two", 2)
    eventually(lambda: len(live.ledger.started) == 2)
    [end] = live.ledger.ended
    assert end["event_id"] == live.ledger.started[0]["event_id"]
    assert end["ended_at"] == live.ledger.started[1]["started_at"]
    assert not end["had_errors"]


def test_the_next_track_with_the_same_loop_is_a_new_play(live: Rig, playout: FakePeer) -> None:
    offer(live.directors["demo"], "One", 1)
    eventually(lambda: live.ledger.started)
    offer(live.directors["demo"], "Same", 2)
    eventually(lambda: len(live.ledger.started) == 2)
    assert {row["loop"] for row in live.ledger.started} == {str(live.host.paths.loops / "one.mp4")}
    assert len(live.ledger.ended) == 1


def test_the_delay_is_added_to_the_receipt(make_rig: MakeRig, playout: FakePeer) -> None:
    rig = make_rig()
    director = make_director(rig.host, "demo", rig.ledger, rig.metrics, switch_delay=3.5)
    director.start()
    try:
        director.offer(parse(body("One", 1)), 1_000.0, "r")
        assert eventually(lambda: playout.switches)[0]["at"] == 1_003.5
    finally:
        director.stop()


def test_a_burst_costs_a_switch_to_the_newest(live: Rig, playout: FakePeer) -> None:
    playout.hold = True
    director = live.directors["demo"]
    for number in range(1, 51):
        offer(director, f"Track {number}", number)
    eventually(lambda: any(s["request_id"] == "request-50" for s in playout.switches))
    time.sleep(0.3)
    assert len(playout.switches) <= 2
    assert playout.switches[-1]["request_id"] == "request-50"
    playout.hold = False
    eventually(lambda: live.ledger.started)
    assert [row["event"].title for row in live.ledger.started] == ["Track 50"]


def test_what_was_superseded_never_enters_the_history(live: Rig, playout: FakePeer) -> None:
    playout.hold = True
    for number, title in enumerate(("One", "Two", "Same"), 1):
        offer(live.directors["demo"], title, number)
        eventually(lambda: len(playout.switches) == number)  # noqa: B023 - it is called in this round
    playout.hold = False
    eventually(lambda: live.ledger.started)
    time.sleep(0.1)
    assert [row["event"].title for row in live.ledger.started] == ["Same"]
    assert live.count("radio_tracks_played_total", station="demo") == 1


def test_a_loop_that_can_not_be_shown(live: Rig, playout: FakePeer, caplog: pytest.LogCaptureFixture) -> None:
    playout.missing.add(str(live.host.paths.loops / "one.mp4"))
    offer(live.directors["demo"], "One", 1)
    [row] = eventually(lambda: live.ledger.started)
    assert row["loop"].endswith("/default.mp4")
    [error] = live.ledger.errors
    assert (error["service"], error["severity"], error["station"]) == ("radio-playout", "ERROR", "demo")
    assert error["context"]["request_id"] == "request-1"
    assert live.count("radio_errors_total", station="demo", severity="ERROR") == 1
    offer(live.directors["demo"], "Two", 2)
    [end] = eventually(lambda: live.ledger.ended)
    assert end["had_errors"]
    assert end["error_message"] == "the loop is missing"


def test_a_loop_lost_on_the_air_marks_its_play(live: Rig, playout: FakePeer) -> None:
    offer(live.directors["demo"], "One", 1)
    [row] = eventually(lambda: live.ledger.started)
    context = {"loop": row["loop"], "play_id": row["event_id"]}
    playout.publish("error", severity="ERROR", message="lost on the air", context=context)
    playout.publish("on_air", play_id=None, loop="/x/default.mp4", reason="default", publisher_pid=1)
    offer(live.directors["demo"], "Two", 2)
    [end] = eventually(lambda: live.ledger.ended)
    assert (end["had_errors"], end["error_message"]) == (True, "lost on the air")
    assert len(live.ledger.started) == 2


def test_a_mapping_that_leads_nowhere(live: Rig, playout: FakePeer) -> None:
    offer(live.directors["demo"], "Escape", 1)
    eventually(lambda: live.ledger.errors)
    assert live.ledger.errors[0]["service"] == "radio-web"
    assert live.ledger.errors[0]["context"]["request_id"] == "request-1"
    assert playout.switches[0]["loop"].endswith("/default.mp4")
    assert live.count("radio_tracks_unmapped_total", station="demo") == 1
    assert live.count("radio_errors_total", station="demo", severity="WARNING") == 1


def test_the_log_line_has_the_originals_keys(live: Rig, playout: FakePeer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "radio.web"):
        offer(live.directors["demo"], "One", 1)
        record = eventually(lambda: next((r for r in caplog.records if r.message == "Track switched"), None))
    context = record.context
    assert (context["artist"], context["title"], context["ffmpeg_pid"]) == ("Artist", "One", 4711)
    assert context["loop_path"].endswith("/one.mp4")
    assert context["request_id"] == "request-1"


def test_the_newest_is_tried_until_the_playout_is_back(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(start=True)
    director = rig.directors["demo"]
    offer(director, "One", 1)
    eventually(lambda: rig.ledger.errors)
    offer(director, "Two", 2)
    time.sleep(0.3)
    peer = FakePeer(tmp_path / "run" / "playout-demo.sock")
    try:
        [row] = eventually(lambda: rig.ledger.started)
        assert row["event"].title == "Two"
        assert [switch["request_id"] for switch in peer.switches] == ["request-2"]
    finally:
        peer.close()


def test_a_switch_waiting_in_a_playout_that_dies_is_ordered_again(
    live: Rig, playout: FakePeer, tmp_path: Path
) -> None:
    playout.hold = True
    offer(live.directors["demo"], "One", 1)
    eventually(lambda: playout.switches)
    playout.close()
    second = FakePeer(tmp_path / "run" / "playout-demo.sock")
    try:
        second.publish("on_air", play_id=None, loop="/x/default.mp4", reason="default", publisher_pid=2)
        [row] = eventually(lambda: live.ledger.started)
        assert row["event"].title == "One"
        assert len(second.switches) == 1
    finally:
        second.close()


def test_a_playout_that_comes_back_with_the_same_play_adds_no_row(
    live: Rig, playout: FakePeer, tmp_path: Path
) -> None:
    offer(live.directors["demo"], "One", 1)
    [row] = eventually(lambda: live.ledger.started)
    playout.close()
    second = FakePeer(tmp_path / "run" / "playout-demo.sock")
    try:
        second.on_air = {"play_id": row["event_id"], "loop": row["loop"]}
        second.publish("on_air", play_id=row["event_id"], loop=row["loop"], reason="resumed", publisher_pid=2)
        offer(live.directors["demo"], "Two", 2)
        eventually(lambda: len(live.ledger.started) == 2)
        assert len(live.ledger.ended) == 1
        assert live.count("radio_tracks_played_total", station="demo") == 2
    finally:
        second.close()


def test_a_web_process_that_dies_between_switch_and_picture_loses_nothing(
    make_rig: MakeRig, playout: FakePeer
) -> None:
    rig = make_rig()
    playout.hold = True
    first = make_director(rig.host, "demo", rig.ledger, rig.metrics)
    first.start()
    offer(first, "One", 1)
    eventually(lambda: playout.switches)
    first.stop()
    playout.hold = False
    eventually(lambda: any(event["kind"] == "on_air" for event in playout.events))
    assert not rig.ledger.started
    second = make_director(rig.host, "demo", rig.ledger, rig.metrics)
    second.start()
    try:
        [row] = eventually(lambda: rig.ledger.started)
        assert row["event"].title == "One"
        assert row["event_id"] == playout.switches[0]["play_id"]
        assert row["started_at"] < time.time() - 0
        # The repeated webhook is still a duplicate, and the play was not ordered twice.
        assert offer(second, "One", 1) == "duplicate"
        assert len(playout.switches) == 1
    finally:
        second.stop()


def test_a_restart_deals_with_nothing_twice(make_rig: MakeRig, playout: FakePeer) -> None:
    rig = make_rig()
    for number, title in enumerate(("One", "Two", "Same"), 1):
        director = make_director(rig.host, "demo", rig.ledger, rig.metrics)
        director.start()
        offer(director, title, number)
        playout.publish("error", severity="WARNING", message=f"trouble {number}", context={})
        eventually(lambda: len(rig.ledger.started) == number and len(rig.ledger.errors) == number)  # noqa: B023
        director.stop()
    ids = [error["event_id"] for error in rig.ledger.errors]
    assert len(set(ids)) == 3
    assert len(rig.ledger.ended) == 2
    assert rig.count("radio_errors_total", station="demo", severity="WARNING") == 3


def test_a_lost_memory_repeats_rows_under_the_same_ids(make_rig: MakeRig, playout: FakePeer) -> None:
    rig = make_rig()
    playout.publish("error", severity="ERROR", message="x", context={})
    for number in (1, 2):
        director = make_director(rig.host, "demo", rig.ledger, rig.metrics)
        director.start()
        eventually(lambda: len(rig.ledger.errors) == number)  # noqa: B023
        director.stop()
        (rig.host.paths.state / "web" / "demo.json").unlink()
    assert rig.ledger.errors[0]["event_id"] == rig.ledger.errors[1]["event_id"]


def test_a_host_that_was_down_does_not_lengthen_its_last_play(
    make_rig: MakeRig, playout: FakePeer, tmp_path: Path
) -> None:
    rig = make_rig()
    first = make_director(rig.host, "demo", rig.ledger, rig.metrics)
    first.start()
    offer(first, "One", 1)
    [row] = eventually(lambda: rig.ledger.started)
    first.stop()
    playout.close()
    down = time.time() - 3600
    peer = FakePeer(tmp_path / "run" / "playout-demo.sock")
    second = make_director(rig.host, "demo", rig.ledger, rig.metrics, alive_before=down)
    second.start()
    try:
        peer.publish("on_air", play_id=row["event_id"], loop=row["loop"], reason="resumed", publisher_pid=2)
        [end] = eventually(lambda: rig.ledger.ended)
        assert end["ended_at"] == down
        assert end["had_errors"]
        assert len(rig.ledger.started) == 1
    finally:
        second.stop()
        peer.close()


def test_offline_ends_the_play(live: Rig, playout: FakePeer) -> None:
    offer(live.directors["demo"], "One", 1)
    eventually(lambda: live.ledger.started)
    assert offer(live.directors["demo"], "One", 1, is_online=False) == "offline"
    assert len(eventually(lambda: live.ledger.ended)) == 1
    assert live.directors["demo"].track() is None
    assert len(playout.switches) == 1


def test_the_next_loop_is_announced(live: Rig, playout: FakePeer) -> None:
    following = {"song": {"id": "n", "artist": "Artist", "title": "Two"}, "playlist": ""}
    offer(live.directors["demo"], "One", 1, playing_next=following)
    one, two = (str(live.host.paths.loops / f"{name}.mp4") for name in ("one", "two"))
    # The first one's, too, where that is not ordered yet.
    assert eventually(lambda: [loop for loop in playout.warmed if loop != one]) == [two]


def test_a_refused_switch_is_an_error_and_not_tried_again(live: Rig, playout: FakePeer) -> None:
    answer = live.directors["demo"].manual.show("/x/any.mp4", "r")
    assert answer == {"ok": True}
    playout._answer = lambda message: {"ok": False, "error": "no"}  # type: ignore[method-assign]
    offer(live.directors["demo"], "One", 1)
    [error] = eventually(lambda: live.ledger.errors)
    assert error["message"] == "The playout refused a switch"
    assert error["context"]["why"] == "no"


def test_rubbish_from_a_peer_ends_nothing(live: Rig, playout: FakePeer) -> None:
    playout.events.append({"no": "seq"})
    playout.publish("on_air", play_id=17, loop=None)
    playout.events[-1]["at"] = "yesterday"
    playout.publish("error", severity=None, message=None, context=[])
    playout.publish("unheard of")
    offer(live.directors["demo"], "One", 1)
    assert eventually(lambda: live.ledger.started)


def test_many_threads_one_order(live: Rig, playout: FakePeer) -> None:
    director = live.directors["demo"]
    numbers = iter(range(1, 401))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            offer(director, f"Track {number}", number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: director.track() and director.track()["title"] == "Track 400")  # type: ignore[index]
    starts = [row["started_at"] for row in live.ledger.started]
    assert starts == sorted(starts)


def test_memory_survives_and_a_damaged_file_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    for content in (
        b"",
        b"{}",
        b"[]",
        b'{"plays": 3}',
        b"\xff",
        json.dumps({"gate": {}, "marks": {"a": 1}}).encode(),
    ):
        path.write_bytes(content)
        memory = Memory.load(path)
        assert (memory.plays, memory.current, memory.marks) == ({}, None, {})


def test_a_memory_that_can_not_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory.load(tmp_path / "gone" / "demo.json")
    memory.save()
    memory.save()
    assert len(caplog.records) == 1


def logged(caplog: pytest.LogCaptureFixture, request_id: str) -> dict[str, dict[str, Any]]:
    """The context of each line of the log that names a request, by what it says."""
    contexts = [(record.message, getattr(record, "context", {})) for record in caplog.records]
    return {said: context for said, context in contexts if request_id in context.values()}


def test_one_id_from_the_webhook_to_the_row(live: Rig, playout: FakePeer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    offer(live.directors["demo"], "One", 1)
    [row] = eventually(lambda: live.ledger.started)
    assert row["request_id"] == "request-1"
    # Without a delay it may be on the air before the order's answer is logged.
    wanted = {"Told of a track", "Switch ordered", "Track switched"}
    eventually(lambda: set(logged(caplog, "request-1")) >= wanted)
    found = logged(caplog, "request-1")
    assert set(found) == wanted
    assert (found["Told of a track"]["source"], found["Told of a track"]["result"]) == ("webhook", "fresh")
    assert found["Track switched"]["play_id"] == row["event_id"]
    # The same told once more says what it is the same as.
    live.directors["demo"].offer(parse(body("One", 1)), time.time(), "request-again")
    again = logged(caplog, "request-again")["Told of a track"]
    assert (again["result"], again["same_as"]) == ("duplicate", "request-1")


def test_a_loop_ordered_by_hand_is_named_to_the_playout(live: Rig, playout: FakePeer) -> None:
    live.directors["demo"].manual.show(str(live.host.paths.loops / "one.mp4"), "request-of-hand")
    assert playout.switches[-1]["request_id"] == "request-of-hand"
