"""The page: whatever is asked of it, by whom ever, is answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import strategies as st

from tests.fuzz.cases import TEXT, fuzz
from tests.unit.web.conftest import MakeRig, make_rig  # noqa: F401 - a fixture
from tests.unit.web.doubles import Rig
from tests.unit.web.test_page import HASH, HTML, PASSWORD, sign_in

PLACES = st.sampled_from(
    ("/", "/live", "/history", "/errors", "/login", "/logout", "/static/x/style.css", "/static/")
)
NAMES = st.sampled_from(("station", "q", "cursor", "severity", "next", "name", "password", "csrf"))
VALUES = TEXT | st.sampled_from(("demo", "other", "ada", PASSWORD, "WARNING", "%00", "/history", "//x"))


@pytest.fixture
def rig(make_rig: MakeRig, tmp_path: Path) -> Rig:  # noqa: F811 - the fixture
    place = tmp_path / "credentials"
    place.mkdir(exist_ok=True)
    (place / "page-users").write_text(yaml.safe_dump({"ada": {"role": "operator", "password": HASH}}))
    (place / "session-key").write_text("a key")
    return make_rig(web={"requests_per_second": 10_000, "failed_per_minute": 1_000_000_000})


@fuzz(
    "the page, as somebody signed in",
    2,
    place=PLACES,
    query=st.dictionaries(NAMES, VALUES, max_size=3),
    method=st.sampled_from(("GET", "HEAD", "POST", "PUT")),
    browser=st.booleans(),
    etag=st.none() | st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=30),
)
def test_page(rig: Rig, place: str, query: dict[str, str], method: str, browser: bool, etag: str | None) -> None:
    if not rig.client.get_cookie("steadycast"):
        sign_in(rig)
    headers: dict[str, Any] = dict(HTML) if browser else {}
    if etag is not None:
        headers["If-None-Match"] = etag
    asked = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in query.items())
    answer = rig.client.open(f"{place}?{asked}", method=method, headers=headers)
    # The database of these tests is away.
    assert answer.status_code < 500 or (answer.status_code == 503 and place in ("/history", "/errors"))
    assert answer.headers["Content-Security-Policy"]


@fuzz(
    "the page, cookies and forms",
    1,
    cookie=st.text(st.characters(codec="latin-1", min_codepoint=33, exclude_characters=';,"\\'), max_size=200),
    form=st.dictionaries(NAMES, VALUES, max_size=3),
    kind=st.sampled_from(("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "")),
    raw=st.binary(max_size=100),
)
def test_strangers(rig: Rig, cookie: str, form: dict[str, str], kind: str, raw: bytes) -> None:
    stranger = rig.app.test_client(use_cookies=False)
    headers = {"Cookie": f"steadycast={cookie}"}
    assert stranger.get("/live", headers=headers).status_code == 401
    assert stranger.get("/api/v1/status", headers=headers).status_code in (401, 429)
    sent = {name: value.encode("utf-8", "replace").decode() for name, value in form.items() if name != "password"}
    for answer in (
        stranger.post("/login", data=sent, headers=headers),
        stranger.post("/login", data=raw, content_type=kind, headers=headers),
        stranger.post("/logout", data=sent, headers=headers),
    ):
        assert answer.status_code in (400, 401, 403, 429)
