from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from hook_service import config
from hook_service.web.auth import Guard
from hook_service.web.limits import Buckets
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import API_TOKEN, BASIC, PASSWORD, SECRET, TOKEN, Rig, body, write_host

URL = "/webhook/azuracast"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def post(rig: Rig, document: Any, headers: dict[str, str] | None = None, url: str = URL) -> TestResponse:
    return rig.client.post(url, json=document, headers=BASIC if headers is None else headers)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (URL, BASIC),
        (URL, {"X-Webhook-Secret": SECRET}),
        (f"{URL}/{TOKEN}", {}),
        # Any one of them is enough, whatever comes with it.
        (f"{URL}/{TOKEN}", {"X-Webhook-Secret": "wrong"}),
    ],
)
def test_each_way_to_authenticate(rig: Rig, url: str, headers: dict[str, str]) -> None:
    answer = post(rig, body("One", 1), headers, url)
    assert answer.status_code == 202
    assert answer.json == {"request_id": answer.headers["X-Request-Id"], "accepted": True, "result": "accepted"}


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (URL, {}),
        (URL, {"Authorization": "Basic " + "!" * 9}),
        (URL, {"Authorization": "Basic YXp1cmFjYXN0Og=="}),
        (URL, {"Authorization": f"Bearer {API_TOKEN}"}),
        (URL, {"X-Webhook-Secret": PASSWORD}),
        (URL, {"X-Webhook-Secret": ""}),
        (f"{URL}/wrong", {}),
        (f"{URL}/{TOKEN}x", {}),
    ],
)
def test_one_answer_to_all_who_may_not(rig: Rig, url: str, headers: dict[str, str]) -> None:
    answer = post(rig, body("One", 1, station="nowhere"), headers, url)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.content_type == "application/problem+json"
    document = answer.get_json()
    assert document.pop("request_id")
    assert document == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Authenticate with Basic authentication, the X-Webhook-Secret header, or the token in the path.",
    }
    assert rig.count("radio_webhooks_total", station="", result="unauthorized") == 1


def test_only_what_is_configured_counts(tmp_path: Path) -> None:
    host = config.load(write_host(tmp_path))
    assert Guard(host).webhook(None, SECRET, None)
    (host.paths.credentials / "webhook-secret").write_text("\n")
    (host.paths.credentials / "webhook-token").unlink()
    guard = Guard(host)
    assert not guard.webhook(None, SECRET, None)
    assert not guard.webhook(None, "", "")
    assert not guard.webhook(None, None, TOKEN)
    assert guard.webhook(BASIC["Authorization"], None, None)


def test_repeats_and_old_news_are_counted_not_acted_on(rig: Rig) -> None:
    results = [
        post(rig, document).get_json()["result"]
        for document in (body("One", 2), body("One", 2), body("Zero", 1), body("Two", 3))
    ]
    assert results == ["accepted", "duplicate", "stale", "accepted"]
    for result, count in (("accepted", 2), ("duplicate", 1), ("stale", 1)):
        assert rig.count("radio_webhooks_total", station="demo", result=result) == count


def test_offline_is_its_own_result(rig: Rig) -> None:
    post(rig, body("One", 1))
    off = body("One", 1)
    off["now_playing"].update(sh_id=0, played_at=0, playlist=None)
    assert post(rig, off).get_json()["result"] == "offline"


def test_the_originals_small_body(rig: Rig) -> None:
    small = {"song": {"id": "7", "artist": "A", "title": "B"}, "station": {"id": "1", "name": "Demo FM"}}
    assert post(rig, small).get_json()["accepted"] is True
    assert rig.count("radio_webhooks_total", station="demo", result="accepted") == 1


def test_an_unknown_station_is_told_the_known_ones(rig: Rig) -> None:
    answer = post(rig, body("One", 1, station="nowhere"))
    assert answer.status_code == 404
    assert answer.get_json()["stations"] == ["demo", "other"]
    assert rig.count("radio_webhooks_total", station="", result="unknown_station") == 1


@pytest.mark.parametrize("length", [256 * 1024 + 1, 10**6])
def test_a_body_too_large(rig: Rig, length: int) -> None:
    answer = rig.client.post(URL, data=b" " * length, content_type="application/json", headers=BASIC)
    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"


def test_a_body_just_small_enough(rig: Rig) -> None:
    document = json.dumps(body("One", 1)).encode()
    answer = rig.client.post(
        URL, data=document.ljust(256 * 1024), content_type="application/json; charset=utf-8", headers=BASIC
    )
    assert answer.status_code == 202


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
def test_not_json_by_its_type(rig: Rig, kind: str) -> None:
    assert rig.client.post(URL, data=b"{}", content_type=kind, headers=BASIC).status_code == 415


@pytest.mark.parametrize(
    "text", [b"", b"{", b"{'a': 1}", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}', b"1" * 5000 + b"x", b"null,"]
)
def test_not_json_by_its_content(rig: Rig, text: bytes) -> None:
    answer = rig.client.post(URL, data=text, content_type="application/json", headers=BASIC)
    assert answer.status_code == 400
    assert rig.count("radio_webhooks_total", station="", result="malformed") == 1


def test_the_wrong_shape_names_the_fields_but_not_their_values(rig: Rig) -> None:
    wrong = body("One", 1)
    wrong["now_playing"]["sh_id"] = "a-value-to-keep"
    wrong["now_playing"]["song"]["title"] = ["a-value-to-keep"]
    answer = post(rig, wrong)
    assert answer.status_code == 422
    assert {fault["field"] for fault in answer.get_json()["errors"]} == {
        "now_playing.sh_id",
        "now_playing.song.title",
    }
    assert "a-value-to-keep" not in answer.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=JSON)
def test_no_json_is_a_server_error(rig: Rig, document: Any) -> None:
    rig.services.requests = Buckets(1e9, 1e9)
    text = json.dumps(document).encode()
    answer = rig.client.post(URL, data=text, content_type="application/json", headers=BASIC)
    assert answer.status_code in (400, 404, 422)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_a_real_body_is_a_server_error(rig: Rig, data: st.DataObject) -> None:
    rig.services.requests = Buckets(1e9, 1e9)
    document = body("One", 1)
    where: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(where)))
        if isinstance(where[key], dict) and where[key] and data.draw(st.booleans()):
            where = where[key]
            continue
        where[key] = data.draw(JSON)
        break
    answer = rig.client.post(URL, data=json.dumps(document).encode(), content_type="application/json", headers=BASIC)
    assert answer.status_code in (202, 400, 404, 422)


def test_request_ids(rig: Rig) -> None:
    assert (
        post(rig, body("One", 1), {**BASIC, "X-Request-Id": "azura.1-2:3"}).headers["X-Request-Id"] == "azura.1-2:3"
    )
    for insane in ("", "a" * 65, "with space", "é", "-rf", "a\tb", "<script>"):
        made = post(rig, body("One", 1), {**BASIC, "X-Request-Id": insane}).headers["X-Request-Id"]
        assert made != insane
        assert len(made) == 32


def test_guessing_is_slowed_down_even_when_right_in_the_end(make_rig: MakeRig) -> None:
    rig = make_rig(web={"failed_per_minute": 3})
    assert [post(rig, {}, {"X-Webhook-Secret": str(n)}).status_code for n in range(5)] == [401, 401, 401, 429, 429]
    answer = post(rig, body("One", 1))
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 20
    # Another address is not held responsible.
    other = rig.client.post(URL, json=body("One", 1), headers=BASIC, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other.status_code == 202


def test_good_credentials_are_never_counted_as_failures(make_rig: MakeRig) -> None:
    rig = make_rig(web={"failed_per_minute": 1})
    assert {post(rig, body("One", 1)).status_code for _ in range(20)} == {202}


def test_too_many_requests(make_rig: MakeRig) -> None:
    rig = make_rig(web={"requests_per_second": 5})
    codes = [post(rig, body("One", 1)).status_code for _ in range(12)]
    assert codes[:5] == [202] * 5
    assert 429 in codes


@pytest.mark.parametrize(("proxies", "counted"), [(0, "127.0.0.1"), (1, "198.51.100.9"), (2, "203.0.113.4")])
def test_whose_address_counts_behind_proxies(make_rig: MakeRig, proxies: int, counted: str) -> None:
    rig = make_rig(web={"trusted_proxies": proxies, "failed_per_minute": 1})
    forwarded = {"X-Forwarded-For": "10.9.9.9, 203.0.113.4, 198.51.100.9"}
    assert post(rig, {}, forwarded).status_code == 401
    assert rig.services.failures.wait(counted) > 0
    assert len(rig.services.failures) == 1


def test_a_body_that_is_refused_is_in_the_log_without_its_values(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    document = body("One", 1)
    document["now_playing"]["sh_id"] = "not a number"
    answer = post(rig, document, headers={**BASIC, "X-Request-Id": "refused-1"})
    assert answer.status_code == 422
    [context] = [record.__dict__["context"] for record in caplog.records if record.message == "Webhook refused"]
    assert (context["request_id"], context["status"]) == ("refused-1", 422)
    assert answer.json is not None
    assert context["errors"] == answer.json["errors"]
    assert "not a number" not in str(context)
