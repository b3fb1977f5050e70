"""What the roles say of their variables: `meta/argument_specs.yml` and `defaults/main.yml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Role:
    """A role's variables: their specifications by name, and their defaults as written."""

    name: str
    options: Mapping[str, dict[str, Any]]
    defaults: Mapping[str, Any]
    short_description: str = ""
    description: tuple[str, ...] = ()


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}


def load_role(directory: Path) -> Role:
    """One role's specifications; a role without any has no variables."""
    spec = _read(directory / "meta/argument_specs.yml").get("argument_specs", {}).get("main", {})
    description = spec.get("description", [])
    return Role(
        name=directory.name,
        options=spec.get("options") or {},
        defaults=_read(directory / "defaults/main.yml"),
        short_description=spec.get("short_description", ""),
        description=tuple([description] if isinstance(description, str) else description),
    )


def load_roles(directory: Path) -> dict[str, Role]:
    """All roles below a directory that have specifications."""
    return {
        path.parents[1].name: load_role(path.parents[1])
        for path in sorted(directory.glob("*/meta/argument_specs.yml"))
    }
