"""The rules of docs/TRANSITIONS.md, by their numbers."""

from __future__ import annotations

import json

import pytest

from hook_service.tracks.nowplaying import Song, TrackEvent
from hook_service.tracks.scenes import Plot
from tests.unit.tracks.stage import START, Stage, event, offline


def titled(**more: object) -> Stage:
    """A station whose titles have been trusted for a while, with the song "Old" on the air since second -60."""
    stage = Stage(**more)  # type: ignore[arg-type]
    stage.now = -100.0
    stage.heard(-60, "Artist - Old")
    stage.told(-58, event("Old", -1))
    stage.run(-20)
    assert stage.titles == ["Old"]
    stage.shown.clear()
    stage.decisions.clear()
    return stage


# 1. Trust


def test_1_without_titles_an_event_switches_after_the_delay() -> None:
    for stage in (Stage(), Stage(mounted=False)):
        stage.told(10, event("One", 1))
        stage.run(60)
        assert stage.shown == [(13.0, "One")]
        [switch] = stage.decisions
        assert (switch.decided_by, switch.at) == ("webhook", START + 13)


def test_1_without_delay_it_switches_at_once() -> None:
    stage = Stage(delay=0)
    stage.told(10, event("One", 1))
    stage.run(10)
    assert stage.shown == [(10.0, "One")]


def test_1_a_title_that_never_changes_is_not_trusted() -> None:
    stage = Stage()
    stage.heard(0, "Somebody - Something", change=False, told_at=0)
    stage.told(10, event("One", 1))
    stage.told(110, event("Two", 2))
    stage.run(200)
    assert stage.shown[-2:] == [(13.0, "One"), (113.0, "Two")]
    assert not stage.story.plot.trusted


def test_1_a_title_that_changed_is_trusted() -> None:
    stage = Stage()
    stage.heard(50, "Artist - One")
    stage.told(148, event("Two", 2))
    stage.heard(155, "Artist - Two")
    stage.run(200)
    assert stage.shown == [(50.0, "One"), (155.0, "Two")]


@pytest.mark.parametrize("event_first", [True, False])
def test_1_a_title_that_agreed_with_an_event_is_trusted(event_first: bool) -> None:
    stage = Stage()
    stage.told(1 if event_first else 3, event("One", 1))
    stage.heard(2, "Artist - One", change=False, told_at=2)
    stage.run(10)
    assert stage.story.plot.trusted
    assert stage.titles[-1] == "One"
    assert len(stage.kinds("switch")) == 1
    stage.told(100, event("Two", 2))
    stage.heard(108, "Artist - Two")
    stage.run(200)
    assert stage.shown[-1] == (108.0, "Two")


def test_1_three_events_without_a_title_end_the_trust() -> None:
    stage = titled()
    for number, title in enumerate(("One", "Two", "Three", "Four"), 1):
        stage.told(100 * number, event(title, number))
    stage.run(500)
    assert stage.shown == [(110.0, "One"), (210.0, "Two"), (310.0, "Three"), (403.0, "Four")]
    stage.heard(520, "Artist - Five")
    stage.run(530)
    assert stage.story.plot.trusted


def test_1_a_mount_without_titles() -> None:
    stage = titled()
    stage.told(10, event("One", 1))
    stage.mount(12, "connected", None)
    stage.told(100, event("Two", 2))
    stage.run(200)
    assert stage.shown == [(13.0, "One"), (103.0, "Two")]


# 2. A title says when


def test_2_the_matching_event_says_what() -> None:
    stage = titled()
    stage.told(4, event("One", 1, song_id="seven"))
    stage.heard(8, "Artist - One")
    stage.run(60)
    assert stage.shown == [(8.0, "One")]
    [switch] = stage.decisions
    assert (switch.event.song_id, switch.decided_by) == ("seven", "icy")
    assert stage.story.plot.scenes[-1].offsets == {"webhook": -4.0, "icy": -2.0}


def test_2_the_next_of_the_newest_event_says_what() -> None:
    stage = Stage()
    stage.told(0, event("One", 1, next=Song(artist="Artist", title="Two", song_id="two")))
    stage.heard(0, "Artist - One", told_at=1)
    stage.heard(90, "Artist - Two")
    stage.run(200)
    assert stage.shown[-1] == (90.0, "Two")
    assert stage.decisions[-1].event.song_id == "two"


def test_2_a_next_that_was_changed_at_the_last_moment() -> None:
    stage = Stage()
    one = event("One", 1, next=Song(artist="Artist", title="Two", song_id="two"))
    asked = event("One", 1, next=Song(artist="Artist", title="Wish", song_id="wish"))
    stage.told(0, one)
    stage.heard(0, "Artist - One", told_at=1)
    stage.told(80, asked, "sse")
    stage.heard(90, "Artist - Wish")
    stage.run(200)
    assert stage.decisions[-1].event.song_id == "wish"


def test_2_a_song_heard_of_earlier_says_what() -> None:
    stage = Stage()
    stage.told(0, event("One", 1, video_loop="one.mp4"))
    stage.heard(100, "Artist - Two")
    stage.heard(200, "Artist - One (feat. Somebody)")
    stage.run(300)
    assert stage.decisions[-1].event.video_loop == "one.mp4"
    assert stage.decisions[-1].event.sh_id is None


def test_2_the_title_alone_says_what() -> None:
    stage = titled()
    stage.heard(50, "Somebody - A Song - Live")
    stage.run(60)
    [switch] = stage.decisions
    assert (switch.event.artist, switch.event.title) == ("Somebody", "A Song - Live")
    assert stage.shown == [(50.0, "A Song - Live")]


def test_2_a_title_that_nothing_is_known_of_waits_then_gets_the_default() -> None:
    stage = titled(known=lambda event: False)
    stage.heard(50, "Somebody - Unknown")
    stage.run(54.9)
    assert stage.shown == []
    stage.run(60)
    assert stage.shown == [(55.0, "Unknown")]


def test_2_what_it_waited_for_is_shown_at_once() -> None:
    stage = titled(known=lambda event: event.song_id is not None)
    stage.heard(50, "Artist - One")
    stage.told(52, event("One", 1), "sse")
    stage.run(60)
    assert stage.shown == [(52.0, "One")]
    assert len(stage.decisions) == 1


def test_2_titles_that_are_no_songs() -> None:
    stage = titled()
    stage.heard(50, "Demo FM")
    stage.heard(60, " - ")
    stage.heard(70, "")
    stage.run(100)
    assert stage.decisions == []


# 3. Early events


def test_3_an_early_event_waits_for_its_title() -> None:
    stage = titled()
    stage.told(0, event("One", 1))
    stage.run(7)
    assert stage.shown == []
    stage.heard(9, "Artist - One", told_at=7)
    stage.run(60)
    assert stage.shown == [(9.0, "One")]


def test_3_but_no_longer_than_ten_seconds() -> None:
    stage = titled()
    stage.told(0, event("One", 1))
    stage.run(60)
    assert stage.shown == [(10.0, "One")]
    # Its title comes after all: nothing more happens.
    stage.heard(62, "Artist - One")
    stage.run(90)
    assert len(stage.decisions) == 1


def test_3_the_sound_contradicts_it() -> None:
    stage = titled()
    stage.told(0, event("One", 1))
    stage.heard(5, "Artist - Something Else")
    stage.run(60)
    assert stage.shown == [(5.0, "Something Else")]
    assert stage.story.plot.dropped == ["contradicted"]


def test_3_of_two_that_wait_each_gets_its_title() -> None:
    stage = titled()
    stage.told(0, event("One", 1, song_id="1"))
    stage.told(6, event("Two", 2, song_id="2"))
    stage.heard(8, "Artist - One", told_at=7)
    stage.heard(16, "Artist - Two", told_at=15)
    stage.run(60)
    assert stage.shown == [(8.0, "One"), (16.0, "Two")]
    assert [decision.event.song_id for decision in stage.decisions] == ["1", "2"]


# 4. Late events


def test_4_a_late_event_enriches() -> None:
    stage = titled()
    stage.heard(0, "Artist - One")
    stage.told(20, event("One", 1, song_id="7"))
    stage.told(21, event("One", 1, song_id="7"), "sse")
    stage.run(60)
    switch, enrich = stage.decisions
    assert (switch.kind, enrich.kind) == ("switch", "enrich")
    assert (switch.scene, enrich.event.song_id, enrich.newest) == (enrich.scene, "7", True)
    assert stage.story.plot.scenes[-1].offsets == {"icy": -2.0, "webhook": 20.0, "sse": 21.0}


def test_4_one_that_is_about_the_song_before_is_stale() -> None:
    stage = titled()
    stage.heard(0, "Artist - One")
    stage.heard(30, "Artist - Two")
    stage.told(45, event("One", 1, song_id="7"))
    stage.run(100)
    assert stage.titles == ["One", "Two"]
    assert stage.story.plot.dropped == ["stale"]
    # What it tells goes to the row of the song before.
    [enrich] = stage.kinds("enrich")
    assert (enrich.scene, enrich.newest) == (stage.decisions[0].scene, False)


def test_4_formats_that_differ() -> None:
    stage = titled(known=lambda event: event.song_id is not None)
    stage.heard(0, "ARTIST: One (320 kb/s)")
    stage.told(20, event("One", 1))
    stage.run(60)
    assert stage.shown == [(5.0, "ARTIST: One (320 kb/s)")]
    assert [decision.kind for decision in stage.decisions] == ["switch", "enrich"]
    # The other way round: the event is early.
    stage.told(96, event("Two", 2))
    stage.heard(100, "ARTIST: Two (320 kb/s)")
    stage.run(160)
    assert stage.shown[-1] == (100.0, "Two")


def test_4_after_half_a_minute_it_is_another_song() -> None:
    stage = titled()
    stage.heard(0, "ARTIST: One (320 kb/s)")
    stage.told(31, event("Two", 2))
    stage.run(60)
    assert stage.shown == [(0.0, "ARTIST: One (320 kb/s)"), (41.0, "Two")]


def test_4_the_same_song_twice() -> None:
    stage = titled()
    stage.told(0, event("One", 1))
    stage.heard(4, "Artist - One")
    stage.told(200, event("One", 2), "sse")
    stage.run(260)
    assert stage.shown == [(4.0, "One"), (203.0, "One")]


def test_4_a_song_that_is_played_again_is_not_late() -> None:
    stage = titled()
    stage.heard(0, "Artist - One")
    stage.told(1, event("One", 1))
    stage.heard(100, "Artist - Two")
    stage.told(101, event("Two", 2))
    stage.told(196, event("One", 3))
    stage.heard(200, "Artist - One")
    stage.run(260)
    assert stage.shown == [(0.0, "One"), (100.0, "Two"), (200.0, "One")]
    assert stage.decisions[-1].event.sh_id == 3


# 5. Bursts


@pytest.mark.parametrize("delay", [0, 3])
def test_5_a_burst_of_old_events_is_one_switch_to_the_newest(delay: float) -> None:
    stage = Stage(delay=delay)
    for number in range(1, 51):
        stage.told(6000 + number / 100, event(f"Song {number}", number, duration=90.0))
    stage.run(6100)
    assert stage.titles == ["Song 50"]
    assert stage.shown[0][0] == pytest.approx(6000.5 + max(2, delay))


def test_5_where_the_newest_still_plays_it_is_not_held_back() -> None:
    stage = Stage(delay=0)
    for number in range(1, 50):
        stage.told(5000 + number / 100, event(f"Song {number}", number, duration=90.0))
    stage.told(5001, event("Song 50", 50, duration=90.0))
    stage.run(6000)
    assert stage.shown == [(5001.0, "Song 50")]


def test_5_with_titles_the_sound_has_switched_already() -> None:
    stage = titled(known=lambda event: True)
    stage.heard(5000, "Artist - Song 50")
    for number in range(1, 51):
        stage.told(5020 + number / 100, event(f"Song {number}", number, duration=90.0))
    stage.run(5100)
    assert stage.shown == [(5000.0, "Song 50")]
    assert stage.kinds("enrich")[-1].event.sh_id == 50


def test_5_with_titles_an_old_play_of_the_song_that_is_heard_is_no_new_one() -> None:
    stage = titled()
    stage.told(5000, event("Old", 1, duration=90.0))
    stage.told(5000.1, event("Other", 2, duration=90.0))
    stage.told(5000.2, event("New", 50, played_at=START + 5000, duration=90.0))
    stage.heard(5006, "Artist - New")
    stage.run(5060)
    assert stage.shown == [(5006.0, "New")]


def test_5_with_titles_an_old_event_happens_only_where_the_titles_missed_its_song() -> None:
    stage = titled()
    stage.told(300, event("One", 1, duration=90.0))
    stage.run(400)
    assert stage.shown == [(310.0, "One")]
    stage.heard(500, "Artist - Three")
    stage.told(540, event("Two", 2, duration=90.0))
    stage.run(600)
    assert stage.titles == ["One", "Three"]
    assert stage.story.plot.dropped == ["over"]


def test_5_titles_that_were_missed_are_one_switch() -> None:
    stage = titled()
    for number in range(1, 6):
        stage.heard(100 * number, f"Artist - Song {number}", told_at=600 + number / 100)
    stage.run(700)
    assert stage.titles == ["Song 5"]
    assert stage.shown[0][0] == pytest.approx(600.35)


def test_5_of_titles_that_nothing_is_known_of_only_the_one_that_sounds_is_shown() -> None:
    stage = titled(known=lambda event: False)
    stage.heard(10, "Artist - One")
    stage.heard(13, "Artist - Two")
    stage.run(60)
    assert stage.shown == [(18.0, "Two")]


# 6. One at a time


def test_6_a_switch_is_sent_a_second_before_it_is_due() -> None:
    stage = Stage()
    stage.told(10, event("One", 1))
    stage.run(11.9)
    assert stage.decisions == []
    stage.run(12.1)
    assert len(stage.decisions) == 1


def test_6_the_next_is_not_sent_while_one_waits() -> None:
    stage = titled()
    stage.heard(10, "Artist - One", told_at=8)
    stage.heard(10.5, "Artist - Two", told_at=8.5)
    stage.run(9.9)
    assert [decision.event.title for decision in stage.decisions] == ["One"]
    stage.run(20)
    assert stage.shown == [(10.0, "One"), (10.5, "Two")]


# What else happens


def test_reconnects_and_restarts_of_the_playout_change_nothing() -> None:
    stage = titled()
    stage.mount(1, "away")
    stage.mount(2, "connected")
    stage.heard(3, "Artist - Old", change=False, told_at=3)
    stage.heard(4, "Artist - Old", told_at=4)
    stage.run(60)
    assert stage.decisions == []


def test_a_title_that_changed_while_the_mount_was_away() -> None:
    stage = titled()
    stage.mount(1, "away")
    stage.mount(9, "connected")
    stage.heard(9.5, "Artist - New", change=False, told_at=9.5)
    stage.run(60)
    assert stage.shown == [(9.5, "New")]
    assert "icy" not in stage.story.plot.scenes[-1].offsets


def test_jingles_repeat_the_title_before() -> None:
    stage = titled()
    stage.heard(10, "Artist - Old")
    stage.heard(20, "Artist - New")
    stage.run(60)
    assert stage.shown == [(20.0, "New")]


def test_a_live_show_with_titles_typed_by_hand() -> None:
    stage = titled()
    stage.told(0, event("Show", 1, artist="", is_live=True, streamer="DJ"))
    stage.heard(1, "now: my first record!!", told_at=0.5)
    stage.heard(200, "SECOND one")
    stage.run(260)
    _, second = stage.kinds("switch")
    assert second.event.title == "SECOND one"
    assert second.event.is_live
    assert second.event.streamer == "DJ"
    # The show is over.
    stage.told(297, event("Auto", 2))
    stage.heard(300, "Artist - Auto")
    stage.heard(400, "Artist - Later")
    stage.run(460)
    assert not stage.decisions[-1].event.is_live


@pytest.mark.parametrize("number", [-1, 7])
def test_offline_then_the_real_track_of_a_restart(number: int) -> None:
    stage = titled()
    stage.told(0, offline())
    stage.told(8, event("Old", number))
    stage.run(60)
    assert stage.kinds("ended") == stage.kinds("offline") == []
    assert stage.shown == []


def test_offline_is_believed_at_once_when_the_mount_is_away() -> None:
    stage = titled()
    stage.mount(0, "away")
    stage.told(2, offline())
    stage.run(2)
    assert [decision.kind for decision in stage.decisions] == ["ended", "offline"]


def test_offline_is_believed_after_a_while_otherwise() -> None:
    stage = titled()
    stage.told(2, offline())
    stage.run(16.9)
    assert stage.decisions == []
    stage.run(17)
    assert [decision.kind for decision in stage.decisions] == ["ended", "offline"]
    # The station is back with the very title from before.
    stage.told(40, event("Old", 5))
    stage.run(60)
    assert stage.shown == [(40.0, "Old")]


def test_offline_without_titles_ends_the_track_at_once_and_shows_so_later() -> None:
    stage = Stage(delay=0)
    stage.told(0, event("One", 1))
    stage.told(5, offline())
    stage.run(5)
    assert [decision.kind for decision in stage.decisions] == ["switch", "ended"]
    stage.run(30)
    assert stage.decisions[-1].kind == "offline"
    stage.told(40, event("One", 1))
    stage.run(60)
    assert stage.titles == ["One", "One"]


@pytest.mark.parametrize("off", [-600.0, -120.0, 240.0])
def test_a_clock_that_is_minutes_off(off: float) -> None:
    for trusted in (True, False):
        stage = titled() if trusted else Stage()
        for number, title in enumerate(("One", "Two", "Three"), 1):
            told = event(title, number, duration=95.0, played_at=START + 100 * number + off)
            stage.told(100 * number - 3, told)
            if trusted:
                stage.heard(100 * number, f"Artist - {title}")
        stage.run(400)
        assert stage.titles == ["One", "Two", "Three"]
        assert [at for at, _ in stage.shown] == [100.0, 200.0, 300.0]


def test_the_first_song_after_a_start_is_known_by_its_title() -> None:
    stage = Stage()
    stage.heard(0, "Artist - One", change=False, told_at=0)
    stage.run(10)
    assert stage.titles == ["One"]
    unknown = Stage(known=lambda event: False)
    unknown.heard(0, "Welcome to our page", change=False, told_at=0)
    unknown.run(10)
    assert unknown.titles == []


def test_what_comes_is_named_beforehand() -> None:
    stage = titled()
    stage.told(0, event("One", 1, next=Song(artist="Artist", title="Two")))
    stage.run(1)
    assert [song.title for song in stage.story.coming()] == ["One", "Two"]


@pytest.mark.parametrize("when", [0.5, 2, 3.5, 6, 9])
def test_a_restart_in_the_middle(when: float) -> None:
    stage = titled()
    stage.told(0, event("One", 1))
    stage.heard(5, "Artist - One", told_at=3)
    stage.told(8, event("One", 1), "sse")
    stage.restart(when)
    stage.run(60)
    assert stage.shown == [(5.0, "One")]


def test_a_restart_hears_what_it_missed_before_it_acts() -> None:
    stage = titled()
    stage.told(0, event("One", 1))
    stage.run(1)
    stage.now = 100.0
    stage.restart(100)
    stage.heard(4, "Artist - One", told_at=100.1)
    stage.heard(90, "Artist - Two", told_at=100.2)
    stage.run(160)
    assert stage.titles == ["Two"]


def test_a_plot_that_is_not_one() -> None:
    for document in ({}, {"trusted": True}, {**Plot().to_json(), "scenes": [{}]}, {**Plot().to_json(), "title": 3}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Plot.from_json(json.loads(json.dumps(document)))


def test_memory_is_bounded() -> None:
    stage = titled()
    for number in range(1000):
        stage.told(100 + number, TrackEvent(station="demo", artist="A", title=f"{number}"))
        stage.heard(100.5 + number, f"B - {number}")
    stage.run(2000)
    plot = stage.story.plot
    assert len(plot.scenes) <= 24
    assert len(plot.songs) <= 128
    assert len(plot.unheard) <= 8
    assert len(json.dumps(plot.to_json())) < 120_000
