"""`radio-output STATION`: one FFmpeg for each destination, from the local relay to the platform, without encoding.

They are children of this process and not of the playout, so that a playout which dies and comes back costs no
platform session. Nor does the end of this process, unless it was asked for: they go on, and the next one adopts them
(see `survivors`). Each has its own state, its own reconnects and its own words; one dead platform touches no other.

Which relay key is on the air is asked of the playout every second. When the timeline turns over to another key
(see `lines`), the destinations move one at a time, each right before a keyframe, and the playout is told when all
have: a primary and its backup are never away together.

One that was stopped by hand stays so, whoever restarts: which those are is kept in the state directory.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from functools import partial
from pathlib import Path

from hook_service import ipc, settings
from hook_service.observe import log, notify
from hook_service.playout import state, survivors
from hook_service.playout.control import BadRequest, Control, Message
from hook_service.playout.destination import Destination
from hook_service.playout.lines import other_key
from hook_service.playout.process import Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import State

_log = logging.getLogger("radio.output")

# A destination's FFmpeg needs half a second from the end of the one before to the relay, more on a busy host. Begun
# so long before a keyframe, it is there when the keyframe comes.
_MOVE_LEAD_SECONDS = 0.8
_MOVE_PATIENCE_SECONDS = 15.0


class Output:
    """All destinations of one station."""

    def __init__(self, station: settings.Station) -> None:
        self._station = station
        self._reactor = reactor = Reactor()
        handlers = {"status": self._status, "start": self._start, "stop": self._stop, "restart": self._restart}
        self._control = Control(reactor, station.output_socket, handlers)
        self._stopped_file = station.state / f"stopped-{station.shortcode}.json"
        self._stopped = state.load_names(self._stopped_file)
        anchor = state.load_anchor(station.run / f"timeline-{station.shortcode}.json")
        self._key = anchor.relay_key if anchor else other_key(station.shortcode, None)
        self._destinations = [
            Destination(reactor, station, target, self._key, self._changed, self._source_away)
            for target in station.destinations
        ]
        self._moving: tuple[Destination, float] | None = None
        self._next_key: str | None = None
        self._keyframe_at = 0.0
        self._timeline: tuple[str, float, float] | None = None

    def run(self) -> None:
        """Keep every destination going until asked to end."""
        reactor = self._reactor
        reactor.stop_on_signals(self._end)
        interval = notify.watchdog_interval()
        if interval is not None:
            reactor.every(interval, notify.watchdog)
        self._adopt()
        for destination in self._destinations:
            destination.process.want(destination.target.name not in self._stopped)
        reactor.every(1.0, self._look)
        notify.ready()
        reactor.run()

    def _adopt(self) -> None:
        for survivor in survivors.find(self._station, notify.kept()):
            if any(survivor.name == one.target.name and one.adopt(survivor) for one in self._destinations):
                _log.info("destination:%s goes on as process %d", survivor.name, survivor.pid)
            else:
                _log.warning(
                    "destination:%s does not go on as process %d, which is ended", survivor.name, survivor.pid
                )
                survivor.end()

    def _lineup(self) -> Message | None:
        """What the playout has on the air, or None while it is away."""
        try:
            lineup = ipc.request(self._station.playout_socket, {"op": "lineup"}, timeout=0.5)
        except ipc.PeerDown:
            return None
        return lineup if lineup.get("ok") else None

    def _source_away(self) -> bool:
        """Whether there is nothing in the relay to be sent: then a destination that ends is not to blame."""
        lineup = self._lineup()
        return lineup is None or not lineup["publishing"]

    def _look(self) -> None:
        """Ask the playout which key is on the air; while it is away, the last one stands."""
        lineup = self._lineup()
        if lineup is None:
            for destination in self._destinations:
                destination.lag_seconds = None  # behind what?
            return
        self._key, self._next_key = lineup["current"], lineup["next"]
        self._keyframe_at = float(lineup["keyframe_at"])
        # A playout of an older release does not tell its time.
        if lineup.get("flv_ms") is not None:
            self._timeline = (self._key, lineup["flv_ms"] / 1000, time.monotonic())
        for destination in self._destinations:
            destination.look(self._timeline)
        self._move()

    def _move(self) -> None:
        key = self._next_key or self._key
        if self._moving is not None:
            destination, since = self._moving
            there = destination.relay_key == key and destination.process.state is State.RUNNING
            if not there and time.monotonic() - since < _MOVE_PATIENCE_SECONDS:
                return
            self._moving = None
        for destination in self._destinations:
            if destination.relay_key == key:
                continue
            if destination.process.state is not State.RUNNING:
                # It is not on the air: nothing is lost by starting on the new key whenever it starts next.
                destination.relay_key = key
                destination.process.restart()
                continue
            at = self._keyframe_at - _MOVE_LEAD_SECONDS
            if at < time.monotonic():
                return  # too late for this keyframe: the next look has the next one
            self._moving = (destination, at)
            self._reactor.call_at(at, partial(self._move_one, destination, key))
            return
        if self._next_key is not None:
            try:
                ipc.request(self._station.playout_socket, {"op": "moved", "key": self._next_key}, timeout=0.5)
            except ipc.PeerDown:
                return  # asked again in a second

    def _move_one(self, destination: Destination, key: str) -> None:
        _log.info("%s moves to the relay key %s", destination.process.name, key)
        destination.relay_key = key
        destination.process.restart()

    def _changed(self, process: Process) -> None:
        self._control.publish(
            "process",
            process=process.name,
            state=process.state.value,
            pid=process.pid,
            exit=process.last_exit,
            error=process.last_error,
        )

    def _start(self, message: Message) -> Message:
        """Send to the destination `name` again."""
        return self._have(self._named(message), wanted=True)

    def _stop(self, message: Message) -> Message:
        """Send nothing to the destination `name`, until it is started."""
        return self._have(self._named(message), wanted=False)

    def _restart(self, message: Message) -> Message:
        """Connect to the destination `name` anew."""
        destination = self._named(message)
        if destination.target.name in self._stopped:
            raise BadRequest(f"{destination.target.name} is stopped; start it")
        destination.process.restart()
        return {}

    def _have(self, destination: Destination, *, wanted: bool) -> Message:
        name = destination.target.name
        if (name not in self._stopped) != wanted:
            # Of those that are configured: another of that name, some day, was never stopped.
            known = {one.target.name for one in self._destinations}
            self._stopped = (self._stopped ^ {name}) & known
            _log.info("%s is %s by hand", destination.process.name, "started" if wanted else "stopped")
            if not state.save_names(self._stopped_file, self._stopped):
                _log.warning("Which destinations are stopped can't be kept: a restart will start them")
        destination.process.want(wanted)
        return {}

    def _named(self, message: Message) -> Destination:
        for destination in self._destinations:
            if destination.target.name == message.get("name"):
                return destination
        known = ", ".join(destination.target.name for destination in self._destinations)
        raise BadRequest(f"there is no such destination; there are: {known}")

    def _status(self, _message: Message) -> Message:
        processes = [destination.status() for destination in self._destinations]
        return {"station": self._station.shortcode, "pid": os.getpid(), "processes": processes}

    def _end(self) -> None:
        notify.stopping()
        for destination in self._destinations:
            destination.process.want(False)

        def ended() -> None:
            if all(destination.process.pid is None for destination in self._destinations):
                for destination in self._destinations:
                    destination.forget_secrets()
                self._control.close()
                self._reactor.stop()

        self._reactor.every(0.02, ended)


def main(argv: list[str] | None = None) -> int:
    """Entry point of the systemd unit `radio-output@STATION`."""
    parser = argparse.ArgumentParser(description="Send one station to its destinations.")
    parser.add_argument("--config", type=Path, default=Path("/etc/radio/radio.yml"))
    parser.add_argument("station", help="shortcode of a station in the configuration")
    arguments = parser.parse_args(argv)
    station = settings.load(arguments.config, arguments.station)
    log.setup("radio-output", station.log)
    Output(station).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
