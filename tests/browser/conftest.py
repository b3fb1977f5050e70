"""A real Chromium at the page of a real station."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.integration.onair import on_air
from tests.rig.layout import PAGE_USERS, Options
from tests.rig.net import free_port, wait_until
from tests.rig.station import Station

CHROMIUM = "/usr/bin/chromium"
PICTURES = Path(__file__).parents[2] / "docs/pictures"
Role = Literal["operator", "viewer"]
Open = Callable[..., Page]
SignedIn = Callable[..., Page]


@pytest.fixture(scope="session")
def prepared() -> Iterator[Path]:
    """Where stations leave their prepared loops for each other."""
    with tempfile.TemporaryDirectory(prefix="steadycast-prepared-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def prometheus_port() -> int:
    """Where the station looks for a Prometheus; there is one while a test has started it."""
    return free_port()


@pytest.fixture(scope="session")
def station(prepared: Path, prometheus_port: int) -> Iterator[Station]:
    """A station on the air that switches at once, and that nobody tells of anything but the tests."""

    def configure(config: dict[str, Any]) -> None:
        _behind_nginx(config)
        config["web"]["prometheus"] = f"http://127.0.0.1:{prometheus_port}"

    with on_air(prepared, Options(automation=False, switch_delay=0.0, configure=configure)) as station:
        yield station


def _behind_nginx(config: dict[str, Any]) -> None:
    """As on a host; whoever comes without it is believed all the same."""
    config["web"]["trusted_proxies"] = 1


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def nothing_held(station: Station) -> None:
    """What a test before has put on the air by hand, perhaps for a minute, is over."""
    station.api("stations/demo/release", method="POST", body={})


@pytest.fixture
def opened(chromium: Browser, station: Station) -> Iterator[Open]:
    """`opened()` is a new window in a browser that knows nothing of the station; its options are a context's, and
    `at` another station. Whatever a script throws or the page's own policy forbids fails the test.
    """
    faults: list[str] = []
    contexts = []

    def told(message: ConsoleMessage) -> None:
        # Answers that are errors are in the console too; what they lead to is looked at on the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    def make(at: Station | None = None, **options: Any) -> Page:
        context = chromium.new_context(**{"base_url": (at or station).base_url, "locale": "en-GB", **options})
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("console", told)
        page.on("pageerror", lambda error: faults.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def signed_in(opened: Open, station: Station) -> SignedIn:
    """`signed_in("operator")` is a page of somebody with that role, at the first page."""

    def make(role: Role = "operator", at: Station | None = None, **options: Any) -> Page:
        page = opened(at=at, **options)
        page.goto("/login")
        page.get_by_label("Name").fill(PAGE_USERS[role])
        page.get_by_label("Password").fill((at or station).page_password(role))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        return page

    return make


def faults_of(page: Page) -> list[str]:
    """What axe finds on a page that is serious or worse, a line each: there must be none."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {fault['help']}: {[node['html'][:200] for node in fault['nodes']]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


# Whether the preview, where there is one, shows more than a loop's first black.
_PREVIEW_IS_SEEN = """() => {
  const canvas = document.querySelector("#preview canvas");
  if (!canvas || !canvas.offsetParent) return true;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, at) => at % 4 < 3 && value > 128);
}"""


def picture(page: Page, name: str) -> None:
    """Keep what the page looks like for the documentation, where SCREENSHOTS=1 asks for it."""
    if os.environ.get("SCREENSHOTS") == "1":
        PICTURES.mkdir(exist_ok=True)
        wait_until(lambda: page.evaluate(_PREVIEW_IS_SEEN), "the preview", 15)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=PICTURES / f"{name}.png")
