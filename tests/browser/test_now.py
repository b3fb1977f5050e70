"""The page that an operator has open: signing in, what is on the air, and that it keeps up by itself."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

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


def test_who_guesses_is_locked_out_and_nobody_else(opened: Open, signed_in: SignedIn, station: Station) -> None:
    # From an address of its own: other tests sign in as well.
    page = opened(extra_http_headers={"X-Forwarded-For": "203.0.113.9"})
    page.goto("/login")
    password = page.get_by_label("Password")

    def try_it(what: str) -> None:
        page.get_by_label("Name").fill(PAGE_USERS["viewer"])
        password.fill(what)
        page.get_by_role("button", name="Sign in").click()
        # It is empty in the page that comes then.
        expect(password).to_have_value("")

    for _ in range(5):
        try_it("a guess")
        expect(page.get_by_role("alert").first).to_contain_text("don't belong together")
    try_it(station.page_password("viewer"))
    expect(page.get_by_role("alert").first).to_have_text("Too many tries. Wait 1 minute, then try again.")
    assert faults_of(page) == []
    expect(signed_in("viewer").get_by_role("heading", level=1)).to_be_visible()


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


def test_a_process_that_is_away_is_told_of_until_it_is_back(signed_in: SignedIn, station: Station) -> None:
    page = signed_in("viewer")
    processes = page.get_by_role("region", name="Processes", exact=True)

    def row(label: str) -> Locator:
        return processes.get_by_role("listitem").filter(has=page.get_by_text(label, exact=True))

    for label in ("Playout", "Outputs", "Publisher", "Sound", "Relay", "Monitor", "Monitor's decoder", "Web service"):
        expect(row(label)).to_contain_text("running")
    expect(row("Database")).to_contain_text("running")
    expect(row("Preparation")).to_contain_text("running")
    prepare = station.services["prepare"]
    station.supervisor.stop(prepare)
    try:
        expect(row("Preparation")).to_contain_text("does not answer")
        expect(row("Preparation")).to_contain_text("New loops wait until it is back")
        assert faults_of(page) == []
    finally:
        station.supervisor.restart(prepare)
    expect(row("Preparation")).to_contain_text("running")
    expect(row("Preparation")).not_to_contain_text("New loops wait")


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


def test_an_error_is_listed_with_all_that_is_known_of_it(signed_in: SignedIn, station: Station) -> None:
    station.sql(
        "INSERT INTO error_log (station, service, severity, message, context)"
        " VALUES ('demo', 'radio-playout', 'ERROR', 'The teapot is empty', '{\"cups\": 7}')"
    )
    page = signed_in("viewer")
    page.get_by_role("link", name="Errors").click()
    row = page.get_by_role("row").filter(has_text="The teapot is empty")
    expect(row.get_by_role("cell")).to_contain_text(["", "error", "The teapot is empty", "radio-playout"])
    row.get_by_text("More").click()
    expect(row.get_by_text('"cups": 7')).to_be_visible()
    assert faults_of(page) == []
    for severity, rows in (("CRITICAL", 0), ("ERROR", 1)):
        page.get_by_label("Severity").select_option(severity)
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(re.compile(f"severity={severity}"))
        expect(row).to_have_count(rows)
