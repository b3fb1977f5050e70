"""Makes one TCP port of one address far away, for as long as it runs: far.py ADDRESS PORT SECONDS, as root.

A packet for it is routed into a tun device, kept, and sent on by a raw socket. Runs on the host, on Python alone.
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 1, 0x1000
_TABLE = "213"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def main() -> None:
    """Until it is ended; the device goes with it, the rule is the caller's to remove first."""
    address, port, delay = sys.argv[1], sys.argv[2], float(sys.argv[3])
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"far0", _IFF_TUN | _IFF_NO_PI))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    _ip("link", "set", "far0", "up", "txqueuelen", "5000")
    _ip("route", "add", "default", "dev", "far0", "table", _TABLE)
    # Only what begins here, and only this port: what the raw socket sends has none, and goes the usual way.
    _ip("rule", "add", "iif", "lo", "to", address, "ipproto", "tcp", "dport", port, "lookup", _TABLE)
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 1.0
        if select.select([tun], [], [], timeout)[0]:
            packet = os.read(tun, 65536)
            if packet[0] >> 4 == 4:  # not what IPv6 says to every new device
                waiting.append((time.monotonic() + delay, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            out.sendto(waiting.popleft()[1], (address, 0))


if __name__ == "__main__":
    main()
