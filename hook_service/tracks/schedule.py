"""When the scenes of a plot are due, and which of them is handed on."""

from typing import Final

from .scenes import CONNECTED, Decision, Kind, Plot, Scene, Told

EARLY: Final = 10.0
"""Seconds that an event waits for its title. AzuraCast tells of a song some seconds before the mount has it, and a
title is told up to three seconds after that: when its sound is due.
"""
WAIT: Final = 15.0
"""Seconds that a station which went offline is given for a sign of life."""


def next_scene(plot: Plot) -> float | None:
    """When `pick` has something to give; None where nothing waits."""
    waiting = _waiting(plot)
    if not waiting:
        return None
    times = [max(scene.at, scene.send_at) for scene in waiting]
    return min(max(waiting[0].send_at, _pending_until(plot)), *times)


def pick(plot: Plot, now: float) -> Scene | None:
    """Take the scene that is to be handed on now."""
    waiting = _waiting(plot)
    if not waiting:
        return None
    sounding = [scene for scene in waiting if _began(scene) <= now]
    first = sounding[-1] if sounding else waiting[0]
    for scene in plot.scenes:
        if scene.stage == "due" and scene.number < first.number:
            scene.stage = "skipped"  # its song is over
    if first.send_at > now or (first.at > now and _pending_until(plot) > now):
        return None
    first.stage = "shown"
    return first


def following(plot: Plot) -> Scene | None:
    """The scene that will be handed on next, as far as is known now."""
    return next(iter(_waiting(plot)), None)


def switch(scene: Scene) -> Decision:
    """The decision that shows a scene."""
    return _decision("switch", scene)


def enrich(plot: Plot, scene: Scene) -> Decision:
    """The decision that tells what more is known of a scene."""
    return _decision("enrich", scene, all(s.number <= scene.number for s in plot.scenes if s.stage == "shown"))


def _decision(kind: Kind, scene: Scene, newest: bool = True) -> Decision:
    return Decision(
        kind=kind,
        scene=scene.number,
        event=scene.event,
        at=scene.at,
        decided_by=scene.decided_by,
        received=scene.received,
        request_id=scene.request_id,
        newest=newest,
    )


def offline_at(plot: Plot, told: Told) -> float:
    """When a station that was told to be offline counts as offline."""
    # A restart of AzuraCast says "offline" first; where the mount is away as well, there is nothing to wait for.
    away = plot.mount not in (None, CONNECTED)
    return told.received + (0.0 if away else WAIT)


def next_offline(plot: Plot, told: Told) -> float:
    """When `offline` has something to give."""
    return offline_at(plot, told) if plot.ended or plot.listens else 0.0


def offline(plot: Plot, told: Told, now: float) -> list[Decision]:
    """What an event that says "offline" leads to by now: the end of the track, and the picture of that state."""
    kinds: list[Kind] = []
    over = offline_at(plot, told) <= now
    # Where the sound could say otherwise, it is asked first.
    if not plot.ended and (over or not plot.listens):
        kinds.append("ended")
        plot.ended = True
        plot.scenes, plot.unheard, plot.deadline = [], [], None
    if over:
        kinds.append("offline")
        plot.offline = None
    at, source, request_id = told.received, told.source, told.request_id
    return [
        Decision(kind=kind, scene=0, event=told.event, at=at, decided_by=source, received=at, request_id=request_id)
        for kind in kinds
    ]


def _waiting(plot: Plot) -> list[Scene]:
    """Scenes that wait, without those whose song is over before their picture is due."""
    found: list[Scene] = []
    for scene in reversed(plot.scenes):
        if scene.stage == "due" and (not found or scene.at < _began(found[-1])):
            found.append(scene)
    return found[::-1]


def _began(scene: Scene) -> float:
    return scene.at if scene.sound_at is None else scene.sound_at


def _pending_until(plot: Plot) -> float:
    """Until when a switch that was handed on waits at the playout."""
    return max((scene.at for scene in plot.scenes if scene.stage == "shown"), default=float("-inf"))
