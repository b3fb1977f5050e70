"""Whatever is lost, late, early, doubled or out of order: one final picture, and never an older after a newer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.tracks.nowplaying import Source, TrackEvent
from tests.unit.tracks.stage import START, Stage, event

SHORTEST, LONGEST = 40, 240
"""Seconds of a song. Shorter ones than 35 s may be taken for each other where no format matches (rule 4)."""

LATENESS: dict[Source, tuple[float, float]] = {"webhook": (-5, 90), "sse": (0, 16), "poll": (0, 30)}
"""Seconds after the sound that each source tells of a song."""

Draw = Callable[..., Any]


@dataclass
class Song:
    number: int
    sound_at: float
    seconds: float

    @property
    def title(self) -> str:
        return f"Song {self.number}"

    def event(self) -> TrackEvent:
        return event(self.title, self.number, played_at=START + self.sound_at + 5, duration=self.seconds)


@st.composite
def programmes(draw: st.DrawFn, most: int = 7, least: int = 2) -> list[Song]:
    songs: list[Song] = []
    at = 100.0
    for number in range(1, draw(st.integers(least, most)) + 1):
        seconds = draw(st.integers(SHORTEST * 10, LONGEST * 10)) / 10
        songs.append(Song(number, at, seconds))
        at += seconds
    return songs


def tell(draw: Draw, stage: Stage, song: Song, source: Source) -> bool:
    """Let a source tell of a song: not at all, once, or several times. Whether it does."""
    low, high = LATENESS[source]
    times = draw(st.lists(st.integers(int(low * 10), int(high * 10)), max_size=3))
    for after in times:
        stage.told(song.sound_at + after / 10, song.event(), source)
    return bool(times)


def hear(draw: Draw, stage: Stage, song: Song) -> None:
    """Let its title be told, in time, perhaps more than once."""
    for _ in range(draw(st.integers(1, 2))):
        ahead = draw(st.integers(3, 27)) / 10
        stage.heard(song.sound_at, f"Artist - {song.title}", told_at=song.sound_at - ahead)


def restarts(draw: Draw, stage: Stage, until: float) -> None:
    for when in draw(st.lists(st.integers(1000, int(until * 10)), max_size=4)):
        stage.restart(when / 10)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), songs=programmes(), trusted=st.booleans())
def test_with_titles_every_picture_changes_with_its_sound(
    data: st.DataObject, songs: list[Song], trusted: bool
) -> None:
    draw = data.draw
    stage = Stage(trusted=trusted)
    for song in songs:
        hear(draw, stage, song)
        for source in LATENESS:
            tell(draw, stage, song, source)
    stage.run(songs[-1].sound_at + 200)
    expected = [(round(song.sound_at, 3), song.title) for song in songs]
    if not trusted and (shown := stage.shown.pop(0))[0] != songs[0].sound_at:
        # An event switched, or had been handed on for its time, before any title was heard.
        assert shown[1] == songs[0].title
        assert songs[0].sound_at - 5 <= shown[0] <= songs[0].sound_at + 1
    assert stage.shown == (expected if trusted else expected[1:])


@settings(max_examples=300, deadline=None)
@given(data=st.data(), songs=programmes())
def test_a_restart_at_any_moment_changes_nothing(data: st.DataObject, songs: list[Song]) -> None:
    draw = data.draw
    stage = Stage(trusted=True)
    for song in songs:
        stage.heard(song.sound_at, f"Artist - {song.title}", told_at=song.sound_at - 2.5)
        for source in LATENESS:
            tell(draw, stage, song, source)
    # Not between the time that a title is told and its sound: a process that is away then is late, not wrong.
    restarts(draw, stage, songs[-1].sound_at)
    stage.run(songs[-1].sound_at + 200)
    assert stage.titles == [song.title for song in songs]
    for (at, _), song in zip(stage.shown, songs, strict=True):
        assert at == pytest.approx(song.sound_at, abs=0.01)


@settings(max_examples=500, deadline=None)
@given(data=st.data(), songs=programmes(), titles=st.sampled_from(["all", "some", "none", "no mount"]))
def test_the_final_picture_is_the_last_song_that_anyone_told_of(
    data: st.DataObject, songs: list[Song], titles: str
) -> None:
    draw = data.draw
    stage = Stage(trusted=draw(st.booleans()), mounted=titles != "no mount", delay=draw(st.sampled_from([0.0, 3.0])))
    last = None
    for song in songs:
        known = [tell(draw, stage, song, source) for source in LATENESS]
        heard = titles == "all" or (titles == "some" and draw(st.booleans()))
        if heard:
            hear(draw, stage, song)
        if heard or any(known):
            last = song.title
    stage.run(songs[-1].sound_at + 400)
    assert (stage.pictures[-1][1] if stage.pictures else None) == last
    numbers = [int(title.removeprefix("Song ")) for _, title in stage.pictures]
    assert numbers == sorted(numbers)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), songs=programmes(least=20, most=90).filter(lambda songs: songs[-1].sound_at > 3600))
def test_every_change_is_made_when_all_webhooks_are_lost(data: st.DataObject, songs: list[Song]) -> None:
    stage = Stage()
    for song in songs:
        hear(data.draw, stage, song)
    stage.run(songs[-1].sound_at + 60)
    assert stage.shown == [(round(song.sound_at, 3), song.title) for song in songs]
    assert {decision.decided_by for decision in stage.decisions} == {"icy"}


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(),
    songs=programmes(most=20),
    source=st.sampled_from(["webhook", "sse", "poll"]),
    mount=st.sampled_from(["none", "without titles", "never changing"]),
)
def test_every_change_is_made_when_there_are_no_titles(
    data: st.DataObject, songs: list[Song], source: Source, mount: str
) -> None:
    stage = Stage(mounted=mount != "none")
    if mount == "without titles":
        stage.mount(0, "connected", None)
    if mount == "never changing":
        stage.heard(0, "Radio, all day long", change=False, told_at=0)
        stage.story._known = lambda event: event.song_id is not None
    told = []
    for song in songs:
        after = data.draw(st.integers(-50, 300)) / 10
        stage.told(song.sound_at + after, song.event(), source)
        told.append((round(song.sound_at + after + 3, 3), song.title))
    stage.run(songs[-1].sound_at + 100)
    assert stage.shown == told


@settings(max_examples=100, deadline=None)
@given(
    order=st.permutations(range(1, 51)),
    delay=st.sampled_from([0.0, 3.0]),
    gaps=st.lists(st.integers(0, 15), min_size=50, max_size=50),
)
def test_a_burst_of_old_events_in_any_order_is_one_switch(order: list[int], delay: float, gaps: list[int]) -> None:
    stage = Stage(delay=delay)
    at = 20_000.0
    for number, gap in zip(order, gaps, strict=True):
        at += gap / 10
        stage.told(at, Song(number, 100.0 * number, 95.0).event())
    stage.run(at + 60)
    assert stage.titles == ["Song 50"]
