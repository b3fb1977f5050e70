"""A newcomer's first way through the page, timed: from the address that `make demo` prints to a video of their own at
the platform.

A real Chromium walks it at a person's pace, by what the page says and by nothing else. Everything counts as the
person's time: the seconds in which they read, click and type, and those in which they can only wait.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.bench.outcome import Part, Table
from tests.bench.stage import Stage
from tests.hosts.demo import Demo
from tests.rig import media
from tests.rig.net import RigError
from tests.rig.station import MEDIA_CACHE

_LIMIT = 180.0
_READ, _CLICK, _KEY = 2.5, 1.0, 0.2
"""Seconds to read what has newly come up, to aim and click or pick, and to type a character."""
_NOTICE = 5.0
"""Seconds after which a person is sure that the picture did not come with its song."""
_SEEN = 30
"""Pictures in a row: what is there for a second is seen."""
_VIDEO_SECONDS = 25
_PREPARED, _SHOWN = 120.0, 300.0


def measure(stage: Stage) -> Part:
    """Newcomers at the demo, who come at different times of a song, and each with a video of their own."""
    part = Part("A newcomer's first walk")
    walks = []
    count = int(stage.length(3, 1))
    stage.say("walk: make demo")
    with _demo() as demo, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        for number in range(count):
            stage.say(f"walk: newcomer {number + 1} of {count}")
            video = _video(stage, number)
            song_seconds = _wait_for_song(demo, number / count)
            walks.append(_walk(chromium, demo.describe(), video))
            # The next newcomer's video looks the same.
            demo.map_songs()
        chromium.close()
    _report(part, walks, song_seconds)
    return part


@contextmanager
def _demo() -> Iterator[Demo]:
    demo = Demo(Path(os.environ.get("RUN_DIR") or ".run") / "walk")
    try:
        demo.up()
        yield demo
    finally:
        demo.down()


def _video(stage: Stage, number: int) -> Path:
    """A video at 1080p with sound that no station has seen, under a name as people give them."""
    made = media.make(MEDIA_CACHE, "own.mp4", media.own_args(_VIDEO_SECONDS))
    file = stage.place / f"My balcony {number + 1}.mp4"
    # A box that every player leaps over: the same picture, but another file.
    file.write_bytes(made.read_bytes() + (16).to_bytes(4, "big") + b"free" + os.urandom(8))
    return file


def _wait_for_song(demo: Demo, share: float) -> float:
    """Return when a song begins and this share of it is over; how long it lasts (seconds)."""
    before = len(demo.studio("/begun"))
    while len(begun := demo.studio("/begun")) == before:
        time.sleep(0.2)
    seconds = float(begun[-1]["seconds"])
    time.sleep(max(0.0, begun[-1]["at"] + share * seconds - time.time()))
    return seconds


# --- the person ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Step:
    """A part of the way: seconds in which the person does something, and in which they can only wait."""

    what: str
    person: float
    machine: float


class Person:
    """Reads, clicks and types, and notes how long it took."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.steps: list[Step] = []
        self._own = 0.0

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """All of a step's time that is not the person's own is the machine's."""
        began, self._own = time.monotonic(), 0.0
        yield
        self.steps.append(Step(what, self._own, time.monotonic() - began - self._own))

    def read(self) -> None:
        """Look at what has come up."""
        self._take(_READ)

    def pick(self) -> None:
        """A click outside the page."""
        self._take(_CLICK)

    def click(self, what: Locator) -> None:
        """Find it, which takes until it is there, and click."""
        expect(what).to_be_enabled()
        self._take(_CLICK)
        what.click()

    def type(self, text: str) -> None:
        """Into whatever has the focus."""
        began = time.monotonic()
        self.page.keyboard.type(text, delay=1000 * _KEY)
        self._own += time.monotonic() - began

    def _take(self, seconds: float) -> None:
        began = time.monotonic()
        # Not time.sleep: the browser's events are to be heard meanwhile.
        self.page.wait_for_timeout(1000 * seconds)
        self._own += time.monotonic() - began


def _walk(chromium: Browser, about: dict[str, str], video: Path) -> list[Step]:
    """The whole way, by what the page says, from what `make demo` prints (see Demo.describe).

    RigError or Playwright's own error where it leads nowhere.
    """
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    person = Person(page := context.new_page())
    with Screen(about["platform_rtmp_url"]) as screen:
        with person.step("open the address, sign in"):
            person.read()
            person.pick()
            page.goto(about["page_url"])
            person.read()
            person.type(about["page_user"])
            person.click(page.get_by_label("Password"))
            person.type(about["page_password"])
            person.click(page.get_by_role("button", name="Sign in"))
            expect(page.get_by_role("heading", name="On the air now")).to_be_visible()
        with person.step("go to the library"):
            person.read()
            person.click(page.get_by_role("link", name="Library"))
            expect(page.get_by_role("heading", name="Upload")).to_be_visible()
        with person.step("choose the video"):
            person.read()
            with page.expect_file_chooser() as chooser:
                person.click(page.get_by_text("choose files"))
            person.read()
            person.pick()
            person.pick()
        row = page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text=video.name)
        with person.step("wait for the upload"):
            chooser.value.set_files(video)
            expect(row).to_contain_text("Uploaded", timeout=1000 * _PREPARED)
        with person.step("wait for its preparation"):
            expect(row).to_contain_text("Uploaded and ready", timeout=1000 * _PREPARED)
        with person.step("go to the songs"):
            person.read()
            person.click(row.get_by_role("link", name="Give it to songs"))
            expect(page.get_by_role("heading", name="Mappings")).to_be_visible()
            expect(page.get_by_text(f"Choose which songs get {video.name}")).to_be_visible()
            person.read()
        _map_next(person)
        while not _see(person, screen):
            _map_next(person)
        with person.step("see it at the platform"):
            person.read()
    context.close()
    return person.steps


def _map_next(person: Person) -> None:
    """Give the video to the song that comes next."""
    page = person.page
    with person.step("give it to the song that comes next"):
        person.click(_told(page, "Next").get_by_role("button"))
        choose = page.get_by_role("button", name="Choose a loop for")
        expect(choose).to_have_count(1)
        person.read()
        person.click(choose)
        dialog = page.get_by_role("dialog", name="A loop for")
        expect(dialog.get_by_role("status")).to_contain_text("It would be: 1 mapping replaced.")
        person.read()
        person.click(dialog.get_by_role("button", name="Map"))
        expect(dialog).to_be_hidden()
        person.read()


def _told(page: Page, what: str) -> Locator:
    return page.get_by_role("group", name="Now and next").get_by_role("paragraph").filter(has_text=what)


def _see(person: Person, screen: "Screen") -> bool:
    """Whether the video came with its song; False: the song had begun before it was mapped."""
    page = person.page
    mapped = page.get_by_role("region", name="Songs").get_by_role("row").nth(1).get_by_role("strong").inner_text()
    deadline, begun = time.monotonic() + _SHOWN, None
    with person.step("wait for the song"):
        while time.monotonic() < deadline:
            page.wait_for_timeout(100)
            if screen.shows(media.OWN):
                return True
            if mapped not in _told(page, "On the air").inner_text():
                begun = None
            elif time.monotonic() - (begun := begun or time.monotonic()) > _NOTICE:
                return False
    raise RigError("the video was not seen at the platform")


# --- what the platform shows --------------------------------------------------------------------------------


class Screen:
    """A player at the platform, in a thread: decodes what comes as it comes."""

    def __init__(self, url: str) -> None:
        self._argv = media.strips_argv(url)
        self._loop: str | None = None
        self._pictures = 0
        self._thread = threading.Thread(target=self._watch, name="screen", daemon=True)

    def shows(self, loop: str) -> bool:
        """Whether this loop has been there for a second, and still is."""
        return self._loop == loop and self._pictures >= _SEEN

    def _watch(self) -> None:
        assert self._process.stdout is not None
        while cells := self._process.stdout.read(media.CELLS):
            loop = media.read_strip(cells).loop
            self._pictures = self._pictures + 1 if loop == self._loop else 1
            self._loop = loop

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.PIPE)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._thread.join(10)


# --- the figures --------------------------------------------------------------------------------------------


def _report(part: Part, walks: Sequence[Sequence[Step]], song_seconds: float) -> None:
    totals = [sum(step.person + step.machine for step in walk) for walk in walks]
    what = "First walk, from `make demo` to an own video at the platform: a person's time, slowest"
    part.at_most(what, max(totals), _LIMIT, " s")
    part.figures["walks"] = [[asdict(step) for step in walk] for walk in walks]
    slowest = walks[totals.index(max(totals))]
    rows = [[step.what, f"{step.person:.1f} s", f"{step.machine:.1f} s"] for step in slowest]
    person, machine = sum(step.person for step in slowest), sum(step.machine for step in slowest)
    rows.append(["**all of it**", f"{person:.1f} s", f"{machine:.1f} s"])
    part.tables.append(Table(["The slowest walk", "reads, clicks, types", "can only wait"], rows))
    part.notes.append(
        "A Chromium does what somebody does who knows nothing but what the page says, at a person's pace:"
        f" {_READ:g} s to read what has newly come up, {_CLICK:g} s to aim and click or pick, {_KEY:g} s for each"
        " character, those of the long password too. What the person can only wait for is their time as well. The"
        f" video is one of {_VIDEO_SECONDS} s at 1080p that the station has never seen; it counts as seen once a"
        " player at the platform has decoded a second of it. The station is the one that `make demo` has just put on"
        f" the air; its songs last {song_seconds:g} s. The newcomers come at different times of a song, and took "
        + ", ".join(f"{total:.0f} s" for total in totals)
        + ". Who maps a song just as it begins has come too late for it, and gives the video to the next one as well."
    )
