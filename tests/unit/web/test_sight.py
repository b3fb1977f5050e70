"""Plots and alerts: what the API makes of what Prometheus and Alertmanager answer, whatever that is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.web.httpget import Away
from hook_service.web.prometheus import POINTS, Watchers, alerts_of, plot, values_of
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import BEARER, READER


class Server(ThreadingHTTPServer):
    """Answers with what `answer` makes of path and query: status and document, or bytes; `asked` are the requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[str, dict[str, str]], tuple[int, Any]] = lambda path, query: (200, [])
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.asked.append((parts.path, query))
        status, document = self.server.answer(parts.path, query)
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):  # who was kept waiting may have gone
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not onto the terminal."""


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def matrix(*values: tuple[float, str]) -> dict[str, Any]:
    series = [{"metric": {}, "values": [list(value) for value in values]}] if values else []
    return {"status": "success", "data": {"resultType": "matrix", "result": series}}


def some_hours(path: str, query: dict[str, str]) -> tuple[int, Any]:
    """Every second value is known: 0.5 each."""
    start, end, step = (int(query[name]) for name in ("start", "end", "step"))
    return 200, matrix(*((at, "0.5") for at in range(start, end + 1, 2 * step)))


@pytest.mark.parametrize(("hours", "step", "count"), [(1, 300, 12), (24, 300, 288), (25, 600, 150), (168, 2100, 288)])
def test_plots_have_a_value_for_each_step(
    make_rig: MakeRig, server: Server, hours: int, step: int, count: int
) -> None:
    server.answer = some_hours
    rig = make_rig(web={"prometheus": server.url})
    told = rig.client.get(f"/api/v1/stations/demo/plots?hours={hours}", headers=READER).get_json()
    assert told["step_seconds"] == step
    assert [found["name"] for found in told["plots"]] == ["uptime", "bitrate", "loudness", "cpu", "switches"]
    for found in told["plots"]:
        assert len(found["values"]) == count <= POINTS
        assert found["values"][:3] == [0.5, None, 0.5]
    queries = [query["query"] for _, query in server.asked]
    assert all('{station="demo"}' in query for query in queries)
    assert queries[-1].endswith(f"[{'90s' if step == 300 else f'{step}s'}])) * {step // 300}")


def test_one_look_is_for_all(make_rig: MakeRig, server: Server) -> None:
    server.answer = some_hours
    rig = make_rig(web={"prometheus": server.url})
    for _ in range(3):
        assert rig.client.get("/api/v1/stations/demo/plots", headers=READER).status_code == 200
    assert len(server.asked) == 5
    rig.client.get("/api/v1/stations/other/plots", headers=READER)
    assert len(server.asked) == 10


def test_who_may_ask_and_what_for(make_rig: MakeRig, server: Server) -> None:
    rig = make_rig(web={"prometheus": server.url, "alertmanager": server.url})
    for path in ("stations/demo/plots", "alerts"):
        assert rig.client.get(f"/api/v1/{path}").status_code == 401
    unknown = rig.client.get("/api/v1/stations/nobody/plots", headers=BEARER)
    assert (unknown.status_code, unknown.get_json()["stations"]) == (404, ["demo", "other"])
    for hours in ("0", "169", "x", "1e3"):
        assert rig.client.get(f"/api/v1/stations/demo/plots?hours={hours}", headers=BEARER).status_code == 422
    assert not server.asked


def test_a_host_without_prometheus_says_so(make_rig: MakeRig) -> None:
    rig = make_rig()
    for path, word in (("stations/demo/plots", "web.prometheus"), ("alerts", "web.alertmanager")):
        answer = rig.client.get(f"/api/v1/{path}", headers=BEARER)
        assert answer.status_code == 404
        assert word in answer.get_json()["detail"]


@pytest.mark.parametrize(
    "answered",
    [(500, {}), (200, b"<html>"), (200, {"status": "error"}), (200, {}), (200, b"[" * 5000), (302, b"")],
    ids=str,
)
def test_what_can_not_be_used_is_a_503_and_not_asked_for_again_at_once(
    make_rig: MakeRig, server: Server, answered: tuple[int, Any]
) -> None:
    server.answer = lambda path, query: answered
    rig = make_rig(web={"prometheus": server.url})
    for path in ("stations/demo/plots", "alerts"):
        before = len(server.asked)
        for _ in range(2):
            answer = rig.client.get(f"/api/v1/{path}", headers=BEARER)
            assert answer.status_code == 503
            assert answer.get_json()["detail"].startswith("Prometheus ")
        assert len(server.asked) == before + 1


def test_one_that_hangs_costs_some_seconds_once(make_rig: MakeRig, server: Server) -> None:
    ended = threading.Event()

    def hang(path: str, query: dict[str, str]) -> tuple[int, Any]:
        ended.wait(20)
        return 200, []

    server.answer = hang
    rig = make_rig(web={"alertmanager": server.url})
    began = time.monotonic()
    answer = rig.client.get("/api/v1/alerts", headers=BEARER)
    again = rig.client.get("/api/v1/alerts", headers=BEARER)
    ended.set()
    assert (answer.status_code, again.status_code) == (503, 503)
    assert "does not answer in time" in answer.get_json()["detail"]
    assert time.monotonic() - began < 5


def alert(name: str, severity: str, since: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, "host": "radio1", **labels},
        "annotations": {"summary": f"{name}!", "description": "Do it.", "runbook": "docs/A.md#b"},
        "startsAt": since,
        "status": {"state": "active", "silencedBy": ["x"] if name == "Quiet" else [], "inhibitedBy": []},
    }


ALERTS = [
    alert("Watchdog", "none", "2026-01-31T10:00:00Z"),
    alert("Disk", "warning", "2026-01-31T10:00:00.123456789Z"),
    alert("Quiet", "warning", "2026-01-31T11:00:00Z", station="other"),
    alert("OffAir", "critical", "2026-01-31T09:00:00+01:00", station="demo"),
]


def test_alerts_are_told_the_worst_first(make_rig: MakeRig, server: Server) -> None:
    server.answer = lambda path, query: (200, ALERTS)
    rig = make_rig(web={"alertmanager": f"{server.url}/"})
    told = rig.client.get("/api/v1/alerts", headers=READER).get_json()["items"]
    assert [one["name"] for one in told] == ["OffAir", "Quiet", "Disk"]
    assert told[0] == {
        "name": "OffAir", "severity": "critical", "station": "demo", "host": "radio1", "summary": "OffAir!",
        "description": "Do it.", "runbook": "docs/A.md#b", "since": "2026-01-31T08:00:00+00:00", "silenced": False,
    }  # fmt: skip
    assert [one["silenced"] for one in told] == [False, True, False]
    assert server.asked == [("/api/v2/alerts", {"inhibited": "false"})]
    told = rig.client.get("/api/v1/alerts?station=demo", headers=READER).get_json()["items"]
    assert [one["name"] for one in told] == ["OffAir", "Disk"]


def test_without_alertmanager_prometheus_tells_what_fires(make_rig: MakeRig, server: Server) -> None:
    fires = {**ALERTS[3], "state": "firing", "activeAt": "2026-01-31T09:00:00Z"}
    waits = {**ALERTS[1], "state": "pending"}
    server.answer = lambda path, query: (200, {"status": "success", "data": {"alerts": [waits, fires]}})
    rig = make_rig(web={"prometheus": server.url})
    told = rig.client.get("/api/v1/alerts", headers=READER).get_json()["items"]
    assert [one["name"] for one in told] == ["OffAir"]
    assert server.asked == [("/api/v1/alerts", {})]


def test_what_is_counted_has_a_total_and_the_rest_a_mean() -> None:
    assert plot("switches", "count", [1.0, None, 2.2])["total"] == 3
    assert plot("switches", "count", [1.0])["mean"] is None
    found = plot("cpu", "percent", [1.0, 3.0, None])
    assert (found["mean"], found["lowest"], found["highest"], found["latest"], found["total"]) == (
        2.0,
        1.0,
        3.0,
        3.0,
        None,
    )
    assert plot("cpu", "percent", [None])["mean"] is None


def test_values_that_are_none_are_not_plotted() -> None:
    found = values_of(matrix((100, "NaN"), (110, "+Inf"), (120, "1.23456"), (990, "7")), 100, 10, 4)
    assert found == [None, None, 1.235, None]
    assert values_of(matrix(), 100, 10, 2) == [None, None]


KEYS = (
    "status", "data", "result", "values", "alerts", "labels", "annotations", "alertname", "state", "severity",
    "startsAt", "silencedBy",
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars | st.sampled_from(["success", "firing"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=30,
)


@given(anything)
def test_no_answer_is_a_fault_of_ours(document: Any) -> None:
    for read in (lambda: values_of(document, 0, 10, 4), lambda: alerts_of(document)):
        with suppress(Away):
            assert json.dumps(read(), allow_nan=False)


def test_many_ask_for_many_things_and_few_are_kept(server: Server) -> None:
    server.answer = some_hours
    watchers = Watchers(server.url, None)
    for hours in range(1, 100):
        watchers.plots("demo", hours)
    assert len(watchers._kept) <= 64


def test_few_threads_wait_for_one_that_is_slow(server: Server) -> None:
    goes_on = threading.Event()

    def slow(path: str, query: dict[str, str]) -> tuple[int, Any]:
        goes_on.wait(10)
        return 200, []

    server.answer = slow
    watchers = Watchers(None, server.url)
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(watchers.alerts())
        except Away as reason:
            answers.append(str(reason))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while len(answers) < 17:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    goes_on.set()
    for thread in threads:
        thread.join()
    assert sorted(map(str, answers)) == ["[]"] * 3 + ["is being asked already"] * 17
    assert len(server.asked) == 1
