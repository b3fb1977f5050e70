"""The metrics of what leaves the host: what the monitor sees and hears, and how far each destination keeps up.

Both are asked for at each scrape. Of a station that the monitor says nothing of there is `radio_onair_up` 0, and
nothing else: an old figure would say that all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hook_service.observe.metrics import Status, processes

KINDS = ("video", "audio")

_GAUGES = {
    "black": "1 while the picture is nearly all dark, for 5 s and longer",
    "frozen": "1 while the picture stands still that should move, for 5 s and longer",
    "silent": "1 while there is no sound that one could hear, for 10 s and longer",
    "loudness_lufs": "Loudness of the last three seconds (EBU R128, short-term)",
    "peak_dbfs": "The highest sample of the last ten seconds",
    "keyframe_interval_seconds": "The largest distance between two keyframes in the last ten seconds",
}
_GAUGES_BY_KIND = {
    "bitrate_bps": "Bits a second in the last ten seconds",
    "expected_bitrate_bps": "Bits a second that the station's profile asks for",
}
_COUNTERS_BY_KIND = {
    "frames": "Frames that the relay sent",
    "gaps": "Frames that did not follow the one before at a frame's distance",
}


class OnairCollector(Collector):
    """What the monitor tells. `monitor` gives its document of each station, or None where it does not answer."""

    def __init__(self, stations: Iterable[str], monitor: Callable[[], dict[str, Status] | None]) -> None:
        self._stations = list(stations)
        self._monitor = monitor

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise ask the monitor when the collector is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One look."""
        told = self._monitor() or {}
        up = GaugeMetricFamily("radio_onair_up", "1 while the monitor reads what the relay sends", labels=["station"])
        families: list[Metric] = [up]
        for station in self._stations:
            up.add_metric([station], float(told.get(station, {}).get("up") is True))
        for name, text in _GAUGES.items():
            gauge = GaugeMetricFamily(f"radio_onair_{name}", text, labels=["station"])
            for station, value in self._values(told, name):
                gauge.add_metric([station], value)
            families.append(gauge)
        for kinds, family in ((_GAUGES_BY_KIND, GaugeMetricFamily), (_COUNTERS_BY_KIND, CounterMetricFamily)):
            for name, text in kinds.items():
                by_kind = family(f"radio_onair_{name}", text, labels=["station", "kind"])
                for kind in KINDS:
                    for station, value in self._values(told, name, kind):
                        by_kind.add_metric([station, kind], value)
                families.append(by_kind)
        yield from families

    def _values(self, told: dict[str, Status], name: str, kind: str | None = None) -> Iterator[tuple[str, float]]:
        """What is known of each station."""
        for station in self._stations:
            value: Any = told.get(station, {}).get(name)
            if kind is not None:
                value = (value or {}).get(kind)
            if value is not None:
                yield station, float(value)


class DestinationsCollector(Collector):
    """How far each destination keeps up, as the outputs tell. `stations` is that of `metrics.StationsCollector`."""

    def __init__(self, stations: Callable[[], dict[str, tuple[Status | None, Status | None]]]) -> None:
        self._stations = stations

    def describe(self) -> Iterable[Metric]:
        """Nothing, as above."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        labels = ["station", "destination"]
        queue = GaugeMetricFamily(
            "radio_destination_queue_bytes", "Bytes sent that the platform has not acknowledged", labels=labels
        )
        lag = GaugeMetricFamily(
            "radio_destination_lag_seconds", "How far what was sent is behind the timeline", labels=labels
        )
        for station, (_, outputs) in self._stations().items():
            for process in processes(outputs):
                destination = process["name"].removeprefix("destination:")
                for family, name in ((queue, "queue_bytes"), (lag, "lag_seconds")):
                    value = process.get(name)
                    if value is not None:
                        family.add_metric([station, destination], float(value))
        yield from (queue, lag)
