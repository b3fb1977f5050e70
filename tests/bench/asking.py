"""radio-web with a database of its own, asked over one connection as a page asks it: how long each answer takes."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hook_service.store.migrate import migrate
from tests.bench.outcome import Part, quantile
from tests.integration.test_web import ROOT, WebProcess
from tests.rig.postgres import PrivatePostgres
from tests.unit.web.doubles import API_TOKEN

COLUMNS = ["request", "sent", "p50", "p95", "max"]


@contextmanager
def database(place: Path) -> Iterator[PrivatePostgres]:
    """A migrated PostgreSQL that forces to the disk what it is given, below `place`, which is made."""
    place.mkdir()
    place.chmod(0o711)
    postgres = PrivatePostgres(place / "pg", durable=True)
    postgres.create()
    postgres.start()
    try:
        migrate(postgres.dsn, ROOT / "sql")
        yield postgres
    finally:
        postgres.remove()


def asker(web: WebProcess) -> Callable[..., Any]:
    """`ask(method, path, document)` over one connection; the answer's document."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    headers = {"Authorization": f"Bearer {API_TOKEN}", "Content-Type": "application/json"}

    def ask(method: str, path: str, document: Any = None) -> Any:
        connection.request(method, f"/api/v1/{path}", None if document is None else json.dumps(document), headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)

    return ask


def timed(part: Part, what: str, question: Callable[[], Any], rounds: int) -> tuple[list[str], float]:
    """Ask `rounds` times, one after the other: the row for a table under COLUMNS, and the p95 in ms."""
    times = [_seconds(question) for _ in range(rounds)]
    p50, p95, most = (1000 * value for value in (quantile(times, 0.5), quantile(times, 0.95), max(times)))
    part.figures[what] = {"requests": len(times), "p50_ms": p50, "p95_ms": p95, "max_ms": most}
    return [what, str(len(times)), f"{p50:.1f} ms", f"{p95:.1f} ms", f"{most:.1f} ms"], p95


def _seconds(question: Callable[[], Any]) -> float:
    began = time.monotonic()
    question()
    return time.monotonic() - began
