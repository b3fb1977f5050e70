"""What every request passes through."""

from __future__ import annotations

import pytest

from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import BASIC, BEARER, KEY, Rig


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/webhook/azuracast", 405),
        ("POST", "/health", 405),
        ("GET", "/webhook//azuracast", 404),
        ("TRACE", "/health", 405),
        ("OPTIONS", "/health", 405),
        ("CONNECT", "/health", 405),
        ("PATCH", "/api/v1/mappings", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2", 404),
        ("GET", "/static/app.py", 404),
        ("DELETE", "/api/v1/status", 405),
    ],
)
def test_errors_are_problem_documents(rig: Rig, method: str, path: str, status: int) -> None:
    answer = rig.client.open(path, method=method, headers=BEARER)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    document = answer.get_json()
    assert document["status"] == status
    assert document["title"]
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert ("Allow" in answer.headers) == (status == 405)


def test_whoever_is_at_the_root_signs_in_first(rig: Rig) -> None:
    answer = rig.client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")


def test_a_fault_of_ours_tells_nothing_but_its_id(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(rig.services.health, "check", fail)
    answer = rig.client.get("/health", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500
    assert answer.get_json()["request_id"] == "find-me"
    assert "secret detail" not in answer.text
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.__dict__["context"]["request_id"] == "find-me"
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("path", ["/health", "/metrics", "/nowhere", "/api/v1/openapi.json", "/api/v1/status"])
def test_every_answer_carries_the_headers(rig: Rig, path: str) -> None:
    headers = rig.client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Request-Id"]
    assert "Server" not in headers


def test_metrics_are_for_this_host_alone(make_rig: MakeRig) -> None:
    rig = make_rig()

    def get(address: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return rig.client.get("/metrics", headers=named, environ_base={"REMOTE_ADDR": address}).status_code

    assert [get(address) for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")] == [200] * 4
    assert [get(address) for address in ("192.0.2.1", "::2", "", "1270.0.0.1x", "0.0.0.0")] == [403] * 5
    # Through a proxy on this host, whatever it says of the client.
    assert get("127.0.0.1", X_Forwarded_For="127.0.0.1") == 403
    assert get("127.0.0.1", Forwarded="for=127.0.0.1") == 403
    assert get("127.0.0.1", X_Real_IP="127.0.0.1") == 403
    rig = make_rig(web={"trusted_proxies": 1})
    assert get("127.0.0.1", X_Forwarded_For="127.0.0.1") == 403


def test_no_answer_holds_a_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    process = {"name": "destination:tube", "state": "CRASHED", "last_error": f"rtmps://a/live2/{KEY}: refused"}
    monkeypatch.setattr(
        rig.services.stations, "statuses", lambda: {"demo": (None, {"processes": [process]}), "other": (None, None)}
    )
    for path in ("/api/v1/status", "/api/v1/destinations", "/health", "/metrics"):
        text = rig.client.get(path, headers=BEARER).text
        assert KEY not in text
        assert "live2?" not in text
        assert "secret=1" not in text
    assert "live2/***: refused" in rig.client.get("/api/v1/destinations", headers=BEARER).text


def test_the_webhooks_credentials_open_nothing_else(rig: Rig) -> None:
    assert rig.client.get("/api/v1/status", headers=BASIC).status_code == 401
