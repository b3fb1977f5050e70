"""What Prometheus and Alertmanager answer, as the page's plots and alerts are made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import strategies as st

from hook_service.web import prometheus
from hook_service.web.httpget import Away
from hook_service.web.prometheus import alerts_of, plot, values_of
from tests.fuzz.cases import VALUES, changed, fuzz, spoiled
from tests.fuzz.test_http import answered
from tests.unit.web.conftest import MakeRig, make_rig  # noqa: F401 - a fixture
from tests.unit.web.doubles import READER, Rig
from tests.unit.web.test_sight import ALERTS, matrix

START, STEP, COUNT = 1_800_000_000, 300, 12
RANGE = matrix((START, "0.5"), (START + 300, "NaN"), (START + 601, "-1e400"), (START + 3300, "1e308"))
FIRING = {"status": "success", "data": {"alerts": [{**one, "state": "firing"} for one in ALERTS]}}
DEEP = st.integers(300, 1000).map(lambda depth: b"[" * depth + b"]" * depth)
DEEP_LABEL = DEEP.map(lambda deep: b'[{"labels": {"alertname": ' + deep + b', "severity": "warning"}}]')


def values(document: Any) -> None:
    try:
        found = values_of(document, START, STEP, COUNT)
    except Away:
        return
    assert len(found) == COUNT
    assert all(value is None or math.isfinite(value) for value in found)
    for unit in ("bps", "count"):
        json.dumps(plot("x", unit, found)).encode()


def alerts(document: Any) -> None:
    try:
        found = alerts_of(document)
    except Away:
        return
    assert len(found) <= prometheus._ALERTS
    worst_first = [prometheus._SEVERITIES.index(one["severity"]) for one in found]
    assert worst_first == sorted(worst_first)
    for one in found:
        texts = [value for value in one.values() if isinstance(value, str)]
        assert all(len(text) <= prometheus._TEXT for text in texts)
    json.dumps(found, allow_nan=False).encode()


@fuzz("Prometheus, plots", 4, document=changed(RANGE, most=6) | VALUES)
def test_values(document: Any) -> None:
    values(document)


@fuzz("Alertmanager and Prometheus, alerts", 6, document=changed(ALERTS, most=6) | changed(FIRING, most=6) | VALUES)
def test_alerts(document: Any) -> None:
    alerts(document)


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:  # noqa: F811 - the fixture
    told = {"prometheus": "http://127.0.0.1:1", "requests_per_second": 10_000}
    return make_rig(web=told)


@fuzz(
    "Prometheus and Alertmanager, over HTTP",
    3,
    data=spoiled([json.dumps(one).encode() for one in (RANGE, ALERTS, FIRING)]) | DEEP | DEEP_LABEL,
    status=st.sampled_from((200, 200, 200, 204, 302, 422, 500)),
    hours=st.integers(1, 168),
)
def test_page(rig: Rig, monkeypatch: pytest.MonkeyPatch, data: bytes, status: int, hours: int) -> None:
    @contextmanager
    def get(url: str, headers: Any, opened: Any) -> Iterator[Any]:
        yield SimpleNamespace(status=status, whole=lambda limit: data[:limit])

    monkeypatch.setattr(prometheus, "get", get)
    rig.app.extensions.pop("watchers", None)  # or it would tell what it was answered before
    for path in (f"stations/demo/plots?hours={hours}", "alerts", "alerts?station=demo"):
        answer = rig.client.get(f"/api/v1/{path}", headers=READER)
        answered(answer, 503)
        assert answer.status_code in (200, 503)
        if answer.status_code == 503:
            assert answer.get_json()["detail"].startswith("Prometheus does not answer as it should: ")
