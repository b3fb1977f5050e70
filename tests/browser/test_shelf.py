"""The library's shelf: a file that is dropped on it, what takes room, finding again by filters, and the trash."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import SignedIn, faults_of
from tests.rig.net import wait_until
from tests.rig.station import Station

DROPPED = "Evening Train.mp4"
SPARE = "Spare Wheel.mp4"
MIB = 1 << 20
# What a browser hands over when a file is let go of above a page.
TRANSFER = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "video/mp4" }));
  return data;
}"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video that no station has."""
    path = tmp_path_factory.mktemp("shelf") / "made.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "smptebars=s=640x360:r=30", "-t", "3"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "ultrafast", str(path)], check=True, timeout=60)
    return path.read_bytes()


@pytest.fixture
def spare(station: Station, video: bytes) -> Iterator[Path]:
    """A loop that nothing uses."""
    path = station.run_dir / "loops" / SPARE
    path.write_bytes(video)
    wait_until(lambda: station.api(f"loops?q={path.stem.split()[0]}")["total"] == 1, "the loop in the library", 10)
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def dusk(station: Station) -> Iterator[str]:
    """The one loop with the tag dusk."""
    station.api("loops/tags", method="PUT", body={"name": "coral.mp4", "tags": ["dusk"]})
    yield "coral.mp4"
    station.api("loops/tags", method="PUT", body={"name": "coral.mp4", "tags": []})


def shelf(page: Page) -> Locator:
    """The loops of the library, opened anew."""
    page.goto("/library")
    return page.get_by_role("list", name="Loops")


def test_a_file_is_dropped_and_its_way_is_seen(signed_in: SignedIn, station: Station, video: bytes) -> None:
    page = signed_in()
    shelf(page)
    # What follows the last box of an MP4 is nobody's business. It makes a second piece, which is held up here.
    content = video + (2 * MIB).to_bytes(4, "big") + b"free" + bytes(2 * MIB - 8)
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.headers.get("upload-offset") == str(MIB):
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/uploads/*", hold)
    transfer = page.evaluate_handle(TRANSFER, [DROPPED, base64.b64encode(content).decode()])
    page.get_by_text("Drop videos or pictures here").dispatch_event("drop", {"dataTransfer": transfer})
    row = page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text=DROPPED)
    bar = page.get_by_role("progressbar", name=f"Upload of {DROPPED}")
    expect(bar).to_have_js_property("value", MIB)
    expect(bar).to_have_js_property("max", len(content))
    expect(row).to_contain_text(re.compile(rf"{100 * MIB // len(content)} % of 2\.\d MB"))
    assert faults_of(page) == []
    # Its requests come here while something is asked of the page.
    wait_until(lambda: page.evaluate("1") and held, "the second piece", 10)
    held.pop().continue_()
    expect(row).to_contain_text("Uploaded and ready", timeout=30_000)
    expect(bar).to_be_hidden()
    assert (station.run_dir / "loops" / DROPPED).read_bytes() == content


def test_how_much_room_is_used_and_left(signed_in: SignedIn, station: Station) -> None:
    page = signed_in("viewer")
    shelf(page)
    disk = station.api("loops/disk")
    told = page.get_by_text(re.compile(f"^{disk['loops']} loops, "))
    expect(told).to_have_text(re.compile(r"^\d+ loops, [\d.]+ [KM]B; prepared [\d.]+ [KMG]B; [\d.]+ [MGT]B free$"))


def test_loops_are_found_by_tag_state_and_use(signed_in: SignedIn, station: Station, spare: Path, dusk: str) -> None:
    page = signed_in("viewer")
    loops = shelf(page)

    def by(name: str, value: str, query: str) -> Locator:
        """The names that are shown then, as many as the API has of them."""
        page.get_by_role("combobox", name=name, exact=True).select_option(value)
        total = station.api(f"loops?{query}")["total"]
        expect(page.get_by_text(f"{total} loop{'' if total == 1 else 's'}", exact=True)).to_be_visible()
        return loops.get_by_role("heading")

    expect(by("Used", "false", "used=false").filter(has_text=spare.name)).to_be_visible()
    expect(by("Used", "false", "used=false").filter(has_text="default.mp4")).to_have_count(0)
    expect(by("Used", "true", "used=true").filter(has_text=spare.name)).to_have_count(0)
    expect(by("Used", "true", "used=true").filter(has_text="default.mp4")).to_be_visible()
    by("Used", "", "limit=1")
    expect(by("Tag", "dusk", "tag=dusk")).to_have_text([dusk])
    expect(by("State", "prepared", "tag=dusk&state=prepared")).to_have_text([dusk])
    expect(by("State", "refused", "tag=dusk&state=refused")).to_have_count(0)
    assert faults_of(page) == []


def test_a_deleted_loop_comes_back_from_the_trash(
    signed_in: SignedIn, station: Station, spare: Path, video: bytes
) -> None:
    page = signed_in()
    card = shelf(page).get_by_role("heading", name=spare.name)
    page.get_by_role("button", name=f"Delete {spare.name}").click()
    expect(card).to_have_count(0)
    assert not spare.exists()
    # Later, when nobody offers to undo it any more.
    page.reload()
    page.get_by_text(re.compile(r"^Deleted loops \(\d")).click()
    row = page.get_by_role("list", name="Deleted loops").get_by_role("listitem").filter(has_text=spare.name)
    expect(row).to_contain_text("deleted by ada; kept until")
    assert faults_of(page) == []
    row.get_by_role("button", name=f"Restore {spare.name}").click()
    expect(page.get_by_role("status").filter(has_text=f"{spare.name} is back.")).to_be_visible()
    expect(card).to_be_visible()
    expect(row).to_have_count(0)
    assert spare.read_bytes() == video
