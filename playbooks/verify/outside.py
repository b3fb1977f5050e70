"""From outside, as AzuraCast comes: the name, the certificate, and who is let in."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from playbooks.verify import Verdict

PATH = "/webhook/azuracast"
_TIMEOUT = 10.0
_DAYS = 14


@dataclass(frozen=True)
class Outside:
    """Where to go, and as whom.

    `address` is where to connect when not where the name points; `ca` is a PEM file to trust beside the system's.
    """

    name: str
    user: str
    password: str
    port: int = 443
    address: str = ""
    ca: str = ""


class _Connection(http.client.HTTPSConnection):
    """HTTPS to a name at an address of our choice."""

    def __init__(self, target: Outside, context: ssl.SSLContext) -> None:
        super().__init__(target.name, target.port, timeout=_TIMEOUT, context=context)
        self._target, self._trust = target, context

    def connect(self) -> None:
        """Connect to the address, and ask for the name's certificate."""
        plain = socket.create_connection((self._target.address or self._target.name, self._target.port), _TIMEOUT)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self._target.name)


def look(target: Outside) -> list[Verdict]:
    """Everything that can be told from here; what follows from a failure is left out."""
    where = f"https://{target.name}" + ("" if target.port == 443 else f":{target.port}")
    context = ssl.create_default_context()
    if target.ca:
        context.load_verify_locations(target.ca)
    connection = _Connection(target, context)
    what = f"certificate of {where}"
    try:
        connection.connect()
        certificate = connection.sock.getpeercert()
    except ssl.SSLCertVerificationError as error:
        fix = "set nginx_rtmp_tls to acme, or to given with a whole chain: AzuraCast sends to nobody else"
        return [Verdict(False, what, f"not trusted: {error.verify_message}", fix)]
    except socket.gaierror:
        fix = f"make a DNS record for {target.name} that points to the host, or correct nginx_rtmp_server_name"
        return [Verdict(False, what, "the name is not known", fix)]
    except (OSError, ssl.SSLError) as error:
        fix = "let 443 in at the provider's firewall; does DNS point to this host, does nginx run there?"
        return [Verdict(False, what, f"not reached: {error}", fix)]
    finally:
        connection.close()
    return [_expiry(what, certificate), *_logins(where, target, context)]


def _expiry(what: str, certificate: object) -> Verdict:
    ends = certificate.get("notAfter") if isinstance(certificate, dict) else None
    if not ends:
        return Verdict(True, what, "trusted")
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends)), UTC)
    days = (end - datetime.now(UTC)).days
    fix = "`systemctl status certbot.timer` and `certbot renew` on the host, or give a new one and run site.yml"
    return Verdict(days >= _DAYS, what, f"trusted, {days} days left", fix)


def _logins(where: str, target: Outside, context: ssl.SSLContext) -> list[Verdict]:
    """A body in no known shape: whoever is let in is told so with 422, and nothing changes on the air."""
    known = base64.b64encode(f"{target.user}:{target.password}".encode()).decode()
    proxy = "radio-web does not answer: `systemctl status radio-web` on the host"
    asked = [
        ("webhook without a password", {}, 401, {502: proxy, 503: proxy, 504: proxy}),
        (
            "webhook with AzuraCast's password",
            {"Authorization": f"Basic {known}"},
            422,
            {401: "the host has another password: run site.yml", 502: proxy, 503: proxy, 504: proxy},
        ),
    ]
    verdicts = []
    for what, headers, wanted, fixes in asked:
        if not target.password and headers:
            continue
        try:
            status = _post(target, context, headers)
        except (OSError, http.client.HTTPException) as error:
            verdicts.append(Verdict(False, what, str(error), f"open {where}/health in a browser"))
            continue
        fix = fixes.get(status, f"{where}{PATH} is not answered by Steadycast: see what else serves this name")
        if status == 429:
            fix = "too many wrong passwords came from here: wait a minute"
        verdicts.append(
            Verdict(status == wanted, what, f"{status}, as it should be" if status == wanted else str(status), fix)
        )
    return verdicts


def _post(target: Outside, context: ssl.SSLContext, headers: dict[str, str]) -> int:
    connection = _Connection(target, context)
    try:
        connection.request("POST", PATH, json.dumps({}), {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
