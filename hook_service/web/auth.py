"""Who may come in: AzuraCast (or another sender) at the webhook; the operator, and who may only look, at the API."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hook_service.config import Host

Scope = Literal["read", "control", "library", "mappings", "admin"]
"""What someone may do: look, direct the broadcast, change loops, change mappings, see to tokens and the audit log."""
ALL: Final[frozenset[Scope]] = frozenset(get_args(Scope))
READ: Final[frozenset[Scope]] = frozenset({"read"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who a request comes from, under the name that the audit log has, and what they may do."""

    name: str
    scopes: frozenset[Scope]


def _same(given: str | None, wanted: bytes | None) -> bool:
    """Whether both are the same, in a time that does not depend on where they differ."""
    if wanted is None or given is None:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted)


class Guard:
    """Compares what a request brings with the credentials, which are read once, at start."""

    def __init__(self, host: Host, find: Callable[[str], Actor | None] = lambda _token: None) -> None:
        """`find` knows the tokens that were made since."""
        self._find = find
        password = host.secret("webhook-password")
        # One string, so that there is one comparison and nothing tells user and password apart.
        self._basic = f"{host.webhook.user}:{password}".encode() if password else None
        self._secret = _bytes(host.secret("webhook-secret"))
        self._token = _bytes(host.secret("webhook-token"))
        self._tokens = [
            (Actor("api-token", ALL), _bytes(host.secret("api-token"))),
            (Actor("api-read-token", READ), _bytes(host.secret("api-read-token"))),
        ]

    def webhook(self, authorization: str | None, secret: str | None, token: str | None) -> bool:
        """Whether any configured credential is given and right: Basic, `X-Webhook-Secret` or the path's token."""
        basic = _same(_basic(authorization), self._basic)
        header = _same(_wsgi(secret), self._secret)
        path = _same(token, self._token)
        return basic or header or path

    def actor(self, authorization: str | None) -> Actor | None:
        """Who the bearer token in the `Authorization` header is of; None without one that is right."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        given = _wsgi(token.strip())
        # All are compared, so that the time it takes does not tell which of them a guess came near to.
        right = [actor for actor, wanted in self._tokens if _same(given, wanted)]
        return right[0] if right else self._find(given or "")


def _bytes(secret: str | None) -> bytes | None:
    return secret.encode() if secret else None


def _wsgi(text: str | None) -> str | None:
    """A header's text: WSGI hands over its bytes as Latin-1, senders mean UTF-8."""
    if text is None or text.isascii():
        return text
    return text.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def _basic(authorization: str | None) -> str | None:
    """`user:password` out of an `Authorization: Basic` header."""
    scheme, _, coded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(coded.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return None
