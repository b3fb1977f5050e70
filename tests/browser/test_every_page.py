"""Every page there is, in both colour schemes, as axe sees it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, SignedIn, faults_of
from tests.integration.onair import show
from tests.rig.station import Station


def is_there(page: Page, address: str) -> None:
    """Return when a page shows what its script asks for."""
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    if address.startswith("/library"):
        expect(page.get_by_role("list", name="Loops").get_by_role("listitem").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_anywhere(signed_in: SignedIn, opened: Open, station: Station, scheme: str) -> None:
    show(station, "coral.mp4")
    page = opened(color_scheme=scheme)
    is_there(page, "/login")
    assert faults_of(page) == []
    page = signed_in(color_scheme=scheme)
    links = page.get_by_role("navigation", name="Main").get_by_role("link").all()
    addresses = [str(link.get_attribute("href")) for link in links]
    assert len(addresses) == 7, addresses
    # A station that is not there has the page of an error.
    for address in (*addresses, "/api/v1/docs", "/?station=nothing"):
        is_there(page, address)
        assert faults_of(page) == [], address
