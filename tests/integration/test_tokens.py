"""Tokens with scopes and the audit log, at a real web service with a real database (the playout is a double)."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_web import MakeWeb, WebProcess, make_web, postgres  # noqa: F401 - fixtures
from tests.rig.net import wait_until
from tests.rig.postgres import PrivatePostgres
from tests.unit.web.doubles import eventually
from tests.unit.web.peers import FakePeer

# What each scope opens, by a request that needs it and no database row.
NEEDS = {
    "read": ("GET", "history", None),
    "control": ("POST", "stations/demo/switch", {"loop": "a.mp4"}),
    "mappings": ("PUT", "mappings", {"loop_file_path": "a.mp4", "track_key": "scope - test"}),
    "admin": ("GET", "audit", None),
}


@pytest.fixture
def web(make_web: MakeWeb, postgres: PrivatePostgres, run_dir: Path) -> WebProcess:  # noqa: F811
    postgres.sql("TRUNCATE api_tokens, audit_log")
    (run_dir / "run").mkdir(exist_ok=True)
    web = make_web(web={"failed_per_minute": 1_000})
    web.start()
    return web


def ask(web: WebProcess, token: str, method: str, path: str, document: Any = None) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    content = None if document is None else json.dumps(document).encode()
    return web.ask(method, f"/api/v1/{path}", content, **headers)[0]


def make(web: WebProcess, name: str, *scopes: str, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = web.api("POST", "tokens", {"name": name, "scopes": list(scopes), **values})
    return made


def wait_known(web: WebProcess, token: str) -> None:
    """Return when the service knows it: PostgreSQL tells it of new ones."""
    eventually(lambda: ask(web, token, "GET", "status") in (200, 403))


def test_a_token_opens_what_its_scopes_say(web: WebProcess, run_dir: Path) -> None:
    peer = FakePeer(run_dir / "run" / "playout-demo.sock")
    try:
        for scope in NEEDS:
            token = make(web, f"for {scope}", scope)["token"]
            wait_known(web, token)
            for needed, (method, path, document) in NEEDS.items():
                status = ask(web, token, method, path, document)
                assert (status == 403) is (scope != needed), (scope, needed, status)
                assert status < 300 or status == 403
    finally:
        peer.close()
    listed = web.api("GET", "tokens")["items"]
    assert [row["name"] for row in listed] == sorted(f"for {scope}" for scope in NEEDS)
    assert all("token" not in row and "digest" not in row for row in listed)
    assert eventually(lambda: all(row["last_used_at"] for row in web.api("GET", "tokens")["items"]))
    [switched] = web.api("GET", "audit?action=station.switch")["items"]
    assert (switched["actor"], switched["station"]) == ("token:for control", "demo")


def test_a_revoked_token_is_of_no_use_at_once(web: WebProcess) -> None:
    made = make(web, "short", "read")
    eventually(lambda: ask(web, made["token"], "GET", "status") == 200)
    for _ in range(2):  # twice is once
        web.api("DELETE", f"tokens/{made['id']}")
        assert ask(web, made["token"], "GET", "status") == 401
    assert web.api("GET", "tokens")["items"] == []
    assert web.api("GET", "tokens?revoked=true")["items"][0]["revoked_at"]
    actions = [row["action"] for row in eventually(lambda: _audit(web, 2))]
    assert actions == ["token.revoke", "token.make"]
    make(web, "short", "read")  # the name is free again


def test_one_that_is_revoked_beside_the_service(web: WebProcess, postgres: PrivatePostgres) -> None:  # noqa: F811
    token = make(web, "elsewhere", "read")["token"]
    eventually(lambda: ask(web, token, "GET", "status") == 200)
    postgres.sql("UPDATE api_tokens SET revoked_at = now()")
    began = time.monotonic()
    eventually(lambda: ask(web, token, "GET", "status") == 401)
    assert time.monotonic() - began < 5


def test_tokens_outlive_the_database_and_the_process(web: WebProcess, make_web: MakeWeb, run_dir: Path) -> None:  # noqa: F811
    token = make(web, "kept", "control")["token"]
    kept = run_dir / "state" / "web" / "_tokens.json"
    eventually(lambda: ask(web, token, "POST", "stations/demo/slate") == 503)
    assert token not in kept.read_text()
    assert web.end() == 0
    away = make_web(dsn="postgresql://127.0.0.1:1/none")
    away.start()
    assert ask(away, token, "POST", "stations/demo/slate") == 503  # of the playout, which is not there
    assert ask(away, token, "PUT", "mappings", {}) == 403
    assert ask(away, "sct_" + "x" * 43, "GET", "status") == 401


def test_what_is_no_token(web: WebProcess) -> None:
    def status(**document: Any) -> int:
        content = json.dumps({"name": "ok", "scopes": ["read"], **document}).encode()
        return ask(web, "api-4", "POST", "tokens", json.loads(content))

    assert status(scopes=[]) == 422
    assert status(scopes=["everything"]) == 422
    assert status(name="a\nb") == 422
    assert status(expires_at="2020-01-01T00:00:00Z") == 422
    assert status(expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == 201
    assert status() == 409
    admin = make(web, "admin", "admin")["token"]
    eventually(lambda: ask(web, admin, "GET", "audit") == 200)
    beyond = {"name": "more", "scopes": ["admin", "control"]}
    assert ask(web, admin, "POST", "tokens", beyond) == 422, "nobody gives what they don't have"
    assert ask(web, "read-5", "GET", "tokens") == 403
    assert ask(web, "read-5", "GET", "audit") == 403
    assert ask(web, "api-4", "DELETE", "tokens/99999") == 404


def test_a_token_that_expires(web: WebProcess) -> None:
    until = datetime.now(UTC) + timedelta(seconds=8)
    token = make(web, "brief", "read", expires_at=until.isoformat())["token"]
    eventually(lambda: ask(web, token, "GET", "status") == 200)
    wait_until(lambda: ask(web, token, "GET", "status") == 401, "the end of the token", 20)
    assert datetime.now(UTC) >= until


def test_the_audit_log_is_searched_and_paged(web: WebProcess) -> None:
    for number in range(5):
        web.api("PUT", "mappings", {"loop_file_path": "a.mp4", "track_key": f"audit {number}"})
    made = make(web, "reader", "read")
    eventually(lambda: _audit(web, 6))
    first = web.api("GET", "audit?action=mapping&limit=3")
    rest = web.api("GET", f"audit?action=mapping&limit=3&cursor={first['next']}")
    keys = [row["details"]["track_key"] for row in (*first["items"], *rest["items"])]
    assert keys == [f"audit {number}" for number in reversed(range(5))]
    assert rest["next"] is None
    assert web.api("GET", "audit?actor=nobody")["items"] == []
    [row] = web.api("GET", "audit?action=token.make")["items"]
    assert made["token"] not in json.dumps(row)
    assert row["address"] == "127.0.0.1"


def _audit(web: WebProcess, count: int) -> list[dict[str, Any]] | None:
    """The audit log once it has that many entries: they come through the outbox."""
    items: list[dict[str, Any]] = web.api("GET", "audit")["items"]
    return items if len(items) >= count else None
