"""Manual control, the audit log, tokens and the API's documentation, as a person uses them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, SignedIn, faults_of, picture
from tests.integration.onair import show
from tests.rig.azuracast import Track
from tests.rig.net import http, wait_until
from tests.rig.station import Station


def press(page: Page, name: str, yes: str | None = None) -> None:
    """A button of the panel, and the one that agrees to what is asked then."""
    panel = page.get_by_role("region", name="By hand")
    panel.get_by_role("button", name=name, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("?")
    dialog.get_by_role("button", name=yes or name, exact=True).click()


def test_holding_and_releasing(signed_in: SignedIn, station: Station) -> None:
    show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    page = signed_in()
    panel = page.get_by_role("region", name="By hand")
    expect(panel).to_contain_text("Each track brings its own picture")
    press(page, "Hold this loop")
    expect(panel).to_contain_text("coral.mp4 is held")
    assert faults_of(page) == []
    picture(page, "control")
    track = show(station, "lagoon.mp4")
    expect(page.get_by_role("region", name="On the air now")).to_contain_text(track.title)
    assert station.on_air() == "coral.mp4"
    press(page, "Release")
    station.wait_on_air("lagoon.mp4")
    expect(panel).to_contain_text("Each track brings its own picture")
    expect(panel.get_by_role("button", name="Release", exact=True)).to_be_hidden()


def test_nothing_happens_without_a_yes(signed_in: SignedIn, station: Station) -> None:
    page = signed_in()
    before = station.on_air()
    page.get_by_role("button", name="Show the slate").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert station.on_air() == before


def test_a_loop_is_chosen_with_the_keyboard_alone(signed_in: SignedIn, station: Station) -> None:
    page = signed_in()
    page.get_by_label("Loop", exact=True).focus()
    page.keyboard.type("violet.mp4")
    page.get_by_label("for", exact=True).select_option("hold")
    page.get_by_label("Loop", exact=True).press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Show violet.mp4?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    station.wait_on_air("violet.mp4")
    press(page, "Release")
    wait_until(lambda: station.on_air() != "violet.mp4", "the track's own loop", 10)


def test_a_destination_is_stopped_and_started(signed_in: SignedIn, station: Station) -> None:
    page = signed_in()
    panel = page.get_by_role("region", name="By hand")
    panel.get_by_text("Destinations and processes").click()
    press(page, "Stop platform", "Stop")
    expect(page.get_by_role("region", name="Destinations", exact=True)).to_contain_text("stopped by hand")
    assert faults_of(page) == []
    press(page, "Start platform", "Start")
    expect(panel.get_by_role("button", name="Stop platform")).to_be_visible()
    wait_until(lambda: station.processes()["destination:platform"]["state"] == "RUNNING", "the destination", 20)


@pytest.mark.parametrize(
    ("process", "name", "region", "question"),
    [
        ("destination:platform", "platform", "Destinations", "Connect to platform anew? Its viewers may see"),
        ("audio", "sound", "Processes", "Begin sound anew? What is buffered is heard meanwhile."),
    ],
)
def test_a_destination_or_a_process_is_begun_anew(
    signed_in: SignedIn, station: Station, process: str, name: str, region: str, question: str
) -> None:
    page = signed_in()
    before = station.processes()[process]["pid"]
    page.get_by_role("region", name="By hand").get_by_text("Destinations and processes").click()
    page.get_by_role("button", name=f"Restart {name}", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(question)
    dialog.get_by_role("button", name="Restart", exact=True).click()
    expect(page.get_by_role("status").filter(has_text=f"{name} is begun anew.")).to_be_visible()

    def is_another() -> bool:
        its = station.processes()[process]
        return bool(its["state"] == "RUNNING" and its["pid"] != before)

    wait_until(is_another, f"another {process}", 20)
    listed = page.get_by_role("region", name=region, exact=True).get_by_role("listitem")
    expect(listed.filter(has_text=name)).to_contain_text("running for")


def test_the_next_loop_is_shown_ahead_of_its_track(signed_in: SignedIn, station: Station) -> None:
    show(station, "coral.mp4", next=Track("Survivors", "Yet to come", loop="violet.mp4"))
    station.wait_on_air("coral.mp4")
    page = signed_in()
    card = page.get_by_role("region", name="On the air now")
    expect(card).to_contain_text("Survivors \u2013 Yet to come violet.mp4")
    press(page, "Next loop")
    expect(page.get_by_role("status").filter(has_text="The next loop is shown.")).to_be_visible()
    station.wait_on_air("violet.mp4")
    expect(card).to_contain_text("violet.mp4, shown")
    # Nothing is held: the track after it brings its own.
    show(station, "lagoon.mp4")
    station.wait_on_air("lagoon.mp4")


def test_a_viewer_sees_and_touches_nothing(signed_in: SignedIn) -> None:
    page = signed_in("viewer")
    panel = page.get_by_role("region", name="By hand")
    expect(panel).to_be_visible()
    expect(panel.get_by_role("button")).to_have_count(0)
    for name in ("Audit", "Tokens"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)
    for address in ("/audit", "/tokens"):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 403


def test_what_was_done_is_in_the_audit_log(signed_in: SignedIn, station: Station) -> None:
    page = signed_in()
    press(page, "Show the slate")
    station.wait_on_air("slate")
    press(page, "Release")
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("What").fill("station.slate")
    page.keyboard.press("Enter")
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text("station.slate")
    expect(row).to_contain_text("demo")
    assert faults_of(page) == []
    picture(page, "audit")


def test_a_token_is_made_used_and_revoked(signed_in: SignedIn, station: Station) -> None:
    page = signed_in()
    page.get_by_role("link", name="Tokens").click()
    page.get_by_label("Name").fill("the studio")
    page.get_by_label("direct the broadcast").check()
    assert faults_of(page) == []
    page.get_by_role("button", name="Make it").click()
    token = page.locator("#token")
    expect(token).to_have_text(re.compile("^sct_.{43}$"))
    assert faults_of(page) == []
    headers = {"Authorization": f"Bearer {token.text_content()}"}

    def status() -> int:
        return http(f"{station.base_url}/api/v1/status", headers=headers)[0]

    wait_until(lambda: status() == 200, "the token", 5)
    page.reload()
    expect(page.get_by_role("row").nth(1)).to_contain_text("control, read")
    page.get_by_role("button", name="Revoke the studio").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status").last).to_contain_text("the studio is revoked")
    assert status() == 401


def test_the_api_is_documented_for_anyone(opened: Open) -> None:
    page = opened(viewport={"width": 390, "height": 844})
    page.goto("/api/v1/docs")
    expect(page.get_by_role("heading", name="API", exact=True)).to_be_visible()
    page.get_by_text("POST /api/v1/tokens").click()
    expect(page.get_by_role("region", name="Body of POST /api/v1/tokens")).to_contain_text("expires_at")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults_of(page) == []
