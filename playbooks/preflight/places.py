"""Where in the inventory's files a variable is set: file and line, for messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_ENDINGS = ("", ".yml", ".yaml", ".json")
# A host's own variables win over its groups', those over `all`'s.
_RANK = {"all": 0, "group": 1, "host": 2}


# A value that is another variable's, whole or through filters.
_REFERENCE = re.compile(r"\{\{\s*(\w+)\s*(\|.*)?\}\}\Z")


@dataclass(frozen=True)
class Place:
    """A file, and a line of it where that is known."""

    file: str
    line: int | None = None


@dataclass(frozen=True)
class _Setting:
    scope: str
    owner: str
    name: str
    file: str
    key: yaml.ScalarNode
    value: yaml.Node


def _plain(path: Path) -> str:
    return path.read_text(encoding="utf-8")


class Places:
    """An index of the variables that an inventory's YAML files set."""

    def __init__(
        self, sources: Iterable[Path], read: Callable[[Path], str] = _plain, root: Path | None = None
    ) -> None:
        """`read` returns a file's text, decrypted where it is a vault; `root` is what names are shown relative to."""
        self._read = read
        self._root = root or Path.cwd()
        self._settings: list[_Setting] = []
        self._named: list[tuple[str, Place]] = []
        self._first = ""
        for source in sources:
            self._first = self._first or self._show(source)
            for setting in self._source(source):
                self._settings.append(setting)

    def find(self, path: Sequence[Any], host: str | None = None, groups: frozenset[str] = frozenset()) -> Place:
        """Where `path` (a variable's name, then keys) is set, as near as can be told; else the inventory itself."""
        setting = self.setting(str(path[0]), host, groups)
        if setting is None:
            return self._home(str(path[0]))
        line = setting.key.start_mark.line
        node = setting.value
        for depth, part in enumerate(path[1:], 1):
            reference = _REFERENCE.match(node.value) if isinstance(node, yaml.ScalarNode) else None
            if reference and self.setting(reference[1], host, groups):
                return self.find([reference[1], *path[depth:]], host, groups)
            step = _down(node, part)
            if step is None:
                break
            line, node = step
        return Place(setting.file, line + 1)

    def _home(self, name: str) -> Place:
        """The file in which a variable that is set nowhere belongs."""
        secret = name.startswith("vault_")
        files = [one.file for one in self._settings if one.scope == "all"]
        return Place(next((file for file in files if ("vault" in Path(file).name) == secret), self._first))

    def setting(self, name: str, host: str | None, groups: frozenset[str]) -> _Setting | None:
        """The setting of a variable that counts for a host; for no host, any."""
        own = [
            one
            for one in self._settings
            if one.name == name
            and (
                host is None
                or one.scope == "all"
                or (one.scope == "host" and one.owner == host)
                or (one.scope == "group" and one.owner in groups)
            )
        ]
        return max(own, key=lambda one: _RANK[one.scope]) if own else None

    def is_template(self, path: Sequence[Any], host: str, groups: frozenset[str]) -> bool:
        """Whether the text at `path` refers to other variables: what is wrong with it is then wrong there."""
        setting = self.setting(str(path[0]), host, groups)
        node = setting.value if setting else None
        for part in path[1:]:
            if isinstance(node, yaml.ScalarNode):
                break
            step = _down(node, part) if node else None
            node = step[1] if step else None
        return isinstance(node, yaml.ScalarNode) and "{{" in node.value

    def settings(self) -> Iterator[tuple[str, str, int]]:
        """Name, file and line of every variable that is set."""
        for one in self._settings:
            yield one.name, one.file, one.key.start_mark.line + 1

    def file_of(self, owner: str) -> Place:
        """Where a group or host is told of, for messages about the inventory's structure."""
        for name, place in self._named:
            if name == owner:
                return place
        return Place(self._first)

    def _show(self, path: Path) -> str:
        try:
            return str(path.absolute().relative_to(self._root))
        except ValueError:
            return str(path)

    def _source(self, source: Path) -> Iterator[_Setting]:
        directory = source if source.is_dir() else source.parent
        files = sorted(source.glob("*")) if source.is_dir() else [source]
        for file in files:
            if file.is_file() and file.suffix in _ENDINGS:
                yield from self._hosts_file(file)
        for kind, scope in (("group_vars", "group"), ("host_vars", "host")):
            for path in sorted((directory / kind).glob("*")):
                owner = path.stem if path.suffix in _ENDINGS[1:] else path.name
                inside = sorted(path.rglob("*")) if path.is_dir() else [path]
                for file in inside:
                    if file.is_file() and file.suffix in _ENDINGS:
                        yield from self._variables(self._compose(file), file, _scope(scope, owner), owner)

    def _compose(self, file: Path) -> yaml.Node | None:
        try:
            return yaml.compose(self._read(file), yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return None  # Ansible says what it can't read; this only looks for lines

    def _variables(self, node: yaml.Node | None, file: Path, scope: str, owner: str) -> Iterator[_Setting]:
        for key, value in _pairs(node):
            yield _Setting(scope, owner, key.value, self._show(file), key, value)

    def _hosts_file(self, file: Path) -> Iterator[_Setting]:
        for name, group in _pairs(self._compose(file)):
            yield from self._group(name, group, file)

    def _group(self, name: yaml.ScalarNode, group: yaml.Node, file: Path) -> Iterator[_Setting]:
        self._named.append((name.value, Place(self._show(file), name.start_mark.line + 1)))
        for part, content in _pairs(group):
            if part.value == "vars":
                yield from self._variables(content, file, _scope("group", name.value), name.value)
            elif part.value == "hosts":
                for host, values in _pairs(content):
                    self._named.append((host.value, Place(self._show(file), host.start_mark.line + 1)))
                    yield from self._variables(values, file, "host", host.value)
            elif part.value == "children":
                for child, inner in _pairs(content):
                    yield from self._group(child, inner, file)


def _scope(scope: str, owner: str) -> str:
    return "all" if owner == "all" and scope == "group" else scope


def _pairs(node: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key, value


def _down(node: yaml.Node, part: Any) -> tuple[int, yaml.Node] | None:
    """The line and node of one step below a node."""
    if isinstance(node, yaml.SequenceNode) and str(part).isdigit() and int(part) < len(node.value):
        item = node.value[int(part)]
        return item.start_mark.line, item
    for key, value in _pairs(node):
        if key.value == str(part):
            return key.start_mark.line, value
    return None
