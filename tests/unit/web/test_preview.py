"""Who gets the files of the preview, and that the monitor is asked once for many."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.web.doubles import BEARER, READER, Rig


class Monitor:
    """Answers `ready` to what it is asked, which is kept in `asked`."""

    def __init__(self, path: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.ready: object = True
        self.waits = threading.Event()
        self.waits.set()
        monitor = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    monitor.asked.append(json.loads(line))
                    monitor.waits.wait(5)
                    self.wfile.write(json.dumps({"ok": True, "ready": monitor.ready}).encode() + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self.server = Server(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def monitor(rig: Rig) -> Iterator[Monitor]:
    run = rig.host.paths.run
    (run / "preview/demo").mkdir(parents=True)
    for name in ("live.m3u8", "still.mp4", "12.m4s", "init-12.mp4"):
        (run / "preview/demo" / name).write_text(name)
    found = Monitor(run / "monitor.sock")
    yield found
    found.waits.set()
    found.server.shutdown()
    found.server.server_close()


@pytest.mark.parametrize(
    ("name", "kind", "op"),
    [
        ("live.m3u8", "application/vnd.apple.mpegurl", "preview"),
        ("still.mp4", "video/mp4", "still"),
        ("12.m4s", "video/mp4", None),
        ("init-12.mp4", "video/mp4", None),
    ],
)
def test_whoever_may_read_gets_them(rig: Rig, monitor: Monitor, name: str, kind: str, op: str | None) -> None:
    path = f"/preview/demo/{name}"
    answer = rig.client.get(path)
    assert answer.status_code == 401
    assert rig.client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert not monitor.asked
    for headers in (READER, BEARER):
        with rig.client.get(path, headers=headers) as found:
            assert (found.status_code, found.get_data(as_text=True), found.content_type) == (200, name, kind)
            assert found.headers["Cache-Control"] == "no-store"
            assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert monitor.asked == ([{"op": op, "station": "demo"}] if op else [])


@pytest.mark.parametrize(
    "path",
    ["demo/13.m4s", "demo/radio.yml", "demo/.live.m3u8.part", "demo/..%2Fmonitor.sock", "demo/12.m4s%00", "demo/x/y",
     "demo/", "demo", "nobody/live.m3u8", "..%2F..%2Fcredentials/12.m4s", "demo/1234567890123.m4s"],
)  # fmt: skip
def test_there_is_nothing_else(rig: Rig, monitor: Monitor, path: str) -> None:
    assert rig.client.get(f"/preview/{path}", headers=BEARER).status_code == 404
    assert rig.client.post("/preview/demo/12.m4s", headers=BEARER).status_code == 405
    assert not monitor.asked


def test_what_can_not_be_seen_yet(rig: Rig, monitor: Monitor) -> None:
    for ready in (False, None, "yes"):
        monitor.ready = ready
        answer = rig.client.get("/preview/demo/live.m3u8", headers=BEARER)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    monitor.ready = True
    (rig.host.paths.run / "preview/demo/still.mp4").unlink()
    assert rig.client.get("/preview/demo/still.mp4", headers=BEARER).status_code == 503


def test_a_monitor_that_is_not_there(rig: Rig) -> None:
    answer = rig.client.get("/preview/demo/still.mp4", headers=BEARER)
    assert answer.status_code == 503
    assert "monitor" in answer.get_json()["detail"]


def test_one_that_hangs_holds_up_one_request(rig: Rig, monitor: Monitor) -> None:
    monitor.waits.clear()
    began = time.monotonic()
    codes: list[int] = []

    def ask() -> None:
        answer = rig.app.test_client().get("/preview/demo/still.mp4", headers=BEARER)
        codes.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [503] * 20
    assert time.monotonic() - began < 3
    assert len(monitor.asked) == 1
