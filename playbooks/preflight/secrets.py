"""Secrets that are missing or can't work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hook_service.youtube import credentials
from playbooks.preflight.model import Host, Problem, Site
from playbooks.preflight.variables import PLACEHOLDER

_WEBHOOK = ("hook_service_webhook_password", "hook_service_webhook_secret", "hook_service_webhook_token")
_VAULT = "in group_vars/all/vault.yml"
_YOUTUBE = "hook_service_youtube_credentials"
_SHORTEST, _SHORTEST_KEY = 12, 32
_AUTHORISE = "`python -m hook_service.youtube.authorise` gets them"


def check(site: Site) -> Iterator[Problem]:
    """What every station host needs, the keys of its destinations, and the database's password."""
    for host in site.members("stations"):
        yield from _logins(site, host)
        yield from _missing_keys(site, host)
        yield from _strange_keys(site, host)
        yield from _azuracast_keys(site, host)
        yield from _missing_authorisations(site, host)
        yield from _authorisations(site, host)
        yield from _users(site, host)
    if (site.members("stations") or site.members("database")) and "vault_database_password" not in _names(site):
        fix = f"set it {_VAULT}; `openssl rand -hex 24` makes one"
        yield site.problem(None, ["vault_database_password"], "is missing", fix)


def _names(site: Site) -> set[str]:
    return {name for host in site.hosts.values() for name, value in host.given.items() if value not in ("", None)}


def _logins(site: Site, host: Host) -> Iterator[Problem]:
    if not any(name in host.given and host.given[name] for name in _WEBHOOK):
        fix = f"set at least one of {', '.join(_WEBHOOK)}, its value {_VAULT}; AzuraCast uses the password"
        yield site.problem(host, [_WEBHOOK[0]], f"no way to log in for webhooks on {host.name}", fix)
    if not host.given.get("hook_service_api_token"):
        fix = f"set it, its value {_VAULT}; `openssl rand -hex 24` makes one"
        yield site.problem(host, ["hook_service_api_token"], f"is missing on {host.name}", fix)
    token = host.get("hook_service_webhook_token") or ""
    if isinstance(token, str) and PLACEHOLDER not in token and not re.fullmatch(r"[A-Za-z0-9._~-]*", token):
        fix = "use letters, digits and . _ ~ - alone; `openssl rand -hex 24` makes one"
        yield site.problem(host, ["hook_service_webhook_token"], "can't be the last part of a web address", fix)
    user = host.get("hook_service_webhook_user") or ""
    if ":" in str(user):
        yield site.problem(
            host, ["hook_service_webhook_user"], "holds a colon, which ends a name in Basic auth", "take it out"
        )


def _users(site: Site, host: Host) -> Iterator[Problem]:
    users = host.get("hook_service_users")
    if not isinstance(users, Mapping) or not users:
        return
    for name, user in users.items():
        path = ["hook_service_users", str(name)]
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", str(name)):
            fix = "use letters, digits and . _ @ -, 64 at most"
            yield site.problem(host, path, "is no name to sign in with", fix)
        if not isinstance(user, Mapping) or set(user) != {"role", "password"}:
            yield site.problem(host, path, "needs role and password, and nothing else", "write both")
            continue
        if user["role"] not in ("operator", "viewer"):
            fix = "write operator, or viewer for somebody who may only look"
            yield site.problem(host, [*path, "role"], "is no role", fix)
        password = user["password"]
        if isinstance(password, str) and PLACEHOLDER not in password and len(password) < _SHORTEST:
            fix = f"take {_SHORTEST} characters or more, its value {_VAULT}"
            yield site.problem(host, [*path, "password"], "is too short for what the whole world may try", fix)
    key = host.get("hook_service_session_key", "")
    if host.broken("hook_service_session_key") or PLACEHOLDER in str(key):
        return
    if len(str(key)) < _SHORTEST_KEY:
        fault = "is too short" if key else f"is missing on {host.name}: there are hook_service_users"
        fix = f"set it, its value {_VAULT}; `openssl rand -hex 24` makes one"
        yield site.problem(host, ["hook_service_session_key"], fault, fix)


def _stations(host: Host) -> Mapping[str, Any]:
    stations = host.get("hook_service_stations")
    return stations if isinstance(stations, Mapping) else {}


def _destinations(host: Host, station: str) -> Mapping[str, Any]:
    settings = _stations(host).get(station)
    found = settings.get("destinations") if isinstance(settings, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _keys(host: Host) -> Mapping[str, Any]:
    keys = host.get("hook_service_stream_keys")
    return keys if isinstance(keys, Mapping) else {}


def _missing_keys(site: Site, host: Host) -> Iterator[Problem]:
    if host.broken("hook_service_stream_keys"):
        return
    for station in _stations(host):
        mine = _keys(host).get(station)
        mine = mine if isinstance(mine, Mapping) else {}
        for name, destination in _destinations(host, station).items():
            url = destination.get("url") if isinstance(destination, Mapping) else None
            if isinstance(url, str) and url.startswith("rtmp") and not mine.get(name):
                path = ["hook_service_stations", station, "destinations", name]
                fix = f"add it under hook_service_stream_keys.{station}.{name}, its value {_VAULT}"
                yield site.problem(host, path, "has no stream key", fix)


def _strange_keys(site: Site, host: Host) -> Iterator[Problem]:
    for station, keys in _keys(host).items():
        path = ["hook_service_stream_keys", station]
        if station not in _stations(host):
            known = ", ".join(sorted(_stations(host))) or "none"
            fault = f"holds keys of a station that {host.name} does not carry"
            yield site.problem(host, path, fault, f"remove them; its stations: {known}")
        elif isinstance(keys, Mapping):
            destinations = _destinations(host, station)
            for name in keys:
                if name not in destinations:
                    known = ", ".join(destinations) or "none"
                    fix = f"remove it, or add the destination; {station} has: {known}"
                    yield site.problem(host, [*path, name], "is a key for a destination that there isn't", fix)


def _azuracast_keys(site: Site, host: Host) -> Iterator[Problem]:
    keys = host.get("hook_service_azuracast_keys")
    for station, key in keys.items() if isinstance(keys, Mapping) else ():
        path = ["hook_service_azuracast_keys", station]
        settings = _stations(host).get(station)
        if station not in _stations(host):
            known = ", ".join(sorted(_stations(host))) or "none"
            fault = f"is a key for a station that {host.name} does not carry"
            yield site.problem(host, path, fault, f"remove it; its stations: {known}")
        elif not isinstance(settings, Mapping) or not settings.get("azuracast"):
            fix = f"set hook_service_stations.{station}.azuracast.url, or remove the key"
            yield site.problem(host, path, "is a key for an AzuraCast that is not asked", fix)
        elif isinstance(key, str) and PLACEHOLDER not in key and not re.fullmatch(r"[!-~]+", key):
            fix = "copy it again from AzuraCast: your account, My API Keys"
            yield site.problem(host, path, "is not an API key", fix)


def _authorised(host: Host) -> Mapping[str, Any]:
    found = host.get(_YOUTUBE)
    return found if isinstance(found, Mapping) else {}


def _asks_youtube(host: Host, station: str, name: str) -> bool:
    destination = _destinations(host, station).get(name)
    return isinstance(destination, Mapping) and bool(destination.get("youtube"))


def _missing_authorisations(site: Site, host: Host) -> Iterator[Problem]:
    if host.broken(_YOUTUBE):
        return
    for station in _stations(host):
        mine = _authorised(host).get(station)
        for name in _destinations(host, station):
            if _asks_youtube(host, station, name) and not (isinstance(mine, Mapping) and mine.get(name)):
                path = ["hook_service_stations", station, "destinations", name, "youtube"]
                fix = f"add its values under {_YOUTUBE}.{station}.{name}, from the vault; {_AUTHORISE}"
                yield site.problem(host, path, "has no authorisation to ask YouTube", fix)


def _authorisations(site: Site, host: Host) -> Iterator[Problem]:
    for station, destinations in _authorised(host).items():
        for name, its in destinations.items() if isinstance(destinations, Mapping) else ():
            path = [_YOUTUBE, station, name]
            if not _asks_youtube(host, station, name):
                fix = f"set hook_service_stations.{station}.destinations.{name}.youtube.stream, or remove it"
                yield site.problem(host, path, "is for a destination about which YouTube is not asked", fix)
                continue
            if PLACEHOLDER in str(its):
                continue
            try:
                credentials.parse(json.dumps(its))
            except ValueError as error:
                fault, _, _ = str(error).partition(";")
                yield site.problem(host, path, fault, f"give it {', '.join(credentials.NAMES)}; {_AUTHORISE}")
