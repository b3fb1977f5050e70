"""Telling systemd that a service is ready, alive or stopping (the sd_notify protocol, see sd_notify(3))."""

from __future__ import annotations

import os
import socket


def _send(text: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as outgoing:
        try:
            outgoing.sendto(text.encode(), address)
        except OSError:
            # The manager is being re-executed or its queue is full: the next ping will do.
            return


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
