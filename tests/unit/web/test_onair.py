"""What the monitor and the outputs tell, as metrics and in the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hook_service.observe.metrics import Metrics
from hook_service.observe.onair import DestinationsCollector, OnairCollector
from hook_service.web.stations import Stations
from tests.unit.web.doubles import BEARER, Rig
from tests.unit.web.peers import FakePeer
from tests.unit.web.test_metrics import scrape, value

SEEN: dict[str, Any] = {
    "up": True,
    "black": False,
    "frozen": True,
    "silent": None,
    "loudness_lufs": -17.5,
    "peak_dbfs": None,
    "keyframe_interval_seconds": 2.0,
    "bitrate_bps": {"video": 3_000_000.5},
    "expected_bitrate_bps": {"video": 3_000_000, "audio": 192_000},
    "frames": {"video": 90, "audio": 130},
    "gaps": {"video": 0, "audio": 2},
    "relay_key": "demo-a",
}


class Monitor(FakePeer):
    """Answers `status` with these stations."""

    def __init__(self, path: Path, stations: dict[str, Any]) -> None:
        self.stations = stations
        super().__init__(path)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "pid": 1, "stations": self.stations, "processes": []}


def test_the_names_and_labels_that_others_rely_on() -> None:
    metrics = Metrics([])
    metrics.registry.register(OnairCollector(["demo", "other"], lambda: {"demo": SEEN}))
    found = scrape(metrics)
    assert value(found, "radio_onair_up", station="demo") == 1
    assert value(found, "radio_onair_black", station="demo") == 0
    assert value(found, "radio_onair_frozen", station="demo") == 1
    assert value(found, "radio_onair_silent", station="demo") is None
    assert value(found, "radio_onair_loudness_lufs", station="demo") == -17.5
    assert value(found, "radio_onair_peak_dbfs", station="demo") is None
    assert value(found, "radio_onair_keyframe_interval_seconds", station="demo") == 2
    assert value(found, "radio_onair_bitrate_bps", station="demo", kind="video") == 3_000_000.5
    assert value(found, "radio_onair_bitrate_bps", station="demo", kind="audio") is None
    assert value(found, "radio_onair_expected_bitrate_bps", station="demo", kind="audio") == 192_000
    assert value(found, "radio_onair_frames_total", station="demo", kind="audio") == 130
    assert value(found, "radio_onair_gaps_total", station="demo", kind="audio") == 2
    assert [name for name, labels in found if ("station", "other") in labels] == ["radio_onair_up"]
    assert value(found, "radio_onair_up", station="other") == 0


def test_a_monitor_that_does_not_answer_has_nothing_but_that() -> None:
    metrics = Metrics([])
    metrics.registry.register(OnairCollector(["demo"], lambda: None))
    found = {name: figure for (name, _), figure in scrape(metrics).items() if name.startswith("radio_onair")}
    assert found == {"radio_onair_up": 0}


def test_how_far_destinations_keep_up() -> None:
    outputs = {
        "processes": [
            {"name": "destination:tube", "queue_bytes": 4096, "lag_seconds": 0.5},
            {"name": "destination:away", "queue_bytes": None, "lag_seconds": None},
        ]
    }
    metrics = Metrics([])
    metrics.registry.register(DestinationsCollector(lambda: {"demo": (None, outputs), "gone": (None, None)}))
    found = scrape(metrics)
    assert value(found, "radio_destination_queue_bytes", station="demo", destination="tube") == 4096
    assert value(found, "radio_destination_lag_seconds", station="demo", destination="tube") == 0.5
    assert not [labels for _, labels in found if ("destination", "away") in labels or ("station", "gone") in labels]


def test_it_is_not_asked_again_at_once(tmp_path: Path) -> None:
    stations = Stations(tmp_path, ["demo"])
    assert stations.onair() is None
    peer = Monitor(tmp_path / "monitor.sock", {"demo": SEEN})
    try:
        assert stations.onair() is None
        assert Stations(tmp_path, ["demo"]).onair() == {"demo": SEEN}
    finally:
        peer.close()


def test_over_the_api(rig: Rig) -> None:
    assert rig.client.get("/api/v1/status", headers=BEARER).get_json()["stations"]["demo"]["onair"] is None
    rig.services.stations._seen_at = float("-inf")
    peer = Monitor(rig.host.paths.run / "monitor.sock", {"demo": SEEN})
    try:
        stations = rig.client.get("/api/v1/status", headers=BEARER).get_json()["stations"]
    finally:
        peer.close()
    assert stations["demo"]["onair"] == SEEN
    assert stations["other"]["onair"] is None
