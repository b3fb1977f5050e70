"""What processes cost: CPU from the scheduler's own nanoseconds, memory as the kernel divides it among sharers."""

import contextlib
import os
import resource
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig import procfs

Groups = Callable[[], Mapping[int, str]]

_CPU_EVERY = 0.5
_MEMORY_EVERY = 5.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_PRESENT, _FRAME = 1 << 63, (1 << 55) - 1


@dataclass(slots=True)
class Usage:
    """What each group used: `cpu` in percent of one core, `pss` in MB, at the moment when all together used most.

    `alone_mb` is every physical page that any of them maps, counted once, at the end: what they would take if no
    other process shared a library with them. None where the kernel does not tell (it needs root).
    """

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    pss: dict[str, float] = field(default_factory=dict)
    alone_mb: dict[str, float | None] = field(default_factory=dict)
    other_ffmpegs: int = 0

    def cpu_of(self, groups: Iterable[str]) -> float:
        """Percent of one core, of these groups together."""
        return sum(self.cpu.get(group, 0.0) for group in groups)

    def pss_of(self, groups: Iterable[str]) -> float:
        """MB, of these groups together."""
        return sum(self.pss.get(group, 0.0) for group in groups)


class Meter:
    """Watches groups of processes that may come and go. `groups()` gives each process's group, every time anew.

    A thread is read every half second; what one does between its last reading and its end is not seen.
    """

    def __init__(self, groups: Groups, sets: Mapping[str, Iterable[str]] | None = None) -> None:
        """`sets` names the sets of groups whose memory alone is to be told, and of which the first decides."""
        self._groups = groups
        self._sets = {name: set(members) for name, members in (sets or {}).items()}
        self._first: dict[tuple[int, int], int] = {}
        self._last: dict[tuple[int, int], tuple[str, int]] = {}
        self._usage = Usage()

    def run(self, seconds: float, meanwhile: Callable[[], None] | None = None) -> Usage:
        """Measure for this long; `meanwhile` is called with every reading."""
        begin = self._read(first=True)
        memory_due = begin + min(_MEMORY_EVERY, seconds / 2)
        now = begin
        while now < begin + seconds:
            time.sleep(max(0.0, min(_CPU_EVERY, begin + seconds - now)))
            if meanwhile is not None:
                meanwhile()
            now = self._read()
            if now >= memory_due:
                memory_due = now + _MEMORY_EVERY
                self._weigh()
        usage = self._usage
        usage.seconds = now - begin
        nanoseconds: dict[str, int] = defaultdict(int)
        for thread, (group, last) in self._last.items():
            nanoseconds[group] += last - self._first[thread]
        usage.cpu = {group: used / 1e7 / usage.seconds for group, used in nanoseconds.items()}
        groups = self._groups()
        for name, members in self._sets.items():
            usage.alone_mb[name] = distinct_mb(pid for pid, group in groups.items() if group in members)
        return usage

    def _read(self, *, first: bool = False) -> float:
        groups = self._groups()
        now = time.monotonic()
        for pid, group in groups.items():
            for tid, used in _threads(pid):
                thread = (pid, tid)
                # What began later began at nothing.
                self._first.setdefault(thread, used if first else 0)
                self._last[thread] = (group, used)
        return now

    def _weigh(self) -> None:
        groups = self._groups()
        weights: dict[str, float] = defaultdict(float)
        for pid, group in groups.items():
            weights[group] += procfs.pss_kb(pid) / 1024
        decisive = next(iter(self._sets.values()), set(weights))
        if sum(weights[group] for group in decisive) > self._usage.pss_of(decisive):
            self._usage.pss = dict(weights)
            self._usage.other_ffmpegs = len(set(named("ffmpeg")) - set(groups))


def _threads(pid: int) -> list[tuple[int, int]]:
    """Every thread of a process with its time on a CPU in nanoseconds."""
    found = []
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found.append((int(entry.name), int((entry / "schedstat").read_text().split()[0])))
    return found


def named(name: str) -> list[int]:
    """The processes with this command name."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == name:
                found.append(int(entry.name))
    return found


def distinct_mb(pids: Iterable[int]) -> float | None:
    """The physical pages that these processes map, each counted once, in MB; None where that can't be read."""
    frames: set[int] = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            try:
                frames |= _frames(pid)
            except PermissionError:
                return None
    # Without the privilege the kernel gives zeros.
    return len(frames - {0}) * _PAGE / 1048576 if frames - {0} else None


def _frames(pid: int) -> set[int]:
    found: set[int] = set()
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/pagemap").open("rb") as pagemap:
        for line in maps:
            span, _, rest = line.partition(" ")
            if "[vsyscall]" in rest or "[vvar" in rest or "[vdso]" in rest:
                continue
            start, end = (int(address, 16) // _PAGE for address in span.split("-"))
            pagemap.seek(start * 8)
            data = pagemap.read((end - start) * 8)
            whole = len(data) // 8
            found.update(
                entry & _FRAME for entry in struct.unpack(f"<{whole}Q", data[: whole * 8]) if entry & _PRESENT
            )
    return found


def cpu_with_children(pid: int) -> float:
    """CPU seconds of a process and of all its descendants that have ended, to a hundredth."""
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    field_ = text[text.rindex(")") + 2 :].split()
    return sum(map(int, field_[11:15])) / _TICKS


class Others:
    """How much of the machine was used by what this benchmark did not start, from `start` to `share`."""

    def __init__(self) -> None:
        self._begin = (time.monotonic(), _busy(), _ours())

    def share(self) -> float:
        """Percent of one core. Right only when everything started in between has ended and was waited for."""
        began, busy, ours = self._begin
        seconds = time.monotonic() - began
        return max(0.0, (_busy() - busy) - (_ours() - ours)) / seconds * 100 if seconds else 0.0


def _busy() -> float:
    """CPU seconds the machine has worked since it was started: all but idle and waiting for disks."""
    field_ = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(field_[:8]) - field_[3] - field_[4]) / _TICKS


def _ours() -> float:
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
