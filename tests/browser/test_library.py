"""The library: uploading, seeing what there is, finding it again, deleting it and having it back."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import SignedIn, faults_of, picture
from tests.rig.net import wait_until
from tests.rig.station import Station


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three videos that no station has."""
    directory = tmp_path_factory.mktemp("videos")
    made = []
    for name, source in (("Neon Rain.mp4", "testsrc2"), ("Paper Moon.mp4", "mandelbrot"), ("Long Road.mp4", "life")):
        path = directory / name
        command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"{source}=s=640x360:r=30", "-t", "3"]
        subprocess.run([*command, "-c:v", "libx264", "-preset", "ultrafast", str(path)], check=True, timeout=60)
        made.append(path)
    return made


def library(page: Page) -> Page:
    page.get_by_role("link", name="Library").click()
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
    return page


def test_videos_are_uploaded_seen_and_found(signed_in: SignedIn, station: Station, videos: list[Path]) -> None:
    page = library(signed_in())
    page.get_by_label("Drop videos or pictures here").set_input_files(videos[:2])
    uploads = page.get_by_role("list", name="Uploads")
    loops = page.get_by_role("list", name="Loops")
    for video in videos[:2]:
        expect(uploads).to_contain_text(video.name)
    for video in videos[:2]:
        expect(uploads.get_by_role("listitem").filter(has_text=video.name)).to_contain_text(
            "Uploaded and ready", timeout=30_000
        )
    one = loops.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Neon Rain.mp4"))
    expect(one).to_contain_text("Ready")
    # Its picture is there, and moves where the mouse is.
    expect(one.locator("img")).to_have_js_property("naturalWidth", 320, timeout=20_000)
    one.get_by_role("button", name="Preview of Neon Rain.mp4").hover()
    moving = one.locator("video")
    expect(moving).to_have_js_property("videoWidth", 320)
    wait_until(lambda: moving.evaluate("video => video.currentTime") > 0.3, "a preview that moves", 10)
    assert faults_of(page) == []
    picture(page, "library")
    one.get_by_role("button", name="Tags of Neon Rain.mp4").click()
    page.get_by_label("Tags, with commas").fill("night, rain")
    page.get_by_role("button", name="Save").click()
    expect(one.get_by_role("list", name="Tags of Neon Rain.mp4")).to_contain_text("rain")
    page.get_by_role("searchbox").fill("NIGHT")
    expect(page.get_by_text("1 loop", exact=True)).to_be_visible()
    expect(one).to_be_visible()
    expect(page.get_by_role("option", name="rain (1)")).to_be_attached()
    # What is ready is there to be given to songs, whatever else is looked for.
    uploads.get_by_role("link", name="Give it to songs: Paper Moon.mp4").click()
    expect(page.get_by_role("heading", name="Mappings")).to_be_visible()
    expect(page.get_by_text("Choose which songs get Paper Moon.mp4")).to_be_visible()


def test_the_same_again_and_what_is_no_video(signed_in: SignedIn, videos: list[Path], tmp_path: Path) -> None:
    page = library(signed_in())
    uploads = page.get_by_role("list", name="Uploads")
    choose = page.get_by_label("Drop videos or pictures here")
    copy = tmp_path / "Another name.mp4"
    copy.write_bytes(videos[0].read_bytes())
    choose.set_input_files(copy)
    expect(uploads).to_contain_text("Is there already: Neon Rain.mp4", timeout=15_000)
    expect(uploads.get_by_role("link", name="Give it to songs: Neon Rain.mp4")).to_be_visible()
    text = tmp_path / "letter.mp4"
    text.write_text("Dear station,\n" * 100)
    choose.set_input_files(text)
    expect(uploads).to_contain_text(re.compile("Refused: .*this is text"), timeout=15_000)
    expect(page.get_by_role("alert").first).to_contain_text("letter.mp4")
    assert faults_of(page) == []


def test_a_video_that_proves_to_be_damaged(signed_in: SignedIn, videos: list[Path], tmp_path: Path) -> None:
    """Its head is well, so that it is taken; that its pictures end is found by whoever prepares it."""
    whole, half = tmp_path / "whole.mp4", tmp_path / "Half a moon.mp4"
    command = ["ffmpeg", "-v", "error", "-i", str(videos[1]), "-c", "copy", "-movflags", "+faststart", str(whole)]
    subprocess.run(command, check=True, timeout=60)
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    page = library(signed_in())
    page.get_by_label("Drop videos or pictures here").set_input_files(half)
    row = page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text=half.name)
    expect(row).to_contain_text(re.compile("Uploaded but refused: .*damaged"), timeout=30_000)
    expect(row.get_by_role("link", name="Give it to songs")).to_have_count(0)
    expect(page.get_by_role("alert").first).to_contain_text(f"{half.name} is refused: ")
    card = page.get_by_role("list", name="Loops").get_by_role("listitem").filter(has_text=half.name)
    expect(card).to_contain_text("damaged")
    assert faults_of(page) == []


def test_an_upload_goes_on_where_it_was(signed_in: SignedIn, station: Station, videos: list[Path]) -> None:
    page = library(signed_in())
    large = videos[2].with_name("Long Road, long.mp4")
    # What follows the last box of an MP4 is nobody's business.
    large.write_bytes(videos[2].read_bytes() + bytes([0, 0x80, 0, 0]) + b"free" + bytes((8 << 20) - 8))
    pieces: list[str] = []

    def count(route: Route) -> None:
        pieces.append(route.request.headers["upload-offset"])
        # The second piece finds no way, the third is as far as it gets before somebody stops it.
        if len(pieces) == 2:
            route.abort()
        else:
            route.continue_()

    page.route(
        "**/api/v1/uploads/*", lambda route: count(route) if route.request.method == "PATCH" else route.continue_()
    )
    page.get_by_label("Drop videos or pictures here").set_input_files(large)
    uploads = page.get_by_role("list", name="Uploads")
    # Its requests come here while something is asked of the page.
    wait_until(lambda: page.evaluate("1") and len(pieces) >= 3, "three pieces", 15)
    pause = uploads.get_by_role("button", name="Pause Long Road, long.mp4")
    if pause.is_visible():
        pause.click()
    # The page is closed in the midst of it; the same file is chosen again.
    page.reload()
    page.get_by_label("Drop videos or pictures here").set_input_files(large)
    expect(page.get_by_role("list", name="Uploads")).to_contain_text("Uploaded", timeout=30_000)
    assert pieces[1] == pieces[2] != "0", pieces
    assert pieces.count("0") == 1, pieces
    assert (station.run_dir / "loops" / large.name).read_bytes() == large.read_bytes()


def test_deleting_has_a_way_back(signed_in: SignedIn, station: Station, videos: list[Path]) -> None:
    page = library(signed_in())
    path = station.run_dir / "loops" / "Paper Moon.mp4"
    card = page.get_by_role("heading", name="Paper Moon.mp4")
    page.get_by_role("button", name="Delete Paper Moon.mp4").click()
    expect(card).to_have_count(0)
    assert not path.exists()
    page.get_by_role("button", name="Undo").click()
    expect(card).to_be_visible()
    assert path.read_bytes() == videos[1].read_bytes()
    # What the configuration names can't be deleted; of what viewers see it is asked first.
    page.get_by_role("button", name="Delete default.mp4").click()
    expect(page.get_by_role("alert").first).to_contain_text("The configuration names this loop")
    station.sql("INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('a - b', 'Paper Moon.mp4')")
    wait_until(lambda: "1 mapping" in page.get_by_role("list", name="Loops").inner_text(), "where it is used", 15)
    page.get_by_role("button", name="Delete Paper Moon.mp4").click()
    expect(page.get_by_role("dialog")).to_contain_text("is used (1 mapping)")
    page.get_by_role("button", name="Cancel").click()
    assert path.exists()


def test_who_may_only_look_changes_nothing(signed_in: SignedIn) -> None:
    page = library(signed_in("viewer", viewport={"width": 390, "height": 844}))
    expect(page.get_by_role("heading", name="default.mp4")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^(Delete|Tags)"))).to_have_count(0)
    expect(page.get_by_role("link", name=re.compile("^Songs"))).to_have_count(0)
    expect(page.get_by_role("heading", name="Upload")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults_of(page) == []
    picture(page, "library-phone")
