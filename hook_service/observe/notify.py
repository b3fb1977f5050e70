"""Telling systemd that a service is ready, alive or stopping, and leaving open files with it for the service's next
life (the sd_notify protocol, see sd_notify(3) and sd_listen_fds(3)).
"""

from __future__ import annotations

import array
import os
import socket

_FIRST_PASSED = 3  # SD_LISTEN_FDS_START


def _send(text: str, files: tuple[int, ...] = ()) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as outgoing:
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
            outgoing.sendmsg([text.encode()], rights, 0, address)
        except OSError:
            # The manager is being re-executed or its queue is full: the next ping will do.
            return


def managed() -> bool:
    """Whether there is somebody to leave files with, and to start us again."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def keep(name: str, file: int) -> None:
    """Have the manager hold an open file under a name (ASCII without colons), for whoever comes after us."""
    _send(f"FDSTORE=1\nFDNAME={name}", (file,))


def drop(name: str) -> None:
    """What is held under that name is of no more use."""
    _send(f"FDSTOREREMOVE=1\nFDNAME={name}")


def kept() -> dict[str, int]:
    """What was left for us, by name. To be asked once: the files are ours then."""
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if os.environ.pop("LISTEN_PID", None) != str(os.getpid()) or not count:
        return {}
    files = range(_FIRST_PASSED, _FIRST_PASSED + count)
    for file in files:
        os.set_inheritable(file, False)
    return dict(zip(names, files, strict=True))


def ready() -> None:
    """The service does its work now."""
    _send("READY=1")


def watchdog() -> None:
    """The service is alive."""
    _send("WATCHDOG=1")


def status(text: str) -> None:
    """A line for `systemctl status`."""
    _send(f"STATUS={text}")


def stopping() -> None:
    """The service is on its way out."""
    _send("STOPPING=1")


def watchdog_interval() -> float | None:
    """Seconds between two pings (half of what the manager allows), or None where it does not watch us."""
    usec = os.environ.get("WATCHDOG_USEC")
    if not usec or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / 2_000_000
