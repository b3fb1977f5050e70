"""What YouTube's API answers, made into plain values: pure, and ready for anything.

The shapes are those of the public description of the YouTube Data API v3 (resources `liveStream` and `liveBroadcast`,
errors in Google's JSON) and of Google's OAuth 2.0 for devices. What is not as described is Unusable; a word that is
not in the description is passed on, so that a new one is seen and breaks nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hook_service.web.httpget import Away

HEALTH: Final = ("good", "ok", "bad", "noData", "revoked")
"""Of a stream, as YouTube judges what it receives."""
STATUS: Final = ("active", "created", "error", "inactive", "ready")
"""Of a stream: `active` while YouTube receives it."""
LIFE_CYCLE: Final = (
    "created", "ready", "testStarting", "testing", "liveStarting", "live", "complete", "revoked"
)  # fmt: skip
"""Of a broadcast."""
SEVERITIES: Final = ("info", "warning", "error")
"""Of a configuration issue."""
LONGEST: Final = 300
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_USED_UP = "the project's quota of the day is used up; it is filled again at midnight, Pacific time"
_TOO_OFTEN = "it is asked too often"
_REMEDIES: Final = {
    "invalid_grant": "the authorisation has ended or was taken back; run hook_service.youtube.authorise again (a "
    "project whose consent screen is still in testing gives authorisations for seven days)",
    "invalid_client": "client_id or client_secret is wrong; copy them again from Google's console",
    "deleted_client": "the OAuth client was removed from Google's console; make another, and authorise again",
    "unauthorized_client": "this OAuth client may not do that; make one for TVs and limited input devices",
    "authError": "the access token is not accepted; authorise again",
    "quotaExceeded": _USED_UP,
    "dailyLimitExceeded": _USED_UP,
    "rateLimitExceeded": _TOO_OFTEN,
    "userRateLimitExceeded": _TOO_OFTEN,
    "userRequestsExceedRateLimit": _TOO_OFTEN,
    "accessNotConfigured": "the YouTube Data API v3 is not switched on in the project; do so in Google's console",
    "liveStreamingNotEnabled": "the channel may not stream live; see https://www.youtube.com/features",
    "insufficientPermissions": "the authorisation is for reading only; authorise again, with --rebind",
    "insufficientLivePermissions": "the authorisation is for another channel, or for reading only; authorise again",
    "youtubeSignupRequired": "the account has no channel; authorise with the one that has",
}
"""What to do about an error, by the API's word for it."""


class Unusable(Away):
    """An answer that is not what the API's description says."""


class Refused(Away):
    """The API answers with an error; `reason` is its own word for it, such as `quotaExceeded`."""

    def __init__(self, status: int, reason: str, said: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(_explained(status, reason, said))


@dataclass(frozen=True, slots=True)
class Issue:
    """What YouTube finds wrong with what it receives; `kind` is its word, such as `gopSizeLong`."""

    kind: str
    severity: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A `liveStream`: what YouTube receives under one stream key. The key itself is never asked for."""

    id: str
    title: str
    status: str
    health: str
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A `liveBroadcast`: the video that viewers watch. `stream` is the stream that is bound to it; `at` is when it
    ended, else began, else was made, as text that sorts; `scheduled` is when it is to begin, in Unix seconds.
    """

    id: str
    title: str
    life_cycle: str
    stream: str | None
    at: str = ""
    scheduled: float | None = None
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and for how many seconds it is good; with the device flow, the refresh token as well."""

    access: str = field(repr=False)
    seconds: float
    refresh: str | None = field(default=None, repr=False)


def streams(body: bytes) -> list[Stream]:
    """The streams of a `liveStreamListResponse`."""
    return [_stream(item) for item in _items(body)]


def broadcasts(body: bytes) -> list[Broadcast]:
    """The broadcasts of a `liveBroadcastListResponse`."""
    return [_broadcast(item) for item in _items(body)]


def broadcast(body: bytes) -> Broadcast:
    """The one that `insert`, `bind` and `transition` answer with."""
    return _broadcast(document_of(body))


def token(body: bytes) -> Token:
    """The tokens of Google's token address."""
    document = document_of(body)
    access, refresh = document.get("access_token"), document.get("refresh_token")
    seconds = document.get("expires_in")
    if not isinstance(access, str) or not _TOKEN.fullmatch(access):
        raise Unusable("answers without an access token")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
        raise Unusable("does not say for how long the access token is good")
    usable = isinstance(refresh, str) and _TOKEN.fullmatch(refresh)
    return Token(access, float(seconds), refresh if usable else None)


def refusal(status: int, body: bytes) -> Refused:
    """What an error says, in the API's form (`error.errors[].reason`) or in OAuth's (`error`)."""
    try:
        document = document_of(body)
    except Unusable:
        return Refused(status, "", "")
    error = document.get("error")
    if isinstance(error, str):
        return Refused(status, _text(error, 64), _text(document.get("error_description")))
    error = error if isinstance(error, dict) else {}
    first = next((item for item in _list(error.get("errors")) if isinstance(item, dict)), {})
    return Refused(status, _text(first.get("reason") or error.get("status"), 64), _text(error.get("message")))


def document_of(body: bytes) -> dict[str, Any]:
    """The JSON object that an answer is; raises Unusable."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Unusable("answers with something that is not JSON") from None
    if not isinstance(document, dict):
        raise Unusable("answers with something that is no JSON object")
    return document


def number(value: Any, least: float, most: float, otherwise: float) -> float:
    """A number within limits, also where it is written as text; `otherwise` for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return min(max(found, least), most) if math.isfinite(found) else otherwise


def _explained(status: int, reason: str, said: str) -> str:
    what = " ".join(part for part in (str(status), reason) if part)
    if reason in _REMEDIES:
        return f"refuses ({what}): {_REMEDIES[reason]}"
    return f"answers with {what}" + (f": {said}" if said else "")


def _items(body: bytes) -> list[dict[str, Any]]:
    items = document_of(body).get("items", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unusable("answers with a list that is none")
    return items


def _stream(item: dict[str, Any]) -> Stream:
    status, health = _part(item, "status"), _part(item, "status", "healthStatus")
    return Stream(
        id=_id(item.get("id")),
        title=_text(_part(item, "snippet").get("title")),
        status=_text(status.get("streamStatus"), 64),
        health=_text(health.get("status"), 64),
        issues=tuple(
            Issue(
                kind=_text(issue.get("type"), 64),
                severity=_text(issue.get("severity"), 64),
                reason=_text(issue.get("reason")),
                description=_text(issue.get("description")),
            )
            for issue in _list(health.get("configurationIssues"))[:50]
            if isinstance(issue, dict)
        ),
    )


def _broadcast(item: dict[str, Any]) -> Broadcast:
    snippet, bound = _part(item, "snippet"), _part(item, "contentDetails").get("boundStreamId")
    times = (snippet.get(name) for name in ("actualEndTime", "actualStartTime", "publishedAt"))
    return Broadcast(
        id=_id(item.get("id")),
        title=_text(snippet.get("title")),
        life_cycle=_text(_part(item, "status").get("lifeCycleStatus"), 64),
        stream=bound if isinstance(bound, str) and bound else None,
        at=next((time for time in times if isinstance(time, str) and time), ""),
        scheduled=_instant(snippet.get("scheduledStartTime")),
        resource=item,
    )


def _instant(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _part(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        inner = document.get(name)
        document = inner if isinstance(inner, dict) else {}
    return document


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _id(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Unusable("answers with a resource that has no id")
    return value


def _text(value: Any, longest: int = LONGEST) -> str:
    """Text that can be written anywhere: JSON may hold halves of characters, which can't."""
    return value[:longest].encode("utf-8", "replace").decode() if isinstance(value, str) else ""
