"""From what a station's processes tell to its history, its error log and its counters.

The playout alone knows what came on the air, and when: a play enters the history with its first frame, and one that
was superseded before never does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import NAMESPACE_OID, UUID, uuid5

from hook_service.observe.metrics import TRANSITIONS, Metrics
from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.policies import RULE
from hook_service.web.plays import Memory, Play

DOWN = 60.0
"""Seconds after which a host on which neither this process nor the same playout ran was down."""

log = logging.getLogger("radio.web")


class Recorder(Protocol):
    """Where history and errors go: `store.outbox.Outbox`. A record whose id was there before is not written again."""

    def play_started(
        self,
        event_id: str,
        event: TrackEvent,
        *,
        loop: str,
        rule: str,
        mapping_id: int | None,
        started_at: float,
        publisher_pid: int | None,
        request_id: str,
    ) -> None:
        """A play came on the air."""

    def play_told(
        self,
        event_id: str,
        event: TrackEvent,
        *,
        loop: str | None,
        rule: str | None,
        mapping_id: int | None,
        request_id: str,
    ) -> None:
        """More is known of a play that came on the air; `loop` None where its picture stays what it was."""

    def play_ended(self, event_id: str, *, ended_at: float, had_errors: bool, error_message: str | None) -> None:
        """A play left the air."""

    def error(
        self,
        event_id: UUID,
        timestamp: float,
        *,
        station: str,
        service: str,
        severity: str,
        message: str,
        context: Mapping[str, Any],
    ) -> None:
        """An error for the log."""


class Chronicle:
    """Writes one station's history. Safe to share between threads; `lock` also guards the memory.

    `another_playout` is called when the playout turns out to be another process than before, `sound` with what it
    tells of titles and of the mount. `alive_before` is when a process before this one was last alive, in Unix
    seconds.
    """

    def __init__(
        self,
        station: str,
        *,
        memory: Memory,
        recorder: Recorder,
        metrics: Metrics,
        another_playout: Callable[[], None],
        sound: Callable[[dict[str, Any]], None],
        alive_before: float | None,
    ) -> None:
        self.lock = threading.RLock()
        self._station = station
        self._memory = memory
        self._recorder = recorder
        self._metrics = metrics
        self._another = another_playout
        self._sound = sound
        self._alive_before = alive_before
        self._trouble: str | None = None  # the playout's last error since something came on the air

    def from_playout(self, event: dict[str, Any]) -> None:
        """An event of the playout."""
        kind = event.get("kind")
        memory = self._memory
        with self.lock:
            if kind == "on_air":
                self._on_air(event)
            elif kind == "superseded":
                play_id = str(event.get("play_id"))
                # The newest can only have been superseded by itself, ordered again.
                if play_id not in (memory.current, next(reversed(memory.plays), None)):
                    memory.plays.pop(play_id, None)
            elif kind == "error":
                self._trouble = self._error(event, "radio-playout")
            elif kind in ("title", "mount"):
                self._sound(event)
            memory.marks["playout"] = (event["boot"], event["seq"])
            memory.save()

    def from_output(self, event: dict[str, Any]) -> None:
        """An event of the outputs."""
        with self.lock:
            if event.get("kind") == "error":
                self._error(event, "radio-output")
            self._memory.marks["output"] = (event["boot"], event["seq"])
            self._memory.save()

    def began_unseen(self, play: Play, loop: str, rule: str) -> None:
        """A play began while `loop` is shown whatever begins."""
        with self.lock:
            self._begun(play, play.at, loop, rule, None, None)
            self._memory.save()
        log.info("Track began", extra={"context": {**about(play), "loop_path": loop, "rule": rule}})

    def seen_again(self, play: Play) -> None:
        """The play on the air, which may have begun unseen, has its own picture from now on."""
        resolution = play.resolution
        if play.event.online:
            self._recorder.play_told(
                play.play_id,
                play.event,
                loop=resolution.loop,
                rule=resolution.rule,
                mapping_id=resolution.mapping_id,
                request_id=play.request_id,
            )

    def went_offline(self, at: float) -> None:
        """The station's track is over; the picture stays until there is another."""
        with self.lock:
            self._end_current(at)
            self._memory.save()

    def complain(self, event_id: UUID, severity: str, message: str, context: dict[str, Any]) -> None:
        """An error that this process has found itself: to the log, the error log and the counter."""
        log.log(logging.getLevelName(severity), message, extra={"context": {"station": self._station, **context}})
        self._metrics.error(self._station, severity)
        self._recorder.error(
            event_id,
            time.time(),
            station=self._station,
            service="radio-web",
            severity=severity,
            message=message,
            context=context,
        )

    def _on_air(self, event: dict[str, Any]) -> None:
        memory = self._memory
        at, loop, reason = float(event["at"]), str(event.get("loop") or ""), str(event.get("reason"))
        if event["boot"] != memory.marks.get("playout", ("", 0))[0]:
            self._another_playout(at)
        if event.get("transition") in TRANSITIONS:
            self._metrics.transitions.labels(self._station, event["transition"]).inc()
        play = memory.plays.get(str(event.get("play_id")))
        trouble, self._trouble = self._trouble, None
        if play is None:
            return  # not a track's: the default loop of a playout without a past, or a switch made by hand
        if memory.current == play.play_id:
            # Once more: its loop fell away or was mended, or the playout came back with it.
            if loop not in (play.resolution.loop, *play.before):
                memory.fault = memory.fault or trouble or f"shown with {loop} ({reason})"
            return
        pid = event.get("publisher_pid")
        decided_by = "policy" if play.resolution.rule == RULE else play.decided_by
        self._begun(play, at, loop, play.resolution.rule, play.resolution.mapping_id, pid)
        memory.switch = {"at": at, "decided_by": decided_by, "scene": play.scene}
        self._metrics.switches.labels(self._station, decided_by).inc()
        if not play.event.online:
            return
        if loop not in (play.resolution.loop, *play.before):
            memory.fault = trouble or f"shown with {loop} ({reason})"
        if play.decided_by == "webhook":
            self._metrics.switch_seconds.labels(self._station).observe(max(0.0, at - play.received))
        context = {
            **about(play),
            "loop_path": loop,
            "ffmpeg_pid": pid,
            "reason": reason,
            "decided_by": decided_by,
            "seconds": round(at - play.received, 3),
        }
        log.info("Track switched", extra={"context": context})

    def _begun(self, play: Play, at: float, loop: str, rule: str, mapping_id: int | None, pid: int | None) -> None:
        self._end_current(at)
        if play.event.online:  # without a track it has no row
            self._recorder.play_started(
                play.play_id,
                play.event,
                loop=loop,
                rule=rule,
                mapping_id=mapping_id,
                started_at=at,
                publisher_pid=pid,
                request_id=play.request_id,
            )
            self._metrics.tracks_played.labels(self._station).inc()
        self._memory.on_air(play.play_id)

    def _another_playout(self, at: float) -> None:
        self._another()
        before, self._alive_before = self._alive_before, None
        if before is not None and at - before > DOWN and self._memory.current is not None:
            self._memory.fault = self._memory.fault or "its end was not seen; nothing ran here from then on"
            self._end_current(before)

    def _end_current(self, at: float) -> None:
        memory = self._memory
        if memory.current is not None:
            fault, play = memory.fault, memory.plays.pop(memory.current, None)
            if play is None or play.event.online:
                self._recorder.play_ended(
                    memory.current, ended_at=at, had_errors=fault is not None, error_message=fault
                )
            memory.current = memory.fault = None

    def _error(self, event: dict[str, Any], service: str) -> str:
        severity, message = str(event.get("severity", "ERROR")), str(event.get("message", ""))
        context = event.get("context")
        context = dict(context) if isinstance(context, dict) else {}
        play = self._memory.plays.get(str(context.get("play_id")))
        if play is not None:
            context["request_id"] = play.request_id
            if play.play_id == self._memory.current and severity != "WARNING":
                self._memory.fault = self._memory.fault or message
        self._metrics.error(self._station, severity)
        self._recorder.error(
            # The same event read again, after a restart of this process, is the same row.
            uuid5(NAMESPACE_OID, f"{service} {self._station} {event['boot']} {event['seq']}"),
            float(event["at"]),
            station=self._station,
            service=service,
            severity=severity,
            message=message,
            context=context,
        )
        return message


def about(play: Play) -> dict[str, Any]:
    """A play as the context of a log line, under the original architecture's keys and this project's."""
    return {
        "station": play.event.station,
        "artist": play.event.artist,
        "title": play.event.title,
        "loop_path": play.resolution.loop,
        "rule": play.resolution.rule,
        "play_id": play.play_id,
        "request_id": play.request_id,
    }
