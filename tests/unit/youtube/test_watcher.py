"""A watcher and a YouTube that does as the API's description says."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hook_service.youtube import rebind, watcher
from hook_service.youtube.client import Client
from hook_service.youtube.credentials import Credentials
from hook_service.youtube.watcher import Found, Watcher
from tests.rig.net import wait_until
from tests.rig.youtube import CHANGE, CLIENT_ID, CLIENT_SECRET, READ, REFRESH, Knobs, YouTube
from tests.rig.youtube_channel import STREAM

MAKE = "POST /youtube/v3/liveBroadcasts?"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "EVERY", 0.02)
    monkeypatch.setattr(watcher, "UNIT_SECONDS", 0.0)
    monkeypatch.setattr(watcher, "RETRY_LAST", 0.1)
    monkeypatch.setattr(watcher, "QUOTA_SECONDS", 0.2)
    monkeypatch.setattr(rebind, "TRY_FIRST", 0.05)


@pytest.fixture
def youtube() -> Iterator[YouTube]:
    with YouTube(Knobs()) as site:
        site.add_broadcast("vid1", "live")
        yield site


Watch = Callable[..., Watcher]


@pytest.fixture
def watch(youtube: YouTube, tmp_path: Path) -> Iterator[Watch]:
    running: list[Watcher] = []

    def start(**settings: Any) -> Watcher:
        client = Client(Credentials(CLIENT_ID, CLIENT_SECRET, REFRESH), youtube.endpoints)
        values: dict[str, Any] = {"stream": STREAM, "rebind": False, "memory": tmp_path / "memory.json"} | settings
        one = Watcher("demo", "tube", client=client, **values)
        running.append(one)
        one.start()
        return one

    yield start
    for one in running:
        one.stop()


def until(one: Watcher, what: Callable[[Found], object], seconds: float = 10) -> Found:
    wait_until(lambda: what(one.found()), f"a state that was not {one.found()}", seconds, every=0.01)
    return one.found()


def life(found: Found) -> str | None:
    return found.broadcast.life_cycle if found.broadcast is not None else None


def looks(youtube: YouTube) -> int:
    return sum("/liveStreams?" in asked for asked in youtube.asked)


def settle(youtube: YouTube) -> None:
    """Let it look some more times."""
    seen = looks(youtube)
    wait_until(lambda: looks(youtube) > seen + 4, "more looks", 10, every=0.01)


def test_all_is_well(youtube: YouTube, watch: Watch) -> None:
    found = until(watch(), lambda found: found.state == "connected")
    assert (life(found), found.trouble, found.error) == ("live", None, None)
    assert found.stream is not None
    assert (found.stream.status, found.stream.health) == ("active", "good")
    # Two units a look, and never the stream's key.
    settle(youtube)
    assert youtube.units <= 2 * looks(youtube)
    assert not [asked for asked in youtube.asked if "cdn" in asked]
    assert len(set(youtube.headers)) == 1, "one access token is enough"


def test_what_changes_is_seen(youtube: YouTube, watch: Watch) -> None:
    one = watch()
    until(one, lambda found: found.state == "connected")
    health = youtube.streams[STREAM]["status"]["healthStatus"]
    health |= {
        "status": "bad",
        "configurationIssues": [
            {"type": "gopSizeLong", "severity": "error", "reason": "x", "description": "Too far."}
        ],
    }
    found = until(one, lambda found: found.trouble)
    assert found.trouble == "YouTube calls what it receives bad: Too far."
    youtube.turn("vid1", "complete")
    found = until(one, lambda found: life(found) == "complete")
    assert "start one in YouTube Studio" in (found.trouble or "")
    settle(youtube)
    assert not [asked for asked in youtube.asked if MAKE in asked], "nobody asked for another"


def test_one_that_ended_before_it_began_to_look(youtube: YouTube, watch: Watch) -> None:
    youtube.turn("vid1", "complete")
    youtube.add_broadcast("vid2", "live", "another-stream")
    assert life(until(watch(), lambda found: found.state == "connected")) == "complete"


def test_none_at_all(youtube: YouTube, watch: Watch) -> None:
    youtube.broadcasts.clear()
    found = until(watch(rebind=True), lambda found: found.state == "connected")
    assert found.broadcast is None
    assert "no broadcast is bound" in (found.trouble or "")


def test_one_that_ended_is_bound_anew(youtube: YouTube, watch: Watch, tmp_path: Path) -> None:
    one = watch(rebind=True)
    until(one, lambda found: life(found) == "live")
    youtube.turn("vid1", "complete")
    found = until(one, lambda found: found.rebinds == 1 and life(found) == "live")
    made = youtube.broadcasts["made1"]
    assert made["contentDetails"]["boundStreamId"] == STREAM
    assert made["status"] == {**made["status"], "lifeCycleStatus": "live", "privacyStatus": "public"}
    assert made["snippet"]["title"] == "Demo FM around the clock"
    assert found.trouble is None
    # It ends as well: one an hour is enough, in this process and in the next.
    youtube.turn("made1", "complete")
    until(one, lambda found: life(found) == "complete")
    settle(youtube)
    one.stop()
    again = watch(rebind=True)
    until(again, lambda found: life(found) == "complete")
    settle(youtube)
    assert sum(MAKE in asked for asked in youtube.asked) == 1
    again.stop()
    # Later.
    memory = json.loads((tmp_path / "memory.json").read_text())
    (tmp_path / "memory.json").write_text(json.dumps(memory | {"made_at": time.time() - 3601}))
    until(watch(rebind=True), lambda found: life(found) == "live")
    assert youtube.broadcasts["made2"]["status"]["lifeCycleStatus"] == "live"


def test_one_that_starts_by_itself(youtube: YouTube, watch: Watch) -> None:
    youtube.knobs.refuse["transition"] = "redundantTransition"
    one = watch(rebind=True)
    until(one, lambda found: life(found) == "live")
    youtube.turn("vid1", "complete")
    until(one, lambda found: life(found) == "liveStarting")
    youtube.turn("made1", "live")
    until(one, lambda found: life(found) == "live")
    assert sum(MAKE in asked for asked in youtube.asked) == 1


@pytest.mark.parametrize(("where", "reason"), [("bind", "liveStreamNotFound"), ("transition", "errorStreamInactive")])
def test_one_that_was_made_is_used_however_long_it_takes(
    where: str, reason: str, youtube: YouTube, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    youtube.knobs.refuse[where] = reason
    one = watch(rebind=True)
    until(one, lambda found: life(found) == "live")
    youtube.turn("vid1", "complete")
    wait_until(lambda: sum(f"/{where}?" in asked for asked in youtube.asked) >= 2, "a second attempt", 10, every=0.01)
    found = until(one, lambda found: found.trouble and reason in found.trouble)
    assert found.state == "connected"
    one.stop()
    again = watch(rebind=True)  # another process finishes what this one began
    until(again, lambda found: found.state == "connected")
    youtube.knobs.refuse.clear()
    until(again, lambda found: life(found) == "live" and found.trouble is None)
    assert sum(MAKE in asked for asked in youtube.asked) == 1
    assert "could not be bound anew" in caplog.text


def test_no_permission_to_change(youtube: YouTube, watch: Watch) -> None:
    youtube.scope = READ
    youtube.turn("vid1", "complete")
    one = watch(rebind=True)
    found = until(one, lambda found: found.trouble and "with --rebind" in found.trouble)
    assert (found.state, life(found)) == ("connected", "complete")
    youtube.scope = CHANGE
    youtube.forget_tokens()
    until(one, lambda found: life(found) == "live")


@pytest.mark.parametrize("restarted", [False, True])
def test_one_that_was_made_without_a_word_is_found_again(restarted: bool, youtube: YouTube, watch: Watch) -> None:
    youtube.knobs.lost = True
    one = watch(rebind=True)
    until(one, lambda found: life(found) == "live")
    youtube.turn("vid1", "complete")
    wait_until(lambda: "made1" in youtube.broadcasts, "an attempt", 10, every=0.01)
    if restarted:
        one.stop()
        one = watch(rebind=True)
    until(one, lambda found: found.broadcast is not None and found.broadcast.id == "made1" and not found.trouble)
    assert sum(MAKE in asked for asked in youtube.asked) == 1
    assert youtube.broadcasts["made1"]["contentDetails"]["boundStreamId"] == STREAM


def test_one_that_could_not_be_made_is_tried_again_ever_more_seldom(youtube: YouTube, watch: Watch) -> None:
    youtube.knobs.refuse["liveBroadcasts"] = "rateLimitExceeded"
    youtube.turn("vid1", "complete")
    one = watch(rebind=True)
    found = until(one, lambda found: found.trouble and "asked too often" in found.trouble)
    assert life(found) == "complete"
    youtube.knobs.refuse.clear()
    until(one, lambda found: life(found) == "live")


def test_no_memory_no_broadcast(youtube: YouTube, watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    youtube.turn("vid1", "complete")
    one = watch(rebind=True, memory=tmp_path / "file" / "memory.json")
    found = until(one, lambda found: found.trouble and "can't be written" in found.trouble)
    assert (found.state, life(found)) == ("connected", "complete")
    assert not [asked for asked in youtube.asked if MAKE in asked]


def test_one_that_was_taken_down_stays_down(youtube: YouTube, watch: Watch) -> None:
    youtube.turn("vid1", "revoked")
    found = until(watch(rebind=True), lambda found: found.state == "connected")
    assert found.broadcast is None or life(found) == "revoked"
    settle(youtube)
    assert not [asked for asked in youtube.asked if MAKE in asked]


def test_nothing_is_made_while_nothing_is_received(youtube: YouTube, watch: Watch) -> None:
    youtube.streams[STREAM]["status"]["streamStatus"] = "inactive"
    youtube.turn("vid1", "complete")
    one = watch(rebind=True)
    until(one, lambda found: life(found) == "complete")
    settle(youtube)
    assert not [asked for asked in youtube.asked if MAKE in asked]
    youtube.streams[STREAM]["status"]["streamStatus"] = "active"
    until(one, lambda found: life(found) == "live")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Knobs(down=True), "YouTube answers with 503 backendError"),
        (Knobs(revoked=True), "YouTube refuses (400 invalid_grant): the authorisation has ended"),
        (Knobs(quota=-1), "YouTube refuses (403 quotaExceeded)"),
        (Knobs(raw=(200, b"<html>")), "YouTube answers with something that is not JSON"),
        (Knobs(raw=(200, b'{"items": []}')), "YouTube knows no stream 'AbCdEf0123456789_-stream'"),
        (Knobs(raw=(401, b"")), "YouTube answers with 401"),
        (Knobs(raw=(200, b"x" * 3_000_000)), "YouTube answers with more than"),
    ],
)
def test_away_and_back(
    broken: Knobs, said: str, youtube: YouTube, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = watch()
    until(one, lambda found: found.state == "connected")
    youtube.forget_tokens()
    youtube.knobs = broken
    found = until(one, lambda found: found.state == "away")
    assert said in (found.error or "")
    assert life(found) == "live", "what was found last is told for a while"
    asked = len(youtube.asked)
    wait_until(lambda: len(youtube.asked) > asked + 1, "more attempts", 10, every=0.01)
    assert sum(record.message == "YouTube's API is away" for record in caplog.records) == 1
    youtube.knobs = Knobs()
    found = until(one, lambda found: found.state == "connected")
    assert found.error is None


def test_a_quota_that_was_used_up_makes_looks_rarer(
    youtube: YouTube, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    waits: list[float] = []
    wait = Watcher._wait

    def noted(one: Watcher, seconds: float) -> None:
        waits.append(seconds)
        wait(one, seconds)

    monkeypatch.setattr(Watcher, "_wait", noted)
    one = watch()
    until(one, lambda found: found.state == "connected")
    youtube.knobs = Knobs(quota=-1)
    until(one, lambda found: found.state == "away")
    youtube.knobs = Knobs()
    until(one, lambda found: found.state == "connected")
    wait_until(lambda: waits.count(0.04) > 1, "looks that are rarer", 10, every=0.01)
    assert set(waits) == {0.02, 0.2, 0.04}


def test_old_news_are_no_news(youtube: YouTube, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "STALE", 0.1)
    one = watch()
    until(one, lambda found: found.state == "connected")
    youtube.knobs = Knobs(down=True)
    found = until(one, lambda found: found.stream is None)
    assert (found.state, found.broadcast) == ("away", None)


def test_a_token_that_ended_is_renewed(youtube: YouTube, watch: Watch) -> None:
    one = watch()
    until(one, lambda found: found.state == "connected")
    youtube.forget_tokens()
    settle(youtube)
    assert one.found().error is None
    assert len(set(youtube.headers)) == 2


def test_an_end_is_quick_whatever_youtube_does(youtube: YouTube, watch: Watch) -> None:
    youtube.knobs.hang = True
    one = watch()
    wait_until(lambda: youtube.asked, "a question", 5, every=0.01)
    began = time.monotonic()
    one.stop()
    assert time.monotonic() - began < 1


def test_without_credentials(tmp_path: Path) -> None:
    one = Watcher(
        "demo", "tube", STREAM, None, rebind=True, memory=tmp_path / "m", unusable="there is no credential x"
    )
    one.start()
    assert (one.found().state, one.found().error) == ("away", "there is no credential x")
    one.stop()


def test_no_secret_is_logged(
    youtube: YouTube, watch: Watch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    one = watch(rebind=True)
    until(one, lambda found: found.state == "connected")
    youtube.turn("vid1", "complete")
    until(one, lambda found: found.rebinds == 1)
    youtube.knobs.revoked = True
    youtube.forget_tokens()
    until(one, lambda found: found.state == "away")
    said = f"{caplog.text} {[record.__dict__ for record in caplog.records]} {one.found()} {youtube.asked} "
    said += (tmp_path / "memory.json").read_text()
    for secret in (CLIENT_SECRET, REFRESH, "ya29.", "abcd-efgh"):
        assert secret not in said


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"last": 5, "made": [], "made_at": "x", "tries": 1e999}', "\xff"])
def test_a_memory_that_was_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_text(text, encoding="latin-1")
    assert watcher.recall(tmp_path / "m") == rebind.Memory()
