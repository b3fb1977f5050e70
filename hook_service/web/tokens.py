"""The API's own tokens: who one is of is known without the database, by the last that it told.

A token is 256 random bits, so a fast digest of it is all that is kept, here and in the database: there is nothing to
guess. A file keeps the digests for a process that starts while the database is away.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import psycopg

from hook_service.library.atomic import write_json
from hook_service.store import operators
from hook_service.store.operators import Token
from hook_service.web.auth import ALL, Actor

PREFIX: Final = "sct_"
"""What a token begins with, so that whoever finds one knows what it is."""
USED_EVERY: Final = 300.0
"""Seconds between two notes that the same token is used."""

log = logging.getLogger("radio.web")


def make() -> str:
    """A new token."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept of it, in hex."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Tokens:
    """Those that are good now. `used(id, at)` notes the use of one. For any thread."""

    def __init__(self, path: Path, used: Callable[[int, float], None]) -> None:
        self._path = path
        self._used = used
        self._noted: dict[int, float] = {}
        self._known = _by_digest(self._restored())

    def actor(self, token: str) -> Actor | None:
        """Who a token is of; None for one that is not good. What is compared is a digest: its time tells nothing."""
        found = self._known.get(digest(token)) if token.startswith(PREFIX) else None
        now = time.time()
        if found is None or (found.expires_at is not None and now >= found.expires_at):
            return None
        if now - self._noted.get(found.id, 0.0) >= USED_EVERY:
            self._noted[found.id] = now
            self._used(found.id, now)
        return Actor(f"token:{found.name}", frozenset(scope for scope in ALL if scope in found.scopes))

    def load(self, connection: psycopg.Connection[Any]) -> None:
        """Take those that the database has."""
        self._take(operators.load(connection))

    def forget(self, token_id: int) -> None:
        """One was revoked: it is good for nothing from this moment, whenever the database tells."""
        self._take([token for token in self._known.values() if token.id != token_id])

    def _take(self, tokens: list[Token]) -> None:
        known = _by_digest(tokens)
        if known == self._known and self._path.exists():
            return
        self._known = known
        try:
            write_json(self._path, {"tokens": [asdict(token) for token in tokens]})
        except OSError as error:
            log.warning("The tokens can't be kept for an outage", extra={"context": {"error": str(error)}})

    def _restored(self) -> list[Token]:
        try:
            document = json.loads(self._path.read_bytes())
            return [Token(**{**row, "scopes": tuple(row["scopes"])}) for row in document["tokens"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("The kept tokens can't be read", extra={"context": {"error": str(error)}})
            return []


def _by_digest(tokens: list[Token]) -> dict[str, Token]:
    return {token.digest: token for token in tokens}
