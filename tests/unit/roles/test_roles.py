"""Every role tells its variables alike in its defaults, its argument specs and its README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from playbooks.preflight.specs import load_role
from tests.roles_docs import readme

ROLES = sorted(path for path in (Path(__file__).parents[3] / "roles").iterdir() if (path / "tasks/main.yml").exists())
NAMES = [path.name for path in ROLES]
PHASES = {"assert", "install", "configure", "service", "verify"}
TYPES: dict[str, Any] = {
    "str": str,
    "path": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}


def computed(value: object) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


@pytest.mark.parametrize("directory", ROLES, ids=NAMES)
def test_defaults_and_argument_specs_are_the_same(directory: Path) -> None:
    role = load_role(directory)
    assert set(role.defaults) <= set(role.options), "in defaults/main.yml, not in meta/argument_specs.yml"
    optional = {name for name, spec in role.options.items() if not spec.get("required")}
    assert optional <= set(role.defaults), "in meta/argument_specs.yml, without a default and not required"
    for name, spec in role.options.items():
        assert name.startswith(f"{directory.name}_"), f"{name} does not carry the role's name"
        assert spec.get("description"), f"{name} has no description"
        assert spec.get("type") in TYPES, f"{name} has no type"
        if name in role.defaults and not computed(role.defaults[name]):
            value = role.defaults[name]
            wanted = TYPES[spec["type"]]
            assert isinstance(value, wanted), f"{name}: the default is no {spec['type']}"
            assert isinstance(value, bool) == (spec["type"] == "bool"), f"{name}: the default is no {spec['type']}"
            assert "default" not in spec or spec["default"] == value, f"{name}: two defaults"
            chosen = value if isinstance(value, list) else [value]
            assert "choices" not in spec or set(chosen) <= set(spec["choices"]), f"{name}: the default is no choice"


@pytest.mark.parametrize("directory", ROLES, ids=NAMES)
def test_readme_is_made_from_the_argument_specs(directory: Path) -> None:
    path = directory / "README.md"
    assert path.exists(), "run make roles-docs"
    assert path.read_text(encoding="utf-8") == readme(directory, load_role(directory)), "run make roles-docs"


@pytest.mark.parametrize("directory", ROLES, ids=NAMES)
def test_main_is_a_table_of_contents(directory: Path) -> None:
    tasks = yaml.safe_load((directory / "tasks/main.yml").read_text(encoding="utf-8"))
    for task in tasks:
        file = task["ansible.builtin.import_tasks"]
        assert (directory / "tasks" / file).exists()
        phase = Path(file).stem
        assert directory.name in task["tags"]
        assert f"{directory.name}_{phase}" in task["tags"] or phase not in PHASES
    assert {"assert", "verify"} & {Path(task["ansible.builtin.import_tasks"]).stem for task in tasks}


@pytest.mark.parametrize("directory", ROLES, ids=NAMES)
def test_exports_are_lists(directory: Path) -> None:
    role = load_role(directory)
    for name in (f"{directory.name}_firewall_rules", f"{directory.name}_scrape_targets"):
        if name in role.options:
            assert role.options[name]["type"] == "list"
            assert role.options[name]["elements"] == "dict"
