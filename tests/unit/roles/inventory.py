"""Inventories for tests: a copy of one that ships, filled in as an operator would, then harmed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
ANSIBLE = ROOT / ".venv/bin/ansible-playbook"


class Inventory:
    """A copy of inventories/NAME with its vault and everything that says CHANGE-ME filled in."""

    def __init__(self, where: Path, name: str = "example") -> None:
        self.path = where / name
        shutil.copytree(ROOT / "inventories" / name, self.path)
        vault = self.path / "group_vars/all/vault.yml.example"
        vault.rename(vault.with_name("vault.yml"))
        for file in self.path.rglob("*.yml"):
            text = file.read_text(encoding="utf-8").replace("CHANGE-ME.example.org", "radio.music.net")
            text = text.replace("CHANGE-ME@example.org", "me@music.net").replace(
                "ansible_host: CHANGE-ME", "ansible_host: 192.0.2.1"
            )
            text = text.replace("CHANGE-ME-radio1.example.org", "radio1.music.net")
            text = text.replace("CHANGE-ME-radio2.example.org", "radio2.music.net")
            file.write_text(text.replace("CHANGE-ME", "5f1e"), encoding="utf-8")

    def file(self, name: str) -> Path:
        """One of its files; `radio` and `vault` are those of group_vars/all."""
        return self.path / (name if "/" in name or name.endswith(".yml") else f"group_vars/all/{name}.yml")

    def replace(self, name: str, old: str, new: str) -> None:
        """Change one place of a file."""
        file = self.file(name)
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, (name, old, text.count(old))
        file.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """Add lines to a file."""
        file = self.file(name)
        file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")

    def line(self, name: str, text: str) -> str:
        """`file:line` of the first line that holds the text."""
        lines = self.file(name).read_text(encoding="utf-8").splitlines()
        number = next(number for number, line in enumerate(lines, 1) if text in line)
        return f"{self.file(name)}:{number}"

    def variables(self, name: str) -> dict[str, object]:
        """What a file holds."""
        found: dict[str, object] = yaml.safe_load(self.file(name).read_text(encoding="utf-8"))
        return found


def play(
    inventory: Path, playbook: str, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of this repository, as an operator does from its root."""
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", **(environment or {})}
    command = [str(ANSIBLE), "-i", str(inventory), playbook, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env, timeout=240)
