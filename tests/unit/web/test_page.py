"""The page, as a browser and whoever means ill meet it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from hook_service.web import page
from hook_service.web.health import Storage
from hook_service.web.page import now, words
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import KEY, Rig
from tests.unit.web.peers import FakePeer

PASSWORD = "correct horse battery"
HASH = generate_password_hash(PASSWORD)
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PAGES = ["/", "/history", "/errors", "/audit", "/tokens"]


@pytest.fixture
def make(make_rig: MakeRig, tmp_path: Path) -> Callable[..., Rig]:
    def with_users(**changes: Any) -> Rig:
        place = tmp_path / "credentials"
        place.mkdir(exist_ok=True)
        users = {"ada": "operator", "vera": "viewer"}
        document = {name: {"role": role, "password": HASH} for name, role in users.items()}
        (place / "page-users").write_text(yaml.safe_dump(document))
        (place / "session-key").write_text("a key")
        return make_rig(**changes)

    return with_users


@pytest.fixture
def here(make: Callable[..., Rig]) -> Rig:
    return make()


def sign_in(rig: Rig, name: str = "ada", password: str = PASSWORD, **extra: Any) -> TestResponse:
    headers = {**HTML, **extra.pop("headers", {})}
    return rig.client.post("/login", data={"name": name, "password": password, **extra}, headers=headers)


def token_of(rig: Rig) -> str:
    found = re.search(r'name="csrf-token" content="([0-9a-f]{64})"', rig.client.get("/").text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", [*PAGES, "/history?q=a%20b&station=other"])
def test_who_is_not_signed_in_is_asked_to(here: Rig, path: str) -> None:
    answer = here.client.get(path, headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login")
    form = here.client.get(answer.headers["Location"])
    assert form.status_code == 200
    # The form goes back to the address that it came from, and so to what was wanted.
    signed = here.client.post(answer.headers["Location"], data={"name": "ada", "password": PASSWORD})
    assert (signed.status_code, signed.headers["Location"]) == (303, path)


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/login", "/logout", "\n/",
     "/history\r\nX: y", "http:history", "/%2f/evil", "history", "/static/x", "http://[", "/" + "a" * 3000],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(here: Rig, wanted: str) -> None:
    answer = sign_in(here, next=wanted)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_a_cookie_is_for_this_host_and_no_script(make: Callable[..., Rig]) -> None:
    rig = make(web={"trusted_proxies": 1})
    plain = sign_in(rig).headers["Set-Cookie"]
    assert plain.startswith("steadycast=")
    secured = sign_in(rig, headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert secured.startswith("__Host-steadycast=")
    for cookie in (plain, secured):
        parts = set(cookie.split("; ")[1:])
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= parts
        assert ("Secure" in parts) == (cookie == secured)
        assert not any(part.startswith("Domain") for part in parts)


def test_a_proxy_is_only_believed_where_there_is_one(here: Rig) -> None:
    cookie = sign_in(here, headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert cookie.startswith("steadycast=")


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
     {"Origin": "null"}, {"Origin": "http://["}],
)  # fmt: skip
def test_another_site_signs_nobody_in(here: Rig, headers: dict[str, str]) -> None:
    answer = sign_in(here, headers=headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_guesses_are_answered_alike_and_then_not_at_all(here: Rig) -> None:
    texts = []
    for name in ("ada", "nobody"):
        answer = sign_in(here, name, "wrong")
        assert answer.status_code == 403
        texts.append(answer.text.replace(name, "NAME"))
    assert texts[0] == texts[1]
    for _ in range(4):
        sign_in(here, password="wrong")
    answer = sign_in(here)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("data", [{}, {"name": "ada"}, {"name": "a" * 70, "password": "x"}, {"password": "x" * 999}])
def test_half_a_form_is_refused(here: Rig, data: dict[str, str]) -> None:
    assert here.client.post("/login", data=data).status_code == 403


def test_what_changes_something_must_come_from_the_page(here: Rig) -> None:
    sign_in(here)
    token, path, body = token_of(here), "/api/v1/stations/demo/switch", {"loop": "../x"}
    assert here.client.get("/api/v1/status").status_code == 200
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": token[:-1] + "x"}):
        assert here.client.post(path, json=body, headers=headers).status_code == 403
    # Let in, and refused for what it asks.
    assert here.client.post(path, json=body, headers={"X-CSRF-Token": token}).status_code == 422
    assert here.client.post("/logout", data={"csrf": "x"}).status_code == 403
    assert here.client.post("/logout", data={"csrf": token}).headers["Location"] == "/login"
    assert here.client.get("/api/v1/status").status_code == 401


def test_a_viewer_looks_and_changes_nothing(here: Rig) -> None:
    sign_in(here, "vera")
    headers = {"X-CSRF-Token": token_of(here)}
    assert here.client.get("/api/v1/status").status_code == 200
    answer = here.client.post("/api/v1/stations/demo/switch", json={"loop": "x.mp4"}, headers=headers)
    assert answer.status_code == 403
    assert "scope" in answer.get_json()["detail"]


def test_an_old_cookie_is_not_counted_as_a_guess(make: Callable[..., Rig]) -> None:
    rig = make(web={"failed_per_minute": 3})
    rig.client.set_cookie("steadycast", "from.long.ago")
    assert [rig.client.get("/api/v1/status").status_code for _ in range(8)] == [401] * 8
    assert rig.client.get("/live").status_code == 401
    assert sign_in(rig).status_code == 303


@pytest.mark.parametrize("path", [*PAGES, "/login"])
def test_pages_have_a_policy_that_allows_nothing_inline(here: Rig, path: str) -> None:
    if path != "/login":
        sign_in(here)
    answer = here.client.get(path, headers=HTML)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert len(answer.headers.get_all("Content-Security-Policy")) == 1


@pytest.mark.parametrize("template", sorted(Path(page.__path__[0], "templates").glob("*.html")), ids=lambda p: p.name)
def test_templates_hold_nothing_inline(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|javascript:", text)
    assert "| safe" not in text


def test_static_files_are_kept_for_good_under_an_address_that_changes_with_them(here: Rig) -> None:
    text = here.client.get("/login").text
    address = re.search(r'href="(/static/[0-9a-f]{12}/style.css)"', text)
    assert address is not None
    answer = here.client.get(address[1])
    assert answer.content_type == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "immutable" not in here.client.get("/static/other/style.css").headers["Cache-Control"]
    for path in ("/static/x/../now.py", "/static/x/%2e%2e/now.py", "/static/x//etc/passwd", "/static/x", "/static"):
        assert here.client.get(path).status_code == 404


NASTY = "</script><img src=x onerror=alert(1)>\"'&"


def test_what_comes_from_outside_is_text(here: Rig, playout: FakePeer) -> None:
    playout.on_air = {"loop": f"/x/{NASTY}.mp4", "since": 1.0, "play_id": None, "reason": "switch"}
    playout.processes = [{"name": NASTY, "state": "CRASHED", "since": 1.0, "restarts": 3, "last_error": NASTY}]
    sign_in(here)
    live = here.client.get("/live?station=demo").get_json()
    assert live["processes"][2]["error"] == NASTY
    for text in (here.client.get("/").text, *live["parts"].values()):
        assert "<img src=x" not in text
        assert "</script><img" not in text
    assert "&lt;img src=x" in live["parts"]["processes"]
    text = here.client.get("/history?q=" + NASTY.replace("&", "%26"), headers=HTML).text
    assert "<img src=x" not in text


def test_what_helps_the_stations_is_there_with_what_is_missing_without_it(
    here: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(now, "FRESH", -1.0)  # each document is made anew
    here.storage[0] = Storage(database_up=False, outbox_pending=3, snapshot_age=1.0)
    sign_in(here)

    def told() -> dict[str, tuple[str, str]]:
        live = here.client.get("/live?station=demo").get_json()
        return {its["label"]: (its["level"], its["words"]) for its in live["processes"]}

    good, bad = ("good", "running"), ("bad", "does not answer")
    away = {"Relay": good, "Monitor": bad, "Preparation": bad, "Web service": good, "Database": bad}
    assert told() == {"Playout": bad, "Outputs": bad, **away}
    assert "New loops wait until it is back" in here.client.get("/").text
    peer = FakePeer(tmp_path / "run/prepare.sock")
    try:
        assert told()["Preparation"] == good
        assert "New loops wait" not in here.client.get("/").text
    finally:
        peer.close()
    assert told()["Preparation"] == bad


def test_the_monitors_decoder_waits_and_was_stopped_by_nobody() -> None:
    up = {name: {"status": "up"} for name in ("relay", "monitor", "web", "database")}
    decoder = {"name": "decoder:demo", "state": "STOPPED", "wanted": False, "last_error": "it was ended"}
    for wanted, told in ((False, "waits for something to look at"), (True, "stopped")):
        found = {its["label"]: its for its in words.helpers(up, {"ok": True}, {**decoder, "wanted": wanted})}
        its = found["Monitor's decoder"]
        assert (its["words"], its["error"]) == (told, "it was ended" if wanted else None)


def test_live_is_new_only_when_something_is(here: Rig, playout: FakePeer) -> None:
    sign_in(here)
    first = here.client.get("/live?station=demo")
    again = here.client.get("/live?station=demo", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert len(first.data) < 10_000
    assert KEY not in first.text
    assert here.client.get("/live?station=nothing").status_code == 404


def test_a_page_without_a_database_says_so(here: Rig) -> None:
    sign_in(here)
    for path in ("/history", "/errors", "/audit", "/tokens"):
        answer = here.client.get(path, headers=HTML)
        assert (answer.status_code, answer.mimetype) == (503, "text/html")
        assert "The database does not answer" in answer.text
        assert here.client.get(path).get_json()["status"] == 503
    assert here.client.get("/", headers=HTML).status_code == 200


@pytest.mark.parametrize("query", ["station=nothing", "station=%00", "station=../demo"])
def test_a_station_that_is_not_there_is_not_found(here: Rig, query: str) -> None:
    sign_in(here)
    for path in PAGES:
        assert here.client.get(f"{path}?{query}", headers=HTML).status_code == 404


def test_the_page_is_loaded_with_the_first_request_for_it() -> None:
    code = "import sys, json, hook_service.web.main; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "hook_service.web.sessions" in loaded
    assert not [name for name in loaded if name.startswith(("hook_service.web.page", "hook_service.web.api"))]
