"""Which song a title is, and which title an event is about: questions to a plot, which they leave as it is."""

from collections.abc import Callable
from typing import Any, Final

from . import matching
from .nowplaying import Song, TrackEvent
from .scenes import Plot, Scene, Title, Told
from .schedule import EARLY
from .track_key import track_key

PAIR_WITHIN: Final = 30.0
"""Seconds after a title that no event matched in which an event that matches no title is taken to be about it."""
RECENT: Final = 300.0
"""Seconds after a song's end in which an event about it is late, and not about its next play."""

_SLACK: Final = 5.0
"""Seconds. AzuraCast's `played_at` is that much later than the play, and clocks differ."""


def over(told: Told) -> bool:
    """Whether an event's song had ended, by its own account, when the event came: it was held back."""
    event = told.event
    if not event.played_at or not event.duration:
        return False
    return told.received > event.played_at + event.duration + _SLACK


def outdated(plot: Plot, told: Told) -> bool:
    """Whether the title that is heard began after the song of an event which is over."""
    if plot.title is None or not over(told):
        return False
    return plot.title.sound_at > (told.event.played_at or 0.0) - _SLACK


def same_play(one: TrackEvent, other: TrackEvent) -> bool:
    """Whether two events tell of one play."""
    if one.sh_id is not None and other.sh_id is not None and one.sh_id != other.sh_id:
        return False
    return track_key(one.artist, one.title) == track_key(other.artist, other.title)


def heard_scene(plot: Plot) -> Scene | None:
    """The scene of the newest title; None where that began none."""
    scene = next((scene for scene in reversed(plot.scenes) if scene.heard is not None), None)
    if scene is None or plot.title is None or not matching.same_title(scene.heard or "", plot.title.text):
        return None
    return scene


def earlier(plot: Plot, told: Told) -> Scene | None:
    """The scene before the one that is heard which an event is about, where the event is late."""
    titled = [scene for scene in plot.scenes if scene.heard is not None]
    for scene, following in zip(titled[-2::-1], titled[:0:-1], strict=False):
        ended = following.sound_at if following.sound_at is not None else following.at
        if ended < told.received - RECENT and not over(told):
            return None
        if scene.event.sh_id is None and matching.matches(scene.heard or "", told.event):
            return scene
    return None


def near(scene: Scene, told: Told) -> bool:
    """Whether an event that matches no title is about the title of a scene that no event matched."""
    began = scene.sound_at if scene.sound_at is not None else scene.at
    return scene.alone and told.received - began <= PAIR_WITHIN and not over(told)


def unheard(plot: Plot, station: str, title: Title, known: Callable[[TrackEvent], bool]) -> int | None:
    """Which of the events that wait for a title a title is of."""
    for index in reversed(range(len(plot.unheard))):
        if matching.matches(title.text, plot.unheard[index].event):
            return index
    if not plot.unheard or recall(plot, station, title) is not None or known(by_itself(plot, station, title)):
        return None
    # Neither it nor the newest event matches anything: their formats differ.
    newest = plot.unheard[-1]
    return None if title.sound_at - newest.received > EARLY or over(newest) else len(plot.unheard) - 1


def recall(plot: Plot, station: str, title: Title) -> TrackEvent | None:
    """A title's song from the newest event's `next`, or from what was told earlier."""
    following = coming_next(plot, station)
    if following is not None and matching.matches(title.text, following):
        return following
    for song in reversed(plot.songs.values()):
        if matching.matches(title.text, song):
            return _event(plot, station, song)
    return None


def by_itself(plot: Plot, station: str, title: Title) -> TrackEvent:
    """What the title alone says."""
    artist, name = (title.artist, title.title) if title.title else matching.split(title.text)
    return _event(plot, station, Song(artist=artist, title=name))


def coming_next(plot: Plot, station: str) -> TrackEvent | None:
    """What the newest event says plays next."""
    following = plot.newest.event.next if plot.newest is not None else None
    return None if following is None else TrackEvent(station=station, **_fields(following))


def song_of(event: Song) -> Song:
    """The song alone, without what belongs to one play of it."""
    return Song(**_fields(event))


def _event(plot: Plot, station: str, song: Song) -> TrackEvent:
    newest = plot.newest.event if plot.newest is not None else None
    if newest is None or not newest.is_live:
        return TrackEvent(station=station, **_fields(song))
    # While a DJ is live, so is what is heard.
    return TrackEvent(station=station, is_live=True, streamer=newest.streamer, **_fields(song))


def _fields(song: Song) -> dict[str, Any]:
    return {name: getattr(song, name) for name in Song.__dataclass_fields__}
