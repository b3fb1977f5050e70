"""What the doctor makes of what it sees."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hook_service import config
from hook_service.ctl.doctor import host, network, service
from hook_service.ctl.doctor.finding import Look
from hook_service.ctl.main import radioctl
from tests.rig.net import free_port, release_port
from tests.unit.ctl.server import Asked, Reply, document, serving
from tests.unit.roles.test_documents import ROOT, anchors
from tests.unit.web.doubles import KEY, write_host
from tests.unit.web.peers import FakePeer


def whats(look: Look) -> list[str]:
    assert all(finding.mend and finding.where for finding in look.findings)
    return [f"{finding.severity}: {finding.where} {finding.what}" for finding in look.findings]


UNITS = """Id=radio-web.service
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
NRestarts=0
UnitFileState=enabled

Id=radio-relay.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
NRestarts=7
UnitFileState=disabled

Id=radio-monitor.service
LoadState=not-found
ActiveState=inactive

Id=nginx.service
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=enabled

Id=prometheus.service
LoadState=not-found
ActiveState=inactive
"""


def test_units_that_are_down_unstable_or_not_there_are_found() -> None:
    wanted = ["radio-web.service", "radio-relay.service", "radio-monitor.service"]
    found = [(finding.where, finding.what) for finding in host.judged(host.parsed(UNITS), wanted)]
    assert found == [
        ("radio-web.service", "is failed, failed (exit-code)"),
        ("radio-relay.service", "was started again 7 times by systemd"),
        ("radio-relay.service", "is not started at boot"),
        ("radio-monitor.service", "is not installed"),
        ("nginx.service", "is inactive, dead"),
    ]


def test_each_station_has_its_units() -> None:
    assert "radio-output@jazz.service" in host.wanted_units(["demo", "jazz"])


def test_secrets_that_others_can_read_are_found_and_not_shown(tmp_path: Path) -> None:
    found = config.load(write_host(tmp_path))
    for path in found.credentials.iterdir():
        path.chmod(0o600)
    found.credentials.chmod(0o700)
    assert not host.credentials(found.credentials).findings
    (found.credentials / "demo.tube.key").chmod(0o644)
    (found.credentials / "api-token").write_text("")
    found.credentials.chmod(0o777)
    look = host.credentials(found.credentials)
    assert whats(look) == [
        f"fault: {found.credentials} others may put files into it",
        f"fault: {found.credentials}/api-token is empty",
        f"fault: {found.credentials}/demo.tube.key mode 0644: everyone can read it",
    ]
    assert KEY not in json.dumps(look.document())


def test_a_secret_that_is_missing_and_a_file_that_others_write_are_found(tmp_path: Path) -> None:
    file = write_host(tmp_path)
    (tmp_path / "credentials/demo.tube.key").unlink()
    file.chmod(0o666)
    found = whats(host.configuration(file, config.load(file)))
    assert found == [
        "fault: stations.demo.destinations.tube no stream key",
        f"fault: {file} can be changed by others than its owner",
    ]


def test_a_process_that_does_not_answer_is_found(run_dir: Path) -> None:
    peers = [FakePeer(run_dir / name) for name in ("prepare.sock", "monitor.sock", "playout-demo.sock")]
    try:
        look = host.sockets(run_dir, ["demo"])
    finally:
        for peer in peers:
            peer.close()
    assert whats(look) == [f"fault: {run_dir}/output-demo.sock its process does not answer: it has no socket"]


def _room(free: int, inodes: int, flags: int = 0) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, 1000, free, free, 1000, inodes, inodes, flags, 255))


@pytest.mark.parametrize(
    ("its", "found"),
    [
        (_room(500, 500), []),
        (_room(80, 500), [("warning", "8.0% of its room is left")]),
        (_room(20, 500), [("fault", "2.0% of its room is left")]),
        (_room(500, 10), [("fault", "1.0% of its inodes is left")]),
        (_room(500, 500, os.ST_RDONLY), [("fault", "can't be written to")]),
        (os.statvfs_result((4096, 4096, 1000, 900, 900, 0, 0, 0, 0, 255)), []),
    ],
)
def test_disks_are_judged_as_the_alerts_do(its: os.statvfs_result, found: list[tuple[str, str]]) -> None:
    assert [(finding.severity, finding.what) for finding in host.room(Path("/srv"), its)] == found


def test_the_clock_can_be_asked() -> None:
    assert host.clock().state in ("well", "warning", "skipped")


def test_a_platform_is_connected_to_or_it_is_said_why_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert network.reached("x", f"rtmp://127.0.0.1:{server.getsockname()[1]}/live") is None
    port = free_port()
    try:
        closed = network.reached("x", f"rtmp://127.0.0.1:{port}/live")
    finally:
        release_port(port)
    assert closed is not None
    assert closed.what == "can't be connected to: Connection refused"
    unknown = network.reached("x", "rtmps://nowhere.invalid/live2")
    assert unknown is not None
    assert unknown.what.startswith("its name is not known")


@pytest.mark.parametrize("days", [90, 5])
def test_a_certificate_is_judged_as_azuracast_would(
    days: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, pem = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", str(days), "-subj", "/CN=radio.test",
         "-addext", "subjectAltName=DNS:radio.test", "-keyout", key, "-out", pem],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    context.wrap_socket(connection, server_side=True).close()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        untrusted = network.certificate("radio.test", port, "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        trusted = network.certificate("radio.test", port, "127.0.0.1")
        another = network.certificate("else.test", port, "127.0.0.1")
        server.shutdown(socket.SHUT_RDWR)
    assert untrusted.findings[0].what == "is not trusted: self-signed certificate"
    assert "else.test" in another.findings[0].what
    assert [finding.what for finding in trusted.findings] == ([] if days == 90 else ["ends in 5 days"])


def _destination(**changes: Any) -> dict[str, Any]:
    return {
        "station": "demo", "name": "tube", "state": "RUNNING", "last_error": None, "lag_seconds": 0.1,
        "youtube": None, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"state": "FAILED", "last_error": "Input/output error"}, ["is FAILED: Input/output error"]),
        ({"state": "STOPPED", "wanted": False}, []),
        ({"lag_seconds": 12.3}, ["is 12 s behind"]),
        ({"youtube": {"trouble": "the broadcast has ended"}}, ["YouTube: the broadcast has ended"]),
    ],
)
def test_destinations_are_judged(changes: dict[str, Any], found: list[str]) -> None:
    assert [finding.what for finding in service.sending([_destination(**changes)]).findings] == found


def _sources(at: float | None, sse: str = "off") -> dict[str, Any]:
    told = {"state": sse, "error": "401", "since": None, "last_at": None}
    return {"demo": {"sources": {"webhook": {"last_at": at}, "sse": told, "poll": {**told, "state": "off"}}}}


def test_webhooks_that_do_not_come_are_missed() -> None:
    assert not service.sources(_sources(time.time() - 60)).findings
    assert whats(service.sources(_sources(None))) == ["warning: station demo no webhook has come"]
    assert whats(service.sources(_sources(time.time() - 172800, "connected"))) == [
        "warning: station demo no webhook for 2 d; the tracks are known by asking AzuraCast"
    ]
    assert "AzuraCast can't be asked (sse): 401" in whats(service.sources(_sources(time.time(), "away")))[0]


def _loop(name: str, state: str = "prepared", reason: str | None = None) -> dict[str, Any]:
    return {"name": name, "profiles": {"720p30": state}, "reason": reason}


def test_loops_that_are_refused_missing_or_unprepared_are_found() -> None:
    items = [_loop("a.mp4"), _loop("b.mp4", "encoding"), _loop("c.mp4", "refused", "no video in it")]
    wanted = {"stations.demo.default_loop": "default.mp4", "stations.demo.dayparts.0": "b.mp4"}
    assert whats(service.loops(items, wanted)) == [
        "warning: loop c.mp4 is refused: no video in it",
        "fault: stations.demo.default_loop default.mp4 is not there",
        "warning: stations.demo.dayparts.0 b.mp4 is not prepared yet",
    ]
    lost = [{"loop_file_path": f"{n}.mp4"} for n in "xxyzuvw"]
    (finding,) = service.mappings([*lost, {"loop_file_path": "a.mp4"}], {"a.mp4"}).findings
    assert finding.what == "7 lead to loops that are not there: x.mp4, y.mp4, z.mp4, u.mp4, v.mp4 and 1 more"


def test_alerts_are_found_but_not_those_that_were_silenced() -> None:
    alert = {"name": "StationOffAir", "severity": "critical", "station": "demo", "summary": "off", "silenced": False}
    assert whats(service.alerts([alert, {**alert, "silenced": True}])) == ["fault: alert StationOffAir of demo off"]


def test_every_section_that_is_named_exists() -> None:
    source = Path(service.__file__).read_text(encoding="utf-8")
    named = re.findall(r"\{_TROUBLE\}#([\w-]+)", source)
    assert len(named) > 10
    assert set(named) <= anchors(ROOT / "docs/TROUBLESHOOTING.md")


def test_health_is_judged() -> None:
    station = {
        "status": "off_air",
        "playout": {"status": "down"},
        "publisher": {"status": "STOPPED"},
        "relay": {"status": "silent"},
        "audio": {"status": "unknown"},
        "onair": {"status": "black"},
    }
    components = {"web": {"status": "up"}, "database": {"status": "down"}, "snapshot": {"status": "stale"}}
    document = {"status": "down", "version": "1", "components": components, "stations": {"demo": station}}
    assert whats(service.health(document, "2")) == [
        "fault: database is down",
        "warning: snapshot is stale",
        "warning: radio-web runs 1, and 2 is installed",
        "fault: station demo is off the air: playout down, publisher STOPPED, relay silent",
        "fault: station demo its sound comes from the unknown, not from the mount",
        "fault: station demo what leaves the host is black",
    ]
    assert len(service.health(document, None).findings) == 5


def test_a_configuration_that_is_wrong_is_explained(tmp_path: Path) -> None:
    file = write_host(tmp_path, web={"lisen": "127.0.0.1:1"})
    done = CliRunner().invoke(radioctl, ["--config", str(file), "doctor", "--json"])
    assert done.exit_code == 1
    first = json.loads(done.stdout)["checks"][0]
    assert first["state"] == "fault"
    assert first["findings"][0]["what"] == "web.lisen: is not a setting"
    assert first["findings"][0]["mend"] == "did you mean 'listen'?"


def test_a_host_on_which_nothing_runs_is_explained_without_a_traceback(tmp_path: Path) -> None:
    port = free_port()
    try:
        file = write_host(tmp_path, web={"listen": f"127.0.0.1:{port}"})
        done = CliRunner().invoke(radioctl, ["--config", str(file), "doctor"])
    finally:
        release_port(port)
    assert done.exit_code == 1, done.output
    assert "it has no socket" in done.stdout
    assert "can't be asked: Connection refused" in done.stdout
    assert "could not be looked at" not in done.stdout


def test_from_elsewhere_a_token_that_is_refused_is_told_once() -> None:
    with serving(lambda _: document({"detail": "Send a token."}, 401)) as said:
        done = CliRunner().invoke(radioctl, ["--url", said.url, "doctor", "--json"])
    (check,) = json.loads(done.stdout)["checks"]
    assert done.exit_code == 1
    assert check["findings"][0]["what"] == "the token is refused: Send a token."


def test_from_elsewhere_what_is_away_or_not_there_is_told_apart() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/health":
            return document({"status": "up", "version": "1", "components": {}, "stations": {}})
        if asked.path.startswith("/api/v1/alerts"):
            return document({"detail": "Prometheus does not answer in time."}, 503)
        if asked.path.startswith("/api/v1/mappings"):
            return document({"detail": "The database does not answer."}, 503)
        return document({"stations": {}, "items": [], "next": None})

    with serving(answer) as said:
        done = CliRunner().invoke(radioctl, ["--url", said.url, "doctor", "--json"])
    states = {check["check"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert states["alerts"] == "warning"
    assert states["mappings"] == "skipped"
    assert states["health"] == "well"
