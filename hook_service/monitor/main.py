"""`radio-monitor`: one process that watches all stations of this host, by what leaves it.

It only looks. Whatever happens to it, and however long it is away, the broadcast goes on; that nobody looks is told
by `radio_onair_up`.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
from pathlib import Path

from hook_service import settings
from hook_service.monitor.expected import Expectations
from hook_service.monitor.watch import LOOK_SECONDS, Watch
from hook_service.observe import log, notify
from hook_service.playout.control import BadRequest, Control, Message
from hook_service.playout.reactor import Reactor

_log = logging.getLogger("radio.monitor")


class Monitor:
    """All stations."""

    def __init__(self, stations: list[settings.Station]) -> None:
        self._reactor = reactor = Reactor()
        self._control = Control(
            reactor, stations[0].monitor_socket, {"status": self._status, "restart": self._restart}
        )
        expectations = Expectations(reactor)
        self._watches = {station.shortcode: Watch(reactor, station, expectations) for station in stations}

    def run(self) -> None:
        """Watch until asked to end."""
        reactor = self._reactor
        reactor.stop_on_signals(self._stop)
        interval = notify.watchdog_interval()
        if interval is not None:
            reactor.every(interval, notify.watchdog)
        reactor.every(LOOK_SECONDS, self._look)
        notify.ready()
        # What exists now lives for ever: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        reactor.run()

    def _look(self) -> None:
        for watch in self._watches.values():
            watch.look()

    def _status(self, _message: Message) -> Message:
        return {
            "pid": os.getpid(),
            "stations": {name: watch.status() for name, watch in self._watches.items()},
            "processes": [watch.process() for watch in self._watches.values()],
        }

    def _restart(self, message: Message) -> Message:
        """Begin the decoder of `station` anew."""
        watch = self._watches.get(str(message.get("station")))
        if watch is None:
            raise BadRequest("there is no such station")
        watch.restart()
        return {}

    def _stop(self) -> None:
        notify.stopping()
        self._watches, ending = {}, self._watches.values()
        for watch in ending:
            watch.stop()

        def ended() -> None:
            if all(watch.ended for watch in ending):
                self._control.close()
                self._reactor.stop()

        self._reactor.every(0.02, ended)


def main(argv: list[str] | None = None) -> int:
    """Entry point of the systemd unit `radio-monitor`."""
    parser = argparse.ArgumentParser(description="Watch the picture and the sound of every station of this host.")
    parser.add_argument("--config", type=Path, default=Path("/etc/radio/radio.yml"))
    arguments = parser.parse_args(argv)
    stations = settings.load_all(arguments.config)
    log.setup("radio-monitor", stations[0].log)
    Monitor(stations).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
