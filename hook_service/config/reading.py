"""From the file to the configuration, or to a line for each thing that is wrong in it."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from hook_service.config.host import Host

DEFAULT_PATH = Path("/etc/radio/radio.yml")


class ConfigError(Exception):
    """The configuration can't be used. `problems` has a line for each fault: key, fault, remedy."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        # A name in quotes may hold line breaks; each problem is one line all the same.
        self.problems = [" ".join(problem.splitlines()) for problem in problems]
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems))


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error and not a silent choice of the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, or a YAMLError that names the line."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(getattr(key, "value", None) if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Host:
    """Read and validate the configuration file; raises ConfigError with a line for each problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            path, [f"can't be read ({error.strerror}); create it or name another with --config"]
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [f"is not UTF-8 (byte {error.start}); save it as UTF-8"]) from None
    try:
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(path, [f"is not YAML: {' '.join(str(error).split())}; mend that line"]) from None
    if not isinstance(raw, dict):
        raise ConfigError(path, ["holds no settings; begin with 'stations:' (see docs/CONFIGURATION.md)"])
    try:
        return Host.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(path, [_explain(dict(item)) for item in error.errors()]) from None


def _explain(item: dict[str, Any]) -> str:
    location: tuple[int | str, ...] = item["loc"]
    key = ".".join(str(part) for part in location if part != "[key]")
    kind = item["type"]
    if kind == "value_error":
        fault = str(item["ctx"]["error"])
        return f"{key}: {fault}" if key and not fault.startswith("stations.") else fault
    if kind == "missing":
        return f"{key}: is missing; add it"
    if kind == "extra_forbidden":
        siblings = _siblings(location)
        near = difflib.get_close_matches(str(location[-1]), siblings, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys here: {', '.join(siblings)}"
        return f"{key}: is not a setting; {hint}"
    if kind == "string_type" and location[-1] == "[key]":
        return f"{key}: YAML reads this name as {item['input']!r}; put it in quotes"
    fault = item["msg"][0].lower() + item["msg"][1:]
    return f"{key}: {item['input']!r} won't do: {fault}"


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """The settings that exist beside an unknown key."""
    model: type[BaseModel] = Host
    own = False  # a name of the operator's own, such as a station's shortcode, which may be a setting's as well
    for part in location[:-1]:
        field = None if own or isinstance(part, int) else model.model_fields.get(part)
        own = field is not None and get_origin(field.annotation) is dict
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[-1]
    return [field.alias or name for name, field in model.model_fields.items()]


def argument_parser(description: str) -> argparse.ArgumentParser:
    """The command line that all entry points share: `--config FILE`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help=f"default: {DEFAULT_PATH}")
    return parser
