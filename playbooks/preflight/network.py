"""Groups, addresses between hosts, ports, and the name and certificate that AzuraCast is to trust."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path

from playbooks.preflight.model import GROUPS, Host, Problem, Site, nearest
from playbooks.preflight.variables import PLACEHOLDER

# Not listeners of ours: where something is reached.
_ELSEWHERE = {"backup_copy_port", "hook_service_database_port"}
_FIXED = {
    "stations": {
        80: "nginx, which sends on to HTTPS",
        443: "nginx's HTTPS",
        1935: "the relay",
        8080: "the relay's statistics",
        9000: "radio-web",
    },
    "database": {5432: "PostgreSQL"},
}
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})+", re.IGNORECASE)
# Names for which no authority signs, RFC 2606 and RFC 6761 among them.
_PRIVATE = ("example", "example.com", "example.net", "example.org", "home.arpa", "internal", "invalid", "lan",
            "local", "localhost", "test")  # fmt: skip


def check(site: Site) -> Iterator[Problem]:
    """Everything about who is where and who reaches whom."""
    yield from _groups(site)
    yield from _database(site)
    yield from _private_addresses(site)
    for host in site.hosts.values():
        yield from _ports(site, host)
    for host in site.members("stations"):
        yield from _certificate(site, host)
    yield from _names(site)


def _structure(site: Site, owner: str, fault: str, fix: str) -> Problem:
    place = site.places.file_of(owner)
    return Problem(place.file, place.line, owner, fault, fix)


def _groups(site: Site) -> Iterator[Problem]:
    for group in GROUPS:
        if not site.members(group):
            there = [name for name in site.groups if name not in (*GROUPS, "all", "ungrouped")]
            near = nearest(group, there)
            hint = f"; is {near} meant to be it?" if near else "; one host may be in all three groups"
            what = "has no host" if group in site.groups else "is missing"
            yield _structure(site, group, f"the group {what}", f"put a host into {group}{hint}")
    for group in ("database", "monitoring"):
        names = [host.name for host in site.members(group)]
        if len(names) > 1:
            yield _structure(site, group, f"has several hosts ({', '.join(names)})", "leave one: all share it")


def _is_loopback(address: object) -> bool:
    text = str(address)
    return text in ("localhost", "::1") or text.startswith("127.")


def _database(site: Site) -> Iterator[Problem]:
    databases = site.members("database")
    if len(databases) != 1:
        return
    database = databases[0]
    guests = [host for host in site.members("stations") if host.name != database.name]
    for host in guests:
        if _is_loopback(host.get("hook_service_database_host", "127.0.0.1")):
            fault = f"the database is on {database.name}, not on {host.name} itself"
            fix = f"set it to {database.name}'s private address, as inventories/cluster does"
            yield site.problem(host, ["hook_service_database_host"], fault, fix)
    networks = database.get("postgresql_allowed_networks", [])
    networks = networks if isinstance(networks, list) else []
    listening = database.get("postgresql_listen_addresses", [])
    listening = listening if isinstance(listening, list) else []
    for index, text in enumerate(networks):
        try:
            network = ipaddress.ip_network(str(text))
        except ValueError as error:
            fix = "write it as 10.0.0.0/24, or an address with /32"
            yield site.problem(
                database, ["postgresql_allowed_networks", index], f"{text} is no network: {error}", fix
            )
            continue
        if network.prefixlen == 0:
            fix = "name your private network, or the stations' addresses with /32"
            yield site.problem(database, ["postgresql_allowed_networks", index], f"{text} lets in everyone", fix)
    if guests and all(_is_loopback(address) for address in listening):
        fix = f"add {database.name}'s private address, as inventories/cluster does"
        fault = f"only {database.name} itself reaches the database, and {guests[0].name} needs it"
        yield site.problem(database, ["postgresql_listen_addresses"], fault, fix)
    for host in guests:
        address = host.get("private_address")
        if address and not _inside(str(address), networks):
            fix = f"add {address}/32, or a network that holds it"
            fault = f"does not let in {host.name} ({address})"
            yield site.problem(database, ["postgresql_allowed_networks"], fault, fix)


def _inside(address: str, networks: list[object]) -> bool:
    for text in networks:
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_network(str(text)):
                return True
        except ValueError:
            continue
    return False


def _private_addresses(site: Site) -> Iterator[Problem]:
    # Hosts of no group of ours are the operator's own business.
    ours = [host for host in site.hosts.values() if host.roles]
    for host in ours:
        address = host.get("private_address")
        if address is None:
            if len(ours) > 1:
                fix = "give each host the address at which the others reach it, such as private_address: 10.0.0.11"
                yield site.problem(host, ["private_address"], f"is missing on {host.name}", fix)
            continue
        if PLACEHOLDER in str(address):
            continue
        try:
            ipaddress.ip_address(str(address))
        except ValueError:
            fix = "write it in digits, such as 10.0.0.11"
            yield site.problem(host, ["private_address"], f"{address!r} is not an address", fix)


def _ports(site: Site, host: Host) -> Iterator[Problem]:
    taken = {port: what for group in host.groups for port, what in _FIXED.get(group, {}).items()}
    for name in ("ansible_port", "firewall_ssh_ports"):
        asked = host.given.get(name)
        for port in asked if isinstance(asked, list) else [asked]:
            if port in taken:
                fault = f"port {port} is taken by {taken[port]} on {host.name}"
                yield site.problem(host, [name], fault, "let sshd listen on another port")
    taken[22] = "sshd"
    for role in host.roles:
        for name in site.roles[role].options if role in site.roles else ():
            port = _port(name, host.get(name))
            if port is None:
                continue
            if not 0 < port < 65536:
                yield site.problem(host, [name], f"{port} is not a port", "use a number from 1024 to 65535")
            elif port in taken:
                fault = f"port {port} is taken by {taken[port]} on {host.name}"
                # Where the operator set it: a default can't be mended.
                culprit = name if name in host.given or taken[port] not in host.given else taken[port]
                fault = fault if culprit == name else f"port {port} is taken by {name} on {host.name}"
                yield site.problem(host, [culprit], fault, "choose another port")
            else:
                taken[port] = name


def _port(name: str, value: object) -> int | None:
    if name in _ELSEWHERE or not name.endswith(("_port", "_listen")):
        return None
    digits = str(value).rpartition(":")[2]
    return int(digits) if digits.isdigit() else None


def _certificate(site: Site, host: Host) -> Iterator[Problem]:
    kind = host.get("nginx_rtmp_tls")
    if kind == "given":
        for name in ("nginx_rtmp_tls_certificate", "nginx_rtmp_tls_key"):
            yield from _file(site, host, name)
    if kind != "acme":
        return
    email = host.get("nginx_rtmp_acme_email") or ""
    if PLACEHOLDER not in str(email) and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(email)):
        fault = f"{email!r} is not an e-mail address" if email else f"is missing on {host.name}"
        yield site.problem(
            host, ["nginx_rtmp_acme_email"], fault, "set yours: Let's Encrypt warns there of a certificate's end"
        )


def _file(site: Site, host: Host, name: str) -> Iterator[Problem]:
    value = host.get(name)
    if host.broken(name):
        return
    if not value:
        fault = f"is missing on {host.name}, and nginx_rtmp_tls is given"
        yield site.problem(host, [name], fault, "set it to a PEM file on this machine")
    elif PLACEHOLDER not in str(value):
        path = Path(str(value)).expanduser()
        if not path.is_file() or not os.access(path, os.R_OK):
            yield site.problem(
                host, [name], f"{value} is no file that you can read", "name a PEM file on this machine"
            )


def _names(site: Site) -> Iterator[Problem]:
    owners: dict[str, Host] = {}
    for host in site.members("stations"):
        name = host.get("nginx_rtmp_server_name")
        path = ["nginx_rtmp_server_name"]
        if host.broken(path[0]):
            continue
        if not isinstance(name, str) or not name:
            fix = "set it to the name under which AzuraCast reaches this host, such as radio.your-domain.net"
            yield site.problem(host, path, f"is missing on {host.name}", fix)
            continue
        if PLACEHOLDER in name:
            continue
        if not _NAME.fullmatch(name) or name.replace(".", "").isdigit():
            fix = "write a name with a dot in it and no more: no https://, no port, no address"
            yield site.problem(host, path, f"{name!r} is not a name that a certificate can be for", fix)
        elif host.get("nginx_rtmp_tls") == "acme" and any(f".{name}".endswith(f".{end}") for end in _PRIVATE):
            fix = "use a name of your own that points to this host, or set nginx_rtmp_tls to given or selfsigned"
            yield site.problem(host, path, f"no certificate authority signs for {name!r}", fix)
        first = owners.setdefault(name.lower(), host)
        if first is not host:
            fix = "give each station host a name of its own (host_vars/HOST.yml or the host's line)"
            yield site.problem(host, path, f"{name!r} is the name of {first.name} already", fix)
