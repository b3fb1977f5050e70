"""The director between its sources and a playout that hears titles."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hook_service.tracks.nowplaying import Source, parse
from hook_service.tracks.policies import Policies
from hook_service.web.director import Director
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import Rig, body, eventually, make_director
from tests.unit.web.peers import FakePeer


def offer(director: Director, title: str, number: int, source: Source = "webhook", **changes: Any) -> str:
    return director.offer(parse(body(title, number, **changes)), time.time(), f"request-{number}", source)


def sound(playout: FakePeer, title: str, ahead: float = 0.5, *, change: bool = True) -> float:
    """Publish a title; when its sound is due."""
    at = time.time() + ahead
    text = f"Artist - {title}"
    playout.publish("title", text=text, artist="Artist", title=title, sound_at=at, within=0.1, change=change)
    return at


def connect(playout: FakePeer, state: str = "connected", titles: str | None = "icy") -> None:
    playout.publish("mount", state=state, titles=titles, error=None)


@pytest.fixture
def live(make_rig: MakeRig, playout: FakePeer) -> Rig:
    """A station whose titles are trusted, with "Zero" on the air."""
    rig = make_rig(start=True)
    connect(playout)
    sound(playout, "Zero", 0.0)
    # Nothing is mapped to it: an event says what it is.
    eventually(lambda: rig.directors["demo"].known().trusted)
    offer(rig.directors["demo"], "Zero", 1)
    eventually(lambda: len(rig.ledger.started) == 1)
    rig.ledger.started.clear()
    playout.switches.clear()
    return rig


@pytest.fixture
def with_policies(make_rig: MakeRig, playout: FakePeer) -> Iterator[Any]:
    rig, running = make_rig(), []

    def make(policies: Policies) -> tuple[Rig, Director]:
        director = make_director(rig.host, "demo", rig.ledger, rig.metrics, policies=policies)
        director.start()
        running.append(director)
        return rig, director

    yield make
    for director in running:
        director.stop()


def test_an_early_webhook_becomes_a_switch_at_the_sound(live: Rig, playout: FakePeer) -> None:
    director = live.directors["demo"]
    assert offer(director, "One", 2) == "fresh"
    at = sound(playout, "One", 0.6)
    [switch] = eventually(lambda: playout.switches)
    assert switch["at"] == at
    assert switch["loop"].endswith("/one.mp4")
    [row] = eventually(lambda: live.ledger.started)
    assert at <= row["started_at"] < at + 0.3
    assert live.count("radio_switches_total", station="demo", decided_by="icy") == 2
    assert live.count("radio_source_offset_seconds_count", station="demo", source="icy") >= 1
    # Measured from a webhook only where a webhook decided.
    assert live.count("radio_track_switch_duration_seconds_count", station="demo") == 0
    last = director.known().switch
    assert last is not None
    assert last["decided_by"] == "icy"
    assert -1.0 < last["offsets"]["webhook"] < -0.3
    assert last["offsets"]["sse"] is None


def test_the_loop_of_an_early_webhook_is_made_ready(live: Rig, playout: FakePeer) -> None:
    offer(live.directors["demo"], "One", 2)
    eventually(lambda: any(loop.endswith("/one.mp4") for loop in playout.warmed))
    assert playout.switches == []


def test_a_next_that_changes_is_made_ready_too(live: Rig, playout: FakePeer) -> None:
    following = {"song": {"id": "n", "artist": "Artist", "title": "Two"}, "playlist": ""}
    assert offer(live.directors["demo"], "Zero", 1, "sse", playing_next=following) == "duplicate"
    eventually(lambda: any(loop.endswith("/two.mp4") for loop in playout.warmed))


def test_a_play_decided_by_its_title_alone_is_in_the_history(live: Rig, playout: FakePeer) -> None:
    sound(playout, "One")
    [row] = eventually(lambda: live.ledger.started)
    assert (row["event"].artist, row["event"].title, row["event"].sh_id) == ("Artist", "One", None)
    assert (row["rule"], row["mapping_id"]) == ("track_key", 1)
    # The webhook comes late: one play, one row, with what it tells; the picture needs no change.
    assert offer(live.directors["demo"], "One", 2) == "fresh"
    [told] = eventually(lambda: live.ledger.told)
    assert told["event_id"] == row["event_id"]
    assert told["event"].song_id == "One-id"
    assert len(playout.switches) == len(live.ledger.started) == 1


def test_a_late_webhook_that_leads_to_another_loop(live: Rig, playout: FakePeer) -> None:
    sound(playout, "One")
    [row] = eventually(lambda: live.ledger.started)
    playing = body("One", 2)["now_playing"]
    playing["song"]["custom_fields"] = {"video_loop": "special.mp4"}
    offer(live.directors["demo"], "One", 2, now_playing=playing)
    first, second = eventually(lambda: playout.switches if len(playout.switches) == 2 else None)
    assert first["play_id"] == second["play_id"] == row["event_id"]
    assert second["loop"].endswith("/special.mp4")
    told = eventually(lambda: live.ledger.told)[-1]
    assert (told["loop"], told["rule"]) == (second["loop"], "video_loop")
    sound(playout, "Two")
    end = eventually(lambda: live.ledger.ended[1:])[-1]
    assert end["event_id"] == row["event_id"]
    assert not end["had_errors"]
    assert len(live.ledger.started) == 2


def test_a_webhook_about_the_song_before_adds_to_its_row(live: Rig, playout: FakePeer) -> None:
    sound(playout, "One", 0.3)
    [row] = eventually(lambda: live.ledger.started)
    sound(playout, "Two", 0.3)
    eventually(lambda: len(live.ledger.started) == 2)
    assert offer(live.directors["demo"], "One", 2) == "fresh"
    told = eventually(lambda: live.ledger.told)[-1]
    assert (told["event_id"], told["event"].song_id, told["loop"]) == (row["event_id"], "One-id", None)
    assert len(playout.switches) == 2
    assert live.count("radio_events_dropped_total", station="demo", reason="stale") == 1


def test_the_mount_is_connected_again(live: Rig, playout: FakePeer) -> None:
    connect(playout, "away", None)
    eventually(lambda: live.directors["demo"].known().mount == "away")
    connect(playout)
    sound(playout, "Zero", 0.0, change=False)
    eventually(lambda: live.directors["demo"].known().mount == "connected")
    time.sleep(0.3)
    assert playout.switches == []


def test_the_playout_is_another_process(live: Rig, playout: FakePeer, tmp_path: Any) -> None:
    row = live.directors["demo"].track()
    assert row is not None
    playout.close()
    second = FakePeer(tmp_path / "run" / "playout-demo.sock")
    try:
        second.publish("on_air", play_id=row["play_id"], loop=row["loop_path"], reason="resumed", publisher_pid=2)
        connect(second)
        sound(second, "Zero", 0.0, change=False)
        sound(second, "One", 0.4)
        [started] = eventually(lambda: live.ledger.started)
        assert started["event"].title == "One"
        assert [switch["loop"].rpartition("/")[2] for switch in second.switches] == ["one.mp4"]
    finally:
        second.close()


@pytest.mark.parametrize("pause", [0.0, 0.6])
def test_the_web_process_is_another_one(make_rig: MakeRig, playout: FakePeer, pause: float) -> None:
    rig = make_rig()
    connect(playout)
    sound(playout, "One", 0.2)
    first = make_director(rig.host, "demo", rig.ledger, rig.metrics)
    first.start()
    eventually(lambda: rig.ledger.started)
    at = sound(playout, "Two", 1.5)
    eventually(lambda: len(first.known().title or "") and first.known().title == "Artist - Two")
    first.stop()
    time.sleep(pause)
    second = make_director(rig.host, "demo", rig.ledger, rig.metrics)
    second.start()
    try:
        eventually(lambda: len(rig.ledger.started) == 2)
        assert [switch["loop"].rpartition("/")[2] for switch in playout.switches] == ["one.mp4", "two.mp4"]
        assert playout.switches[-1]["at"] == at
        assert offer(second, "Two", 2) == "fresh"
        assert eventually(lambda: rig.ledger.told)[-1]["event_id"] == rig.ledger.started[1]["event_id"]
        time.sleep(0.2)
        assert len(playout.switches) == 2
    finally:
        second.stop()


def test_rubbish_instead_of_a_title_ends_nothing(live: Rig, playout: FakePeer) -> None:
    playout.publish("title", text="x")
    playout.publish("title", text=None, artist=3, title=[], sound_at="now", change=None)
    playout.publish("mount", state=None)
    playout.publish("mount", state="connected", titles="morse", error=None)
    connect(playout)
    sound(playout, "One")
    assert eventually(lambda: live.ledger.started)[-1]["event"].title == "One"


def test_policy_offline_slate(with_policies: Any, playout: FakePeer) -> None:
    rig, director = with_policies(Policies(offline="slate"))
    connect(playout, "away", None)
    eventually(lambda: director.known().mount == "away")
    offer(director, "One", 1)
    eventually(lambda: rig.ledger.started)
    offer(director, "One", 1, is_online=False)
    eventually(lambda: playout.on_air["loop"] == "slate")
    assert playout.switches[-1]["loop"] is None
    eventually(lambda: director.known().switch["decided_by"] == "policy")
    assert director.track() is None
    assert len(rig.ledger.started) == len(rig.ledger.ended) == 1
    offer(director, "Two", 2)
    eventually(lambda: len(rig.ledger.started) == 2)
    assert len(rig.ledger.ended) == 1
    assert rig.count("radio_switches_total", station="demo", decided_by="policy") == 1


def test_policy_offline_slate_survives_a_restart(make_rig: MakeRig, playout: FakePeer) -> None:
    rig = make_rig()
    playout.hold = True
    connect(playout, "away", None)
    for step in range(2):
        director = make_director(rig.host, "demo", rig.ledger, rig.metrics, policies=Policies(offline="slate"))
        director.start()
        if not step:
            eventually(lambda: director.known().mount == "away")  # noqa: B023
            offer(director, "One", 1, is_online=False)
        eventually(lambda: playout.switches)
        time.sleep(0.2)
        director.stop()
    assert len(playout.switches) == 1


def test_policy_live_and_djs(with_policies: Any, playout: FakePeer) -> None:
    rig, director = with_policies(Policies(live="card.mp4", djs={"dj one": "djs/one.mp4"}))
    for number, (name, loop) in enumerate((("DJ One!", "djs/one.mp4"), ("Another", "card.mp4")), 1):
        offer(director, "Show", number, live={"is_live": True, "streamer_name": name})
        eventually(lambda: len(playout.switches) == number)  # noqa: B023
        assert playout.switches[-1]["loop"].endswith("/" + loop)
    assert eventually(lambda: rig.ledger.started[1:])[-1]["rule"] == "policy"


def test_policy_jingles_hold(with_policies: Any, playout: FakePeer) -> None:
    rig, director = with_policies(Policies(jingle_playlists=frozenset({"jingles"})))
    offer(director, "One", 1)
    eventually(lambda: rig.ledger.started)
    playing = body("Jingle", 2)["now_playing"] | {"playlist": "Jingles"}
    assert offer(director, "Jingle", 2, now_playing=playing) == "fresh"
    offer(director, "Two", 3)
    eventually(lambda: len(rig.ledger.started) == 2)
    assert [row["event"].title for row in rig.ledger.started] == ["One", "Two"]
    assert len(playout.switches) == 2


def test_what_the_status_says(live: Rig, playout: FakePeer) -> None:
    sources = live.services.sources.status("demo")
    assert sources["sources"]["icy"] == {
        "state": "connected",
        "titles": "icy",
        "title": "Artist - Zero",
        "trusted": True,
    }
    assert sources["sources"]["sse"]["state"] == "off"
    assert sources["sources"]["webhook"]["last_at"].tzinfo is not None
    assert sources["last_switch"]["decided_by"] == "icy"
    assert live.services.sources.up() == {
        "demo": ({"webhook": True, "icy": True}, True),
        "other": ({"webhook": False, "icy": False}, False),
    }


def test_a_switch_is_foretold_as_soon_as_its_title_is(live: Rig, playout: FakePeer) -> None:
    at = sound(playout, "One", 2.5)
    one = str(live.host.paths.loops / "one.mp4")
    eventually(lambda: (one, at) in playout.foretold)
    assert playout.switches == [], "it is ordered a second before"
    eventually(lambda: [switch["at"] for switch in playout.switches] == [at])
    assert playout.foretold.count((one, at)) == 1
