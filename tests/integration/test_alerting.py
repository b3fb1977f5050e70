"""What the role makes of its variables, in a real Alertmanager: who is told what, and what nobody is told."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.roles.inventory import ROOT, play

ROLE = ROOT / "roles/prometheus"
PROGRAM = shutil.which("prometheus-alertmanager")
# What Debian 12 has; on a machine with a later one its own options are tested.
RELEASES = {"0.25": "bookworm", "0.28": "trixie"}
# The role's tasks that are run here, but for their owners and their check by amtool.
TASKS = ("The place for secrets is there", "Secrets are in place", "Alertmanager knows whom to tell")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="Debian's package prometheus-alertmanager is not installed here"
)


class Posts(ThreadingHTTPServer):
    """Slack, Discord, Telegram and the rest: `seen` are path, `Authorization` and body of each POST."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        super().__init__(("127.0.0.1", 0), _Post)


class _Post(BaseHTTPRequestHandler):
    server: Posts

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.seen.append((self.path, self.headers.get("Authorization", ""), body))
        # Telegram's client wants to read of the message that it has sent.
        answer = b'{"ok": true, "result": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "group"}}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Not onto the terminal."""


class Mails(socketserver.ThreadingTCPServer):
    """A mail server that asks for a login: `logins` and `letters` are what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        self.logins: list[str] = []
        self.letters: list[str] = []
        super().__init__(("127.0.0.1", 0), _Mail)


class _Mail(socketserver.StreamRequestHandler):
    server: Mails

    def handle(self) -> None:
        self._say("220 test")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb == "EHLO":
                self._say("250-test\r\n250 AUTH PLAIN")
            elif verb == "AUTH":
                self.server.logins.append(base64.b64decode(line.split()[2]).decode())
                self._say("235 welcome")
            elif verb == "DATA":
                self._say("354 go on")
                letter = ""
                while (part := self.rfile.readline().decode()) != ".\r\n":
                    letter += part
                self.server.letters.append(letter)
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 yes")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def receivers(http: str) -> list[dict[str, Any]]:
    return [
        {
            "name": "operator",
            "email": {"to": "operator@example.org"},
            "slack": {"url": f"{http}/slack", "channel": "#radio"},
            "discord": {"url": f"{http}/discord"},
            "telegram": {"token": "1234:hidden", "chat": -5, "api": http},
            "webhook": {"url": f"{http}/webhook", "token": "let-me-in"},
        },
        {"name": "night", "severity": "critical", "webhook": {"url": f"{http}/night"}},
        {"name": "editor", "stations": ["jazz", "a.b"], "webhook": {"url": f"{http}/editor"}},
    ]


def configure(where: Path, variables: dict[str, Any]) -> Path:
    """Run the role's own tasks into a directory; returns the configuration."""
    assert PROGRAM is not None
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    version = ".".join((said.stdout + said.stderr).split("version ")[1].split(".")[:2])
    tasks = [{"ansible.builtin.include_vars": str(ROLE / part)} for part in ("defaults/main.yml", "vars/main.yml")]
    (block,) = [one["block"] for one in yaml.safe_load((ROLE / "tasks/configure.yml").read_text()) if "block" in one]
    for task in block:
        if task["name"] in TASKS:
            (module,) = [key for key in task if key.startswith("ansible.builtin.")]
            task[module] = {
                key: value for key, value in task[module].items() if key not in ("owner", "group", "validate")
            }
            if "src" in task[module]:
                task[module]["src"] = str(ROLE / "templates" / task[module]["src"])
            tasks.append(task)
    facts = {"ansible_facts": {"distribution_release": RELEASES.get(version, "trixie")}}
    values = {**facts, **variables, "__prometheus_etc": str(where), "ansible_python_interpreter": sys.executable}
    (where / "values.json").write_text(json.dumps(values))
    book = where / "book.yml"
    book.write_text(
        json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
    )
    inventory = where / "hosts.yml"
    inventory.write_text("all: {hosts: {localhost: {}}}\n")
    ran = play(inventory, str(book), "-e", f"@{where}/values.json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "hidden" not in ran.stdout + ran.stderr
    return where / "alertmanager.yml"


def until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def alert(name: str, severity: str, **labels: str) -> dict[str, Any]:
    notes = {
        "summary": f"{name} of {labels.get('station', 'none')}",
        "description": "Do it.",
        "runbook": "docs/A.md#b",
    }
    return {"labels": {"alertname": name, "severity": severity, "host": "h", **labels}, "annotations": notes}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_right_ones_are_told_and_causes_silence_what_follows(tmp_path: Path) -> None:
    posts, mails, port = Posts(), Mails(), free_port()
    http = f"http://127.0.0.1:{posts.server_address[1]}"
    smtp = {"smarthost": f"127.0.0.1:{mails.server_address[1]}", "from": "radio@example.org", "tls": False}
    configuration = configure(
        tmp_path,
        {
            "prometheus_alert_receivers": receivers(http),
            "prometheus_alert_smtp": {**smtp, "username": "radio", "password": "of-the-mail"},
            "prometheus_alert_heartbeat_url": f"{http}/heartbeat",
        },
    )
    secrets = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert {"smtp-password", "operator-slack", "operator-token"} <= set(secrets)
    assert {path.stat().st_mode & 0o777 for path in [*secrets.values(), configuration]} == {0o640}
    assert "of-the-mail" not in configuration.read_text()

    here = f"http://127.0.0.1:{port}"
    command = [str(PROGRAM), f"--config.file={configuration}", f"--storage.path={tmp_path}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    log = (tmp_path / "log").open("wb")
    with serving(posts), serving(mails), log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            until(lambda: answers(f"{here}/-/ready"), "Alertmanager is ready")
            alerts = [
                alert("StationOffAir", "critical", station="jazz"),
                alert("PictureBlack", "critical", station="jazz"),  # of which the one above is the cause
                alert("TracksUnmapped", "warning", station="rock"),
                alert("DiskNearlyFull", "warning", mountpoint="/"),
                alert("Watchdog", "none"),
            ]
            request = urllib.request.Request(
                f"{here}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request, timeout=5).close()

            def told(way: str) -> str:
                return "\n".join(body for path, _, body in posts.seen if path.startswith(way))

            def heard(way: str, summary: str) -> bool:
                return summary in told(way)

            until(lambda: "Watchdog" in told("/heartbeat"), "the dead man's switch", 5)
            for way in ("/slack", "/discord", "/bot1234:hidden/sendMessage", "/webhook"):
                for summary in ("StationOffAir of jazz", "TracksUnmapped of rock", "DiskNearlyFull of none"):
                    until(partial(heard, way, summary), f"{summary} by {way}")
            until(lambda: len(mails.letters) == 3, "three letters")
            until(lambda: told("/night") and told("/editor"), "the others")
        finally:
            running.terminate()
    everything = "\n".join([*mails.letters, *(body for _, _, body in posts.seen)])
    assert "PictureBlack" not in everything
    assert "Do it." in told("/slack")
    assert "docs/A.md#b" in told("/discord")
    assert "StationOffAir" in told("/night")
    assert "warning" not in told("/night")
    assert "StationOffAir" in told("/editor")
    assert "DiskNearlyFull" not in told("/editor")
    assert "TracksUnmapped" not in told("/editor")
    people = "\n".join(body for path, _, body in posts.seen if path != "/heartbeat") + "\n".join(mails.letters)
    assert "Watchdog" not in people
    assert {login for path, login, _ in posts.seen if path == "/webhook"} == {"Bearer let-me-in"}
    assert set(mails.logins) == {"\0radio\0of-the-mail"}
    assert any("Subject: StationOffAir of jazz" in letter for letter in mails.letters)
    assert "1234:hidden" not in (tmp_path / "log").read_text()
