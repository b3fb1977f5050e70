"""The mappings as an operator works with them: find, select, map, undo, try on the air, take away, by time of day."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hook_service.tracks.track_key import normalise, track_key
from tests.browser.conftest import SignedIn, faults_of, picture
from tests.integration.onair import show
from tests.rig.azuracast import Track
from tests.rig.station import Station

_INSERT = (
    "INSERT INTO songs (station, media_id, song_id, artist, title, album, playlists, track_key, artist_album_key,"
    " album_key, artist_key, playlist_keys, words) VALUES ('demo', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


def add(station: Station, number: int, artist: str, title: str, album: str, playlists: list[str]) -> None:
    words = " ".join(map(normalise, (artist, title, album, *playlists)))
    keys = [track_key(artist, title), track_key(artist, album), normalise(album), normalise(artist)]
    station.sql(
        _INSERT,
        [
            f"{number:024x}",
            f"{number:032x}",
            artist,
            title,
            album,
            playlists,
            *keys,
            [*map(normalise, playlists)],
            words,
        ],
    )


@pytest.fixture
def library(station: Station) -> Iterator[Station]:
    """A library of 120 songs, of which one artist has forty. The station has no AzuraCast."""
    for number in range(120):
        one = number % 3
        artist = ("The Lagoons", "Ember Choir", "Coral")[one]
        add(station, number, artist, f"Song {number:03}", f"{artist} {number // 30}", ["Day", "Night"][: 1 + one % 2])
    yield station
    station.sql("TRUNCATE songs")
    station.sql(
        "DELETE FROM track_mappings WHERE loop_file_path IN ('coral.mp4', 'lagoon.mp4') AND track_key LIKE '%%song%%'"
    )
    station.sql("DELETE FROM track_mappings WHERE kind <> 'track'")
    station.sql("DELETE FROM default_config")


def rows(page: Page) -> int:
    return page.get_by_role("region", name="Songs").get_by_role("row").count() - 1


def at_mappings(page: Page) -> Page:
    page.get_by_role("link", name="Mappings").click()
    expect(page.get_by_role("heading", name="Mappings")).to_be_visible()
    expect(page.get_by_text("120 songs, 120 without a mapping.", exact=False)).to_be_visible()
    return page


def test_find_select_and_map(signed_in: SignedIn, library: Station) -> None:
    page = at_mappings(signed_in())
    expect(page.get_by_text("1 to 50 of 120 songs")).to_be_visible()
    assert faults_of(page) == []
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("51 to 100 of 120 songs")).to_be_visible()
    page.get_by_label("Search", exact=True).fill("ember song")
    expect(page.get_by_text("1 to 40 of 40 songs")).to_be_visible()
    expect(page).to_have_url(re.compile(r"q=ember\+song"))
    page.get_by_label("Select all songs on this page").check()
    expect(page.get_by_text("40 songs selected.")).to_be_visible()
    page.get_by_role("button", name="Give them a loop…").click()
    dialog = page.get_by_role("dialog", name="A loop for 40 songs")
    dialog.get_by_role("radio", name="its album").check()
    dialog.get_by_role("searchbox").fill("coral")
    dialog.get_by_role("radio", name="coral.mp4").check()
    expect(dialog.get_by_role("status")).to_have_text("It would be: 4 mappings made.")
    assert faults_of(page) == []
    picture(page, "mappings-assign")
    dialog.get_by_role("button", name="Map").click()
    expect(page.get_by_role("status").filter(has_text="4 mappings made.").last).to_be_visible()
    expect(page.get_by_text("120 songs, 80 without a mapping.", exact=False)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="a mapping of the album")).to_have_count(40)
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Search", exact=True).fill("song 00")
    expect(page.get_by_text("1 to 11 of 11 songs")).to_be_visible()
    picture(page, "mappings")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Show", exact=True).select_option("Without a mapping")
    expect(page.get_by_text("1 to 50 of 80 songs")).to_be_visible()


def test_one_song_by_its_suggestion_with_the_keyboard(signed_in: SignedIn, library: Station) -> None:
    page = at_mappings(signed_in())
    add(library, 500, "Someone", "Lagoon", "", [])
    page.get_by_label("Search", exact=True).fill("someone")
    button = page.get_by_role("button", name="Choose a loop for Someone \u2013 Lagoon")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="A loop for Someone \u2013 Lagoon")
    first = dialog.get_by_role("radio").filter(visible=True).nth(3)
    expect(dialog.get_by_text("Suggested: it is called like the title")).to_be_visible()
    expect(dialog.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(first).to_be_checked()
    expect(dialog.get_by_role("status")).to_have_text("It would be: 1 mapping made.")
    dialog.get_by_role("button", name="Map").press("Enter")
    expect(page.get_by_role("row").filter(has_text="lagoon.mp4")).to_have_count(1)
    page.get_by_label("Select Someone \u2013 Lagoon").check()
    page.get_by_role("button", name="Take mappings away…").click()
    page.get_by_role("dialog").get_by_role("button", name="Take away").click()
    expect(page.get_by_role("row").filter(has_text="nothing is mapped")).to_have_count(1)


def test_a_loop_from_the_library_for_the_song_that_comes_next(signed_in: SignedIn, library: Station) -> None:
    assert library.webhook(Track("Coral", "Song 002"), next=Track("The Lagoons", "Song 003")) == 202
    page = signed_in()
    page.get_by_role("link", name="Library").click()
    page.get_by_role("link", name="Songs of lagoon.mp4").click()
    offer = page.get_by_text("Choose which songs get lagoon.mp4")
    expect(offer).to_be_visible()
    told = page.get_by_role("group", name="Now and next")
    expect(told).to_contain_text("On the air: Coral \u2013 Song 002")
    assert faults_of(page) == []
    for song, seen in (
        ("The Lagoons \u2013 Song 003", "It is seen when the song begins next."),
        ("Coral \u2013 Song 002", "The song is on the air now: it is seen when it plays again."),
    ):
        told.get_by_role("button", name=song).click()
        expect(page.get_by_text("1 to 1 of 1 song")).to_be_visible()
        page.get_by_role("button", name=f"Choose a loop for {song}").click()
        dialog = page.get_by_role("dialog", name=f"A loop for {song}")
        expect(dialog.get_by_role("radio", name="lagoon.mp4")).to_be_checked()
        expect(dialog.get_by_text("Chosen in the library")).to_be_visible()
        expect(dialog.get_by_role("status")).to_have_text("It would be: 1 mapping made.")
        dialog.get_by_role("button", name="Map").click()
        expect(page.get_by_role("status").filter(has_text=f"1 mapping made. {seen}")).to_be_visible()
    # It stays chosen, for one song after the other, until the person has had enough of it.
    page.reload()
    expect(offer).to_be_visible()
    offer.get_by_role("button", name="Close").click()
    expect(offer).to_be_hidden()
    expect(page).not_to_have_url(re.compile("give="))
    # What is told of keeps up by itself.
    assert library.webhook(Track("The Lagoons", "Song 003"), next=Track("Ember Choir", "Song 004")) == 202
    expect(told).to_contain_text("Next: Ember Choir \u2013 Song 004")


def test_all_of_a_filter_at_once(signed_in: SignedIn, library: Station) -> None:
    page = at_mappings(signed_in())
    page.get_by_label("Playlist", exact=True).select_option("Day (120)")
    page.get_by_label("Select all songs on this page").check()
    page.get_by_role("button", name="Select all 120 songs").click()
    page.get_by_role("button", name="Give them a loop…").click()
    dialog = page.get_by_role("dialog", name="A loop for 120 songs")
    dialog.get_by_role("radio", name="the playlist Day").check()
    dialog.get_by_role("radio", name="lagoon.mp4").check()
    expect(dialog.get_by_role("status")).to_have_text("It would be: 1 mapping made.")
    dialog.get_by_role("button", name="Map").click()
    expect(page.get_by_text("120 songs, 0 without a mapping.", exact=False)).to_be_visible()


def test_an_artist_at_once(signed_in: SignedIn, library: Station) -> None:
    page = at_mappings(signed_in())
    page.get_by_label("Artist", exact=True).fill("Coral")
    expect(page.get_by_text("1 to 40 of 40 songs")).to_be_visible()
    page.get_by_label("Select all songs on this page").check()
    page.get_by_role("button", name="Give them a loop…").click()
    dialog = page.get_by_role("dialog", name="A loop for 40 songs")
    dialog.get_by_role("radio", name="its artist").check()
    dialog.get_by_role("radio", name="coral.mp4").check()
    expect(dialog.get_by_role("status")).to_have_text("It would be: 1 mapping made.")
    dialog.get_by_role("button", name="Map").click()
    expect(page.get_by_text("120 songs, 80 without a mapping.", exact=False)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="a mapping of the artist")).to_have_count(40)
    made = library.sql("SELECT track_key, loop_file_path FROM track_mappings WHERE kind = 'artist'")
    assert made == [("coral", "coral.mp4")]


def test_try_it_now(signed_in: SignedIn, library: Station) -> None:
    show(library, "meadow.mp4")
    library.wait_on_air("meadow.mp4")
    page = at_mappings(signed_in())
    page.get_by_role("button", name=re.compile("^Choose a loop")).first.click()
    dialog = page.get_by_role("dialog", name=re.compile("^A loop for"))
    dialog.get_by_role("radio", name="lagoon.mp4").check()
    dialog.get_by_role("button", name="Try it for a minute").click()
    page.get_by_role("dialog").filter(has_text="Viewers see it").get_by_role("button", name="Show it").click()
    expect(page.get_by_text("lagoon.mp4 is on the air for a minute.")).to_be_visible()
    library.wait_on_air("lagoon.mp4")


def test_there_and_back_as_a_table(signed_in: SignedIn, library: Station, tmp_path: Path) -> None:
    page = at_mappings(signed_in())
    page.get_by_label("Artist", exact=True).fill("Coral")
    expect(page.get_by_text("1 to 40 of 40 songs")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export these songs").click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert len(lines) == 41
    filled = tmp_path / "filled.csv"
    # The third column is the loop.
    changed = [line.replace(",,", ",coral.mp4,", 1) if n < 31 else line for n, line in enumerate(lines)]
    changed[2] = changed[2].replace("coral.mp4", "../coral.mp4")
    filled.write_text("\n".join(changed))
    page.get_by_label("Import a CSV").set_input_files(filled)
    found = page.get_by_role("region", name="Import")
    expect(found).to_contain_text("29 mappings made, 0 replaced, 0 as before; 10 lines without a loop, 1 line wrong.")
    expect(found.get_by_role("row").nth(1)).to_contain_text("3")
    expect(found.get_by_role("row").nth(1)).to_contain_text('contains ".."')
    assert faults_of(page) == []
    found.get_by_role("button", name="Import 29 mappings").click()
    expect(page.get_by_text("120 songs, 91 without a mapping.", exact=False)).to_be_visible()


def test_by_the_time_of_day(signed_in: SignedIn, library: Station) -> None:
    page = at_mappings(signed_in())
    part = page.get_by_role("region", name="Where nothing is mapped")
    part.get_by_label("From").fill("00:00")
    part.get_by_label("Until").fill("23:59")
    part.get_by_label("Loop").fill("coral.mp4")
    part.get_by_role("button", name="Set").click()
    expect(part.get_by_role("listitem").filter(has_text="coral.mp4")).to_contain_text("00:00 to 23:59")
    assert faults_of(page) == []
    part.get_by_role("button", name="Remove the default for 00:00 to 23:59").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(part.get_by_role("listitem")).to_have_count(1)


def test_who_only_looks_changes_nothing(signed_in: SignedIn, library: Station) -> None:
    page = at_mappings(signed_in("viewer", viewport={"width": 390, "height": 844}))
    expect(page.get_by_text("1 to 50 of 120 songs")).to_be_visible()
    assert page.get_by_role("checkbox").count() == 0
    assert page.get_by_role("button", name="Choose").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults_of(page) == []
    began = time.monotonic()
    page.get_by_label("Search", exact=True).fill("song 119")
    expect(page.get_by_text("1 to 1 of 1 song")).to_be_visible()
    assert time.monotonic() - began < 2


def test_a_long_file_is_sent_in_parts(signed_in: SignedIn, library: Station) -> None:
    page = at_mappings(signed_in())
    parts = page.evaluate(
        """async () => {
            const script = document.querySelector('script[src$="/mappings.js"]').src;
            const { partsOf } = await import(script.replace("mappings.js", "mappings-csv.js"));
            return partsOf('\\ufeffa,b\\n1,2\\n"3\\n",4\\n5,6', 10);
        }"""
    )
    assert [(part["first"], part["text"]) for part in parts] == [
        (1, "a,b\n1,2\n"),
        (2, 'a,b\n"3\n",4\n'),
        (4, "a,b\n5,6"),
    ]
