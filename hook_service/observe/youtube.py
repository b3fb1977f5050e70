"""What YouTube says, as metrics.

While its API does not answer, only `radio_youtube_up` and the count of rebinds are certain. The rest is what was
found last, for some minutes, and then nothing: a figure that is not known is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hook_service.youtube.answers import HEALTH, LIFE_CYCLE, SEVERITIES, STATUS
from hook_service.youtube.watcher import Found

NONE = "none"
"""The life cycle where no broadcast is bound to the stream."""


class YouTubeCollector(Collector):
    """Reads the watchers at scrape time. `found` gives what each knows, by station and destination."""

    def __init__(self, found: Callable[[], dict[tuple[str, str], Found]]) -> None:
        self._found = found

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise collect when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        labels = ["station", "destination"]
        up = GaugeMetricFamily("radio_youtube_up", "1 while YouTube's API answers", labels=labels)
        health = GaugeMetricFamily(
            "radio_youtube_stream_health", "1 for what YouTube thinks of the stream", labels=[*labels, "health"]
        )
        status = GaugeMetricFamily(
            "radio_youtube_stream_status", "1 for the status of the stream at YouTube", labels=[*labels, "status"]
        )
        broadcast = GaugeMetricFamily(
            "radio_youtube_broadcast",
            "1 for where the broadcast is in its life; none: no broadcast is bound to the stream",
            labels=[*labels, "life_cycle"],
        )
        issues = GaugeMetricFamily(
            "radio_youtube_configuration_issues",
            "Issues that YouTube has with what it receives",
            labels=[*labels, "severity"],
        )
        rebinds = CounterMetricFamily(
            "radio_youtube_rebinds", "Broadcasts made in the place of one that ended", labels=labels
        )
        for (station, destination), found in self._found().items():
            of = [station, destination]
            up.add_metric(of, float(found.state == "connected"))
            rebinds.add_metric(of, float(found.rebinds))
            stream = found.stream
            if stream is None:
                continue
            for known in HEALTH:
                health.add_metric([*of, known], float(stream.health == known))
            for known in STATUS:
                status.add_metric([*of, known], float(stream.status == known))
            for known in SEVERITIES:
                issues.add_metric([*of, known], float(sum(issue.severity == known for issue in stream.issues)))
            life_cycle = found.broadcast.life_cycle if found.broadcast is not None else NONE
            for known in (*LIFE_CYCLE, NONE):
                broadcast.add_metric([*of, known], float(life_cycle == known))
        yield from (up, health, status, broadcast, issues, rebinds)
