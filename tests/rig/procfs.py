"""Which processes are ours, read from /proc: by parent, by session, and by a mark in their environment.

The mark stands in for systemd's control group: whatever a service starts inherits it, also what changed its
process group or lost its parent.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MARK = "STEADYCAST_RIG"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Proc:
    """One process; `started` (clock ticks since boot) tells it from a later one with the same number."""

    pid: int
    parent: int
    session: int
    state: str
    started: int
    cpu_seconds: float

    @property
    def alive(self) -> bool:
        """False for a zombie: it holds nothing any more."""
        return self.state not in "ZX"


def look(pid: int) -> Proc | None:
    """The process with this number, None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, closing parentheses too.
    field = text[text.rindex(")") + 2 :].split()
    cpu = (int(field[11]) + int(field[12])) / _TICKS
    return Proc(pid, int(field[1]), int(field[3]), field[0], int(field[19]), cpu)


def table() -> dict[int, Proc]:
    """Every process there is."""
    found = (look(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {process.pid: process for process in found if process is not None}


def tree(pids: Iterable[int], processes: dict[int, Proc] | None = None) -> dict[int, Proc]:
    """These processes, all their descendants, and all members of the sessions any of them lead."""
    processes = table() if processes is None else processes
    inside = {pid for pid in pids if pid in processes}
    while True:
        more = {
            process.pid
            for process in processes.values()
            if process.pid not in inside and (process.parent in inside or process.session in inside)
        }
        if not more:
            return {pid: processes[pid] for pid in inside}
        inside |= more


def marked(mark: str) -> set[int]:
    """The processes whose environment carries this mark, or one that goes on from it after a slash."""
    start = f"{MARK}={mark}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for variable in (entry / "environ").read_bytes().split(b"\0"):
                if variable == start or variable.startswith(start + b"/"):
                    found.add(int(entry.name))
    return found - {os.getpid()}


def send(process: Proc, number: signal.Signals) -> bool:
    """Signal exactly this process, never a later one with its number. False when it has ended."""
    now = look(process.pid)
    if now is None or now.started != process.started:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
        return True
    return False


def same(process: Proc) -> bool:
    """Whether this very process still runs."""
    now = look(process.pid)
    return now is not None and now.started == process.started and now.alive


def end(processes: Iterable[Proc], seconds: float = 0.0) -> list[Proc]:
    """SIGTERM, after `seconds` SIGKILL (at once for 0); returns what is still there two seconds later."""
    left = [process for process in processes if same(process)]
    if seconds > 0:
        for process in left:
            send(process, signal.SIGTERM)
            # A stopped process can't answer SIGTERM.
            send(process, signal.SIGCONT)
        left = _gone_within(left, seconds)
    for process in left:
        send(process, signal.SIGKILL)
    return _gone_within(left, 2.0)


def _gone_within(processes: list[Proc], seconds: float) -> list[Proc]:
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if same(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def reap(pids: Iterable[int]) -> None:
    """Collect those of these that are children of ours and have ended; not for what subprocess started itself."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def pss_kb(pid: int) -> int:
    """The memory of a process in KB, what it shares divided by its sharers; 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
