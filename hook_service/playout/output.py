"""`radio-output STATION`: one FFmpeg for each destination, from the local relay to the platform, without encoding.

They are children of this process and not of the playout, so that a playout which dies and comes back costs no
platform session. Each has its own state, its own reconnects and its own words; one dead platform touches no other.

Which relay key is on the air is asked of the playout every second. When the timeline turns over to another key
(see `lines`), the destinations move one at a time, each right before a keyframe, and the playout is told when all
have: a primary and its backup are never away together.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hook_service import ipc, settings
from hook_service.observe import log, notify
from hook_service.playout import commands, state
from hook_service.playout.control import Control, Message
from hook_service.playout.lines import other_key
from hook_service.playout.process import Process
from hook_service.playout.procfs import queued_bytes
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy, State

_log = logging.getLogger("radio.output")

POLICY = Policy(stale=8.0, spawning=12.0, backoff=0.5, backoff_limit=8.0, slow=10.0)
# A destination's FFmpeg needs half a second from the end of the one before to the relay, more on a busy host. Begun
# so long before a keyframe, it is there when the keyframe comes.
_MOVE_LEAD_SECONDS = 0.8
_MOVE_PATIENCE_SECONDS = 15.0
# FFmpeg tells of its progress every second, unless it waits for its platform.
_PROGRESS_SECONDS = 1.5


class Lag:
    """How far what a destination's FFmpeg has sent is behind the timeline.

    Its `-progress` counts from the first frame that it was given, which came right from the timeline: the least that
    it was ever behind is what it is behind by nature.
    """

    def __init__(self) -> None:
        self._of: tuple[int | None, str] | None = None
        self._told_at = 0.0
        self._behind = self._least = 0.0

    def seconds(
        self, process: Process, key: str, timeline: tuple[str, float, float] | None, now: float
    ) -> float | None:
        """Seconds behind; None before anything was sent.

        `timeline` is a line's key, its time in seconds, and the `now` at which it was that.
        """
        if timeline is None or timeline[0] != key or process.state is not State.RUNNING or not process.progress:
            return None
        if self._of != (process.pid, key):
            self._of, self._told_at, self._least = (process.pid, key), 0.0, float("inf")
        if process.told_at != self._told_at:
            self._told_at = process.told_at
            line_seconds = timeline[1] + self._told_at - timeline[2]
            self._behind = line_seconds - process.progress["out_time_ms"] / 1000
            self._least = min(self._least, self._behind)
        waits = max(0.0, now - self._told_at - _PROGRESS_SECONDS)
        return round(self._behind - self._least + waits, 3)


class Destination:
    """One platform's process, and the relay key that it reads or will read at its next start."""

    def __init__(
        self,
        reactor: Reactor,
        station: settings.Station,
        target: settings.Destination,
        key: str,
        on_state: Callable[[Process], None],
        source_away: Callable[[], bool],
    ) -> None:
        self.target = target
        self.relay_key = key
        self.lag_seconds: float | None = None
        self._lag = Lag()
        self._station = station
        self._secrets = station.run / f"destination-{station.shortcode}-{target.name}.ffpreset"
        self.process = Process(
            reactor,
            f"destination:{target.name}",
            POLICY,
            self._command,
            progress=True,
            on_state=on_state,
            excused=source_away,
            redact=self._redact,
        )

    def _command(self) -> list[str]:
        # Written at every start: the run directory may have been swept.
        self._secrets.unlink(missing_ok=True)
        file = os.open(self._secrets, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(commands.destination_secrets(self.target))
        relay = f"rtmp://{self._station.relay_rtmp}/live/{self.relay_key}"
        return commands.destination(relay, self.target, self._secrets)

    def _redact(self, text: str) -> str:
        return text.replace(self.target.key, "***") if self.target.key else text

    def look(self, timeline: tuple[str, float, float] | None) -> None:
        """To be called every second, with where the timeline is."""
        self.lag_seconds = self._lag.seconds(self.process, self.relay_key, timeline, time.monotonic())

    def status(self) -> Message:
        """For the control socket."""
        pid = self.process.pid
        return {
            **self.process.status(),
            "relay_key": self.relay_key,
            "backup_of": self.target.backup_of,
            "queue_bytes": None if pid is None else queued_bytes(pid),
            "lag_seconds": self.lag_seconds,
        }

    def forget_secrets(self) -> None:
        """Take the option file away."""
        self._secrets.unlink(missing_ok=True)


class Output:
    """All destinations of one station."""

    def __init__(self, station: settings.Station) -> None:
        self._station = station
        self._reactor = reactor = Reactor()
        self._control = Control(reactor, station.output_socket, {"status": self._status})
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
        reactor.stop_on_signals(self._stop)
        interval = notify.watchdog_interval()
        if interval is not None:
            reactor.every(interval, notify.watchdog)
        for destination in self._destinations:
            destination.process.want(True)
        reactor.every(1.0, self._look)
        notify.ready()
        reactor.run()

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

    def _status(self, _message: Message) -> Message:
        processes = [destination.status() for destination in self._destinations]
        return {"station": self._station.shortcode, "pid": os.getpid(), "processes": processes}

    def _stop(self) -> None:
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
