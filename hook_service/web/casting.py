"""From the story's decisions to plays: which picture each gets, and what becomes of a play of which more is known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from hook_service.observe.metrics import Metrics
from hook_service.tracks import policies as policy
from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.policies import Policies
from hook_service.tracks.resolver import Resolution, Resolver
from hook_service.tracks.scenes import Decision
from hook_service.web.chronicle import Chronicle, Recorder, about
from hook_service.web.plays import Memory, Play

log = logging.getLogger("radio.web")


class Casting:
    """Of one station. The chronicle's lock is held where plays are made."""

    def __init__(
        self,
        station: str,
        *,
        memory: Memory,
        resolver: Callable[[], Resolver],
        policies: Policies,
        chronicle: Chronicle,
        recorder: Recorder,
        metrics: Metrics,
        held: Callable[[], bool],
    ) -> None:
        """`held()` says whether the picture is no track's now."""
        self._station = station
        self._memory = memory
        self._resolver = resolver
        self._policies = policies
        self._chronicle = chronicle
        self._recorder = recorder
        self._metrics = metrics
        self._held = held

    def pictures(self, events: Iterable[TrackEvent]) -> list[tuple[str, TrackEvent]]:
        """The loops of events that have one, in their order."""
        resolver, now = self._resolver(), datetime.now(UTC)
        found = [(policy.resolve(resolver, self._policies, event, now), event) for event in events]
        return [(each.loop, event) for each, event in found if each is not None and each.loop]

    def play(self, decision: Decision) -> Play | None:
        """What a decision means for the playout; None where the picture stays."""
        if decision.kind == "ended":
            self._chronicle.went_offline(decision.at)
            context = {"station": self._station, "request_id": decision.request_id}
            log.info("Station went offline", extra={"context": context})
            return None
        if decision.kind == "enrich":
            play = self._memory.of_scene(decision.scene)
            if play is not None or decision.scene in self._memory.rows:
                return self._more_known(decision, play)
            if not decision.newest:
                return None
        resolution = self._resolve(decision)
        if resolution is None:
            return None
        if resolution.rule in ("time_of_day", "default"):
            self._metrics.tracks_unmapped.labels(self._station).inc()
        play = Play(
            str(uuid4()),
            decision.event,
            resolution,
            decision.received,
            decision.request_id or uuid4().hex,
            decision.at,
            decision.decided_by,
            decision.scene,
        )
        self._memory.add(play)
        return play

    def _more_known(self, decision: Decision, play: Play | None) -> Play | None:
        """A late event: the same play, with another picture only where it leads to one and nothing newer is shown."""
        resolution = self._resolve(decision) if play is not None and decision.newest else None
        row = self._memory.rows.get(decision.scene)
        if row is not None:
            shown = None if self._held() else resolution
            loop, rule = (shown.loop, shown.rule) if shown is not None else (None, None)
            mapping_id = shown.mapping_id if shown is not None else None
            self._recorder.play_told(
                row,
                decision.event,
                loop=loop,
                rule=rule,
                mapping_id=mapping_id,
                request_id=decision.request_id,
            )
        if play is None:
            return None
        now, before = resolution or play.resolution, play.resolution.loop
        # The log has it under both ids: that of whoever began it, and that of whoever knows more.
        request_id = decision.request_id or play.request_id
        more = replace(play, event=decision.event, request_id=request_id, resolution=now)
        if now.loop != before:
            more = replace(more, before=(*play.before, before))
        log.info("More is known of a track", extra={"context": {**about(more), "begun_by": play.request_id}})
        self._memory.plays[play.play_id] = more
        return more if now.loop != before else None

    def _resolve(self, decision: Decision) -> Resolution | None:
        at = datetime.fromtimestamp(decision.at, UTC)
        return policy.resolve(self._resolver(), self._policies, decision.event, at)
