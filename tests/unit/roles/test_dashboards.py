"""Grafana's dashboards: whole, and made of queries that Prometheus understands and of metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.roles.test_alert_rules import RECORDS, is_told

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/grafana"
DASHBOARDS = sorted((ROLE / "files/dashboards").glob("*.json"))
# Of the exporters, each with a look at Debian's own.
FOREIGN = re.compile(
    r"up|ALERTS|node_(cpu_seconds_total|memory_MemAvailable_bytes|filesystem_(avail|size)_bytes|timex_offset_seconds"
    r"|network_(transmit|receive)_bytes_total|systemd_service_restart_total)|alertmanager_notifications_failed_total"
)
_WORDS = {
    "by",
    "or",
    "on",
    "and",
    "unless",
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "rate",
    "increase",
    "time",
    "vector",
}
_WORDS |= {"histogram_quantile"}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$station", "demo").replace("$host", "h")
    for note in dashboard["annotations"]["list"]:
        yield note["expr"]


def names(query: str) -> set[str]:
    """The metrics in a query."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on) ?\([^)]*\)", "", re.sub(r'"[^"]*"', '""', query))
    return set(re.findall(r"[a-zA-Z_][\w:]*", bare)) - _WORDS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_every_query_is_one(path: Path, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed here")
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries(read(path)))]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_every_metric_is_one_that_there_is(path: Path) -> None:
    records = {rule["record"] for rule in RECORDS}
    seen = set().union(*(names(query) for query in queries(read(path))))
    assert len(seen) > 10
    for name in seen:
        assert name in records or is_told(name) or FOREIGN.fullmatch(name), name


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_it_is_whole(path: Path) -> None:
    dashboard = read(path)
    source = re.search(r"uid: ([\w-]+)", (ROLE / "templates/datasource.yml.j2").read_text())
    assert source is not None
    assert set(re.findall(r'"uid": "(radio-[^"]+)"', path.read_text())) == {source[1]}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        where = panel["gridPos"]
        assert where["x"] + where["w"] <= 24
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    used = set(re.findall(r"\$(station|host)\b", json.dumps(panels)))
    assert used == {variable["name"] for variable in dashboard["templating"]["list"]}


def test_each_has_a_name_of_its_own_and_is_put_in_place() -> None:
    assert len({read(path)["uid"] for path in DASHBOARDS}) == len(DASHBOARDS) > 1
    (task,) = [one for one in yaml.safe_load((ROLE / "tasks/configure.yml").read_text()) if "dashboards/" in str(one)
               and "ansible.builtin.copy" in one]  # fmt: skip
    assert sorted(task["loop"]) == [path.stem for path in DASHBOARDS]
