"""What YouTube may answer, and what is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.web.httpget import Away
from hook_service.youtube import answers, credentials
from hook_service.youtube.answers import Issue, Unusable
from tests.rig.youtube import YouTube


def listed(*items: Any) -> bytes:
    return json.dumps({"kind": "x", "items": list(items)}).encode()


def test_a_stream_as_described() -> None:
    stream = YouTube().streams["AbCdEf0123456789_-stream"]
    stream["status"]["healthStatus"]["configurationIssues"] = [
        {
            "type": "gopSizeLong",
            "severity": "warning",
            "reason": "Check video settings",
            "description": "Too far apart.",
        }
    ]
    [found] = answers.streams(listed(stream))
    assert (found.status, found.health, found.title) == ("active", "good", "Radio")
    assert found.issues == (Issue("gopSizeLong", "warning", "Check video settings", "Too far apart."),)
    assert "abcd-efgh" not in repr(found)


def test_a_broadcast_as_described() -> None:
    youtube = YouTube()
    broadcast = youtube.add_broadcast("vid1", "live", actualStartTime="2026-01-01T00:00:00Z")
    [found] = answers.broadcasts(listed(broadcast))
    assert (found.id, found.life_cycle, found.stream) == ("vid1", "live", "AbCdEf0123456789_-stream")
    assert found.at == "2026-01-01T00:00:00Z"
    youtube.turn("vid1", "complete")
    assert answers.broadcasts(listed(broadcast))[0].at > found.at


def test_what_is_not_there_is_nothing() -> None:
    [stream] = answers.streams(listed({"id": "a"}))
    [broadcast] = answers.broadcasts(listed({"id": "b", "contentDetails": None, "status": []}))
    assert (stream.status, stream.health, stream.issues) == ("", "", ())
    assert (broadcast.life_cycle, broadcast.stream, broadcast.at) == ("", None, "")
    assert answers.streams(b"{}") == []


def test_halves_of_characters_can_be_written() -> None:
    [stream] = answers.streams(b'{"items": [{"id": "a", "snippet": {"title": "\\ud800x"}}]}')
    assert stream.title.encode() == b"?x"


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"null", b'{"items": {}}', b'{"items": [1]}', b'{"items": [{}]}',
     b'{"items": [{"id": "a b"}]}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(Unusable):
        answers.broadcasts(body)


@pytest.mark.parametrize(
    ("status", "document", "said"),
    [
        (400, {"error": "invalid_grant", "error_description": "Expired."}, "authorise again"),
        (401, {"error": "invalid_client"}, "client_id or client_secret is wrong"),
        (403, {"error": {"errors": [{"reason": "quotaExceeded"}], "code": 403}}, "filled again at midnight"),
        (403, {"error": {"errors": [{"reason": "insufficientPermissions"}]}}, "with --rebind"),
        (503, {"error": {"errors": [{"reason": "backendError"}], "message": "Oh"}}, "with 503 backendError: Oh"),
        (403, {"error": {"status": "PERMISSION_DENIED", "message": "No."}}, "with 403 PERMISSION_DENIED: No."),
        (502, "<html>", "answers with 502"),
        (500, {"error": {"errors": "x", "message": 5}}, "answers with 500"),
        (500, {"error": ["x"]}, "answers with 500"),
    ],
)  # fmt: skip
def test_refusals(status: int, document: Any, said: str) -> None:
    refused = answers.refusal(status, json.dumps(document).encode())
    assert said in str(refused)
    assert refused.status == status


def test_tokens() -> None:
    token = answers.token(b'{"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"}')
    assert (token.access, token.seconds, token.refresh) == ("ya29.x", 3599.0, None)
    assert "ya29" not in repr(token)
    for rest in (
        '"a b", "expires_in": 1',
        '"a", "expires_in": true',
        '"a", "expires_in": -1',
        '"a", "expires_in": 1e400',
    ):
        with pytest.raises(Unusable):
            answers.token(f'{{"access_token": {rest}}}'.encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
SHAPED = st.fixed_dictionaries(
    {"items": st.lists(st.fixed_dictionaries({"id": st.just("a")}, optional={
        "snippet": st.dictionaries(st.sampled_from(["title", "actualEndTime", "publishedAt"]), JSON) | JSON,
        "contentDetails": st.dictionaries(st.just("boundStreamId"), JSON) | JSON,
        "status": st.fixed_dictionaries({}, optional={
            "streamStatus": JSON, "lifeCycleStatus": JSON,
            "healthStatus": st.dictionaries(st.sampled_from(["status", "configurationIssues"]), JSON) | JSON,
        }) | JSON}))}
)  # fmt: skip


@settings(deadline=None)
@given(JSON | SHAPED)
def test_any_json_is_read_or_refused(document: Any) -> None:
    body = json.dumps(document).encode()
    for read in (answers.streams, answers.broadcasts, answers.broadcast, answers.token):
        try:
            found = read(body)
        except Away:
            continue
        json.dumps(str(found)).encode()
    str(answers.refusal(403, body)).encode()


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (answers.streams, answers.broadcasts, answers.broadcast, answers.token):
        with pytest.raises(Away):
            read(body)


@settings(deadline=None)
@given(st.text() | JSON.map(json.dumps))
def test_no_credentials_are_shown(text: str) -> None:
    try:
        found = credentials.parse(text)
    except ValueError:
        return
    assert repr(found) == "Credentials()"


def test_credentials() -> None:
    whole = {"client_id": "a", "client_secret": "s3cret", "refresh_token": "1//t", "type": "authorized_user"}
    found = credentials.parse(json.dumps(whole))
    assert (found.client_id, found.client_secret, found.refresh_token) == ("a", "s3cret", "1//t")
    for name in credentials.NAMES:
        with pytest.raises(ValueError, match=f"no usable {name}") as caught:
            credentials.parse(json.dumps(whole | {name: "two words"}))
        assert "s3cret" not in str(caught.value)
