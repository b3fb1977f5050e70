import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import procfs
from tests.rig.child import Child, left_behind
from tests.rig.net import RigError, wait_until
from tests.rig.processes import Service, Supervisor

# A service that leaves a child in a session of its own, as FFmpeg's are, and pings its watchdog.
SERVICE = """
import os, socket, subprocess, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(text, os.environ["NOTIFY_SOCKET"])
child = subprocess.Popen(["sleep", "600"], start_new_session=True, env={})
open(sys.argv[1], "a").write(f"{child.pid}\\n")
say(b"READY=1\\nSTATUS=at work")
while True:
    time.sleep(0.1)
    say(b"WATCHDOG=1")
"""


@pytest.fixture
def supervisor(run_dir: Path) -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor


def service(run_dir: Path, code: str = SERVICE, *, watchdog: float | None = None, seconds: float = 10) -> Service:
    argv = [sys.executable, "-c", code, str(run_dir / "children")]
    return Service("worker", argv, run_dir=run_dir, watchdog=watchdog, start_seconds=seconds)


def children(run_dir: Path) -> list[int]:
    return [int(line) for line in (run_dir / "children").read_text().split()]


def lives(pid: int) -> bool:
    process = procfs.look(pid)
    return process is not None and process.alive


def test_a_stopped_service_leaves_nothing(supervisor: Supervisor, run_dir: Path) -> None:
    one = supervisor.start(service(run_dir))
    assert (one.state, one.status) == ("RUNNING", "at work")
    pid = one.pid
    supervisor.stop(one)
    assert one.state == "STOPPED"
    assert not lives(pid)
    assert not lives(children(run_dir)[0])


def test_a_killed_service_is_back_and_its_children_are_gone(supervisor: Supervisor, run_dir: Path) -> None:
    one = supervisor.start(service(run_dir))
    # A child whose environment is empty and whose parent dies is known from the look at all processes before.
    wait_until(lambda: children(run_dir)[0] in one.remembered(), "a look at all processes", 5)
    before = one.pid
    one.send(signal.SIGKILL)
    wait_until(lambda: one.restarts == 1 and one.ready.is_set(), "the restart", 5)
    assert one.pid != before
    wait_until(lambda: not lives(children(run_dir)[0]), "the end of the orphan", 5)
    assert lives(children(run_dir)[1])


def test_a_hanging_service_is_replaced(supervisor: Supervisor, run_dir: Path) -> None:
    one = supervisor.start(service(run_dir, watchdog=0.7))
    before = one.pid
    one.send(signal.SIGSTOP)
    wait_until(lambda: one.restarts == 1 and one.ready.is_set(), "the watchdog", 8)
    assert one.watchdog_kills == 1
    assert one.pid != before


def test_a_service_that_never_gets_ready_is_named(supervisor: Supervisor, run_dir: Path) -> None:
    with pytest.raises(RigError, match=r"(?s)worker ends again and again.*no such thing"):
        supervisor.start(service(run_dir, "raise SystemExit('no such thing')"))


def test_what_a_dead_rig_left_is_found(run_dir: Path) -> None:
    lost = Child("lost", ["sleep", "600"], run_dir=run_dir)
    lost.start()
    hidden = Child("hidden", ["env", "-i", "sleep", "600"], run_dir=run_dir)
    hidden.start()
    wait_until(lambda: b"sleep" in Path(f"/proc/{hidden.pid}/cmdline").read_bytes()[:6], "env's exec", 5)
    found = left_behind(run_dir)
    assert {lost.pid, hidden.pid} <= set(found)
    assert os.getpid() not in found
    assert left_behind(run_dir / "other") == {}
    assert procfs.end(found.values()) == []
    lost.stop()
    hidden.stop()
    assert left_behind(run_dir) == {}
