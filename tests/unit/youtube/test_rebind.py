"""What is done about a broadcast, and when."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hook_service.youtube import answers
from hook_service.youtube.answers import Broadcast, Issue, Stream
from hook_service.youtube.rebind import APART, Memory, Step, current, like, next_step, soon, trouble
from tests.rig.youtube import YouTube

NOW = 1_800_000_000.0
STREAM = Stream("s", "Radio", "active", "good")


def one(name: str, life_cycle: str, stream: str | None = "s", at: str = "") -> Broadcast:
    return Broadcast(name, "Title", life_cycle, stream, at)


ENDED = one("old", "complete")


class TestCurrent:
    """Which broadcast a stream is on."""

    def test_the_one_that_airs(self) -> None:
        assert current([one("a", "complete"), one("b", "ready"), one("c", "live")], "s") == one("c", "live")

    def test_else_the_one_that_waits(self) -> None:
        assert current([one("a", "complete"), one("b", "ready")], "s") == one("b", "ready")

    def test_else_the_last_that_ended(self) -> None:
        early, late = one("a", "complete", at="2026-01-01T00:00:00Z"), one("b", "complete", at="2026-02-01T00:00:00Z")
        assert current([early, late], "s") == late == current([late, early], "s")

    def test_not_another_streams(self) -> None:
        assert current([one("a", "live", "other"), one("b", "live", None)], "s") is None

    def test_a_known_one_unless_it_is_anothers(self) -> None:
        assert current([one("a", "complete", None)], "s", ["a"]) == one("a", "complete", None)
        assert current([one("a", "complete", "other")], "s", ["a"]) is None

    def test_an_unknown_state_comes_last(self) -> None:
        assert current([one("a", "resting"), one("b", "revoked")], "s") == one("b", "revoked")


class TestNextStep:
    """What is done next."""

    def test_one_that_ended_is_followed(self) -> None:
        assert next_step(STREAM, ENDED, [ENDED], Memory(), NOW) == Step("create", ENDED)

    @pytest.mark.parametrize(
        "state", ["live", "liveStarting", "testing", "testStarting", "ready", "created", "revoked"]
    )
    def test_no_other_is(self, state: str) -> None:
        found = one("a", state)
        assert next_step(STREAM, found, [found], Memory(), NOW) is None

    def test_none_is_made_from_nothing(self) -> None:
        assert next_step(STREAM, None, [], Memory(), NOW) is None

    @pytest.mark.parametrize("status", ["inactive", "ready", "created", "error", ""])
    def test_none_while_nothing_is_received(self, status: str) -> None:
        assert next_step(replace(STREAM, status=status), ENDED, [ENDED], Memory(), NOW) is None

    @pytest.mark.parametrize(("seconds", "made"), [(0, False), (APART - 1, False), (-60, False), (APART, True)])
    def test_one_an_hour_whatever_the_clock_does(self, seconds: float, made: bool) -> None:
        memory = Memory(made="gone", made_at=NOW - seconds)
        assert (next_step(STREAM, ENDED, [ENDED], memory, NOW) is not None) is made

    def test_one_that_was_made_is_aired_instead_of_another(self) -> None:
        made = one("made", "ready", None)
        memory = Memory(made="made", made_at=NOW - 5 * APART)
        assert next_step(STREAM, made, [ENDED, made], memory, NOW) == Step("air", made)

    def test_one_of_which_no_id_came_is_known_by_its_beginning(self) -> None:
        memory = Memory(asked=NOW + 60, tried_at=NOW - 100, tries=1)
        ours = Broadcast("x", "Title", "ready", None, scheduled=NOW + 60)
        assert next_step(STREAM, ENDED, [ENDED, ours], memory, NOW) == Step("air", ours)
        for other in (
            replace(ours, scheduled=NOW + 61),
            replace(ours, stream="other"),
            replace(ours, scheduled=None),
        ):
            assert next_step(STREAM, ENDED, [ENDED, other], memory, NOW) == Step("create", ENDED)

    def test_attempts_become_rare(self) -> None:
        made = one("made", "ready", None)
        seen = []
        for tries in (1, 2, 3, 20):
            memory = Memory(made="made", made_at=NOW, tried_at=NOW, tries=tries)
            waits = (s for s in range(0, 4000, 10) if next_step(STREAM, made, [made], memory, NOW + s) is not None)
            seen.append(next(waits))
        assert seen == [60, 120, 240, 3600]

    def test_nothing_is_done_about_one_that_was_made_once_it_airs(self) -> None:
        made = one("made", "live")
        assert next_step(STREAM, made, [ENDED, made], Memory(made="made", made_at=NOW), NOW) is None


class TestLike:
    """The broadcast that follows."""

    def test_it_is_like_the_last_but_starts_by_itself(self) -> None:
        youtube = YouTube()
        ended = youtube.add_broadcast("old", "complete")
        ended["status"]["privacyStatus"] = "unlisted"
        [found] = answers.broadcasts(json.dumps({"items": [ended]}).encode())
        body = like(found, soon(NOW))
        assert body["snippet"]["title"] == "Demo FM around the clock"
        assert body["snippet"]["description"] == "Music."
        assert 0 < datetime.fromisoformat(body["snippet"]["scheduledStartTime"]).timestamp() - NOW <= 60
        assert body["status"] == {"privacyStatus": "unlisted", "selfDeclaredMadeForKids": False}
        details = body["contentDetails"]
        assert (details["enableAutoStart"], details["enableAutoStop"]) == (True, False)
        assert details["monitorStream"] == {"enableMonitorStream": False}
        assert (details["enableDvr"], details["latencyPreference"]) == (True, "normal")
        assert "boundStreamId" not in details
        assert "actualEndTime" not in body["snippet"]

    def test_of_one_that_says_nothing(self) -> None:
        body = like(Broadcast("a", "", "complete", "s", resource={"status": "x"}), datetime.now(UTC).timestamp())
        assert body["snippet"]["title"]
        assert body["status"] == {"privacyStatus": "private"}


@pytest.mark.parametrize(
    ("stream", "found", "rebind", "said"),
    [
        (STREAM, one("a", "live"), False, None),
        (STREAM, one("a", "liveStarting"), False, None),
        (STREAM, None, False, "no broadcast is bound"),
        (STREAM, ENDED, False, "or set rebind"),
        (STREAM, ENDED, True, "another follows"),
        (STREAM, one("a", "revoked"), True, "taken the broadcast down"),
        (STREAM, one("a", "ready"), True, "has not been started"),
        (STREAM, one("a", "resting"), True, "is resting, which is not known"),
        (replace(STREAM, status="inactive"), one("a", "live"), False, "receives nothing"),
        (replace(STREAM, health="revoked"), one("a", "live"), False, "taken the stream down"),
        (replace(STREAM, health="bad"), one("a", "live"), False, "calls what it receives bad"),
        (replace(STREAM, health="ok"), one("a", "live"), False, None),
    ],
)
def test_trouble(stream: Stream, found: Broadcast | None, rebind: bool, said: str | None) -> None:
    told = trouble(stream, found, rebind)
    assert (told is None) is (said is None)
    assert said is None or said in (told or "")


def test_trouble_names_the_worst_issue() -> None:
    issues = (
        Issue("audioBitrateLow", "info", "Check", "Low."),
        Issue("gopSizeLong", "error", "Check", "Too far apart."),
    )
    told = trouble(replace(STREAM, health="bad", issues=issues), one("a", "live"), False)
    assert told == "YouTube calls what it receives bad: Too far apart."
