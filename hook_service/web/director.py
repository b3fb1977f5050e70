"""One station's direction: from what its sources tell to switches at the playout.

What is told is judged by the gate and put into the story, which merges it with the titles in the sound and says what
is due. A worker carries that out: it knows the loops and the playout. What comes of it is written down by the
chronicle.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from hook_service.observe.metrics import Metrics
from hook_service.tracks import schedule
from hook_service.tracks.gate import Gate, Verdict
from hook_service.tracks.nowplaying import Source, TrackEvent
from hook_service.tracks.policies import Policies, is_known
from hook_service.tracks.resolver import Resolver
from hook_service.tracks.scenes import Title
from hook_service.tracks.story import Story
from hook_service.web.cards import Cards
from hook_service.web.casting import Casting
from hook_service.web.chronicle import Chronicle, Recorder, about
from hook_service.web.follower import Follower
from hook_service.web.manual import Manual
from hook_service.web.orders import Orders
from hook_service.web.plays import Memory, Play
from hook_service.web.sources import Known

PACE = 0.1
"""Seconds between two switches. The first of a burst is not held back, the newest follows after this."""

log = logging.getLogger("radio.web")


class Director:
    """Directs one station. `start()` begins its threads, `stop()` ends them.

    `run` is the directory of the processes' sockets, `resolver` gives one for the mappings as they are now,
    `switch_delay` is in seconds, `names` are what else the station is called, `alive_before` is when a process before
    this one was last alive (Unix seconds). `cards` gives each track its card; None: there are none.
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
        policies: Policies | None = None,
        names: Collection[str] = (),
        alive_before: float | None = None,
        cards: Cards | None = None,
    ) -> None:
        self.station = station
        playout = run / f"playout-{station}.sock"
        self._cards = cards
        self._bare = False
        """Whether the loop was left on the air when the track that its card names was over."""
        self._orders = Orders(playout, pause=self._pause, complain=self._complain, held=self._held, card=self._card)
        self._memory = memory
        self._resolver = resolver
        self._metrics = metrics
        self._policies = policies or Policies()
        self._gate = Gate()
        self._gate.restore(memory.gate)
        self._story = Story(station, switch_delay=switch_delay, known=self._known, names=names, plot=memory.story())
        self._story.resume(time.time())
        self._chronicle = Chronicle(
            station,
            memory=memory,
            recorder=recorder,
            metrics=metrics,
            another_playout=lambda: self._look(again=True),
            sound=self._sound,
            alive_before=alive_before,
        )
        self._casting = Casting(
            station,
            memory=memory,
            resolver=resolver,
            policies=self._policies,
            chronicle=self._chronicle,
            recorder=recorder,
            metrics=metrics,
            held=self._held,
        )
        self.manual = Manual(
            station,
            memory=memory,
            chronicle=self._chronicle,
            orders=self._orders,
            default=lambda: self._resolver().default_loop(station),
            wake=self._look,
        )
        # Guards the gate and the story. Who holds the chronicle's lock may take this one, never the other way round.
        self._wake = threading.Condition()
        self._told = False
        self._recheck = True  # a switch may have been on its way when the process before this one ended
        self._stopping = False
        self._worker = threading.Thread(target=self._work, name=f"direct-{station}", daemon=True)
        output = run / f"output-{station}.sock"
        self._followers = (
            Follower(playout, self._chronicle.from_playout, memory.marks.get("playout")),
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
        with self._chronicle.lock:
            self._keep()

    def offer(self, event: TrackEvent, received: float, request_id: str, source: Source = "webhook") -> Verdict:
        """Judge an event; the story has it from here. `received` is in Unix seconds. Does not block.

        `request_id` is what the log and the history name it by.
        """
        # Judged and told in one step: two threads must not swap the order the gate has found.
        with self._wake:
            verdict = self._gate.admit(event)
            before = self._story.plot.newest
            self._story.told(event, source, received, request_id, verdict)
            # Most of what SSE and poll tell is known already: then there is nothing to do and nothing to keep.
            if verdict in ("fresh", "offline") or self._story.plot.newest is not before:
                self._told = True
                self._wake.notify_all()
        # A webhook's sender was answered with the id. The others repeat themselves all the time.
        level = logging.INFO if source == "webhook" or verdict in ("fresh", "offline") else logging.DEBUG
        if log.isEnabledFor(level):
            context = {"station": self.station, "source": source, "result": verdict, "request_id": request_id}
            context |= {"artist": event.artist, "title": event.title}
            if verdict == "duplicate" and before is not None:
                context["same_as"] = before.request_id
            log.log(level, "Told of a track", extra={"context": context})
        return verdict

    def track(self) -> dict[str, Any] | None:
        """The track on the air; None where none is, or none is known."""
        with self._chronicle.lock:
            return self._memory.track()

    def following(self) -> dict[str, Any] | None:
        """The song that comes next, with the loop that it would have now; None where nobody has told of one."""
        with self._wake:
            coming = self._story.coming()[:1]
        if not coming:
            return None
        event, pictures = coming[0], self._casting.pictures(coming)
        loop = pictures[0][0] if pictures else None
        return {"artist": event.artist, "title": event.title, "album": event.album, "loop_path": loop}

    def known(self) -> Known:
        """How the story is, for the API and the metrics."""
        with self._chronicle.lock:
            switch = self._memory.switch
        with self._wake:
            return Known.of(self._story.plot, switch)

    def nudge(self) -> None:
        """Look again at what is to be made ready: something that was waited for is there."""
        with self._wake:
            self._told = True
            self._wake.notify_all()

    def _card(self, play: Play) -> dict[str, Any] | None:
        if self._cards is None or not play.resolution.loop:
            return None
        return self._cards.of(play.event)[0]

    def _known(self, event: TrackEvent) -> bool:
        return is_known(self._resolver(), self._policies, event)

    def _held(self) -> bool:
        return self.manual.override is not None

    def _look(self, *, again: bool = False) -> None:
        with self._wake:
            self._told, self._recheck = True, self._recheck or again
            self._wake.notify_all()

    def _sound(self, event: dict[str, Any]) -> None:
        """What the playout tells of the sound. The chronicle holds its lock, and saves what becomes of it."""
        with self._wake:
            if event["kind"] == "mount":
                self._story.mount(str(event["state"]), event["titles"] if event["titles"] in ("icy", "ogg") else None)
            else:
                title = Title(
                    text=str(event["text"]),
                    artist=event.get("artist") or "",
                    title=event.get("title") or "",
                    sound_at=float(event["sound_at"]),
                    change=bool(event["change"]),
                )
                self._story.heard(title, time.time())
            # Both, or an event that is in the story could be taken for a new one.
            self._memory.gate, self._memory.plot = self._gate.state(), json.dumps(self._story.plot.to_json())
            self._told = True
            self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._stopping or self._told or self._recheck or self._is_due()):
                    self._wake.wait(self._until_due())
                if self._stopping and not self._is_due():
                    return
                recheck, self._recheck = self._recheck, False
                self._told = False
            acted = True
            try:
                acted = self._act(recheck)
                self._make_ready()
            except Exception:
                log.exception("Not directed", extra={"context": {"station": self.station}})
            with self._wake:
                self._wake.wait_for(lambda: self._stopping, PACE if acted else 0.0)

    def _act(self, recheck: bool) -> bool:
        """Do what is due, or look after what was done; whether anything was due."""
        plays = self._decide()
        for play in plays:
            self._carry_out(play)
        self.manual.look()
        newest = self._newest()
        if recheck and self._held():
            self.manual.again()
        elif recheck and not plays and newest is not None and newest.play_id != self._memory.current:
            self._orders.again(newest)
        return bool(plays)

    def _is_due(self) -> bool:
        wait = self._until_due()
        return wait is not None and wait <= 0

    def _until_due(self) -> float | None:
        due = min((at for at in (self._story.next_due, self.manual.next_due) if at is not None), default=None)
        return None if due is None else max(0.0, due - time.time())

    def _decide(self) -> list[Play]:
        """What is due, as plays for the playout. Kept before it is sent: when this process dies then, the next one
        knows what came on the air.
        """
        # In one step with what is kept: neither may know of a decision without the other.
        with self._chronicle.lock:
            with self._wake:
                decisions = self._story.due(time.time())
            plays = [self._casting.play(decision) for decision in decisions]
            for decision, play in zip(decisions, plays, strict=True):
                if play is not None:
                    self._bare = False
                elif decision.kind in ("ended", "offline") or decision.event.is_live:
                    self._bare = True
            self._keep()
        return [play for play in plays if play is not None]

    def _carry_out(self, play: Play) -> None:
        self._orders.send(play)
        for number, problem in enumerate(play.resolution.problems):
            self._complain(play, f"problem {number}", "WARNING", "A mapping leads to no loop", problem)

    def _make_ready(self) -> None:
        """Announce the loops of what comes."""
        with self._wake:
            coming, following = self._story.coming(), schedule.following(self._story.plot)
        newest = self._newest()
        shown = newest.resolution.loop if newest is not None else None
        pictures: list[tuple[str, dict[str, Any] | None]] = []
        for loop, event in self._casting.pictures(coming):
            card = self._cards.of(event)[0] if self._cards is not None else None
            if loop != shown or card is not None:
                pictures.append((loop, card))
        self._orders.announce(pictures)
        if self._bare or self._held():
            self._orders.undress()
        elif newest is not None and self._cards is not None and self._cards.of(newest.event)[1]:
            self._orders.dress(newest, self._card(newest))
        # What is held by hand stays: nothing is to be made for a switch that will not be.
        if following is not None and not self._held():
            for loop, event in self._casting.pictures([following.event]):
                self._orders.foretell(
                    loop, following.at, self._cards.of(event)[0] if self._cards is not None else None
                )

    def _newest(self) -> Play | None:
        with self._chronicle.lock:
            return next(reversed(self._memory.plays.values()), None)

    def _pause(self, seconds: float) -> bool:
        """Wait; whether something newer is due, or everything is to end."""
        until = time.monotonic() + seconds
        with self._wake:
            while not (self._stopping or self._is_due()):
                left = until - time.monotonic()
                if left <= 0:
                    return False
                due = self._until_due()
                self._wake.wait(left if due is None else min(left, due))
        return True

    def _complain(self, play: Play, what: str, severity: str, message: str, why: str) -> None:
        self._chronicle.complain(uuid5(UUID(play.play_id), what), severity, message, {**about(play), "why": why})

    def _keep(self) -> None:
        """Save everything. The chronicle's lock is held."""
        with self._wake:
            self._memory.gate = self._gate.state()
            plot = self._story.plot
            for source, offset in plot.measured:
                self._metrics.source_offset.labels(self.station, source).observe(offset)
            for reason in plot.dropped:
                self._metrics.events_dropped.labels(self.station, reason).inc()
            plot.measured, plot.dropped = [], []
            document = plot.to_json()
        self._memory.plot = json.dumps(document)
        self._memory.save()
