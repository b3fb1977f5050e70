"""What can be reached: the mount, the platforms, and the host's own name with its certificate."""

from __future__ import annotations

import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hook_service.ctl.doctor.finding import Finding, Look, look, not_looked

if TYPE_CHECKING:
    from hook_service.config import Host

SECONDS = 5.0
DAYS = 14
PORTS = {"rtmp": 1935, "rtmps": 443}
IN_USE = Path("/var/lib/prometheus/node-exporter/radio_tls.prom")
"""Where the role nginx_rtmp writes for which name the certificate in use is."""
_NAME = re.compile(r'\{name="([^"]+)"\}')


def mounts(host: Host) -> Look:
    """Each station's mount, asked as the playout asks it."""
    places = {f"stations.{code}.audio.url": its.audio.url for code, its in host.stations.items()}
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda item: _mount(*item), places.items())
    return look("mounts", ", ".join(sorted(set(places.values()))), [one for one in found if one is not None])


def _mount(place: str, url: str) -> Finding | None:
    from hook_service.playout import mount  # noqa: PLC0415 - not for those who look from elsewhere

    try:
        mount.connect(url, SECONDS).close()
    except mount.NoMount as why:
        what, _, mend = str(why).rpartition("; ")
        return Finding("fault", what or str(why), place, f"{mend}. docs/TROUBLESHOOTING.md#mount-away")
    except OSError as error:
        return Finding("fault", f"{url}: {error}", place, "docs/TROUBLESHOOTING.md#mount-away")
    return None


def destinations(host: Host) -> Look:
    """Whether each platform's ingest has a name that is known, and lets itself be connected to."""
    places = [
        (f"stations.{code}.destinations.{name}", destination.url)
        for code, its in host.stations.items()
        for name, destination in its.destinations.items()
    ]
    if not places:
        return not_looked("destinations", "none is configured")
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda item: reached(*item), places)
    hosts = sorted({str(urlsplit(url).hostname) for _, url in places})
    return look("destinations", ", ".join(hosts), [one for one in found if one is not None])


def reached(place: str, url: str) -> Finding | None:
    """One ingest: its name, and for RTMP a connection. No key is sent, so the platform notices nothing."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    where = f"{place} ({host}:{port})"
    mend = "docs/TROUBLESHOOTING.md#destination-down"
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        # SRT needs the name as well.
        remedy = f"correct the address, or the host's name server (resolvectl query {host}); {mend}"
        return Finding("fault", f"its name is not known: {error.strerror}", where, remedy)
    if parts.scheme not in PORTS:
        return None
    try:
        with socket.create_connection((host, port), SECONDS) as connection:
            if parts.scheme == "rtmps":
                # As FFmpeg does it: whose certificate it is nobody looks at.
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.wrap_socket(connection, server_hostname=host).close()
    except TimeoutError:
        remedy = f"the provider's firewall must let out to port {port}; {mend}"
        return Finding("fault", f"does not answer within {SECONDS:.0f} s", where, remedy)
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        return Finding("fault", f"can't be connected to: {why}", where, mend)
    return None


def own_certificate(file: Path = IN_USE) -> Look:
    """The certificate of this host's nginx, as AzuraCast would see it."""
    try:
        named = _NAME.search(file.read_text(encoding="utf-8"))
    except OSError:
        named = None
    if named is None:
        return not_looked("certificate", "this host's nginx has none of ours")
    return certificate(named[1], 443, "127.0.0.1")


def certificate(name: str, port: int, address: str | None = None) -> Look:
    """Whether what answers for `name` (at `address`, if it is not where the name points) is trusted, and how long."""
    where = f"https://{name}" + ("" if port == 443 else f":{port}")
    mend = "docs/TROUBLESHOOTING.md#certificate-expiring"
    try:
        with (
            socket.create_connection((address or name, port), SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=name) as secured,
        ):
            told = secured.getpeercert()
    except ssl.SSLCertVerificationError as error:
        remedy = f"AzuraCast sends to nobody it does not trust: nginx_rtmp_tls acme or given; {mend}"
        return look(
            "certificate", where, [Finding("fault", f"is not trusted: {error.verify_message}", where, remedy)]
        )
    except OSError as error:
        remedy = "systemctl status nginx; nginx -t; docs/TROUBLESHOOTING.md#web-service-down"
        what = f"can't be connected to: {error.strerror or error}"
        return look("certificate", where, [Finding("fault", what, where, remedy)])
    ends = (told or {}).get("notAfter")
    left = (ssl.cert_time_to_seconds(str(ends)) - time.time()) / 86400 if ends else float("inf")
    findings = []
    if left < DAYS:
        remedy = f"`certbot renew` on the host, or give a new one and run site.yml; {mend}"
        findings.append(Finding("warning", f"ends in {left:.0f} days", where, remedy))
    return look(
        "certificate", f"{where}, trusted" + ("" if left == float("inf") else f", {left:.0f} days left"), findings
    )
