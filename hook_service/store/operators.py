"""What operators have done and the API's tokens: read and changed here, noted by the outbox.

As all queries, these take one connection for one transaction and raise DatabaseAway when there is none, and
ValueError for what can't be looked for or stored.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg

from .paging import Page, Row, bounded, page, read_cursor
from .queries import Queries

CHANNEL: Final = "radio_tokens"
"""Where PostgreSQL announces every change of the tokens (see `sql/0006.operators.sql`)."""

_AUDIT: Final[LiteralString] = """
SELECT id, event_id, timestamp, actor, action, station, address, request_id, details
FROM audit_log
WHERE (%(station)s::text IS NULL OR station IN (%(station)s, '*'))
    AND (%(actor)s::text IS NULL OR actor = %(actor)s)
    AND (%(action)s::text IS NULL OR action = %(action)s OR starts_with(action, %(action)s || '.'))
    AND (%(since)s::timestamptz IS NULL OR timestamp >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR timestamp < %(until)s)
    AND (%(after_time)s::timestamptz IS NULL OR (timestamp, id) < (%(after_time)s, %(after_id)s))
ORDER BY timestamp DESC, id DESC
LIMIT %(limit)s
"""

_TOKENS: Final[LiteralString] = """
SELECT id, name, scopes, created_at, created_by, last_used_at, expires_at, revoked_at
FROM api_tokens
WHERE (%(revoked)s OR revoked_at IS NULL)
    AND (%(after_name)s::text IS NULL OR (name, id) > (%(after_name)s, %(after_id)s))
ORDER BY name, id
LIMIT %(limit)s
"""

_MAKE: Final[LiteralString] = """
INSERT INTO api_tokens (name, scopes, digest, created_by, expires_at)
VALUES (%(name)s, %(scopes)s, %(digest)s, %(created_by)s, %(expires_at)s)
RETURNING id, name, scopes, created_at, created_by, last_used_at, expires_at, revoked_at
"""

_REVOKE: Final[LiteralString] = """
UPDATE api_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE id = %(id)s
RETURNING name, revoked_at = now() AS newly
"""


class NameTaken(Exception):
    """There is a token of this name that is good."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was not revoked. `digest` is SHA-256 of it, in hex; `expires_at` is Unix seconds."""

    id: int
    name: str
    scopes: tuple[str, ...]
    digest: str
    expires_at: float | None


class Operators(Queries):
    """The audit log and the tokens."""

    def audit(
        self,
        *,
        station: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """What was done, the latest first; with a station also what concerns the whole host.

        `action` is one, or the part before the point: all of a subject.
        """
        values = {"station": station, "actor": actor, "action": action, "since": since, "until": until}
        return self._by_time(_AUDIT, values, "timestamp", cursor, limit)

    def tokens(self, *, revoked: bool = False, cursor: str | None = None, limit: int = 50) -> Page:
        """The tokens by name; those that were revoked only where they are asked for."""
        after_name, after_id = read_cursor(cursor)
        values = {
            "revoked": revoked,
            "after_name": after_name,
            "after_id": after_id,
            "limit": bounded(limit) + 1,
        }
        return page(self._all(_TOKENS, values), limit, "name")

    def make_token(
        self, *, name: str, scopes: Collection[str], digest: str, created_by: str, expires_at: datetime | None
    ) -> Row:
        """A new token's row. Raises NameTaken."""
        values = {
            "name": name,
            "scopes": sorted(scopes),
            "digest": bytes.fromhex(digest),
            "created_by": created_by,
            "expires_at": expires_at,
        }
        try:
            return self._all(_MAKE, values)[0]
        except psycopg.errors.UniqueViolation as error:
            raise NameTaken(name) from error

    def revoke_token(self, token_id: int) -> Row | None:
        """A token is good for nothing from here on. Its name, and whether it was good before (`newly`); or None."""
        found = self._all(_REVOKE, {"id": token_id})
        return found[0] if found else None


def load(connection: psycopg.Connection[Any]) -> list[Token]:
    """Every token that was not revoked."""
    rows = connection.execute(
        "SELECT id, name, scopes, encode(digest, 'hex') AS digest,"
        " extract(epoch FROM expires_at)::float8 AS expires_at FROM api_tokens WHERE revoked_at IS NULL"
    ).fetchall()
    return [Token(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
