"""Prometheus' words, as its HTTP API gives them."""

import pytest

from tests.faults.alerts import Diary, Told, active, rules, seconds

RULES = {
    "data": {
        "groups": [
            {
                "rules": [
                    {"type": "alerting", "name": "DestinationDown", "duration": 60},
                    {"type": "recording", "name": "station:uptime"},
                ]
            }
        ]
    }
}


def alert(name: str, at: str, state: str) -> dict[str, object]:
    return {"labels": {"alertname": name, "station": "demo"}, "activeAt": at, "state": state}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00.5Z", 60.5),
        ("1970-01-01T00:01:00.123456789Z", 60.123456789),
        ("1970-01-01T01:01:00.25+01:00", 60.25),
    ],
)
def test_times(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


def test_what_is_no_time() -> None:
    with pytest.raises(ValueError, match="not a time"):
        seconds("soon")


def test_rules_that_are_alerts() -> None:
    assert rules(RULES) == {"DestinationDown": 60.0}


def test_one_of_two_fires() -> None:
    found = active(
        {
            "data": {
                "alerts": [
                    alert("DestinationDown", "1970-01-01T00:01:10Z", "pending"),
                    alert("DestinationDown", "1970-01-01T00:01:00Z", "firing"),
                ]
            }
        }
    )
    assert found == {"DestinationDown": (60.0, True)}


def test_a_diary() -> None:
    diary = Diary(100.0)
    diary.look(101.0, {"Before": (90.0, True)})
    diary.look(130.0, {"Before": (90.0, True), "DestinationDown": (120.0, False)})
    diary.look(181.0, {"DestinationDown": (120.0, True)})
    known = {"DestinationDown": 60.0, "Quiet": 10.0}
    told = diary.told("DestinationDown", known)
    assert told == Told("DestinationDown", True, 20.0, 60.0, 81.0)
    assert told.due == 80.0
    assert diary.told("Quiet", known) == Told("Quiet", True, None, 10.0)
    assert diary.told("NotYet", known) == Told("NotYet", exists=False)
    assert diary.names() == ["DestinationDown"]
