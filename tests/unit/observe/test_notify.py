"""sd_notify against a real datagram socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hook_service.observe import notify

ROOT = Path(__file__).parents[3]


@pytest.fixture
def manager(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = run_dir / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield listener


def test_what_the_manager_hears(manager: socket.socket) -> None:
    notify.ready()
    notify.watchdog()
    notify.status("on the air: Björk")
    notify.stopping()
    assert [manager.recv(200).decode() for _ in range(4)] == [
        "READY=1",
        "WATCHDOG=1",
        "STATUS=on the air: Björk",
        "STOPPING=1",
    ]


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"steadycast-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify.ready()
        assert listener.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.ready()


def test_a_manager_that_does_not_listen_is_not_waited_for(manager: socket.socket) -> None:
    for _ in range(5_000):
        notify.watchdog()
    assert manager.recv(100) == b"WATCHDOG=1"


def test_a_file_that_the_manager_is_to_hold(manager: socket.socket) -> None:
    read, write = os.pipe()
    notify.keep("platform/7/progress", read)
    os.close(read)
    message, (held,), _, _ = socket.recv_fds(manager, 200, 4)
    assert message.decode() == "FDSTORE=1\nFDNAME=platform/7/progress"
    os.write(write, b"out_time_us=1\n")
    assert os.read(held, 100) == b"out_time_us=1\n"
    notify.drop("platform/7/progress")
    assert manager.recv(200).decode() == "FDSTOREREMOVE=1\nFDNAME=platform/7/progress"
    os.close(held)
    os.close(write)


KEPT = """
import os
from hook_service.observe import notify
for name, file in notify.kept().items():
    print(name, os.read(file, 100).decode(), os.get_inheritable(file))
print([name for name in os.environ if name.startswith("LISTEN_")], notify.kept())
"""


@pytest.mark.parametrize(("pid", "lines"), [("$$", ["a/1/stderr one False", "b two False"]), ("1", [])])
def test_files_that_were_kept_for_us(tmp_path: Path, pid: str, lines: list[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    script = f'exec 3<{tmp_path}/one 4<{tmp_path}/two; export LISTEN_PID={pid}; exec "$@"'
    env = dict(os.environ) | {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a/1/stderr:b"}
    argv = ["bash", "-c", script, "-", sys.executable, "-c", KEPT]
    out = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == [*lines, "[] {}"]


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        (None, None, None),
        ("", None, None),
        ("20000000", None, 10.0),
        ("20000000", "own", 10.0),
        ("20000000", "1", None),
        ("3000000", "own", 1.5),
    ],
)
def test_the_watchdogs_interval_is_half_of_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, seconds: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert notify.watchdog_interval() == seconds
