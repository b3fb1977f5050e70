"""`radio-relay CONFIG`: the local nginx-rtmp in the foreground, watched by what it does.

An nginx of our own and not the host's: an upgrade or a reload of the web server must not touch the broadcast. Its
statistics page is asked every second; a relay that does not answer (a worker that hangs) is killed and started
again, which systemd alone would never notice.
"""

from __future__ import annotations

import argparse
import logging
import re
import socket
import threading
from functools import partial
from pathlib import Path

from hook_service.observe import log, notify
from hook_service.playout.process import Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy

_log = logging.getLogger("radio.relay")

POLICY = Policy(stale=5.0, spawning=5.0, backoff=0.1, backoff_limit=1.0, slow=2.0)
_ASK_SECONDS = 1.0
_WORKER = re.compile(rb"<pid>(\d+)</pid>")


class Relay:
    """nginx, and the thread that asks it for its statistics."""

    def __init__(self, config: Path, stat: str) -> None:
        """`config` is nginx's configuration, `stat` the host:port of its statistics."""
        self._reactor = Reactor()
        self._stat = stat
        self._ready = False
        self._process = Process(self._reactor, "relay", POLICY, lambda: ["nginx", "-c", str(config)])
        self._over = threading.Event()

    def run(self) -> None:
        """Keep nginx going until asked to end."""
        self._reactor.stop_on_signals(self._stop)
        interval = notify.watchdog_interval()
        if interval is not None:
            self._reactor.every(interval, notify.watchdog)
        self._process.want(True)
        threading.Thread(target=self._ask, name="ask", daemon=True).start()
        self._reactor.run()

    def _ask(self) -> None:
        while not self._over.wait(_ASK_SECONDS if self._ready else 0.05):
            try:
                worker = _WORKER.search(_statistics(self._stat))
            except OSError as error:
                _log.debug("The relay does not answer: %s", error)
                continue
            if worker:
                self._reactor.post(partial(self._answered, int(worker[1])))

    def _answered(self, worker: int) -> None:
        if _parent(worker) != self._process.pid:
            return  # a worker that a relay before this one left behind: it says nothing about ours
        self._process.moved()
        if not self._ready:
            self._ready = True
            notify.ready()

    def _stop(self) -> None:
        notify.stopping()
        self._over.set()
        self._process.want(False)
        self._reactor.every(0.02, self._stop_when_ended)

    def _stop_when_ended(self) -> None:
        if self._process.pid is None:
            self._reactor.stop()


def _statistics(address: str) -> bytes:
    """The statistics page at host:port. By hand, because Python's HTTP client would keep 4 MB here for months."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=2.0) as connection:
        connection.sendall(b"GET /stat HTTP/1.0\r\n\r\n")
        return b"".join(iter(partial(connection.recv, 1 << 16), b""))


def _parent(pid: int) -> int | None:
    """The process that started `pid`, None where there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def main(argv: list[str] | None = None) -> int:
    """Entry point of the systemd unit `radio-relay`."""
    parser = argparse.ArgumentParser(description="Run the local RTMP relay.")
    parser.add_argument("--nginx-config", type=Path, default=Path("/etc/radio/relay.conf"))
    parser.add_argument("--stat", default="127.0.0.1:8080", help="host:port of its statistics")
    parser.add_argument("--log", type=Path, default=Path("/var/log/radio/app.log"))
    arguments = parser.parse_args(argv)
    log.setup("radio-relay", arguments.log)
    Relay(arguments.nginx_config, arguments.stat).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
