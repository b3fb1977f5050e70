"""The plots and alerts of a real Prometheus and a real Alertmanager, with the role's own recording rules."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hook_service.web.prometheus import Watchers
from tests.rig.net import free_port, http, wait_until
from tests.rig.prometheus import prometheus

PROGRAM = shutil.which("prometheus-alertmanager")
METRICS = b"""# TYPE radio_stream_uptime_seconds gauge
radio_stream_uptime_seconds{station="demo"} 12
# TYPE radio_destination_up gauge
radio_destination_up{station="demo",destination="tube"} 1
# TYPE radio_destination_bytes_total counter
radio_destination_bytes_total{station="demo",destination="tube"} %d
radio_onair_bitrate_bps{station="demo",kind="video"} 3000000
radio_onair_bitrate_bps{station="demo",kind="audio"} 190000
radio_onair_loudness_lufs{station="demo"} -16.5
radio_ffmpeg_cpu_usage_percent{station="demo",process="publisher"} 1.5
radio_ffmpeg_cpu_usage_percent{station="demo",process="audio"} 2
# TYPE radio_switches_total counter
radio_switches_total{station="demo",decided_by="icy"} %d
"""
ALERT = {
    "alert": "Always",
    "expr": "radio_stream_uptime_seconds > 0",
    "labels": {"severity": "warning"},
    "annotations": {"summary": "{{ $labels.station }} is watched", "description": "d", "runbook": "r"},
}


class _Station(BaseHTTPRequestHandler):
    scrapes = 0

    def do_GET(self) -> None:
        _Station.scrapes += 1
        body = METRICS % (_Station.scrapes * 400_000, _Station.scrapes)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not onto the terminal."""


@contextmanager
def metrics() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Station)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Debian's package prometheus is not installed here")
def test_what_prometheus_has_recorded_is_plotted(tmp_path: Path) -> None:
    with metrics() as target, prometheus(tmp_path, free_port(), target, [ALERT]) as address:

        def latest() -> dict[str, Any]:
            found = Watchers(address, None).plots("demo", 1)
            assert (found["step_seconds"], {len(plot["values"]) for plot in found["plots"]}) == (300, {12})
            return {plot["name"]: plot["latest"] for plot in found["plots"]}

        # The last one needs the boundary of ten seconds, from which on a plot ends, and two looks.
        wait_until(lambda: None not in latest().values(), "every plot", 40, every=1)
        wait_until(lambda: latest()["switches"] > 0, "a switch", 20, every=1)
        found = latest()
        assert 0 < found["uptime"] <= 1
        assert (found["bitrate"], found["loudness"], found["cpu"]) == (3_190_000, -16.5, 3.5)
        (alert,) = Watchers(address, None).alerts()
        assert (alert["name"], alert["station"], alert["host"]) == ("Always", "demo", "radio1")
        assert (alert["summary"], alert["silenced"]) == ("demo is watched", False)
        assert alert["since"]
        assert Watchers(address, None).plots("nobody", 24)["plots"][0]["latest"] is None


@pytest.mark.skipif(PROGRAM is None, reason="Debian's package prometheus-alertmanager is not installed here")
def test_what_alertmanager_holds_is_told(tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    address = f"http://127.0.0.1:{free_port()}"
    command = [str(PROGRAM), f"--config.file={tmp_path}/alertmanager.yml", f"--storage.path={tmp_path}/data"]
    command += [f"--web.listen-address={address.removeprefix('http://')}", "--cluster.listen-address="]

    def ready() -> bool:
        try:
            return http(f"{address}/-/ready")[0] == 200
        except OSError:
            return False

    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            wait_until(ready, "Alertmanager is ready", 20, every=0.2)
            assert Watchers(None, address).alerts() == []
            alerts = [
                {
                    "labels": {"alertname": name, "severity": severity, "station": "demo"},
                    "annotations": {"summary": "s"},
                }
                for name, severity in (("Watchdog", "none"), ("Black", "critical"), ("Disk", "warning"))
            ]
            silence = {
                "matchers": [{"name": "alertname", "value": "Disk", "isRegex": False}],
                "startsAt": "2026-01-01T00:00:00Z",
                "endsAt": "2099-01-01T00:00:00Z",
                "createdBy": "me",
                "comment": "c",
            }
            for path, body in (("silences", silence), ("alerts", alerts)):
                request = urllib.request.Request(
                    f"{address}/api/v2/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
                )
                urllib.request.urlopen(request, timeout=5).close()

            def told() -> list[tuple[str, bool]]:
                return [(alert["name"], alert["silenced"]) for alert in Watchers(None, address).alerts()]

            wait_until(lambda: told() == [("Black", False), ("Disk", True)], "both", 10, every=0.2)
        finally:
            running.terminate()
