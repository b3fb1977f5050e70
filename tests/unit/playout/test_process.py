"""Supervised children, with real ones."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hook_service.playout import process as module
from hook_service.playout.process import Pipes, Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy, State
from tests.unit.playout.helpers import ROOT, is_alive, open_files, run_for, run_until

POLICY = Policy(stale=30, spawning=30, backoff=0.05, backoff_limit=0.1, slow=0.1, attempts=2, patience=0.6, nudge=0.2)
Make = Callable[..., Process]


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def make(reactor: Reactor) -> Iterator[Make]:
    """Makes processes, and ends them all afterwards."""
    made: list[Process] = []

    def begin(command: str | Callable[[], list[str]], *, policy: Policy = POLICY, **options: Any) -> Process:
        it = Process(reactor, "it", policy, (lambda: sh(command)) if isinstance(command, str) else command, **options)
        made.append(it)
        return it

    yield begin
    for each in made:
        each.want(False)
    run_until(reactor, lambda: all(each.pid is None for each in made))


def test_pipes_both_ways(reactor: Reactor, make: Make) -> None:
    pipes: list[Pipes] = []
    it = make("tr a-z A-Z", stdin=True, stdout=True, on_spawn=pipes.append)
    it.want(True)
    assert pipes[0].stdin is not None
    assert pipes[0].stdout is not None
    assert not os.get_blocking(pipes[0].stdin), "nothing that blocks may block the timeline"
    assert not os.get_blocking(pipes[0].stdout)
    got = bytearray()
    reactor.on_readable(pipes[0].stdout, lambda: got.extend(os.read(pipes[0].stdout or -1, 100)))
    os.write(pipes[0].stdin, b"hello\n" * 2)
    it.want(False)  # the end of its input lets tr finish
    run_until(reactor, lambda: it.pid is None)
    assert bytes(got) in (b"HELLO\nHELLO\n", b"")
    assert it.state is State.STOPPED


def test_without_pipes_it_has_nothing_of_ours(reactor: Reactor, make: Make, tmp_path: Path) -> None:
    out = tmp_path / "fds"
    leak_read, leak_write = os.pipe()
    it = make(f"ls -l /proc/self/fd > {out}; sleep 30")
    it.want(True)
    run_until(reactor, lambda: out.exists() and "2 -> pipe" in out.read_text())
    lines = [line.split(" ", 8)[-1] for line in out.read_text().splitlines()]
    assert not any(f"pipe:[{os.fstat(leak_read).st_ino}]" in line for line in lines)
    assert any("0 -> /dev/null" in line for line in lines)
    os.close(leak_read)
    os.close(leak_write)


def test_a_crash_is_told_and_it_is_started_again(reactor: Reactor, make: Make, tmp_path: Path) -> None:
    states: list[tuple[State, int | None]] = []
    ended: list[int] = []
    once = tmp_path / "once"
    it = make(
        f"if [ -e {once} ]; then exec sleep 30; fi; touch {once}; echo 'it broke: reason' >&2; sleep 0.05; exit 3",
        on_state=lambda p: states.append((p.state, p.last_exit)),
        on_exit=lambda: ended.append(1),
    )
    it.want(True)
    run_until(reactor, lambda: it.supervision.restarts == 1)
    assert [state for state, _ in states] == [State.SPAWNING, State.CRASHED, State.SPAWNING]
    assert states[1][1] == 3
    assert it.last_error == "exit 3; it broke: reason"
    assert it.status()["restarts"] == 1
    assert ended == [1]
    it.moved()
    assert states[-1][0] is State.RUNNING


def test_killed_by_a_signal_says_which(reactor: Reactor, make: Make) -> None:
    it = make("kill -SEGV $$; sleep 5")
    it.want(True)
    run_until(reactor, lambda: it.last_error is not None)
    assert it.last_error is not None
    assert it.last_error.startswith("ended by SIGSEGV")
    assert it.last_exit == -signal.SIGSEGV


def test_killed_by_us_says_why(reactor: Reactor, make: Make) -> None:
    it = make("sleep 30")
    it.want(True)
    it.kill("it has stopped reading the timeline")
    run_until(reactor, lambda: it.supervision.restarts == 1)
    assert it.last_error is not None
    assert "it has stopped reading the timeline" in it.last_error


def test_last_words_without_a_line_break_are_heard(reactor: Reactor, make: Make) -> None:
    it = make("printf 'no line break' >&2; sleep 0.05; exit 1")
    it.want(True)
    run_until(reactor, lambda: it.last_error is not None)
    assert it.last_error == "exit 1; no line break"


def test_last_words_are_never_lost_to_the_exit(reactor: Reactor, make: Make) -> None:
    """Both are ready in the same round; about one time in fifty the exit comes first."""
    it = make("echo last words >&2; exit 1")
    it.want(True)
    assert it.pid is not None
    os.waitid(os.P_PID, it.pid, os.WEXITED | os.WNOWAIT)
    it._exited()
    assert it.last_error == "exit 1; last words"


FAST = Policy(stale=30, spawning=30, backoff=0, backoff_limit=0, slow=0, attempts=10**6, patience=0.6)


def test_fifty_restarts_leak_nothing(reactor: Reactor, make: Make) -> None:
    it = make("true", stdin=True, stdout=True, progress=True, policy=FAST)
    it.want(True)
    run_until(reactor, lambda: it.supervision.restarts >= 2)
    before = open_files()
    run_until(reactor, lambda: it.supervision.restarts >= 52, 20)
    assert open_files() <= before
    it.want(False)
    run_until(reactor, lambda: it.pid is None)
    assert open_files() <= before - 5


def test_what_cannot_be_executed_is_a_failed_start(reactor: Reactor, make: Make) -> None:
    it = make(lambda: ["/nonexistent/ffmpeg"])
    it.want(True)
    run_until(reactor, lambda: it.state is State.FAILED)
    assert it.last_error is not None
    assert "/nonexistent/ffmpeg" in it.last_error
    before = open_files()
    run_until(reactor, lambda: it.supervision.restarts > 5)
    assert open_files() <= before + 5


def test_a_command_that_cannot_be_made_is_a_failed_start(reactor: Reactor, make: Make) -> None:
    fail = [True]

    def command() -> list[str]:
        if fail:
            raise PermissionError(13, "Permission denied", "/run/radio/x.ffpreset")
        return sh("sleep 30")

    it = make(command, stdin=True, stdout=True, progress=True)
    before = open_files()
    it.want(True)
    run_until(reactor, lambda: it.state is State.FAILED)
    assert open_files() <= before
    assert it.last_error is not None
    assert "Permission denied" in it.last_error
    fail.clear()
    run_until(reactor, lambda: it.pid is not None)


def test_it_is_asked_with_sigint_and_then_killed(reactor: Reactor, make: Make, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    up = tmp_path / "up"
    it = make(f"trap 'echo INT >> {heard}' INT; touch {up}; while :; do sleep 0.05; done")
    it.want(True)
    run_until(reactor, up.exists)
    asked = time.monotonic()
    it.want(False)
    run_until(reactor, lambda: it.pid is None)
    assert heard.read_text().splitlines()[0] == "INT"
    assert time.monotonic() - asked >= POLICY.patience
    assert it.state is State.STOPPED
    assert it.last_exit == -signal.SIGKILL


def test_grandchildren_end_with_the_group(reactor: Reactor, make: Make, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    it = make(f"(trap '' INT; exec sleep 60) & echo $! > {pids}; (exec sleep 61) & echo $! >> {pids}; sleep 62")
    it.want(True)
    run_until(reactor, lambda: pids.exists() and len(pids.read_text().split()) == 2)
    assert it.pid is not None
    os.kill(it.pid, signal.SIGKILL)  # itself alone: the others would be orphans
    family = [int(pid) for pid in pids.read_text().split()]
    run_until(reactor, lambda: not any(map(is_alive, family)))


def test_a_stopped_process_is_killed_when_its_progress_stops(reactor: Reactor, make: Make) -> None:
    it = make("sleep 30", policy=Policy(stale=0.3, spawning=5))
    it.want(True)
    it.moved()
    first = it.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    run_until(reactor, lambda: it.pid not in (first, None))
    assert not is_alive(first)


def test_one_that_never_begins_is_killed(reactor: Reactor, make: Make) -> None:
    it = make("sleep 30", policy=Policy(stale=30, spawning=0.3))
    it.want(True)
    run_until(reactor, lambda: it.supervision.restarts == 1)
    assert it.last_exit == -signal.SIGKILL


def test_children_die_with_us(tmp_path: Path) -> None:
    program = (
        "from hook_service.playout.process import Process\n"
        "from hook_service.playout.reactor import Reactor\n"
        "from hook_service.playout.supervise import Policy\n"
        "r = Reactor()\n"
        "p = Process(r, 'it', Policy(stale=60, spawning=60), lambda: ['sleep', '60'])\n"
        "p.want(True)\n"
        "print(p.pid, flush=True)\n"
        "r.run()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 5
        # First it is a copy of its parent, then setpriv, which binds it to its parent.
        command = Path(f"/proc/{child}/cmdline")
        while not command.read_bytes().startswith(b"sleep") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_alive(child)
        parent.kill()
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child)


def test_secrets_are_blanked_everywhere(
    reactor: Reactor, make: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "abcd-efgh-SECRET"
    words = [
        f"rtmp://a.example/live2/{key}: Connection refused",
        f"[rtmp @ 0x55d0c8a1] {key}{key} x",
        "y" * 990 + key,  # across the length at which a line is cut
    ]
    script = tmp_path / "words"
    script.write_text("".join(f"{word}\n" for word in words))
    it = make(f"cat {script} >&2; sleep 0.05; exit 1", redact=lambda text: text.replace(key, "***"))
    it.want(True)
    run_until(reactor, lambda: it.state is State.FAILED)
    assert it.last_error is not None
    assert "rtmp://a.example/live2/***: Connection refused" in it.last_error
    everything = repr(it.status()) + caplog.text + repr([r.__dict__ for r in caplog.records])
    assert "SECRET" not in everything
    assert "efgh" not in everything


def test_secrets_in_pieces_are_blanked(reactor: Reactor, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    it = make(
        "printf 'key ab' >&2; sleep 0.05; printf 'cd here\\n' >&2; sleep 0.05; exit 1",
        redact=lambda t: t.replace("abcd", "***"),
    )
    it.want(True)
    run_until(reactor, lambda: it.last_error is not None)
    assert it.last_error == "exit 1; key *** here"


def test_many_words_are_kept_short(reactor: Reactor, make: Make) -> None:
    it = make(
        "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; done >&2; "
        "head -c 300000 /dev/zero >&2; sleep 0.05; exit 1"
    )
    it.want(True)
    run_until(reactor, lambda: it.last_error is not None)
    assert it.last_error is not None
    assert len(it.last_error) <= 2000
    assert "line 300" in it.last_error
    assert "line 290" not in it.last_error


def test_words_that_are_no_text(reactor: Reactor, make: Make) -> None:
    it = make(r"printf '\377\376 bad\rnext\n' >&2; sleep 0.05; exit 1")
    it.want(True)
    run_until(reactor, lambda: it.last_error is not None)
    assert it.last_error == "exit 1; \ufffd\ufffd bad; next"


def progress_script(*blocks: str) -> Callable[[], list[str]]:
    """A child that tells `blocks` one after the other, as FFmpeg's -progress does."""
    tell = "; sleep 0.15; ".join(f"printf {shlex.quote(block)} > $out" for block in blocks)
    return lambda: ["sh", "-c", f"out=/proc/self/fd/${{0#pipe:}}; {tell}; sleep 30", "{progress}"]


BLOCK = "frame=%d\\nbitrate=N/A\\ntotal_size=%s\\nout_time_us=%s\\nprogress=continue\\n"


def test_progress_is_read(reactor: Reactor, make: Make) -> None:
    it = make(
        progress_script(
            BLOCK % (0, "N/A", "N/A"), BLOCK % (0, "0", "-9223372036854775807"), BLOCK % (9, "1000", "2147483648000")
        ),
        progress=True,
    )
    it.want(True)
    run_until(reactor, lambda: it.state is State.RUNNING)
    assert it.progress == {"bytes": 1000, "out_time_ms": 2147483648, "kbps": 0}
    assert it.status()["progress"] == it.progress


def test_progress_that_repeats_itself_is_none(reactor: Reactor, make: Make) -> None:
    same = BLOCK % (9, "1000", "1000000")
    it = make(progress_script(*[same] * 20), progress=True, policy=Policy(stale=0.6, spawning=5))
    it.want(True)
    run_until(reactor, lambda: it.state is State.RUNNING)
    begun = time.monotonic()
    run_until(reactor, lambda: it.supervision.restarts == 1)
    assert 0.5 < time.monotonic() - begun < 6.0


def test_bytes_alone_or_time_alone_are_progress(reactor: Reactor, make: Make) -> None:
    it = make(
        progress_script(BLOCK % (1, "1000", "5"), BLOCK % (1, "3000", "5"), BLOCK % (1, "3000", "5000000")),
        progress=True,
    )
    it.want(True)
    rates = []
    run_until(reactor, lambda: it.progress.get("bytes") == 3000)
    rates.append(it.progress["kbps"])
    run_until(reactor, lambda: it.progress.get("out_time_ms") == 5000)
    assert 16 / 3 < rates[0] <= 16 / 0.1, "2,000 bytes in 0.15 s"


def test_progress_begins_anew_with_each_process(reactor: Reactor, make: Make) -> None:
    seen: list[tuple[State, int | None]] = []
    it = make(
        progress_script(BLOCK % (1, "5000", "5000000")),
        progress=True,
        on_state=lambda p: seen.append((p.state, p.progress.get("bytes"))),
    )
    it.want(True)
    run_until(reactor, lambda: it.state is State.RUNNING)
    it.restart()
    run_until(reactor, lambda: len(seen) == 5)
    assert [each for each in seen if each[0] is not State.STOPPED] == [
        (State.SPAWNING, None),
        (State.RUNNING, 5000),
    ] * 2


def test_restart_is_in_good_order(reactor: Reactor, make: Make) -> None:
    states: list[State] = []
    it = make("sleep 30", on_state=lambda p: states.append(p.state))
    it.want(True)
    it.moved()
    first = it.pid
    it.restart()
    run_until(reactor, lambda: it.supervision.restarts == 1)
    assert it.pid != first
    assert states == [State.SPAWNING, State.RUNNING, State.STOPPED, State.SPAWNING]
    assert it.last_exit == -signal.SIGINT
    assert it.last_error is None, "it was asked to end: no error"


def test_an_end_of_its_input_comes_with_the_interrupt(reactor: Reactor, make: Make, tmp_path: Path) -> None:
    """An FFmpeg that waits for its input notices SIGINT only when the read ends."""
    up = tmp_path / "up"
    it = make(f"trap '' INT; touch {up}; cat > /dev/null", stdin=True)
    it.want(True)
    run_until(reactor, up.exists)
    it.want(False)
    run_until(reactor, lambda: it.pid is None)
    assert it.last_exit == 0


def test_a_process_with_brackets_in_its_name(reactor: Reactor, make: Make, tmp_path: Path) -> None:
    odd = tmp_path / "a) R (b"
    odd.symlink_to("/bin/sleep")
    it = make(lambda: [str(odd), "30"])
    it.want(True)
    run_for(reactor, 0.1)
    assert isinstance(it.status()["cpu_seconds"], float)


def test_what_failed_before_says_the_same_quietly(
    reactor: Reactor, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger=module.__name__)
    it = make("echo no >&2; exit 1", policy=Policy(stale=30, spawning=30, backoff=0, slow=0.01, attempts=2))
    it.want(True)
    run_until(reactor, lambda: it.supervision.restarts >= 8)
    assert sum("it: no" in r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING) <= 4


def test_a_second_pipe_for_what_else_a_child_has_to_tell(reactor: Reactor, make: Make) -> None:
    told: list[Pipes] = []
    script = "echo beside >&${1#pipe:}; echo out; sleep 5"
    it = make(lambda: ["bash", "-c", script, "bash", "{side}"], stdout=True, side=True, on_spawn=told.append)
    it.want(True)
    (pipes,) = told
    for file, text in ((pipes.side, b"beside\n"), (pipes.stdout, b"out\n")):
        assert file is not None
        os.set_blocking(file, True)
        assert os.read(file, 100) == text
    it.want(False)
    run_until(reactor, lambda: it.pid is None)
    assert it._files == []


def test_what_is_retired_ends_and_is_looked_after_no_more(reactor: Reactor, make: Make) -> None:
    it = make("exec sleep 60")
    it.want(True)
    run_until(reactor, lambda: it.pid is not None)
    it.retire()
    run_until(reactor, lambda: it.pid is None)
    assert it.state is State.STOPPED
    never = make("exec sleep 60")
    never.retire()
    run_for(reactor, 0.6)
    assert not [timer for timer in reactor._timers if timer.callback is not None], "they would gather, one a month"
