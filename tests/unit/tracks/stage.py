"""A story in virtual time, with a gate before it and a playout behind it, both as the director has them."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from hook_service.tracks.gate import Gate
from hook_service.tracks.nowplaying import Source, TrackEvent
from hook_service.tracks.scenes import Decision, Plot, Title
from hook_service.tracks.story import Story

START = 1_800_000_000.0


def event(title: str, number: int | None = None, *, artist: str = "Artist", **more: Any) -> TrackEvent:
    """The event of play `number`, which began 100 s after the play before."""
    if number is not None:
        more = {"sh_id": number, "played_at": START + 100.0 * number, "song_id": f"{title}-id", **more}
    return TrackEvent(station="demo", artist=artist, title=title, **more)


def offline() -> TrackEvent:
    return TrackEvent(station="demo", title="Station Offline", sh_id=0, played_at=0, online=False)


@dataclass
class Stage:
    """Times given to it are seconds since START."""

    delay: float = 3.0
    known: Callable[[TrackEvent], bool] = lambda event: True
    names: Collection[str] = ("Demo FM",)
    trusted: bool = False
    mounted: bool = True
    now: float = 0.0
    decisions: list[Decision] = field(default_factory=list)
    shown: list[tuple[float, str]] = field(default_factory=list)
    """When each switch came on the air, and whose it is."""
    pictures: list[tuple[float, str]] = field(default_factory=list)
    """The same, and what an event that came later made of it."""
    _queue: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _pending: Decision | None = None

    def __post_init__(self) -> None:
        self.gate = Gate(clock=lambda: START + self.now)
        self.story = self._story(Plot(trusted=self.trusted))
        if self.mounted:
            self.story.mount("connected", "icy")

    def _story(self, plot: Plot) -> Story:
        return Story("demo", switch_delay=self.delay, known=self.known, names=self.names, plot=plot)

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, len(self._queue), action))

    def told(self, when: float, told: TrackEvent, source: Source = "webhook") -> None:
        def tell() -> None:
            verdict = self.gate.admit(told)
            self.story.told(told, source, START + self.now, f"{source}-{when}", verdict)

        self.at(when, tell)

    def heard(self, sound_at: float, text: str, *, told_at: float | None = None, change: bool = True) -> None:
        title = Title(text=text, sound_at=START + sound_at, change=change)
        when = sound_at - 2.0 if told_at is None else told_at
        self.at(when, lambda: self.story.heard(title, START + self.now))

    def mount(self, when: float, state: str, via: Any = "icy") -> None:
        self.at(when, lambda: self.story.mount(state, via))

    def restart(self, when: float) -> None:
        """The process ends, and another goes on from what was kept."""

        def again() -> None:
            kept = json.loads(json.dumps(self.story.plot.to_json()))
            self.story = self._story(Plot.from_json(kept))
            assert self.story.plot == Plot.from_json(kept)
            state = json.loads(json.dumps(self.gate.state()))
            self.gate = Gate(clock=lambda: START + self.now)
            self.gate.restore(state)
            self.story.resume(START + self.now)

        self.at(when, again)

    def run(self, until: float) -> None:
        """Let time pass: what is told and heard happens, and what is due is done, each at its moment."""
        while True:
            times = [self._queue[0][0]] if self._queue else []
            due = self.story.next_due
            times += [max(self.now, due - START)] if due is not None else []
            times += [max(self.now, self._pending.at - START)] if self._pending is not None else []
            when = min(times, default=until)
            if when > until:
                break
            self.now = max(self.now, when)
            self._air()
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            self._decide()
            self._air()
            if not times:
                break
        self.now = until

    def _decide(self) -> None:
        for decision in self.story.due(START + self.now):
            self.decisions.append(decision)
            if decision.kind == "switch":
                self._pending = decision
            elif decision.kind == "enrich" and decision.newest and self._pending is None:
                self.pictures.append((self.now, decision.event.title))
        due = self.story.next_due
        assert due is None or due > START + self.now, "it must not ask for what it has just been given"

    def _air(self) -> None:
        if self._pending is not None and self._pending.at <= START + self.now:
            self.shown.append((round(self.now, 3), self._pending.event.title))
            self.pictures.append(self.shown[-1])
            self._pending = None

    def kinds(self, kind: str) -> list[Decision]:
        return [decision for decision in self.decisions if decision.kind == kind]

    @property
    def titles(self) -> list[str]:
        return [title for _, title in self.shown]
