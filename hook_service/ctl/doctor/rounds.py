"""Which looks are taken, and how what goes wrong with one of them is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hook_service import __version__
from hook_service.ctl.client import Api, Refused, Trouble
from hook_service.ctl.doctor import host as on_host
from hook_service.ctl.doctor import network, service
from hook_service.ctl.doctor.finding import Finding, Look, look, not_looked
from hook_service.ctl.reach import Reach
from hook_service.ctl.status import health

if TYPE_CHECKING:
    from hook_service.config import Host

_NOT_FOUND, _UNAVAILABLE, _UNAUTHORISED, _FORBIDDEN = 404, 503, 401, 403


def take(where: Reach) -> Iterator[Look]:
    """All looks, in an order in which the first that is wrong explains the later ones."""
    looks = [*_host_looks(where), *_service_looks(where)]
    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(lambda one: _taken(*one), looks)


def _taken(name: str, how: Callable[[], Look]) -> Look:
    try:
        return how()
    except Trouble as trouble:
        return _troubled(name, trouble)
    except PermissionError as error:
        return not_looked(name, f"{error.filename} can't be read by this user: use sudo")
    except Exception as error:
        # One look that fails must not cost the others, least of all where much is wrong.
        what = f"could not be looked at: {type(error).__name__}: {error}"
        return look(name, "", [Finding("warning", what, name, "docs/TROUBLESHOOTING.md#by-symptom")])


def _troubled(name: str, trouble: Trouble) -> Look:
    text = str(trouble).splitlines()[0]
    if isinstance(trouble, Refused):
        if trouble.status in (_NOT_FOUND, _FORBIDDEN):
            return not_looked(name, text)
        if trouble.status == _UNAUTHORISED:
            mend = "where the token was changed since radio-web started: systemctl restart radio-web"
            return look(name, "", [Finding("fault", f"the token is refused: {text}", "token", mend)])
        if trouble.status == _UNAVAILABLE and name == "alerts":
            mend = "systemctl status prometheus prometheus-alertmanager; docs/TROUBLESHOOTING.md#nobody-watches"
            return look(name, "", [Finding("warning", text, "alerts", mend)])
        if trouble.status == _UNAVAILABLE:
            # What is away has its own look.
            return not_looked(name, text)
    mend = "systemctl status radio-web; journalctl -u radio-web -n 50; docs/TROUBLESHOOTING.md#web-service-down"
    return look(name, "", [Finding("fault", text, "radio-web", mend)])


# --- on the host --------------------------------------------------------------------------------------------------


def _host_looks(where: Reach) -> list[tuple[str, Callable[[], Look]]]:
    if where.url is not None:
        return _from_elsewhere(where.url)
    from hook_service.config import ConfigError  # noqa: PLC0415 - pydantic, which --url need not wait for

    file = where.config
    if file.exists() and not os.access(file, os.R_OK):
        return [
            ("configuration", lambda: not_looked("configuration", f"{file} can't be read by this user: use sudo"))
        ]
    try:
        host = where.host()
    except ConfigError as error:
        problems = error.problems
        return [("configuration", lambda: on_host.broken(problems, file)), ("clock", on_host.clock)]
    return [
        ("configuration", lambda: _configuration(file, host)),
        ("credentials", lambda: on_host.credentials(host.credentials)),
        ("units", lambda: on_host.units(host.stations)),
        ("sockets", lambda: on_host.sockets(host.paths.run, host.stations)),
        ("disks", lambda: on_host.disks(host)),
        ("clock", on_host.clock),
        ("certificate", network.own_certificate),
        ("mounts", lambda: network.mounts(host)),
        ("destinations", lambda: network.destinations(host)),
    ]


def _configuration(file: Path, host: Host) -> Look:
    # Without a look into the directory, each secret in it would be told as one that is missing.
    os.listdir(host.credentials)  # noqa: PTH208 - its error names the directory
    return on_host.configuration(file, host)


def _from_elsewhere(url: str) -> list[tuple[str, Callable[[], Look]]]:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme != "https" or not parts.hostname:
        return []
    name, port = parts.hostname, parts.port or 443
    return [("certificate", lambda: network.certificate(name, port))]


# --- the service --------------------------------------------------------------------------------------------------


def _service_looks(where: Reach) -> list[tuple[str, Callable[[], Look]]]:
    try:
        api = where.api()
    except Trouble as trouble:
        why = str(trouble).splitlines()[0]
        return [("service", lambda: not_looked("service", why))]
    # Its own failure is told once, and not by each look at what it would have said.
    reached = _taken("service", lambda: _reached(api))
    if reached.findings:
        return [("service", lambda: reached)]
    installed = __version__ if where.url is None else None
    loops = cache(lambda: list(api.items("/loops", cursor="after")))
    return [
        ("service", lambda: reached),
        ("health", lambda: service.health(health(api), installed)),
        ("processes", lambda: service.processes(api.get("/status")["stations"])),
        ("sending", lambda: service.sending(api.get("/destinations")["items"])),
        ("sources", lambda: service.sources(api.get("/status")["stations"])),
        ("loops", lambda: service.loops(loops(), _wanted(where))),
        ("mappings", lambda: service.mappings(api.items("/mappings"), {item["name"] for item in loops()})),
        ("alerts", lambda: service.alerts(api.get("/alerts")["items"])),
    ]


def _reached(api: Api) -> Look:
    api.get("/status")
    return look("service", f"{api.url} answers, and takes the token")


def _wanted(where: Reach) -> dict[str, str]:
    """The loops that the configuration names, by where it does; nothing from elsewhere."""
    if where.url is not None:
        return {}
    found = {}
    for code, station in where.host().stations.items():
        found[f"stations.{code}.default_loop"] = station.default_loop
        for number, part in enumerate(station.dayparts):
            found[f"stations.{code}.dayparts.{number}"] = part.loop
    return found
