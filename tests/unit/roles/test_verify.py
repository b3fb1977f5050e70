"""The operator's check: what each answer of the services is judged to mean, and the look from outside."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from playbooks.verify import Verdict, judge, outside, table

NAME = "radio.music.net"


@dataclass
class Host:
    target: outside.Outside
    status: int | None = None  # answered to everyone, where set
    bodies: list[bytes] | None = None


def certificate(where: Path, days: int) -> Path:
    """A certificate with its key, in one file."""
    made = where / f"{days}.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", str(days),
            "-keyout", where / "key.pem", "-out", where / "crt.pem",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text((where / "crt.pem").read_text() + (where / "key.pem").read_text())
    return made


def serve(pem: Path) -> Iterator[Host]:
    wanted = "Basic " + base64.b64encode(b"azuracast:5f1e").decode()
    host = Host(outside.Outside(NAME, "azuracast", "5f1e", 0, "127.0.0.1", str(pem)), bodies=[])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert host.bodies is not None
            host.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.headers.get("Authorization") == wanted
            self.send_response(host.status or (422 if known else 401))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that does not trust hangs up
    host.target = replace(host.target, port=server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield host
    server.shutdown()
    server.server_close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    yield from serve(certificate(tmp_path, 60))


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[Host]:
    yield from serve(certificate(tmp_path, 5))


def test_outside_all_is_well(host: Host) -> None:
    verdicts = outside.look(host.target)
    assert [(one.ok, one.found) for one in verdicts] == [
        (True, "trusted, 59 days left"),
        (True, "401, as it should be"),
        (True, "422, as it should be"),
    ]
    # A body that is no NowPlaying: it can't change what is on the air.
    assert host.bodies == [b"{}", b"{}"]


def test_outside_certificate_is_not_trusted(host: Host) -> None:
    (verdict,) = outside.look(replace(host.target, ca=""))
    assert not verdict.ok
    assert "not trusted" in verdict.found
    assert "nginx_rtmp_tls" in verdict.fix


def test_outside_certificate_is_for_another_name(host: Host) -> None:
    (verdict,) = outside.look(replace(host.target, name="other.music.net"))
    assert not verdict.ok
    assert "not trusted" in verdict.found


def test_outside_certificate_ends_soon(ending: Host) -> None:
    verdict = outside.look(ending.target)[0]
    assert not verdict.ok
    assert "4 days left" in verdict.found
    assert "certbot" in verdict.fix


def test_outside_nobody_listens(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (verdict,) = outside.look(replace(host.target, port=port))
    assert not verdict.ok
    assert "not reached" in verdict.found


def test_outside_name_is_not_known(host: Host) -> None:
    (verdict,) = outside.look(replace(host.target, name="no-such-name.invalid", address=""))
    assert not verdict.ok
    assert "DNS" in verdict.fix


@pytest.mark.parametrize(("status", "fix"), [(502, "radio-web"), (404, "not answered by Steadycast"), (429, "wait")])
def test_outside_wrong_answer_names_its_fix(host: Host, status: int, fix: str) -> None:
    host.status = status
    verdicts = outside.look(host.target)[1:]
    assert [one.ok for one in verdicts] == [False, False]
    assert all(fix in one.fix for one in verdicts)


def test_outside_wrong_password_is_told(host: Host) -> None:
    verdicts = outside.look(replace(host.target, password="old"))
    assert [one.ok for one in verdicts] == [True, True, False]
    assert "run site.yml" in verdicts[2].fix
    assert "old" not in table([("radio1", one) for one in verdicts])


def test_units() -> None:
    assert [one.ok for one in judge.units(["a", "b"], ["active", "active"])] == [True]
    (verdict,) = judge.units(["radio-web", "nginx"], ["failed", "active"])
    assert (verdict.ok, verdict.what, verdict.found) == (False, "service radio-web", "failed")


def document(**station: Any) -> dict[str, Any]:
    whole = {"status": "up", "relay": {"kbps": 3201}, "audio": {"status": "mount"}, **station}
    return {"components": {"database": {"status": "up"}}, "stations": {"demo": whole}}


def test_health() -> None:
    assert all(one.ok for one in judge.health(document()))
    assert [one.what for one in judge.health(document(status="off_air")) if not one.ok] == ["station demo on the air"]
    away = judge.health(document(status="degraded", audio={"status": "fallback"}))
    assert [one.what for one in away if not one.ok] == ["station demo: the sound"]
    assert not judge.health({})[0].ok


def destination(state: str = "RUNNING", written: int | None = 1, restarts: int = 0, error: str | None = None) -> Any:
    progress = {} if written is None else {"bytes": written, "kbps": 3200}
    return {
        "station": "demo", "name": "youtube", "state": state, "restarts": restarts, "last_error": error,
        "progress": progress, "ingest": "rtmps://a.rtmps.youtube.com",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (destination(written=1), destination(written=9), "3200 kb/s to rtmps://a.rtmps.youtube.com"),
        (destination(written=9), destination(written=9), "no byte more than some seconds ago"),
        (destination(written=9), destination(written=12, restarts=1), "reconnected meanwhile"),
        (destination(), destination("CRASHED", None, error="Connection refused"), "CRASHED: Connection refused"),
        (destination("SPAWNING", None), destination("RUNNING", 5), "RUNNING"),
    ],
)
def test_destinations(before: Any, after: Any, found: str) -> None:
    (verdict,) = judge.destinations([before], [after])
    assert verdict.found == found
    assert verdict.ok == found.startswith("3200")


def scraped(health: str = "up") -> dict[str, Any]:
    one = {
        "scrapeUrl": "http://127.0.0.1:9000/metrics",
        "health": health,
        "labels": {"job": "radio"},
        "lastError": "",
    }
    return {"data": {"activeTargets": [one]}}


def test_targets() -> None:
    wanted = [{"job": "radio", "targets": ["127.0.0.1:9000"]}]
    assert [one.ok for one in judge.targets(scraped(), wanted)] == [True]
    assert [one.ok for one in judge.targets(scraped("down"), wanted)] == [False]
    (verdict,) = judge.targets(scraped(), [*wanted, {"job": "node", "targets": ["10.0.0.1:9100"]}])
    assert (verdict.ok, verdict.found) == (False, "not scraped")
    assert not judge.targets({}, wanted)[0].ok


def test_alerts_and_their_way_out() -> None:
    there = {"data": {"activeAlertmanagers": [{"url": "http://127.0.0.1:9093/api/v2/alerts"}]}}
    assert judge.alertmanagers(there, ready=True)[0].ok
    assert not judge.alertmanagers(there, ready=False)[0].ok
    assert not judge.alertmanagers({}, ready=True)[0].ok
    assert judge.alerts({"data": {"alerts": []}})[0].ok
    firing = {"state": "firing", "labels": {"alertname": "OffAir"}, "annotations": {"runbook": "docs/x#y"}}
    watchdog = {"state": "firing", "labels": {"alertname": "Watchdog", "severity": "none"}}
    (verdict,) = judge.alerts({"data": {"alerts": [firing, watchdog, {"state": "pending"}]}})
    assert (verdict.ok, verdict.what, verdict.fix) == (False, "alert OffAir", "docs/x#y")


def test_table_is_readable() -> None:
    text = table(
        [("radio1", Verdict(True, "services", "all active")), ("db", Verdict(False, "x", "down", "mend it"))]
    )
    assert text.splitlines() == [
        "PASS  radio1  services  all active",
        "FAIL  db      x         down",
        "              -> mend it",
        "",
        "1 of 2 failed",
    ]
    assert json.dumps(text)
