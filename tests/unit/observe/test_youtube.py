"""What YouTube says, as metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from hook_service.observe.youtube import YouTubeCollector
from hook_service.youtube.answers import HEALTH, LIFE_CYCLE, STATUS, Broadcast, Issue, Stream
from hook_service.youtube.watcher import Found

OF = {"station": "demo", "destination": "tube"}
STREAM = Stream("s", "Radio", "active", "bad", (Issue("a", "error", "", ""), Issue("b", "error", "", "")))
LIVE = Found("connected", 1.0, stream=STREAM, broadcast=Broadcast("v", "Radio", "live", "s"), rebinds=2)


def registry(found: Found) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(YouTubeCollector(lambda: {("demo", "tube"): found}))
    return made


def test_each_state_has_a_series_and_one_of_them_is_1() -> None:
    read = registry(LIVE).get_sample_value
    for metric, label, values, one in (
        ("radio_youtube_stream_health", "health", HEALTH, "bad"),
        ("radio_youtube_stream_status", "status", STATUS, "active"),
        ("radio_youtube_broadcast", "life_cycle", (*LIFE_CYCLE, "none"), "live"),
    ):
        assert {value: read(metric, OF | {label: value}) for value in values} == {
            value: float(value == one) for value in values
        }
    assert read("radio_youtube_up", OF) == 1
    assert read("radio_youtube_rebinds_total", OF) == 2
    issues = {name: read("radio_youtube_configuration_issues", OF | {"severity": name}) for name in ("error", "info")}
    assert issues == {"error": 2, "info": 0}


def test_no_broadcast_is_none() -> None:
    read = registry(replace(LIVE, broadcast=None)).get_sample_value
    assert read("radio_youtube_broadcast", OF | {"life_cycle": "none"}) == 1
    assert read("radio_youtube_broadcast", OF | {"life_cycle": "live"}) == 0


@pytest.mark.parametrize("state", ["away", "connecting"])
def test_what_is_not_known_is_not_shown(state: str) -> None:
    found = Found("away" if state == "away" else "connecting", 1.0, rebinds=2)
    names = {sample.name for metric in registry(found).collect() for sample in metric.samples}
    assert names == {"radio_youtube_up", "radio_youtube_rebinds_total"}
    assert registry(found).get_sample_value("radio_youtube_up", OF) == 0
