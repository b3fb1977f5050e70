"""The metrics, under the names that docs/API.md has.

What the web process sees itself is counted as it happens. What the playout and the outputs know is asked for at
each scrape, so that a figure is never older than the scrape, and a process that does not answer has no figures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

STATES = ("STOPPED", "SPAWNING", "RUNNING", "CRASHED", "FAILED")
SOURCES = ("mount", "fallback", "floor")
SEVERITIES = ("WARNING", "ERROR", "CRITICAL")
WEBHOOK_RESULTS = ("accepted", "duplicate", "stale", "offline", "malformed")
REFUSALS = ("unauthorized", "rate_limited", "unknown_station", "malformed")
DECIDERS = ("icy", "ogg", "webhook", "sse", "poll", "policy")
TRANSITIONS = ("cut", "fade", "crossfade")
TELLERS = ("webhook", "sse", "poll", "icy", "ogg")
DROPPED = ("stale", "contradicted", "over")
OFFSET_BUCKETS = (
    *(-15.0, -5.0, -3.0, -2.0, -1.0, -0.5, -0.25, 0.0),
    *(0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 15.0, 30.0, 60.0, 120.0),
)
SWITCH_BUCKETS = (0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 3.0, 3.1, 3.25, 3.5, 4.0, 5.0, 10.0, 30.0)

Status = dict[str, Any]


class Metrics:
    """The registry of one web process and the counters in it."""

    def __init__(self, stations: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()
        self.tracks_played = Counter(
            "radio_tracks_played", "Tracks that came on the air", ["station"], registry=registry
        )
        self.tracks_unmapped = Counter(
            "radio_tracks_unmapped",
            "Tracks shown with a default loop, for want of a mapping",
            ["station"],
            registry=registry,
        )
        self.errors = Counter("radio_errors", "Errors by severity", ["station", "severity"], registry=registry)
        self.webhooks = Counter(
            "radio_webhooks", "Webhooks by what became of them", ["station", "result"], registry=registry
        )
        self.switch_seconds = Histogram(
            "radio_track_switch_duration_seconds",
            "From the receipt of a webhook to the first frame of its loop; holds the station's switch_delay",
            ["station"],
            buckets=SWITCH_BUCKETS,
            registry=registry,
        )
        self.switches = Counter(
            "radio_switches",
            "Pictures that came on the air for a track or by a policy, by what decided when",
            ["station", "decided_by"],
            registry=registry,
        )
        self.transitions = Counter(
            "radio_transitions",
            "Pictures that came on the air, by how: a cut, a fade from black, or a crossfade",
            ["station", "transition"],
            registry=registry,
        )
        self.source_offset = Histogram(
            "radio_source_offset_seconds",
            "How much later than its sound began a source told of a song; negative is earlier",
            ["station", "source"],
            buckets=OFFSET_BUCKETS,
            registry=registry,
        )
        self.events_dropped = Counter(
            "radio_events_dropped",
            "Events that the story did not follow, by why",
            ["station", "reason"],
            registry=registry,
        )
        # A series that first appears with its first event has no rate over that event.
        for station in stations:
            self.tracks_played.labels(station)
            self.tracks_unmapped.labels(station)
            self.switch_seconds.labels(station)
            for severity in SEVERITIES:
                self.errors.labels(station, severity)
            for decider in DECIDERS:
                self.switches.labels(station, decider)
            for transition in TRANSITIONS:
                self.transitions.labels(station, transition)
            for teller in TELLERS:
                self.source_offset.labels(station, teller)
            for reason in DROPPED:
                self.events_dropped.labels(station, reason)
            for result in WEBHOOK_RESULTS:
                self.webhooks.labels(station, result)
        # Refused before the station is known, or for one that is not: no name from outside becomes a label.
        for result in REFUSALS:
            self.webhooks.labels("", result)
        ProcessCollector(registry=registry)

    def error(self, station: str, severity: str) -> None:
        """Count an error. An unknown severity counts as ERROR."""
        self.errors.labels(station, severity if severity in SEVERITIES else "ERROR").inc()


class _Usage:
    """CPU and memory of the FFmpeg processes, by pid. CPU is measured from one scrape to the next."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[psutil.Process, float, float]] = {}  # when, CPU seconds then

    def read(self, pid: int, now: float) -> tuple[float, float] | None:
        """Per cent of one core and resident MiB; None where there is no such process (any more)."""
        try:
            process, then, before = self._seen.get(pid) or (psutil.Process(pid), 0.0, 0.0)
            if not process.is_running():  # the pid is another process's now
                process, then, before = psutil.Process(pid), 0.0, 0.0
            with process.oneshot():
                times = process.cpu_times()
                memory = process.memory_info().rss / 2**20
                # At the first look: since it began.
                elapsed = now - (then or process.create_time())
        except psutil.Error:
            self._seen.pop(pid, None)
            return None
        used = times.user + times.system
        self._seen[pid] = (process, now, used)
        return (max(0.0, used - before) / elapsed * 100 if elapsed > 0 else 0.0), memory

    def forget_all_but(self, pids: set[int]) -> None:
        """Drop what is remembered of processes that have gone."""
        for pid in self._seen.keys() - pids:
            del self._seen[pid]


class StationsCollector(Collector):
    """Asks each station's processes at scrape time.

    `stations` gives, by station, the status documents of its playout and of its outputs, None for one that did
    not answer. `destinations` are those each station has: one that nobody tells of is not being sent to.
    """

    def __init__(
        self,
        stations: Callable[[], dict[str, tuple[Status | None, Status | None]]],
        destinations: Mapping[str, Sequence[str]],
    ) -> None:
        self._stations = stations
        self._destinations = destinations
        self._usage = _Usage()
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise ask every process when the collector is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One round over all stations."""
        restarts = CounterMetricFamily(
            "radio_ffmpeg_restarts", "Restarts of an FFmpeg process", labels=["station", "process"]
        )
        state = GaugeMetricFamily(
            "radio_ffmpeg_status",
            "1 for the state that a process is in",
            labels=["station", "process", "status"],
        )
        uptime = GaugeMetricFamily(
            "radio_stream_uptime_seconds",
            "Seconds since the publisher began to run; 0 while it does not",
            labels=["station"],
        )
        cpu = GaugeMetricFamily(
            "radio_ffmpeg_cpu_usage_percent", "Per cent of one core", labels=["station", "process"]
        )
        memory = GaugeMetricFamily("radio_ffmpeg_memory_mb", "Resident MiB", labels=["station", "process"])
        audio = GaugeMetricFamily(
            "radio_audio_source", "1 for the source that is heard", labels=["station", "source"]
        )
        up = GaugeMetricFamily(
            "radio_destination_up",
            "1 while the destination is being sent to",
            labels=["station", "destination"],
        )
        wanted = GaugeMetricFamily(
            "radio_destination_wanted",
            "0 for a destination that someone has stopped",
            labels=["station", "destination"],
        )
        sent = CounterMetricFamily(
            "radio_destination_bytes", "Bytes sent to a destination", labels=["station", "destination"]
        )
        with self._lock:
            now = time.time()
            pids: set[int] = set()
            for station, (playout, outputs) in self._stations().items():
                uptime.add_metric([station], _uptime(playout, now))
                if playout is not None:
                    heard = (playout.get("audio") or {}).get("source")
                    for source in SOURCES:
                        audio.add_metric([station, source], float(source == heard))
                for process in (*processes(playout), *processes(outputs)):
                    name = process["name"]
                    restarts.add_metric([station, name], float(process.get("restarts") or 0))
                    for known in STATES:
                        state.add_metric([station, name, known], float(process.get("state") == known))
                    pid = process.get("pid")
                    usage = self._usage.read(pid, now) if pid else None
                    if pid and usage is not None:
                        pids.add(pid)
                        cpu.add_metric([station, name], round(usage[0], 2))
                        memory.add_metric([station, name], round(usage[1], 2))
                    if name.startswith("destination:"):
                        destination = name.removeprefix("destination:")
                        wanted.add_metric([station, destination], float(is_wanted(process)))
                        if not is_wanted(process):
                            continue  # neither up nor down: nobody is to be alerted
                        up.add_metric([station, destination], float(process.get("state") == "RUNNING"))
                        bytes_sent = (process.get("progress") or {}).get("bytes")
                        sent.add_metric([station, destination], float(bytes_sent or 0))
                told = {process["name"] for process in processes(outputs)}
                for destination in self._destinations.get(station, ()):
                    if f"destination:{destination}" not in told:
                        up.add_metric([station, destination], 0.0)
            self._usage.forget_all_but(pids)
        yield from (restarts, state, uptime, cpu, memory, audio, up, wanted, sent)


class SourcesCollector(Collector):
    """How the sources of each station's story are. `sources` gives, by station, which of them are there, and whether
    titles are trusted.
    """

    def __init__(self, sources: Callable[[], dict[str, tuple[dict[str, bool], bool]]]) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Nothing, as above."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        up = GaugeMetricFamily(
            "radio_source_up",
            "1 while a source tells what is playing; for webhooks: while they told of the last songs",
            labels=["station", "source"],
        )
        trusted = GaugeMetricFamily(
            "radio_titles_trusted", "1 while the titles in the sound decide when", labels=["station"]
        )
        for station, (found, trusts) in self._sources().items():
            trusted.add_metric([station], float(trusts))
            for source, there in found.items():
                up.add_metric([station, source], float(there))
        yield from (up, trusted)


class GaugesCollector(Collector):
    """Values without labels that are read at scrape time: name, help, and where the value comes from.

    One that can't be told now is None, and is left out.
    """

    def __init__(self, *gauges: tuple[str, str, Callable[[], float | None]]) -> None:
        self._gauges = gauges

    def describe(self) -> Iterable[Metric]:
        """Nothing, as above."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        for name, text, read in self._gauges:
            value = read()
            if value is not None:
                yield GaugeMetricFamily(name, text, value=value)


def preparations_failed(preparation: Status | None) -> float | None:
    """Loops that can't be prepared now, of what radio-prepare tells of itself; None where it tells nothing."""
    if preparation is None or not preparation.get("ok"):
        return None
    return float(sum(int(preparation.get(state) or 0) for state in ("refused", "unreadable", "postponed")))


def processes(status: Status | None) -> list[dict[str, Any]]:
    """The processes in a status document."""
    return list((status or {}).get("processes") or ())


def is_wanted(process: Status) -> bool:
    """Whether a process of a status document is to run. One of an older release does not say."""
    return process.get("wanted") is not False


def _uptime(playout: Status | None, now: float) -> float:
    for process in processes(playout):
        if process["name"] == "publisher" and process.get("state") == "RUNNING":
            # 0 would say that it does not run; the clock may have been set back since.
            return max(1.0, now - float(process.get("since") or now))
    return 0.0
