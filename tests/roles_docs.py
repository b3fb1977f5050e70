"""Writes roles/*/README.md from the roles' argument specs: `python -m tests.roles_docs`; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import yaml

from playbooks.preflight.specs import Role, load_roles

ROLES = Path(__file__).parents[1] / "roles"
_MARK = re.compile(r"([A-Z])\(([^)]*)\)")


def text(described: str | list[str]) -> list[str]:
    """A description's paragraphs in Markdown; `C(x)`, `V(x)` and `O(x)` of Ansible's own markup become code."""
    paragraphs = [described] if isinstance(described, str) else described
    return [_MARK.sub(_marked, " ".join(str(one).split())) for one in paragraphs]


def _marked(match: re.Match[str]) -> str:
    kind, inside = match.groups()
    return {"B": f"**{inside}**", "I": f"*{inside}*"}.get(kind, f"`{inside}`" if kind in "CVOMR" else match[0])


def default(role: Role, name: str) -> str:
    """How a default is shown."""
    if name not in role.defaults:
        return "**to be set**" if role.options[name].get("required") else ""
    value = role.defaults[name]
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            said = role.options[name].get("default")
            return said if isinstance(said, str) and "{{" not in said else "computed"
        return f"`{value}`" if value else "empty"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def kind(spec: dict[str, Any]) -> str:
    """A type, with that of a list's items."""
    name = spec.get("type", "str")
    return f"{name} of {spec['elements']}" if spec.get("elements") else name


def cell(words: str) -> str:
    """Text that can stand in a table."""
    return words.replace("|", "\\|")


def tags(directory: Path) -> list[str]:
    """The tags of the role's own task list, in its order."""
    tasks = yaml.safe_load((directory / "tasks/main.yml").read_text(encoding="utf-8")) or []
    found = [tag for task in tasks for tag in task.get("tags", [])]
    return list(dict.fromkeys([directory.name, *found]))


def readme(directory: Path, role: Role) -> str:
    """The whole file."""
    lines = [f"# {role.name}", "", f"{text(role.short_description)[0].rstrip('.')}.", ""]
    for paragraph in text(list(role.description)):
        lines += [textwrap.fill(paragraph, 118, break_long_words=False, break_on_hyphens=False), ""]
    lines += ["## Variables", "", "| Variable | Type | Default | |", "|---|---|---|---|"]
    for name, spec in role.options.items():
        said = " ".join(text(spec["description"]))
        if spec.get("choices"):
            said += f" One of {', '.join(f'`{one}`' for one in spec['choices'])}."
        lines.append(f"| `{name}` | {kind(spec)} | {cell(default(role, name))} | {cell(said)} |")
    known = ", ".join(f"`{tag}`" for tag in tags(directory))
    lines += ["", "## Tags", "", f"{known}.", ""]
    lines += ["Made by `make roles-docs` from `meta/argument_specs.yml`: change that, not this.", ""]
    return "\n".join(lines)


def main() -> int:
    """Write or compare; 1 where something differs."""
    parser = argparse.ArgumentParser(description="Make the roles' README files from their argument specs.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where one is out of date")
    arguments = parser.parse_args()
    stale = []
    for name, role in load_roles(ROLES).items():
        path = ROLES / name / "README.md"
        wanted = readme(ROLES / name, role)
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(name)
        if not arguments.check:
            path.write_text(wanted, encoding="utf-8")
    if stale and arguments.check:
        print(f"out of date: {', '.join(f'roles/{name}/README.md' for name in stale)}; run make roles-docs")
        return 1
    print(f"written: {', '.join(stale) or 'nothing, all were up to date'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
