"""One station's direction: from an admitted webhook to a switch at the playout.

A webhook is judged at once, by the gate, and put into a slot that holds one event: a worker takes the newest, so
that a burst costs one switch. What comes of it is written down by the chronicle.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

from hook_service import ipc
from hook_service.observe.metrics import Metrics
from hook_service.tracks.gate import Gate, Verdict
from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.resolver import Resolution, Resolver
from hook_service.web.chronicle import Chronicle, Recorder, about
from hook_service.web.follower import Follower
from hook_service.web.plays import Memory, Play

PACE = 0.1
"""Seconds between two switches. The first of a burst is not held back, the newest follows after this."""
RETRY_FIRST, RETRY_LAST = 0.25, 5.0
GIVE_UP = 900.0
"""Seconds that a switch is tried for while the playout is away: by then its track is over."""

log = logging.getLogger("radio.web")


@dataclass(frozen=True, slots=True)
class _Order:
    event: TrackEvent
    received: float
    request_id: str


class Director:
    """Directs one station. `start()` begins its threads, `stop()` ends them.

    `run` is the directory of the processes' sockets, `resolver` gives one for the mappings as they are now,
    `switch_delay` is in seconds, `alive_before` is when a process before this one was last alive (Unix seconds).
    """

    def __init__(
        self,
        station: str,
        *,
        run: Path,
        memory: Memory,
        resolver: Callable[[], Resolver],
        recorder: Recorder,
        metrics: Metrics,
        switch_delay: float,
        alive_before: float | None = None,
    ) -> None:
        self.station = station
        self.playout = run / f"playout-{station}.sock"
        self._memory = memory
        self._resolver = resolver
        self._metrics = metrics
        self._switch_delay = switch_delay
        self._gate = Gate()
        self._gate.restore(memory.gate)
        self._chronicle = Chronicle(
            station,
            memory=memory,
            recorder=recorder,
            metrics=metrics,
            another_playout=self._look_again,
            alive_before=alive_before,
        )
        self._wake = threading.Condition()  # guards the slot
        self._order: _Order | None = None
        self._recheck = True  # a switch may have been on its way when the process before this one ended
        self._stopping = False
        self._worker = threading.Thread(target=self._work, name=f"direct-{station}", daemon=True)
        output = run / f"output-{station}.sock"
        self._followers = (
            Follower(self.playout, self._chronicle.from_playout, memory.marks.get("playout")),
            Follower(output, self._chronicle.from_output, memory.marks.get("output")),
        )

    def start(self) -> None:
        """Begin to act and to follow."""
        self._worker.start()
        for follower in self._followers:
            follower.start()

    def stop(self) -> None:
        """End the worker and keep what is known. Nothing is handed on from here."""
        for follower in self._followers:
            follower.stop()
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._worker.is_alive():
            self._worker.join(timeout=2)
        self._keep(None)

    def offer(self, event: TrackEvent, received: float, request_id: str) -> Verdict:
        """Judge an event; a fresh one will be acted on. `received` is in Unix seconds. Does not block."""
        # Judged and put into the slot in one step: two threads must not swap the order the gate has found.
        with self._wake:
            verdict = self._gate.admit(event)
            if verdict in ("fresh", "offline"):
                self._order = _Order(event, received, request_id)
                self._wake.notify_all()
        return verdict

    def track(self) -> dict[str, Any] | None:
        """The track on the air; None where none is, or none is known."""
        with self._chronicle.lock:
            play = self._memory.plays.get(self._memory.current or "")
        if play is None:
            return None
        event = play.event
        return {
            "artist": event.artist,
            "title": event.title,
            "album": event.album,
            "play_id": play.play_id,
            "rule": play.resolution.rule,
            "loop_path": play.resolution.loop,
        }

    def show(self, loop: str, request_id: str) -> dict[str, Any]:
        """Show a loop now, by hand, until the next track. The playout's answer; raises ipc.PeerDown."""
        default = self._resolver().default_loop(self.station)
        message = {"op": "switch", "play_id": None, "loop": loop, "default": default, "at": None}
        answer = ipc.request(self.playout, message)
        context = {"station": self.station, "loop_path": loop, "request_id": request_id}
        log.info("Loop ordered by hand", extra={"context": context})
        return answer

    def _look_again(self) -> None:
        with self._wake:
            self._recheck = True
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while self._order is None and not self._recheck and not self._stopping:
                    self._wake.wait()
                if self._stopping and self._order is None:
                    return
                order, self._order = self._order, None
                self._recheck = False
            try:
                if order is not None:
                    self._act(order)
                else:
                    self._order_again()
            except Exception:
                context = {"station": self.station, "request_id": order.request_id if order else None}
                log.exception("Switch not ordered", extra={"context": context})
            with self._wake:
                self._wake.wait_for(lambda: self._stopping, PACE)

    def _act(self, order: _Order) -> None:
        if not order.event.online:
            self._chronicle.went_offline(order.received)
            context = {"station": self.station, "request_id": order.request_id}
            log.info("Station went offline", extra={"context": context})
            return
        resolver = self._resolver()
        shown = order.received + self._switch_delay
        resolution = resolver.resolve(order.event, datetime.fromtimestamp(shown, UTC))
        play = Play(str(uuid4()), order.event, resolution, order.received, order.request_id)
        if resolution.rule in ("time_of_day", "default"):
            self._metrics.tracks_unmapped.labels(self.station).inc()
        # Kept before it is sent: when this process dies now, the next one knows what came on the air.
        self._keep(play)
        sent = self._send(play)
        for number, problem in enumerate(resolution.problems):
            self._complain(play, f"problem {number}", "WARNING", "A mapping leads to no loop", problem)
        following = resolver.resolve_next(order.event) if sent else None
        if following is not None and following.loop != resolution.loop:
            self._warm(following)

    def _order_again(self) -> None:
        """Send the newest play once more where the playout neither shows it nor has it waiting."""
        with self._chronicle.lock:
            newest = next(reversed(self._memory.plays.values()), None)
            if newest is None or newest.play_id == self._memory.current:
                return
        if time.time() > newest.received + GIVE_UP:
            return
        try:
            status = ipc.request(self.playout, {"op": "status"})
        except ipc.PeerDown:
            pass  # sending tries until it is there
        else:
            waiting = (status.get("on_air"), status.get("next"))
            if any(isinstance(entry, dict) and entry.get("play_id") == newest.play_id for entry in waiting):
                return
        log.info("Switch is ordered again", extra={"context": about(newest)})
        self._send(newest)

    def _send(self, play: Play) -> bool:
        """Give the playout the switch; tries until it takes it, another order comes, or the track must be over."""
        message = {
            "op": "switch",
            "play_id": play.play_id,
            "loop": play.resolution.loop,
            "default": play.resolution.default,
            "at": play.received + self._switch_delay,
            "request_id": play.request_id,
        }
        wait = RETRY_FIRST
        while True:
            try:
                answer = ipc.request(self.playout, message)
            except ipc.PeerDown as error:
                if wait == RETRY_FIRST:
                    self._complain(play, "away", "ERROR", "The playout does not take a switch", error.why)
            else:
                if answer.get("ok"):
                    log.info("Switch ordered", extra={"context": about(play)})
                    return True
                self._complain(play, "refused", "ERROR", "The playout refused a switch", str(answer.get("error")))
                return False
            with self._wake:
                if self._wake.wait_for(lambda: self._stopping or self._order is not None, wait):
                    return False
            wait = min(2 * wait, RETRY_LAST)
            if time.time() > play.received + GIVE_UP:
                log.error("Switch given up", extra={"context": about(play)})
                return False

    def _warm(self, following: Resolution) -> None:
        try:
            ipc.request(self.playout, {"op": "warm", "loop": following.loop})
        except ipc.PeerDown as error:
            log.debug("Next loop not announced", extra={"context": {"why": error.why}})

    def _complain(self, play: Play, what: str, severity: str, message: str, why: str) -> None:
        self._chronicle.complain(uuid5(UUID(play.play_id), what), severity, message, {**about(play), "why": why})

    def _keep(self, play: Play | None) -> None:
        with self._chronicle.lock:
            if play is not None:
                self._memory.add(play)
            self._memory.gate = self._gate.state()
            self._memory.save()
