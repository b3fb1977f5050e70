"""The alert rules: they fire when they must, say what a person can act on, and speak of metrics that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/prometheus"
RULES = ROLE / "files/radio.rules.yml"
TESTS = ROLE / "tests/rules_test.yml"


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def _anchors(document: Path) -> set[str]:
    """What a Markdown document's headings are linked by."""
    headings = re.findall(r"^#+ +(.+?) *$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_they_fire_when_they_must_and_stay_quiet_when_they_must() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed here")
    done = subprocess.run([promtool, "test", "rules", TESTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_is_seen_firing_in_the_rule_tests() -> None:
    fired = {
        check["alertname"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for check in test["alert_rule_test"]
        if check["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in _rules()}


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: str(rule["alert"]))
def test_each_says_how_bad_it_is_what_to_do_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    notes = rule["annotations"]
    assert len(notes["summary"].split()) > 2
    assert notes["description"].endswith(".")
    document, _, anchor = notes["runbook"].partition("#")
    assert anchor in _anchors(ROOT / document)


def test_they_speak_of_metrics_that_exist() -> None:
    """Of ours, that is: a name misspelt here is an alert that never fires."""
    code = "\n".join(path.read_text() for path in (ROOT / "hook_service").rglob("*.py"))
    # What the roles give to the node exporter.
    given = [*ROOT.glob("roles/*/files/*.sh"), *ROOT.glob("roles/*/templates/*.prom.j2")]
    written = [path.read_text() for path in given]
    for rule in _rules():
        for name in re.findall(r"\bradio_\w+", rule["expr"]):
            told = f'"{name.removesuffix("_total")}"' in code or any(f"# TYPE {name} " in text for text in written)
            assert told, f"{rule['alert']}: {name}"
