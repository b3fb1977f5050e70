"""The operator's API as far as it needs no database; the rest is in tests/integration/test_web.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hook_service import config
from hook_service.web import api, models_sources
from hook_service.web.auth import ALL, Guard
from hook_service.web.limits import Buckets
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import BASIC, BEARER, READER, Rig, body, eventually
from tests.unit.web.peers import FakePeer
from tests.unit.web.test_webhook import JSON

GETS = (
    "status", "history", "mappings", "mappings/1", "loops", "destinations", "errors", "analytics/tracks-per-hour",
    "analytics/most-played", "analytics/error-rate",
)  # fmt: skip


ADMIN = ("tokens", "audit")


@pytest.mark.parametrize("path", [*GETS, *ADMIN])
@pytest.mark.parametrize("token", [None, "Bearer ", "Bearer wrong", "Basic api-4", "api-4"])
def test_nothing_without_the_token(rig: Rig, path: str, token: str | None) -> None:
    answer = rig.client.get(f"/api/v1/{path}", headers={"Authorization": token} if token else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("path", ADMIN)
def test_the_read_token_does_not_read_who_did_what(rig: Rig, path: str) -> None:
    assert rig.client.get(f"/api/v1/{path}", headers=READER).status_code == 403


WRITES = (("PUT", "mappings"), ("POST", "mappings"), ("DELETE", "mappings/1"), ("POST", "stations/demo/switch"),
          ("POST", "destinations/demo/tube/stop"), ("POST", "tokens"), ("DELETE", "tokens/1"))  # fmt: skip


@pytest.mark.parametrize("path", GETS)
def test_the_read_token_reads(rig: Rig, path: str) -> None:
    # 503: there is no database here.
    assert rig.client.get(f"/api/v1/{path}", headers=READER).status_code in (200, 503)


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_the_read_token_changes_nothing(rig: Rig, method: str, path: str) -> None:
    answer = rig.client.open(f"/api/v1/{path}", method=method, json={"loop": "one.mp4"}, headers=READER)
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert re.fullmatch(
        "This is not allowed without the scope '(control|mappings|admin)'.", answer.get_json()["detail"]
    )
    # A token that is right is no guess.
    assert rig.client.get("/api/v1/status", headers=READER).status_code == 200


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_read_token_opens_nothing(make_rig: MakeRig, tmp_path: Path, content: str) -> None:
    make_rig()
    (tmp_path / "credentials" / "api-read-token").write_text(content)
    guard = Guard(config.load(tmp_path / "radio.yml"))
    for token in ("", " ", "\n", "None"):
        assert guard.actor(f"Bearer {token}") is None
    (tmp_path / "credentials" / "api-read-token").unlink()
    assert Guard(config.load(tmp_path / "radio.yml")).actor("Bearer ") is None


def test_the_document_has_every_route() -> None:
    """What is not in it would be tried by nobody."""
    app = api.openapi_app()
    found = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {(method, path) for path, methods in app.api_doc["paths"].items() for method in methods}
    assert found - told == {("get", "/api/v1/openapi.json"), ("get", "/api/v1/docs")}
    assert told <= found
    assert all(one.get("security") for methods in app.api_doc["paths"].values() for one in methods.values())


def test_guessing_the_token_is_slowed_down(make_rig: MakeRig) -> None:
    rig = make_rig(web={"failed_per_minute": 2})
    codes = [rig.client.get("/api/v1/status", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(3)]
    assert codes == [401, 401, 429]
    assert rig.client.get("/api/v1/status", headers=BEARER).status_code == 429


@pytest.mark.parametrize("path", [p for p in (*GETS, *ADMIN) if p not in ("status", "loops", "destinations")])
def test_a_database_that_is_away(rig: Rig, path: str) -> None:
    answer = rig.client.get(f"/api/v1/{path}", headers=BEARER)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_status(make_rig: MakeRig, playout: FakePeer) -> None:
    rig = make_rig()
    playout.processes = [{"name": "publisher", "state": "RUNNING", "pid": 5, "restarts": 0, "since": 1.5}]
    document = rig.client.get("/api/v1/status", headers=BEARER).get_json()
    station = document["stations"]["demo"]
    assert station["name"] == "Demo FM"
    assert station["on_air"]["reason"] == "default"
    assert station["processes"][0]["since"] == "1970-01-01T00:00:01.500000+00:00"
    assert document["stations"]["other"]["on_air"] is None
    assert station["last_switch"] is None
    assert station["sources"] == {
        "webhook": {"last_at": None},
        "sse": {"state": "off", "since": None, "error": None, "last_at": None},
        "poll": {"state": "off", "since": None, "error": None, "last_at": None},
        "icy": {"state": None, "titles": None, "title": None, "trusted": False},
    }
    rig.directors["demo"].start()
    try:
        rig.client.post("/webhook/azuracast", json=body("One", 1), headers=BASIC)
        eventually(lambda: rig.ledger.started)
    finally:
        rig.directors["demo"].stop()
    document = rig.client.get("/api/v1/status", headers=BEARER).get_json()
    last = document["stations"]["demo"]["last_switch"]
    assert (last["decided_by"], last["offsets"]["webhook"]) == ("webhook", None)
    for told in document["stations"].values():
        models_sources.StationSources.model_validate(told["sources"])
    models_sources.LastSwitch.model_validate(last)


def test_destinations_show_no_path(rig: Rig) -> None:
    [item] = rig.client.get("/api/v1/destinations", headers=BEARER).get_json()["items"]
    assert item["ingest"] == "rtmps://a.example.org:443"
    assert (item["name"], item["station"], item["state"]) == ("tube", "demo", "STOPPED")


def test_loops(rig: Rig) -> None:
    loops = rig.host.paths.loops
    (loops / "night").mkdir()
    for name in ("b.mp4", "a.mp4", "night/c d.mp4", ".hidden.mp4", "notes.txt", "fallback.mp3"):
        (loops / name).write_bytes(b"x")
    (loops / "broken.mp4").symlink_to("/nowhere")
    first = rig.client.get("/api/v1/loops?limit=2", headers=BEARER).get_json()
    assert [item["name"] for item in first["items"]] == ["a.mp4", "b.mp4"]
    assert first["items"][0]["profiles"] == {"720p30": "pending"}
    second = rig.client.get(f"/api/v1/loops?after={first['next']}", headers=BEARER).get_json()
    assert [item["name"] for item in second["items"]] == ["night/c d.mp4"]
    assert second["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "history?limit=0", "history?limit=501", "history?limit=x", "history?since=yesterday", "history?nonsense=1",
        "history?since=2026-01-01T00:00:00", "mappings?kind=other", "errors?severity=LOUD", "loops?limit=-1",
        "analytics/tracks-per-hour?hours=0", "history?cursor=" + "x" * 3000, "mappings/0",
    ],
)  # fmt: skip
def test_what_may_not_be_asked(rig: Rig, query: str) -> None:
    answer = rig.client.get(f"/api/v1/{query}", headers=BEARER)
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["errors"][0]["field"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "loop_file_path"),
        ({"loop_file_path": "a.mp4"}, "track_key"),
        ({"loop_file_path": "../a.mp4", "track_key": "a - b"}, "loop_file_path"),
        ({"loop_file_path": "/etc/passwd", "track_key": "a - b"}, "loop_file_path"),
        ({"loop_file_path": "http://x/a.mp4", "track_key": "a - b"}, "loop_file_path"),
        ({"loop_file_path": "a.mp4", "track_key": "a", "station": "nowhere"}, "station"),
        ({"loop_file_path": "a.mp4", "track_key": "a", "kind": "genre"}, "kind"),
        ({"loop_file_path": "a.mp4", "track_key": "a", "other": 1}, "other"),
    ],
)
def test_what_is_no_mapping(rig: Rig, document: dict[str, Any], field: str) -> None:
    for method in ("PUT", "POST"):
        answer = rig.client.open("/api/v1/mappings", method=method, json=document, headers=BEARER)
        assert answer.status_code == 422
        assert [fault["field"] for fault in answer.get_json()["errors"]] == [field]


def test_bodies_that_are_no_json(rig: Rig) -> None:
    def put(data: bytes, kind: str) -> int:
        return rig.client.put("/api/v1/mappings", data=data, content_type=kind, headers=BEARER).status_code

    assert put(b"{}", "text/plain") == 415
    assert put(b"{", "application/json") == 400
    assert put(b"[" * 100_000, "application/json") == 400
    assert put(b"x" * 300_000, "application/json") == 413


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=JSON)
def test_no_body_is_a_server_error(rig: Rig, document: Any) -> None:
    rig.services.requests = Buckets(1e9, 1e9)
    text = json.dumps(document)
    orders = [("POST", f"stations/demo/{order}") for order in ("switch", "hold", "slate")]
    for method, path in (("PUT", "mappings"), ("POST", "tokens"), *orders):
        answer = rig.client.open(
            f"/api/v1/{path}", method=method, data=text, content_type="application/json", headers=BEARER
        )
        assert answer.status_code in (400, 422, 503)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from((*GETS, *ADMIN)), name=st.text(max_size=20), value=st.text(max_size=50))
def test_no_query_is_a_server_error(rig: Rig, path: str, name: str, value: str) -> None:
    rig.services.requests = Buckets(1e9, 1e9)
    answer = rig.client.get(f"/api/v1/{path}", query_string={name: value, "q": value}, headers=BEARER)
    assert answer.status_code in (200, 422, 503)


def test_a_switch_by_hand(make_rig: MakeRig, playout: FakePeer) -> None:
    rig = make_rig()

    def post(station: str, loop: str) -> int:
        url = f"/api/v1/stations/{station}/switch"
        return rig.client.post(url, json={"loop": loop}, headers=BEARER).status_code

    assert post("demo", "a.mp4") == 202
    assert playout.switches[0]["loop"] == str(rig.host.paths.loops / "a.mp4")
    assert playout.switches[0]["play_id"] is None
    [row] = rig.ledger.audited
    assert (row["actor"], row["action"], row["station"]) == ("api-token", "station.switch", "demo")
    assert row["details"] == {"loop": "a.mp4", "seconds": None}
    assert row["request_id"]
    assert post("nowhere", "a.mp4") == 404
    assert post("demo", "../a.mp4") == 422
    assert post("other", "a.mp4") == 503


def test_the_openapi_document(rig: Rig) -> None:
    answer = rig.client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    document = answer.get_json()
    assert document["openapi"].startswith("3.1")
    documented = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert ("/api/v1/mappings/{mapping_id}", "delete") in documented
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, method in documented:
        operation = document["paths"][path][method]
        assert operation["summary"]
        [[scope]] = [required["bearer"] for required in operation["security"]]
        assert scope in ALL
        assert (scope == "read") is (method == "get" and not path.endswith(("/audit", "/tokens")))
    assert "track_key" in document["components"]["schemas"]["MappingIn"]["properties"]


def test_a_host_has_the_same_document(rig: Rig) -> None:
    """The services run without docstrings, to save memory; the document is for whoever reads it there."""
    code = (
        "import sys; from hook_service.web.api import openapi_app;"
        "sys.stdout.write(openapi_app().test_client().get('/api/v1/openapi.json').get_data(as_text=True))"
    )
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == rig.client.get("/api/v1/openapi.json").json


def test_no_nesting_is_a_server_error(rig: Rig) -> None:
    """Also where it can just be read once: the limit is the stack's, and others stand higher on it."""
    statuses = set()
    for depth in range(850, 1000):
        content = b'{"loop": ' + b"[" * depth + b"]" * depth + b"}"
        answer = rig.client.post(
            "/api/v1/stations/demo/switch", data=content, headers={**BEARER, "Content-Type": "application/json"}
        )
        statuses.add(answer.status_code)
    assert statuses == {400, 422}


def test_errors_are_documented_as_what_they_are(rig: Rig) -> None:
    document = rig.client.get("/api/v1/openapi.json").json
    assert document is not None
    for path in document["paths"].values():
        for operation in path.values():
            errors = {status: found["content"] for status, found in operation["responses"].items() if status >= "400"}
            assert "401" in errors
            for content in errors.values():
                assert content == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
                }


def test_the_document_as_a_page(rig: Rig) -> None:
    """Complete, open, and with nothing of anybody else's."""
    answer = rig.client.get("/api/v1/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    text = answer.get_data(as_text=True)
    document = rig.client.get("/api/v1/openapi.json").json
    assert document is not None
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code> {operation['summary']}".replace("'", "&#39;") in text
    assert "<script" not in text
    assert not re.search(r"""(src|href|action)=["']?(https?:)?//|url\(""", text)
    assert "expires_at" in text
    assert "one of read, control, library, mappings, admin" in text
