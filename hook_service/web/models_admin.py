"""Tokens and the audit log in pydantic models."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from hook_service.web.auth import Scope

TokenName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]*$")]
Cursor = Annotated[str, Field(max_length=2048)]


class TokensQuery(BaseModel):
    """A page of the tokens; those that were revoked only with `revoked`."""

    model_config = ConfigDict(extra="forbid")

    revoked: bool = False
    cursor: Cursor | None = None
    limit: int = Field(50, ge=1, le=500)


class AuditQuery(BaseModel):
    """Which entries. `action` is one ("station.switch"), or all of a subject ("station"). Times are ISO 8601 with a
    zone.
    """

    model_config = ConfigDict(extra="forbid")

    station: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    actor: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    action: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    cursor: Cursor | None = None
    limit: int = Field(50, ge=1, le=500)


class TokenPath(BaseModel):
    """A token's number."""

    token_id: int = Field(ge=1, le=2**31 - 1)


class TokenIn(BaseModel):
    """A token to make. Nobody can give one more scopes than they have themselves."""

    model_config = ConfigDict(extra="forbid")

    name: TokenName
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5)]
    expires_at: AwareDatetime | None = None

    @field_validator("expires_at")
    @classmethod
    def _to_come(cls, value: datetime | None) -> datetime | None:
        if value is not None and value <= datetime.now(UTC):
            raise ValueError("is over already")
        return value


class Token(BaseModel):
    """A token, without itself. `last_used_at` is to within five minutes."""

    model_config = ConfigDict(defer_build=True)

    id: int
    name: str
    scopes: list[Scope]
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewToken(Token):
    """A token that was just made, and, this once, itself."""

    token: str


class Tokens(BaseModel):
    """A page; `next` is null on the last."""

    model_config = ConfigDict(defer_build=True)

    items: list[Token]
    next: str | None


class AuditEntry(BaseModel):
    """Who did what. `station` is "*" where it concerns the host; `request_id` is in the log too."""

    model_config = ConfigDict(defer_build=True)

    id: int
    event_id: str
    timestamp: datetime
    actor: str
    action: str
    station: str
    address: str | None
    request_id: str | None
    details: dict[str, Any]


class Audit(BaseModel):
    """A page."""

    model_config = ConfigDict(defer_build=True)

    items: list[AuditEntry]
    next: str | None
