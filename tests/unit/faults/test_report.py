"""What is as expected, and how it reads."""

import json
from dataclasses import replace

from tests.faults import report
from tests.faults.__main__ import FAULTS
from tests.faults.alerts import Told
from tests.faults.fault import Fault, Measured, judge, nothing
from tests.faults.measure import missing
from tests.faults.watch import Seen

WELL = Seen(0, 0.03, 0, 0, 0, None)
AWAY = Seen(4.2, 4.2, 306, 0, 0, 1010.0)
FAULT = Fault("cut", "the network cut", nothing, second_off_air=5, why="nothing gets through")


def measured(**changes: object) -> Measured:
    one = Measured(FAULT, WELL, AWAY, None, [], 8.0, 1.25, 2, 2)
    return replace(one, **changes)  # type: ignore[arg-type]


def test_as_expected() -> None:
    assert judge(measured()) == []
    assert judge(measured(alert=Told("NotYet", exists=False))) == []


def test_each_thing_that_is_not() -> None:
    assert judge(measured(first=AWAY)) == [
        "off the air for 4.2 s at the first destination, 0 s allowed",
        "306 frames lost at the first destination, 0 allowed",
    ]
    assert judge(measured(second=replace(AWAY, off_air=6))) == [
        "off the air for 6.0 s at the second destination, 5 s allowed"
    ]
    everybody = replace(FAULT, second_off_air=None)
    assert judge(measured(fault=everybody, second=replace(WELL, lost=3))) == [
        "3 frames lost at the second destination, 0 allowed"
    ]
    assert judge(measured(recovery=None)) == ["not well within 30 s"]
    assert judge(measured(rows=1)) == ["1 plays have no row, 0 allowed"]
    assert judge(measured(alert=Told("There", True))) == ["There did not become pending within 8 s"]
    assert judge(measured(alert=Told("There", True, 2.0, 60.0))) == ["There did not fire within 8 s"]
    assert judge(measured(alert=Told("Patient", True, 2.0, 600.0))) == []


def test_a_row() -> None:
    cells = [
        "`cut`: the network cut",
        "0 / 4.2",
        "0 / 306",
        "DestinationDown: pending 20, fired 83",
        "1.2",
        "2 of 2",
        "yes",
    ]
    assert report.row(measured(alert=Told("DestinationDown", True, 20.0, 60.0, 82.6))) == cells
    assert report.row(measured(alert=Told("Patient", True, 8.0, 600.0)))[3] == "Patient: pending 8, would fire 608"
    assert report.row(measured(alert=Told("There", True, 8.0, 60.0)))[3] == "There: **did not fire**"
    assert report.row(measured(alert=Told("NotYet", False)))[3] == "NotYet: no such rule yet"
    assert report.row(measured(second=WELL))[1:3] == ["0", "0"]
    assert report.row(measured(others=["ServiceDown"]))[3] == "none waited for; ServiceDown pending"


def test_the_document_says_what_was_not_had() -> None:
    wrong = measured(problems=["not well within 30 s"], recovery=None)
    text = report.markdown([measured(), wrong], {"memory": "no controller."}, {"cores": "2"}, 12.0)
    assert "* `cut`: not well within 30 s." in text
    assert "* `memory`: no controller." in text
    assert "5 s off the air at the second destination alone: nothing gets through." in text
    document = json.loads(report.as_json([wrong], {}, {}, 1.0))
    assert document["as_expected"] is False
    assert document["faults"][0]["destinations"]["second"]["lost"] == 306


def test_what_was_saved_comes_back() -> None:
    one = measured(alert=Told("There", True, 20.0, 60.0, 81.5), others=["Other"], date="2026-01-02 03:04 UTC")
    saved = json.loads(report.as_json([one], {}, {}, 1.0))["faults"][0]
    assert report.from_dict(saved, FAULT) == one


def test_plays_without_a_row() -> None:
    one, two = ("A", "one"), ("A", "two")
    assert missing([one, two, one], [one, two]) == 1
    assert missing([one], [two, one]) == 0


def test_every_fault_that_may_cost_something_says_why() -> None:
    assert len(FAULTS) >= 30
    for fault in FAULTS.values():
        costs = fault.off_air or fault.lost or fault.plays_lost or fault.second_off_air
        assert bool(costs) == bool(fault.why), fault.name
