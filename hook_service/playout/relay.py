"""`radio-relay CONFIG`: the local nginx-rtmp in the foreground, watched by what it does.

An nginx of our own and not the host's: an upgrade or a reload of the web server must not touch the broadcast. Its
statistics page is asked every two seconds; a relay that does not answer (a worker that hangs) is killed and started
again, which systemd alone would never notice.
"""

from __future__ import annotations

import argparse
import http.client
import logging
import threading
from pathlib import Path

from hook_service.observe import log, notify
from hook_service.playout.process import Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy

_log = logging.getLogger("radio.relay")

POLICY = Policy(stale=5.0, spawning=5.0, backoff=0.1, backoff_limit=1.0, slow=2.0)
_ASK_SECONDS = 1.0


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
            host, _, port = self._stat.rpartition(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=2.0)
            try:
                connection.request("GET", "/stat")
                if connection.getresponse().status == http.HTTPStatus.OK:
                    self._reactor.post(self._answered)
            except (OSError, http.client.HTTPException) as error:
                _log.debug("The relay does not answer: %s", error)
            finally:
                connection.close()

    def _answered(self) -> None:
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
