"""What YouTube's API answers: every word of it comes from outside, and none of it may stop the watching."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import strategies as st

from hook_service.web.httpget import Away
from hook_service.youtube import answers, credentials, rebind
from tests.fuzz.cases import NUMBERS, changed, fuzz, spoiled

NOW = 1_800_000_000.0
ISSUE = {"type": "gopSizeLong", "severity": "warning", "reason": "GOP", "description": "Too long"}
STREAM = {
    "id": "stream-1",
    "snippet": {"title": "Radio"},
    "status": {"streamStatus": "active", "healthStatus": {"status": "bad", "configurationIssues": [ISSUE, ISSUE]}},
}
BROADCAST = {
    "id": "broadcast-1",
    "snippet": {"title": "Radio", "description": "All day", "publishedAt": "2026-01-01T00:00:00Z"},
    "status": {"lifeCycleStatus": "complete", "privacyStatus": "public", "selfDeclaredMadeForKids": False},
    "contentDetails": {"boundStreamId": "stream-1", "enableDvr": True},
}
ERROR = {"error": {"code": 403, "message": "no", "errors": [{"reason": "quotaExceeded"}], "status": "X"}}
OAUTH = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
TOKEN = {"access_token": "at", "expires_in": 3599, "token_type": "Bearer", "refresh_token": "rt"}
STREAMS, BROADCASTS = {"items": [STREAM, STREAM]}, {"items": [BROADCAST, BROADCAST]}


@fuzz("YouTube, streams and broadcasts", 6, streams=changed(STREAMS), broadcasts=changed(BROADCASTS))
def test_lists(streams: Any, broadcasts: Any) -> None:
    try:
        found = answers.broadcasts(json.dumps(broadcasts).encode())
        streaming = answers.streams(json.dumps(streams).encode())
    except Away as why:
        str(why).encode()
        return
    current = rebind.current(found, "stream-1", ["broadcast-1"])
    for stream in streaming:
        for name in (stream.title, stream.health, stream.status, rebind.trouble(stream, current, True) or ""):
            name.encode()
            assert len(name) < 1000
        step = rebind.next_step(stream, current, found, rebind.Memory(), NOW)
        if step is not None:
            json.dumps(rebind.like(step.broadcast, NOW)).encode()


@fuzz("YouTube, errors", 3, document=changed(ERROR) | changed(OAUTH), status=st.integers(400, 599))
def test_errors(document: Any, status: int) -> None:
    why = str(answers.refusal(status, json.dumps(document).encode()))
    why.encode()
    assert len(why) < 1000


@fuzz("YouTube, tokens", 2, document=changed(TOKEN))
def test_tokens(document: Any) -> None:
    with contextlib.suppress(Away):
        found = answers.token(json.dumps(document).encode())
        assert found.access.isprintable()
        assert 0 < found.seconds < 1e9


SAMPLES = [json.dumps(one).encode() for one in (STREAMS, BROADCASTS, ERROR, TOKEN)]


@fuzz("YouTube, damaged answers", 3, data=spoiled(SAMPLES), value=NUMBERS | st.text())
def test_damaged(data: bytes, value: Any) -> None:
    for read in (answers.streams, answers.broadcasts, answers.broadcast, answers.token, answers.document_of):
        with contextlib.suppress(Away):
            read(data)
    answers.refusal(500, data)
    assert 1.0 <= answers.number(value, 1.0, 9.0, 5.0) <= 9.0
    with contextlib.suppress(ValueError):
        credentials.parse(data.decode("latin-1"))
