"""A whole run, judged and written down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rig.alignment import Change
from tests.rig.flvread import AUDIO, VIDEO
from tests.soak.__main__ import as_json, markdown
from tests.soak.course import Done, Outcome
from tests.soak.faults import Fault
from tests.soak.verdict import judge
from tests.soak.watch import Hole, Ledger, Wait
from tests.soak.weigh import Life, Weight


def living(memory: float = 0.0, files: float = 0.0) -> Life:
    """An hour of a process that grows so much (MB, descriptors) every ten seconds."""
    return Life(
        "web", 7, [Weight(10.0 * n, 50 + n / 50, 40 + memory * n, 19 + int(files * n), 9) for n in range(360)]
    )


def outcome() -> Outcome:
    """An hour in which all went well, with one fault that viewers saw."""
    ledger = Ledger({})
    ledger.frames = {VIDEO: 108_000, AUDIO: 155_000}
    ledger.holes = [Hole(VIDEO, 12, 600.1, 600.5), Hole(AUDIO, 17, 600.1, 600.5)]
    ledger.waits = [Wait(VIDEO, 600.1, 602.0)]
    ledger.apart = [(60.0 * minute, 33) for minute in range(60)]
    quiet, loud = Fault("radio-web killed", lambda _: None), Fault("publisher killed", lambda _: None, seen=True)
    return Outcome(
        seconds=3600, done=[Done(quiet, 30, 30, 31), Done(loud, 600, 600, 602)], ledger=ledger, broken_off="",
        changes=[Change(500, "coral", 0, offset) for offset in range(-60, 60, 4)], lives=[living()],
        sessions=1, tracks=313, refused=0, plays=313, webhooks=939, answers={"GET 200": 7000}, wrong=[],
        failed_requests=0,
    )  # fmt: skip


def missed(told: Outcome) -> list[str]:
    return [check.what for check in judge(told).checks if not check.met]


def test_all_is_well() -> None:
    assert missed(outcome()) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"plays": 250}, "Switches"),
        ({"wrong": ["GET /api/v1/status: 500"]}, "Answers of the API"),
        ({"failed_requests": 1}, "Requests that failed"),
        ({"broken_off": "hung up"}, "Times the watching broke off"),
        ({"sessions": 2}, "Sessions at the watched platform"),
        ({"lives": []}, "Processes old enough"),
        ({"lives": [living(memory=1 / 60)]}, "Processes whose"),
        ({"lives": [living(files=1 / 30)]}, "Processes with"),
        ({"changes": [Change(500, "coral", 0, 300.0)] * 9}, "Picture to sound"),
        ({"changes": [Change(500, "coral", 0, 60.0)] * 9}, "Picture to sound at a change, in the last third: median"),
        ({"changes": []}, "Picture to sound"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(change: dict[str, object], what: str) -> None:
    found = missed(replace(outcome(), **change))  # type: ignore[arg-type]
    assert found
    assert all(one.startswith(what) for one in found)


def test_frames_lost_to_a_fault_that_nobody_may_see() -> None:
    told = outcome()
    told.ledger.holes.append(Hole(VIDEO, 1, 30.2, 30.3))
    told.ledger.waits.append(Wait(AUDIO, 30.2, 32.0))
    told.ledger.backwards = 1
    told.ledger.apart[-1] = (3540.0, 41)
    told.done.append(Done(told.done[0].fault, 900, 905, None))
    assert [what.split()[0] for what in missed(told)] == ["Faults", "Pictures", "Waits", "Timestamps", "Sound"]


def test_the_report(tmp_path: Path) -> None:
    part = judge(outcome())
    text = markdown(part, {"command": "`make soak`"}, 60)
    assert "| publisher killed |     1 |" in text
    assert "| web     |" in text
    document = json.loads(as_json(part, {}, 61))
    assert document["met"] is True
    assert document["faults"][1]["video_lost"] == 12
