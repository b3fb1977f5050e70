"""Errors as RFC 9457 problem documents, for Flask and for what Waitress refuses before Flask sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"

# On every answer. HSTS is left to whoever ends TLS.
SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


class Problem(Exception):
    """An answer that is an error: its HTTP status, one sentence for a person, and further members.

    `headers` go into the answer as they are (`Retry-After`, `Allow`, `WWW-Authenticate`).
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members
        super().__init__(f"{status}: {detail}")

    def document(self, request_id: str) -> bytes:
        """The problem document as JSON. Its type is `about:blank`, so the title is the status's own phrase."""
        document = {
            "type": "about:blank",
            "title": phrase(self.status),
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.members,
        }
        return json.dumps(document).encode()


def documented(api: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document in which errors are what they are answered with: the library that writes it knows one media
    type for everything, and takes what is wrong with a request for a list of documents.
    """
    problem = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    for path in api["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    response["content"] = {MEDIA_TYPE: problem}
    return api


def phrase(status: int) -> str:
    """The reason phrase of an HTTP status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
