"""What the checks look at, and what they find."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from playbooks.preflight.places import Places
from playbooks.preflight.specs import Role

# The groups, and the roles that a host of each carries beside those of every host.
GROUPS: dict[str, tuple[str, ...]] = {
    "stations": ("ffmpeg", "nginx_rtmp", "hook_service"),
    "database": ("postgresql", "backup"),
    "monitoring": ("grafana",),
}
EVERYWHERE = ("common", "firewall", "prometheus")


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what is wrong, how to mend it."""

    file: str
    line: int | None
    variable: str
    fault: str
    fix: str

    @property
    def place(self) -> str:
        """`file:line`, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def key(self) -> tuple[str, int | None, str, str]:
        """What makes two problems the same one: a group's variable is seen on each of its hosts."""
        return self.file, self.line, self.variable, self.fault


@dataclass(frozen=True)
class Undefined:
    """Stands for a value that can't be evaluated; `name` is what it refers to, '' where that can't be told."""

    name: str
    judged: bool = True


@dataclass(frozen=True)
class Host:
    """One host: the inventory's own variables, templated, over the defaults of the roles it carries."""

    name: str
    groups: frozenset[str]
    given: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The value of a variable, or `otherwise` where there is none or it can't be told without the host."""
        for values in (self.given, self.defaults):
            if name in values:
                value = values[name]
                return otherwise if isinstance(value, Undefined) else value
        return otherwise

    def broken(self, name: str) -> bool:
        """Whether a variable is set to what can't be evaluated: that is a mistake of its own."""
        return isinstance(self.given.get(name), Undefined)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the site gives this host."""
        return roles_of(self.groups)


@dataclass(frozen=True)
class Site:
    """The whole inventory."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    roles: Mapping[str, Role]
    places: Places
    # What playbooks/group_vars sets: it wins over an inventory's group_vars/all.
    wired: frozenset[str] = frozenset()
    wired_file: str = ""

    def members(self, group: str) -> list[Host]:
        """The hosts of a group."""
        return [self.hosts[name] for name in self.groups.get(group, ()) if name in self.hosts]

    def problem(self, host: Host | None, path: Iterable[Any], fault: str, fix: str, *, label: str = "") -> Problem:
        """A mistake at a variable, or below it: `path` is its name and the keys that lead down."""
        path = list(path)
        place = self.places.find(path, host.name if host else None, host.groups if host else frozenset())
        return Problem(place.file, place.line, label or ".".join(str(part) for part in path), fault, fix)

    @cached_property
    def options(self) -> dict[str, dict[str, Any]]:
        """Every role's variables with their specifications."""
        return {name: spec for role in self.roles.values() for name, spec in role.options.items()}


def roles_of(groups: frozenset[str]) -> tuple[str, ...]:
    """The roles that the site gives a host of these groups."""
    if not groups & set(GROUPS):
        return ()
    return (*EVERYWHERE, *(role for group, roles in GROUPS.items() if group in groups for role in roles))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, if one is."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
