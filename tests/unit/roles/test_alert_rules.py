"""The alert rules: they fire when they must, say what a person can act on, and speak of metrics that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/prometheus"
FILES = sorted((ROLE / "files").glob("*.rules.yml"))
TESTS = sorted((ROLE / "tests").glob("*_test.yml"))
ALWAYS = "Watchdog"


def _rules(kind: str) -> list[dict[str, Any]]:
    groups = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


ALERTS = _rules("alert")
RECORDS = _rules("record")


@cache
def _sources() -> str:
    """What tells metrics: the service, and what the roles give to the node exporter."""
    patterns = ("hook_service/**/*.py", "roles/*/files/*.sh", "roles/*/files/*.py", "roles/*/templates/*.j2")
    return "\n".join(path.read_text() for pattern in patterns for path in ROOT.glob(pattern))


def is_told(name: str) -> bool:
    """Whether the project has a metric of that name: written out, or made of a prefix that many share."""
    bare, sources = name.removesuffix("_total").removesuffix("_bucket"), _sources()
    prefixes = (prefix for prefix in ("radio_onair_", "radio_backup_") if name.startswith(prefix))
    made = any(f"{prefix}{{name}}" in sources and f'"{bare.removeprefix(prefix)}"' in sources for prefix in prefixes)
    return made or f'"{bare}"' in sources or f"# TYPE {name} " in sources


def _anchors(document: Path) -> set[str]:
    """What a Markdown document's headings are linked by."""
    headings = re.findall(r"^#+ +(.+?) *$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _fired() -> Iterator[dict[str, str]]:
    """The labels of every alert that the rule tests expect to fire."""
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            for check in test.get("promql_expr_test", []):
                for sample in check["exp_samples"]:
                    yield dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: str(path.stem))
def test_they_fire_when_they_must_and_stay_quiet_when_they_must(tests: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed here")
    done = subprocess.run([promtool, "test", "rules", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_is_seen_firing_in_the_rule_tests() -> None:
    fired = {labels["alertname"] for labels in _fired() if "alertname" in labels}
    assert fired == {rule["alert"] for rule in ALERTS}


def test_each_is_told_to_be_quiet_in_the_rule_tests() -> None:
    """A look at all alerts, of which only those named may fire, in every test of a file that holds alerts."""
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            looks = [one for one in test["promql_expr_test"] if "(ALERTS" in one["expr"]]
            assert looks or file.stem == "records_test", f"{file.name}: {test['name']}"


def test_each_record_is_seen_in_the_rule_tests() -> None:
    tests = (ROLE / "tests/records_test.yml").read_text()
    for rule in RECORDS:
        assert re.search(rf"expr: .*\b{rule['record']}\b", tests), rule["record"]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_each_says_how_bad_it_is_what_to_do_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in (("none",) if rule["alert"] == ALWAYS else ("warning", "critical"))
    notes = rule["annotations"]
    assert len(notes["summary"].split()) > 2
    assert notes["description"].endswith(".")
    document, _, anchor = notes["runbook"].partition("#")
    assert anchor in _anchors(ROOT / document)
    assert rule["alert"] in (ROOT / document).read_text(), "the section does not name the alert that leads there"


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_what_its_text_speaks_of_is_there_when_it_fires(rule: dict[str, Any]) -> None:
    text = rule["annotations"]["summary"] + rule["annotations"]["description"]
    # Where there is an alternative, the label may be missing.
    named = set(re.findall(r"\$labels\.(\w+)", re.sub(r"\{\{ or [^}]*\}\}", "", text)))
    for labels in _fired():
        if labels.get("alertname") == rule["alert"]:
            assert named <= set(labels), f"{rule['alert']} has {sorted(labels)}"


@pytest.mark.parametrize("rule", ALERTS + RECORDS, ids=lambda rule: str(rule.get("alert", rule.get("record"))))
def test_it_speaks_of_metrics_that_exist(rule: dict[str, Any]) -> None:
    """Of ours, that is: a name misspelt here is an alert that never fires."""
    for name in re.findall(r"\bradio_\w+", rule["expr"]):
        assert is_told(name), name
