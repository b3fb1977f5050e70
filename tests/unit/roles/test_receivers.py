"""What the role prometheus says of receivers that can't be told of anything, and what it doesn't show of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.inventory import ROOT, play

HIDDEN = "kept-from-everyone"
SLACK = {"name": "me", "slack": {"url": f"https://hooks.example.org/{HIDDEN}"}}
TELEGRAM = {"name": "me", "telegram": {"token": HIDDEN, "chat": 5}}


@pytest.mark.parametrize(
    ("release", "given", "said"),
    [
        ("bookworm", {}, ""),
        ("bookworm", {"prometheus_alert_receivers": [SLACK, TELEGRAM | {"name": "you"}]}, ""),
        ("bookworm", {"prometheus_alert_receivers": [SLACK, TELEGRAM]}, '"me", can\'t be told'),
        ("bookworm", {"prometheus_alert_receivers": [{"name": "me", "email": {"to": "a@b"}}]}, "for email there is"),
        ("jammy", {"prometheus_alert_receivers": [TELEGRAM]}, "this host's is 0.23"),
        ("trixie", {"prometheus_alert_receivers": [{"name": "me", "slack": {"url": HIDDEN}}]}, "every url begins"),
        ("trixie", {"prometheus_alert_smtp": {"smarthost": "mail", "password": HIDDEN}}, "has smarthost"),
    ],
)
def test_receivers_are_judged_before_anything_is_done(
    tmp_path: Path, release: str, given: dict[str, Any], said: str
) -> None:
    book, inventory, values = (tmp_path / name for name in ("book.yml", "hosts.yml", "values.json"))
    plays = [
        {"hosts": "all", "connection": "local", "gather_facts": False, "roles": [str(ROOT / "roles/prometheus")]}
    ]
    book.write_text(json.dumps(plays))
    inventory.write_text("all: {hosts: {localhost: {}}}\n")
    facts = {"ansible_facts": {"distribution_release": release}, "ansible_python_interpreter": sys.executable}
    values.write_text(json.dumps({**facts, **given}))
    ran = play(inventory, str(book), "-e", f"@{values}", "--check", "--tags", "prometheus_assert")
    output = " ".join((ran.stdout + ran.stderr).split())
    assert (ran.returncode == 0) == (not said), output
    assert said in output
    assert HIDDEN not in output
