from __future__ import annotations

import os
import time
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hook_service.observe.metrics import (
    GaugesCollector,
    Metrics,
    SourcesCollector,
    StationsCollector,
    _Usage,
    preparations_failed,
)
from tests.unit.web.doubles import Rig


def statuses() -> dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    playout = {
        "audio": {"source": "fallback"},
        "processes": [
            {"name": "publisher", "state": "RUNNING", "pid": os.getpid(), "restarts": 2, "since": 1_000.0},
            {"name": "audio", "state": "FAILED", "pid": None, "restarts": 9, "since": None},
        ],
    }
    outputs = {
        "processes": [
            {
                "name": "destination:tube",
                "state": "CRASHED",
                "pid": 2**22 + 1,
                "restarts": 1,
                "progress": {"bytes": 512},
            }
        ]
    }
    return {"demo": (playout, outputs), "gone": (None, None)}


def scrape(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def test_a_clock_that_was_set_back_ends_no_publisher() -> None:
    metrics = Metrics(["demo"])
    later = {"processes": [{"name": "publisher", "state": "RUNNING", "pid": None, "since": time.time() + 3600}]}
    metrics.registry.register(StationsCollector(lambda: {"demo": (later, None)}, {}))
    assert (value(scrape(metrics), "radio_stream_uptime_seconds", station="demo") or 0) > 0


def test_the_names_and_labels_that_others_rely_on() -> None:
    metrics = Metrics(["demo", "gone"])
    metrics.registry.register(StationsCollector(statuses, {"demo": ["tube"], "gone": ["tube"]}))
    metrics.error("demo", "ERROR")
    metrics.error("demo", "something else")
    found = scrape(metrics)
    assert value(found, "radio_tracks_played_total", station="demo") == 0
    assert value(found, "radio_ffmpeg_restarts_total", station="demo", process="publisher") == 2
    assert value(found, "radio_errors_total", station="demo", severity="ERROR") == 2
    states = {
        state: value(found, "radio_ffmpeg_status", station="demo", process="publisher", status=state)
        for state in ("STOPPED", "SPAWNING", "RUNNING", "CRASHED", "FAILED")
    }
    assert states == {"STOPPED": 0, "SPAWNING": 0, "RUNNING": 1, "CRASHED": 0, "FAILED": 0}
    assert value(found, "radio_ffmpeg_status", station="demo", process="destination:tube", status="CRASHED") == 1
    assert (value(found, "radio_stream_uptime_seconds", station="demo") or 0) > 1e9
    assert value(found, "radio_stream_uptime_seconds", station="gone") == 0
    assert value(found, "radio_destination_up", station="gone", destination="tube") == 0
    assert (value(found, "radio_ffmpeg_memory_mb", station="demo", process="publisher") or 0) > 5
    assert value(found, "radio_ffmpeg_cpu_usage_percent", station="demo", process="publisher") is not None
    assert value(found, "radio_ffmpeg_memory_mb", station="demo", process="audio") is None
    assert value(found, "radio_track_switch_duration_seconds_bucket", station="demo", le="+Inf") == 0
    assert value(found, "radio_audio_source", station="demo", source="fallback") == 1
    assert value(found, "radio_audio_source", station="demo", source="mount") == 0
    assert value(found, "radio_destination_up", station="demo", destination="tube") == 0
    assert value(found, "radio_destination_bytes_total", station="demo", destination="tube") == 512
    assert value(found, "radio_webhooks_total", station="demo", result="duplicate") == 0
    for decider in ("icy", "ogg", "webhook", "sse", "poll", "policy"):
        assert value(found, "radio_switches_total", station="demo", decided_by=decider) == 0
    assert value(found, "radio_source_offset_seconds_bucket", station="demo", source="sse", le="-1.0") == 0
    assert value(found, "radio_events_dropped_total", station="demo", reason="contradicted") == 0
    assert not [name for name, _ in found if name.endswith("_created")]


def test_a_destination_that_was_stopped_is_neither_up_nor_down() -> None:
    metrics = Metrics(["demo"])
    process = {"name": "destination:tube", "state": "STOPPED", "wanted": False, "progress": {"bytes": 512}}
    metrics.registry.register(
        StationsCollector(lambda: {"demo": (None, {"processes": [process]})}, {"demo": ["tube"]})
    )
    found = scrape(metrics)
    assert value(found, "radio_destination_wanted", station="demo", destination="tube") == 0
    assert value(found, "radio_destination_up", station="demo", destination="tube") is None
    assert value(found, "radio_destination_bytes_total", station="demo", destination="tube") is None


def test_how_the_sources_are() -> None:
    metrics = Metrics(["demo"])
    metrics.registry.register(SourcesCollector(lambda: {"demo": ({"webhook": False, "icy": True}, True)}))
    found = scrape(metrics)
    assert value(found, "radio_source_up", station="demo", source="webhook") == 0
    assert value(found, "radio_source_up", station="demo", source="icy") == 1
    assert value(found, "radio_source_up", station="demo", source="sse") is None
    assert value(found, "radio_titles_trusted", station="demo") == 1


def test_what_cannot_be_prepared_is_counted_and_what_nobody_tells_is_left_out() -> None:
    told = {"ok": True, "queued": 5, "prepared": 7, "refused": 2, "unreadable": 1, "postponed": 3}
    assert preparations_failed(told) == 6
    assert preparations_failed({"ok": True, "queued": 5, "prepared": 7, "refused": 0}) == 0
    assert preparations_failed(None) is None
    assert preparations_failed({"state": "refused", "reason": "unknown op"}) is None
    metrics = Metrics([])
    metrics.registry.register(GaugesCollector(("told", "", lambda: 6.0), ("untold", "", lambda: None)))
    found = scrape(metrics)
    assert value(found, "told") == 6
    assert value(found, "untold") is None


def test_registering_asks_nobody() -> None:
    def fail() -> dict[str, Any]:
        raise AssertionError

    Metrics([]).registry.register(StationsCollector(fail, {}))


def test_cpu_is_what_was_used_between_two_looks() -> None:
    usage = _Usage()
    first = usage.read(os.getpid(), 1e12)
    assert first is not None
    assert first[0] < 1
    again = usage.read(os.getpid(), 1e12 + 10)
    assert again is not None
    assert 0 <= again[0] < 10
    assert usage.read(2**22 + 1, 1e12) is None
    usage.forget_all_but(set())
    assert not usage._seen


@pytest.mark.usefixtures("playout")
def test_over_http(rig: Rig) -> None:
    answer = rig.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    assert 'radio_webhooks_total{result="accepted",station="demo"} 0.0' in answer.text
