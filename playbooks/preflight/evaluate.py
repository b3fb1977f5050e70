"""Values of variables on any host, with the roles' defaults below the inventory's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Ansible has no types of its own.
from ansible.errors import AnsibleError  # type: ignore[import-untyped]
from ansible.template import Templar  # type: ignore[import-untyped]

from playbooks.preflight.model import GROUPS, Host, Site, Undefined
from playbooks.preflight.places import Places
from playbooks.preflight.specs import load_roles

ROOT = Path(__file__).resolve().parents[2]
WIRING = ROOT / "playbooks/group_vars/all/wiring.yml"
# What Ansible itself adds to a host's variables.
_MAGIC = {"environment", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
          "inventory_hostname_short", "omit", "play_hosts", "playbook_dir"}  # fmt: skip


class Evaluator:
    """The inventory as Ansible sees it; `variables` are those of any task or lookup of a play."""

    def __init__(self, loader: Any, variables: Mapping[str, Any]) -> None:
        self._loader = loader
        self._hostvars = variables["hostvars"]
        self.groups = {name: tuple(hosts) for name, hosts in variables["groups"].items()}
        self.defaults: dict[str, Any] = {}
        for path in sorted((ROOT / "roles").glob("*/defaults/main.yml")):
            self.defaults |= loader.load_from_file(str(path), trusted_as_template=True) or {}
        self.wired = frozenset(loader.load_from_file(str(WIRING)) or {})

    def raw(self, host: str) -> dict[str, Any]:
        """A host's variables as they are written, without the roles' defaults."""
        found: dict[str, Any] = self._hostvars.raw_get(host)
        return found

    def values(self, host: str, names: list[str]) -> dict[str, Any]:
        """Some variables of a host; Undefined for what can't be evaluated, nothing for what there isn't."""
        sources = {**self.defaults, **self.raw(host)}
        templar = Templar(self._loader, {**sources, "hostvars": self._hostvars})
        return {name: _value(templar, sources[name]) for name in names if name in sources}

    def host(self, name: str, told: set[str]) -> Host:
        """A host with all that the inventory or -e says; `told` are the variables that the inventory's files set."""
        raw = self.raw(name)
        # Neither what Ansible adds nor what the site wires.
        given = [
            key
            for key in raw
            if key in told or not (key in _MAGIC or key in self.wired or key.startswith("ansible_"))
        ]
        defaults = [key for key in self.defaults if key not in given]
        return Host(name, self.member_of(name), self.values(name, given), self.values(name, defaults))

    def member_of(self, host: str) -> frozenset[str]:
        """The groups of a host."""
        return frozenset(group for group, members in self.groups.items() if host in members)

    def everyone(self) -> list[str]:
        """The hosts that the site knows: those of its groups."""
        return [host for host in self.groups.get("all", ()) if self.member_of(host) & set(GROUPS)]


def read_site(loader: Any, variables: Mapping[str, Any]) -> Site:
    """The whole inventory, ready to be judged."""

    def text(path: Path) -> str:
        found: str = loader.get_text_file_contents(str(path))  # decrypts a vault
        return found

    evaluator = Evaluator(loader, variables)
    places = Places([Path(source) for source in variables["ansible_inventory_sources"]], text)
    told = {name for name, _, _ in places.settings()}
    hosts = {name: evaluator.host(name, told) for name in evaluator.groups.get("all", ())}
    wiring = str(WIRING.relative_to(ROOT))
    return Site(hosts, evaluator.groups, load_roles(ROOT / "roles"), places, evaluator.wired, wiring)


def _value(templar: Any, raw: Any) -> Any:
    try:
        return _plain(templar.template(raw))
    except AnsibleError as error:
        found = re.search(r"'(\w+)' is undefined", str(error))
        # What depends on the host's facts can't be judged from here.
        return Undefined(found[1] if found else "", judged="ansible_facts" not in str(raw))


def _plain(value: Any) -> Any:
    """The value without Ansible's tags, as YAML's own types."""
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
