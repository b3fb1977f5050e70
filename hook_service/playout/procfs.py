"""What the kernel says of processes: their commands, the time that one has used, and what waits in its sockets.

From /proc/PID/stat, /proc/PID/fd and /proc/net; see proc(5) and the kernel's own proc_net_tcp.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6")
_QUEUES, _INODE = 4, 9


def cpu_seconds(pid: int | None) -> float | None:
    """Processor time that a process has used, or None where there is none."""
    if pid is None:
        return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read twice a second, without a Path
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def command(pid: int) -> list[str]:
    """What a process was started with: its command and arguments. Empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def commands() -> Iterator[tuple[int, list[str]]]:
    """Every process that can be seen, with its command and arguments."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name), command(int(entry.name))


def queued_bytes(pid: int) -> int | None:
    """What a process has written to its sockets and was not acknowledged; None where that can't be seen.

    It is what a slow platform leaves.
    """
    inodes = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                name = os.readlink(entry)  # noqa: PTH115 - what it says is no path
                if name.startswith("socket:["):
                    inodes.add(name[8:-1])
    except OSError:
        return None
    total = 0
    for table in _TABLES:
        with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:  # noqa: PTH123 - small and often
            total += in_table(lines, inodes)
    return total


def in_table(lines: Iterable[str], inodes: set[str]) -> int:
    """The sum of the send queues of these sockets in one of the kernel's tables."""
    total = 0
    for line in lines:
        fields = line.split()
        if len(fields) > _INODE and fields[_INODE] in inodes:
            total += int(fields[_QUEUES].partition(":")[0], 16)
    return total
