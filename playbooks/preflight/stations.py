"""The stations, judged by the service's own configuration models."""

from __future__ import annotations

import copy
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from hook_service import config
from playbooks.preflight.model import Host, Problem, Site
from playbooks.preflight.variables import PLACEHOLDER

# A section of radio.yml, and the variable that fills it.
_SECTIONS = {"stations": "hook_service_stations", "profiles": "hook_service_profiles"}


def check(site: Site) -> Iterator[Problem]:
    """Every station's settings, its shortcode's uniqueness, the loops, the time zones."""
    for host in site.hosts.values():
        zone = host.get("common_timezone")
        if isinstance(zone, str) and zone and PLACEHOLDER not in zone and not _is_zone(zone):
            fix = "write one such as Europe/Berlin or Etc/UTC"
            yield site.problem(host, ["common_timezone"], f"{zone!r} is not a time zone", fix)
    owners: dict[str, Host] = {}
    for host in site.members("stations"):
        yield from _settings(site, host)
        yield from _sources(site, host)
        stations = host.get("hook_service_stations")
        for shortcode in stations if isinstance(stations, Mapping) else ():
            first = owners.setdefault(shortcode, host)
            if first is not host:
                fault = f"is on {first.name} and on {host.name}: both would publish with the same stream keys"
                fix = "set hook_service_stations for each host (in host_vars/HOST.yml), each station once"
                yield site.problem(host, ["hook_service_stations", shortcode], fault, fix)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _settings(site: Site, host: Host) -> Iterator[Problem]:
    stations = host.get("hook_service_stations")
    if not isinstance(stations, Mapping) or not stations:
        if not host.broken("hook_service_stations") and not stations:
            fix = "describe at least one, as docs/CONFIGURATION.md shows under 'stations'"
            yield site.problem(host, ["hook_service_stations"], f"no station on {host.name}", fix)
        return
    for problem in _all_problems({section: host.get(name) or {} for section, name in _SECTIONS.items()}):
        (section, *rest), said = _split(problem)
        fault, _, fix = said.partition("; ")
        yield site.problem(host, [_SECTIONS[section], *rest], fault, fix or "see docs/CONFIGURATION.md")


def _split(problem: str) -> tuple[list[str], str]:
    """The path of keys in front of a line of the service's, and what it says."""
    key, _, said = problem.partition(": ")
    inner = re.match(r"([a-z_]+(?:\.[\w-]+)+): ", said)
    if inner:  # a rule between two settings names the one that is wrong
        key, said = f"{key}.{inner[1]}", said[inner.end() :]
    path = key.split(".")
    return (path, said) if path[0] in _SECTIONS else (["stations"], problem)


def _all_problems(document: dict[str, Any]) -> list[str]:
    """Every problem. Rules between settings count once each is right: so take out the wrong ones and look again."""
    found: list[str] = []
    document = copy.deepcopy(document)
    out: set[tuple[str, ...]] = set()
    while True:
        problems = [one for one in _problems(document) if tuple(_split(one)[0]) not in out and one not in found]
        found += problems
        paths = {tuple(_split(one)[0]) for one in problems}
        out |= paths
        if not {path for path in paths if _take_out(document, path)}:
            return [problem for problem in found if PLACEHOLDER not in problem]


def _take_out(document: dict[str, Any], path: tuple[str, ...]) -> bool:
    inside: Any = document
    for key, below in zip(path, (*path[1:], ""), strict=True):
        if not isinstance(inside, dict) or key not in inside:
            return False
        if not below or below.isdigit():  # a list goes as a whole: its numbers must go on being right
            del inside[key]
            return True
        inside = inside[key]
    return False


def _problems(document: dict[str, Any]) -> list[str]:
    """What the service would say of this radio.yml. There are no secrets in it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "radio.yml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        try:
            config.load(path)
        except config.ConfigError as error:
            return error.problems
    return []


def _sources(site: Site, host: Host) -> Iterator[Problem]:
    for name, what in (("hook_service_loops_source", "your loops"), ("hook_service_cards_source", "your cards")):
        yield from _source(site, host, name, what)


def _source(site: Site, host: Host, name: str, what: str) -> Iterator[Problem]:
    source = host.get(name)
    if not isinstance(source, str) or not source or PLACEHOLDER in source:
        return
    path = Path(source).expanduser()
    if not path.is_dir():
        fault = f"{source} is not a directory on this machine"
        fix = f"name the directory with {what}, as an absolute path, or '' for none"
    elif not os.access(path, os.R_OK | os.X_OK):
        fault, fix = f"{source} can't be read by you", f"chmod u+rX {source}"
    else:
        return
    yield site.problem(host, [name], fault, fix)
