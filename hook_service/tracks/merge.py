"""Scenes, as what is known of them grows."""

from typing import Final

from .nowplaying import TrackEvent
from .scenes import Plot, Scene, Told

LEAD: Final = 1.0
"""Seconds before it is due that a switch is handed on: only one can wait at the playout."""


def new_scene(
    plot: Plot, event: TrackEvent, at: float, told: Told | None, *, heard: str | None = None, received: float = 0.0
) -> Scene:
    """A scene for the plot, not in it yet; begun by an event, or (`heard`, at `received`) by a title."""
    plot.number += 1
    return Scene(
        number=plot.number,
        event=event,
        at=at,
        send_at=at - LEAD,
        decided_by=told.source if told is not None else plot.via or "icy",
        received=told.received if told is not None else received,
        request_id=told.request_id if told is not None else "",
        heard=heard,
        told=dict(told.times) if told is not None else {},
    )


def tell(plot: Plot, scene: Scene, times: dict[str, float]) -> None:
    """Note when sources told of a scene, and how far from its sound that was."""
    for source, at in times.items():
        scene.told.setdefault(source, at)
        if scene.sound_at is not None and source not in scene.offsets:
            scene.offsets[source] = scene.told[source] - scene.sound_at
            plot.measured.append((source, scene.offsets[source]))


def enrich(plot: Plot, scene: Scene, told: Told) -> None:
    """An event tells more of a scene that a title began."""
    scene.event, scene.alone, scene.request_id = told.event, False, told.request_id or scene.request_id
    tell(plot, scene, told.times)
    if scene.stage == "shown":
        scene.enriched = True
    elif scene.stage == "due" and scene.sound_at is not None and scene.at > scene.sound_at:
        # It waited for this.
        scene.at = max(scene.sound_at, told.received)
        scene.send_at = min(scene.send_at, scene.at)
