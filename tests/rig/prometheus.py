"""A Prometheus of Debian's, with the role's own rules, that looks every second: minutes are too long for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.rig.net import http, wait_until
from tests.rig.nginx import ROOT

RECORDS = ROOT / "roles/prometheus/files/records.rules.yml"


@contextmanager
def prometheus(
    place: Path, port: int, target: str, alerts: Sequence[Mapping[str, object]] = (), past: str = ""
) -> Iterator[str]:
    """One that scrapes `target` (host:port), in a directory of its own; its address.

    `alerts` are rules. `past` is what it has recorded already, in OpenMetrics with times.
    """
    place.mkdir(parents=True, exist_ok=True)
    if past:
        (place / "past").write_text(past)
        made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(place / "past"), str(place / "data")]
        subprocess.run(made, stdout=subprocess.DEVNULL, check=True)
    rules = yaml.safe_load(RECORDS.read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
    rules["groups"].append({"name": "alerts", "rules": list(alerts)})
    (place / "rules.yml").write_text(yaml.safe_dump(rules))
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(place / "rules.yml")],
        "scrape_configs": [
            {"job_name": "radio", "static_configs": [{"targets": [target], "labels": {"host": "radio1"}}]}
        ],
    }
    (place / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{port}"
    command = ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data"]
    command += [f"--web.listen-address={address}"]
    with (place / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            wait_until(lambda: _ready(address), "Prometheus is ready", 20, every=0.2)
            yield f"http://{address}"
        finally:
            running.terminate()


def _ready(address: str) -> bool:
    try:
        return http(f"http://{address}/-/ready")[0] == 200
    except OSError:
        return False
