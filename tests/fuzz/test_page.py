"""The page: whatever is asked of it, by whom ever, is answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from flask.testing import FlaskClient
from hypothesis import strategies as st

from tests.fuzz.cases import TEXT, fuzz
from tests.unit.web.conftest import MakeRig, make_rig  # noqa: F401 - a fixture
from tests.unit.web.doubles import Rig
from tests.unit.web.test_page import HASH, HTML, PASSWORD, sign_in
from tests.unit.web.test_preview import Monitor, monitor  # noqa: F401 - a fixture

FROM_THE_DATABASE = ("/history", "/errors", "/audit", "/tokens")
PLACES = (
    *("/", "/live", "/library", "/mappings", "/login", "/logout", "/static/x/style.css", "/static/"),
    *FROM_THE_DATABASE,
    *("/api/v1/docs", "/api/v1/openapi.json", "/health", "/metrics", "/nowhere"),
)
OPERATORS_OWN = ("/audit", "/tokens")
NAMES = st.sampled_from(("station", "q", "cursor", "severity", "actor", "action", "next", "name", "password", "csrf"))
VALUES = TEXT | st.sampled_from(("demo", "other", "ada", PASSWORD, "WARNING", "%00", "/history", "//x"))
METHODS = st.sampled_from(("GET", "HEAD", "POST", "PUT"))
PREVIEWS = ("live.m3u8", "still.mp4", "12.m4s", "init-12.mp4")


@pytest.fixture
def rig(make_rig: MakeRig, tmp_path: Path) -> Rig:  # noqa: F811 - the fixture
    place = tmp_path / "credentials"
    place.mkdir(exist_ok=True)
    roles = {"ada": "operator", "vera": "viewer"}
    users = {name: {"role": role, "password": HASH} for name, role in roles.items()}
    (place / "page-users").write_text(yaml.safe_dump(users))
    (place / "session-key").write_text("a key")
    return make_rig(web={"requests_per_second": 10_000, "failed_per_minute": 1_000_000_000})


@pytest.fixture
def browsers(rig: Rig) -> dict[str, FlaskClient]:
    """One for each of the users."""
    return {name: rig.app.test_client() for name in ("ada", "vera")}


@fuzz(
    "the page, as somebody signed in",
    3,
    who=st.sampled_from(("ada", "vera")),
    place=st.sampled_from(PLACES),
    query=st.dictionaries(NAMES, VALUES, max_size=3),
    method=METHODS,
    browser=st.booleans(),
    etag=st.none() | st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=30),
)
def test_page(
    rig: Rig,
    browsers: dict[str, FlaskClient],
    who: str,
    place: str,
    query: dict[str, str],
    method: str,
    browser: bool,
    etag: str | None,
) -> None:
    client = browsers[who]
    if not client.get_cookie("steadycast"):
        sign_in(replace(rig, client=client), who)
    headers: dict[str, Any] = dict(HTML) if browser else {}
    if etag is not None:
        headers["If-None-Match"] = etag
    asked = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in query.items())
    answer = client.open(f"{place}?{asked}", method=method, headers=headers)
    # The database of these tests is away, and no station is on the air.
    away = answer.status_code == 503 and place in (*FROM_THE_DATABASE, "/health")
    assert answer.status_code < 500 or away
    assert answer.headers["Content-Security-Policy"]
    if who == "vera" and place in OPERATORS_OWN:
        assert answer.status_code in (403, 405)


@pytest.fixture
def files(rig: Rig, monitor: Monitor) -> dict[str, str]:  # noqa: F811 - the fixture
    """What the preview of a station may give away, by name."""
    directory = rig.host.paths.run / "preview/demo"
    (directory / "secret.txt").write_text("a secret")
    return {name: (directory / name).read_text() for name in PREVIEWS}


@fuzz(
    "the page, previews",
    2,
    station=st.sampled_from(("demo", "demo", "demo", "other", "..", "%2e%2e", "demo%2F..", "demo%00")) | TEXT,
    name=st.sampled_from(
        (*PREVIEWS, *PREVIEWS, "13.m4s", "9999999999999.m4s", "secret.txt", ".live.m3u8.part", "..%2Fmonitor.sock")
    )
    | TEXT,
    ready=st.sampled_from((True, True, False, None, "yes", 1)),
    signed_in=st.booleans(),
    headers=st.dictionaries(
        st.sampled_from(("Range", "If-Range", "If-Modified-Since", "If-None-Match")),
        st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=30)
        | st.sampled_from(("bytes=0-3", "bytes=-1", "bytes=5-1", "bytes=0-1,3-4", "bytes=99-", "x")),
        max_size=2,
    ),
    method=METHODS,
)
def test_previews(
    rig: Rig,
    monitor: Monitor,  # noqa: F811 - the fixture
    files: dict[str, str],
    station: str,
    name: str,
    ready: Any,
    signed_in: bool,
    headers: dict[str, str],
    method: str,
) -> None:
    rig.app.extensions.pop("preview", None)  # or it would tell what the monitor answered before
    monitor.ready = ready
    if signed_in and not rig.client.get_cookie("steadycast"):
        sign_in(rig)
    client = rig.client if signed_in else rig.app.test_client(use_cookies=False)
    part = "/".join(quote(each, safe="%", errors="replace") for each in (station, name))
    with client.open(f"/preview/{part}", method=method, headers=headers) as answer:
        if not signed_in:
            assert answer.status_code in (401, 404, 405)
        # What is made because it is asked for may not be there yet.
        assert answer.status_code < 500 or (answer.status_code == 503 and name in ("live.m3u8", "still.mp4"))
        if answer.status_code in (200, 206):
            assert station == "demo"
            assert answer.get_data(as_text=True) in files[name]
            assert name not in ("live.m3u8", "still.mp4") or ready is True
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
