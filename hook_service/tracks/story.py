"""What is playing on a station, told by several sources and heard in its sound: one ordered story.

Webhook, SSE and poll say what plays; the titles in the sound say when. The rules, with their numbers, are in
docs/TRANSITIONS.md. Pure: it has no clock and does nothing; the director asks it what is due.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final, cast

from . import identify, matching, merge, schedule
from .gate import Verdict
from .nowplaying import Source, TrackEvent
from .scenes import CONNECTED, Decision, Plot, Scene, Title, Told, Via
from .schedule import EARLY, WAIT
from .track_key import normalise, track_key

UNKNOWN_WAIT: Final = 5.0
"""Seconds that a title which nothing is known of waits for a source that knows more."""
QUIET: Final = 2.0
"""Seconds without a further event after which the newest of a burst of old ones counts."""
TITLES_QUIET: Final = 0.3
"""The same for titles whose sound is past: those of a time when nobody listened come all at once."""
RESUME: Final = 1.0
"""Seconds that a process which was restarted takes to hear what it missed."""
MISSES: Final = 3
"""Events in a row that found no title, after which titles are not trusted any more."""

_UNHEARD: Final = 8


class Story:
    """One station's. Not safe to share between threads.

    `names` are what the station is called: a title that says no more is no song. `known` says whether an event leads
    to more than a default picture. `switch_delay` is in seconds. `plot` is what was known before. All times are unix
    seconds of one clock.
    """

    def __init__(
        self,
        station: str,
        *,
        switch_delay: float,
        known: Callable[[TrackEvent], bool],
        names: Collection[str] = (),
        plot: Plot | None = None,
    ) -> None:
        self.plot = plot or Plot()
        self._station = station
        self._delay = switch_delay
        self._known = known
        self._names = frozenset(normalise(name) for name in (station, *names))

    # What comes in

    def told(
        self, event: TrackEvent, source: Source, received: float, request_id: str = "", verdict: Verdict = "fresh"
    ) -> None:
        """A source tells of an event; `verdict` is the gate's."""
        plot = self.plot
        plot.last_told[source] = received
        told = Told(event, source, received, request_id, {source: received})
        if verdict == "duplicate":
            self._told_again(told)
        elif verdict == "stale":
            plot.dropped.append("stale")
            for scene in plot.scenes:
                if scene.held and scene.stage == "due":
                    scene.at = scene.send_at = max(scene.at, received + QUIET)
        elif verdict == "offline":
            plot.offline, plot.ended, plot.newest = told, False, None
        else:
            resumed = plot.offline is not None
            plot.offline, plot.newest = None, told
            plot.remember(track_key(event.artist, event.title), identify.song_of(event))
            if plot.titled and plot.title is not None and matching.matches(plot.title.text, event):
                self._trust()
            if plot.listens:
                self._told_beside_titles(told, resumed)
            else:
                self._told_alone(told)

    def heard(self, title: Title, received: float) -> None:
        """A title was found in the sound."""
        plot = self.plot
        # What the sound of a mount that is away now still holds is told as well.
        plot.mount, plot.via = plot.mount or CONNECTED, plot.via or "icy"
        if not matching.is_song(title.text, self._names):
            return
        if plot.title is not None and matching.same_title(plot.title.text, title.text) and identify.heard_scene(plot):
            return  # a jingle repeats the title before, and so does a playout that was restarted
        plot.title = title
        if title.change:
            self._trust()
        latest = self._latest()
        untitled = latest is not None and latest.heard is None
        if latest is not None and untitled and matching.matches(title.text, latest.event):
            self._attach(latest, title, received)
        elif not plot.trusted:
            # It may be one that never changes. Where nothing is known and it is plainly a song's, it counts.
            if latest is None:
                scene = self._scene_of(title, received)
                if not scene.alone or self._known(scene.event):
                    plot.add(scene)
        elif latest is not None and untitled and title.sound_at < latest.received - WAIT:
            return  # heard of late: the sound of a time before the event that is shown
        else:
            plot.offline = None
            if latest is not None and untitled and latest.stage == "due":
                self._withdraw(latest)
            plot.add(self._scene_of(title, received))

    def mount(self, state: str, via: Via | None) -> None:
        """The mount is "connected", or in another state; `via` is how its titles come, None where it has none."""
        plot = self.plot
        plot.mount = state
        if state == CONNECTED:
            plot.via = via
            if via is None and plot.unheard:
                self._happen(plot.unheard[-1], plot.unheard[-1].received + self._delay)

    def resume(self, now: float) -> None:
        """Time passed in which nobody listened: what was missed is heard before anything is done."""
        plot = self.plot
        if plot.deadline is not None:
            plot.deadline = max(plot.deadline, now + RESUME)
        for scene in plot.scenes:
            if scene.stage == "due" and scene.at < now:
                scene.send_at = max(scene.send_at, now + RESUME)

    # What comes of it

    @property
    def next_due(self) -> float | None:
        """When `due` has something to do; may be in the past. None where that takes a word from outside."""
        plot = self.plot
        times = [time for time in (plot.deadline, schedule.next_scene(plot)) if time is not None]
        if any(scene.enriched for scene in plot.scenes):
            times.append(0.0)
        if plot.offline is not None:
            times.append(schedule.next_offline(plot, plot.offline))
        return min(times, default=None)

    def due(self, now: float) -> list[Decision]:
        """What is to be done now, in order."""
        plot = self.plot
        decisions = schedule.offline(plot, plot.offline, now) if plot.offline is not None else []
        if plot.deadline is not None and plot.deadline <= now:
            self._no_title_came(now)
        for scene in plot.scenes:
            if scene.enriched:
                scene.enriched = False
                decisions.append(schedule.enrich(plot, scene))
        picked = schedule.pick(plot, now)
        return decisions if picked is None else [*decisions, schedule.switch(picked)]

    def coming(self) -> list[TrackEvent]:
        """Songs that may be shown soon, the nearest first: their pictures can be made ready."""
        plot = self.plot
        found = [scene.event for scene in plot.scenes if scene.stage == "due"]
        found += [told.event for told in reversed(plot.unheard)]
        following = identify.coming_next(plot, self._station)
        return found if following is None else [*found, following]

    # Events

    def _told_again(self, told: Told) -> None:
        """What is known already, perhaps from another source, perhaps with another `next`."""
        plot, event = self.plot, told.event
        if plot.newest is None:
            return
        if event.next not in (None, plot.newest.event.next):
            plot.newest = replace(plot.newest, event=replace(plot.newest.event, next=event.next))
        for waiting in plot.unheard:
            if identify.same_play(waiting.event, event):
                waiting.times.setdefault(told.source, told.received)
        latest = self._latest()
        if latest is not None and identify.same_play(latest.event, event):
            merge.tell(plot, latest, told.times)

    def _told_alone(self, told: Told) -> None:
        """No title says when."""
        plot = self.plot
        at = told.received + self._delay
        scene = merge.new_scene(plot, told.event, at, told)
        if identify.over(told):
            scene.at = scene.send_at = max(at, told.received + QUIET)
            scene.held = True
        plot.unheard, plot.deadline = [], None
        plot.scenes = [s for s in plot.scenes if s.stage != "due" or (s.heard and s.at < scene.at)]
        plot.add(scene)

    def _told_beside_titles(self, told: Told, resumed: bool) -> None:
        plot, event = self.plot, told.event
        scene = identify.heard_scene(plot)
        current = scene if scene is self._latest() else None
        if plot.title is not None and matching.matches(plot.title.text, event):
            self._found(len(plot.unheard))
            if current is not None and (current.event.sh_id in (None, event.sh_id) or resumed):
                merge.enrich(plot, current, told)
            elif current is not None and identify.over(told):
                plot.dropped.append("over")  # an earlier play of it
            else:
                # The same song once more, or one that was heard before anything was known: no title will tell.
                at = told.received + (self._delay if current is not None else 0.0)
                plot.add(merge.new_scene(plot, event, at, told, heard=plot.title.text))
            return
        earlier = identify.earlier(plot, told)
        if earlier is not None:
            plot.dropped.append("stale")
            merge.enrich(plot, earlier, told)
        elif current is not None and identify.near(current, told):
            self._found(len(plot.unheard))
            merge.enrich(plot, current, told)
        else:
            plot.unheard = [*plot.unheard[1 - _UNHEARD :], told]
            plot.deadline = min(plot.deadline or float("inf"), told.received + EARLY)

    def _no_title_came(self, now: float) -> None:
        """Rule 3: the newest event has waited long enough."""
        plot = self.plot
        newest = plot.unheard[-1]
        plot.unheard, plot.deadline = [], None
        if plot.offline is not None:
            return  # a newer word
        if plot.title is not None and plot.title.sound_at > newest.received:
            plot.dropped.append("contradicted")
            return
        plot.misses += 1
        if plot.misses >= MISSES:
            plot.trusted = False
        if plot.trusted and identify.outdated(plot, newest):
            plot.dropped.append("over")
        else:
            self._happen(newest, now)

    def _happen(self, told: Told, at: float) -> None:
        plot = self.plot
        plot.unheard, plot.deadline = [], None
        plot.add(merge.new_scene(plot, told.event, at, told))

    # Titles

    def _scene_of(self, title: Title, received: float) -> Scene:
        """The scene that a title begins, with what is known of its song (rule 2)."""
        plot = self.plot
        index = identify.unheard(plot, self._station, title, self._known)
        told = plot.unheard[index] if index is not None else None
        if index is not None:
            self._found(index + 1)
        event = told.event if told is not None else identify.recall(plot, self._station, title)
        alone = event is None
        if event is None:
            event = identify.by_itself(plot, self._station, title)
        at = title.sound_at
        scene = merge.new_scene(plot, event, at, told, heard=title.text, received=received)
        scene.decided_by, scene.alone = plot.via or "icy", alone
        if alone and not self._known(event):
            scene.at = scene.send_at = at + UNKNOWN_WAIT
        if at < received - QUIET:
            scene.send_at = max(scene.send_at, received + TITLES_QUIET)
        if title.change:
            scene.sound_at = at
            merge.tell(plot, scene, {**scene.told, scene.decided_by: received})
        return scene

    def _attach(self, scene: Scene, title: Title, received: float) -> None:
        """The title of a scene that an event began."""
        plot = self.plot
        self._trust()
        scene.heard = title.text
        if title.change:
            scene.sound_at = title.sound_at
            merge.tell(plot, scene, {**scene.told, plot.via or "icy": received})
        if scene.stage == "due":
            scene.at, scene.decided_by = title.sound_at, plot.via or "icy"
            scene.send_at = scene.at - merge.LEAD

    def _withdraw(self, scene: Scene) -> None:
        """A scene that no title had decided, now that there are titles: its event waits for its own."""
        plot, source = self.plot, cast("Source", scene.decided_by)
        plot.scenes.remove(scene)
        plot.unheard.append(Told(scene.event, source, scene.received, scene.request_id, dict(scene.told)))
        plot.deadline = scene.received + EARLY

    def _found(self, count: int) -> None:
        """A title was found for an event: the first `count` of those waiting wait no longer."""
        plot = self.plot
        plot.misses = 0
        del plot.unheard[:count]
        plot.deadline = plot.unheard[-1].received + EARLY if plot.unheard else None

    def _trust(self) -> None:
        self.plot.trusted, self.plot.misses = True, 0

    def _latest(self) -> Scene | None:
        return self.plot.scenes[-1] if self.plot.scenes else None
