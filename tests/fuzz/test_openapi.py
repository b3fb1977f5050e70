"""Schemathesis against the OpenAPI document of a real web service with a real database: no crash, no 500, no hang."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from hook_service.web.server import MAX_BODY
from tests.fuzz.cases import SHORT, TALLY, Tally
from tests.integration.test_web import WebProcess, postgres  # noqa: F401 - a fixture
from tests.rig.postgres import PrivatePostgres
from tests.unit.web.doubles import API_TOKEN, body
from tests.unit.web.peers import FakePeer

SECONDS = 5.0
"""For one answer, on a machine that does other things too."""
SHARES = 0.4
"""A route's, with each kind of token. Each case is a request to a process, and most are a look into PostgreSQL."""
CONTROL = ("/api/v1/stations/", "/api/v1/destinations/")
CHECKS = [content_type_conformance, response_schema_conformance]
TOKENS: dict[str, dict[str, str]] = {
    "right": {"Authorization": f"Bearer {API_TOKEN}"},
    "wrong": {"Authorization": "Bearer x"},
    "absent": {},
}


@pytest.fixture(scope="module")
def web(postgres: PrivatePostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:  # noqa: F811
    directory = tmp_path_factory.mktemp("fuzz")
    (directory / "run").mkdir()
    peer = FakePeer(directory / "run" / "playout-demo.sock")
    limits = {"requests_per_second": 10_000, "failed_per_minute": 1_000_000}
    process = WebProcess(directory, postgres.dsn, web=limits)
    process.start()
    for number in range(1, 4):
        process.hook(body(f"Song {number}", number))
    document = {"loop_file_path": "a.mp4", "artist": "Artist", "title": "Song 1"}
    process.api("PUT", "mappings", document)
    yield process
    assert process.end() == 0
    peer.close()
    assert "Traceback" not in process.seen.read_text()
    assert "Request failed" not in (directory / "app.log").read_text()


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_every_route(web: WebProcess, token: str, mode: GenerationMode) -> None:
    """Requests as the document allows them, and as it does not."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{web.port}/api/v1/openapi.json")
    long = settings.get_current_profile_name() == "fuzz"
    limits = settings(
        max_examples=max(1, round(SHARES * (settings().max_examples if long else SHORT))),
        deadline=None,
        database=None,
        derandomize=not long,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    tally = TALLY.setdefault(f"OpenAPI, {token} token", Tally())

    def ask(case: schemathesis.Case[Any]) -> None:
        tally.cases += 1
        began = time.monotonic()
        answer = case.call(headers=TOKENS[token], timeout=2 * SECONDS)
        assert time.monotonic() - began < SECONDS
        # Of the stations that are configured only one has a playout here.
        away = answer.status_code == 503 and case.path.startswith(CONTROL)
        assert answer.status_code < 500 or away, (case.as_curl_command(), answer.text)
        assert answer.headers["x-request-id"]
        if token != "right":
            # What is too large is refused by its announced length, before anybody is asked who they are.
            large = int(answer.request.headers.get("Content-Length", 0)) >= MAX_BODY
            assert answer.status_code in ((413,) if large else (401, 404, 405)), case.as_curl_command()
        elif mode is GenerationMode.POSITIVE:
            case.validate_response(answer, checks=CHECKS)

    routes = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not can_be_wrong(operation):
            continue
        limits(given(case=operation.as_strategy(generation_mode=mode))(ask))()
        routes += 1
    assert routes >= 5


def can_be_wrong(operation: schemathesis.APIOperation[Any, Any, Any, Any]) -> bool:
    """Whether anything can be asked of a route that its document does not allow."""
    return bool(list(operation.iter_parameters()) or list(operation.body))


def test_it_still_serves(web: WebProcess, tmp_path: Path) -> None:
    """After all of it."""
    assert web.api("GET", "history")["items"] is not None
