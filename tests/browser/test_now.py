"""The page that an operator has open: signing in, what is on the air, and that it keeps up by itself."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, SignedIn, faults_of, picture
from tests.integration.onair import show
from tests.rig.layout import PAGE_USERS
from tests.rig.station import Station


def test_whoever_is_not_signed_in_is_asked_to_and_gets_what_they_wanted(opened: Open, station: Station) -> None:
    page = opened()
    page.goto("/history?q=nothing")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert faults_of(page) == []
    page.get_by_label("Name").fill(PAGE_USERS["viewer"])
    page.get_by_label("Password").fill("a guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("don't belong together")
    assert faults_of(page) == []
    # The name is still there: with the keyboard alone from here.
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(station.page_password("viewer"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("searchbox")).to_have_value("nothing")


def test_a_session_ends_everywhere(signed_in: SignedIn, opened: Open) -> None:
    page = signed_in()
    kept = page.context.cookies()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    other = opened()
    other.context.add_cookies(kept)  # type: ignore[arg-type]
    other.goto("/")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_switch_is_seen_within_two_seconds(signed_in: SignedIn, station: Station) -> None:
    page = signed_in("operator", viewport={"width": 1280, "height": 800})
    expect(page.get_by_text("On the air", exact=True).last).to_be_visible()
    card = page.get_by_role("region", name="On the air now")
    for loop in ("coral.mp4", "lagoon.mp4"):
        track = show(station, loop)
        station.wait_on_air(loop)
        expect(card).to_contain_text(track.title, timeout=2000)
        expect(card).to_contain_text(loop, timeout=500)
        expect(page.get_by_role("status").filter(has_text=f"Now on the air: {track.title}")).to_have_count(1)
    picture(page, "now")
    for name in ("Destinations", "Processes"):
        expect(page.get_by_role("region", name=name)).to_contain_text("running")
    assert faults_of(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(signed_in: SignedIn, scheme: str) -> None:
    page = signed_in(color_scheme=scheme, viewport={"width": 390, "height": 844})
    for address in ("/", "/history", "/errors"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        assert faults_of(page) == [], address
    page.goto("/")
    expect(page.get_by_role("region", name="On the air now")).to_be_visible()
    picture(page, f"now-phone-{scheme}")


def test_who_is_signed_out_elsewhere_is_told(signed_in: SignedIn) -> None:
    page = signed_in()
    page.context.clear_cookies()
    expect(page.get_by_role("alert").first).to_contain_text("You are signed out")
    page.get_by_role("link", name="Sign in again").click()
    expect(page).to_have_url(re.compile(r"/login\?next=%2F"))


def test_the_history_is_searched_and_paged(signed_in: SignedIn, station: Station) -> None:
    station.sql(
        "INSERT INTO play_history (event_id, station, track_key, artist, title, loop_file_path, started_at,"
        " ended_at, duration_seconds) SELECT gen_random_uuid(), 'demo', 'paged - ' || n, 'Paged', 'Song ' || n,"
        " '/srv/loops/x.mp4', now() - n * interval '3 minutes', now() - n * interval '3 minutes', 180"
        " FROM generate_series(10, 70) AS n"
    )
    page = signed_in("viewer")
    page.get_by_role("link", name="History").click()
    page.get_by_role("searchbox").fill("paged")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(51)
    expect(page.get_by_role("row").nth(1)).to_contain_text("Song 10")
    assert faults_of(page) == []
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("row")).to_have_count(12)
    expect(page.get_by_role("row").last).to_contain_text("Song 70")
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("row")).to_have_count(51)
