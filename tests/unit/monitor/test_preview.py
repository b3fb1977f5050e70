"""What lies in the run directory while somebody looks, and that nothing does when nobody does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hook_service.monitor.preview import KEPT_SECONDS, Preview
from tests.unit.monitor.test_cutter import CONFIGURATION, PROFILE, gops


class Seen:
    """A preview that is given GOPs of two seconds, and its directory."""

    def __init__(self, place: Path) -> None:
        self.place = place / "preview/demo"
        self.preview = Preview(self.place, PROFILE)
        self.now = 1000.0
        self._ms = 0

    def send(self, count: int = 1, configured: bool = False) -> None:
        for message in CONFIGURATION if configured else ():
            self.preview.take(message, self.now)
        for _ in range(count):
            for message in gops(1, self._ms)[:-1]:
                self.preview.take(message, self.now)
            self._ms += 2000
        self.preview.look(self.now)

    @property
    def names(self) -> set[str]:
        return {path.name for path in self.place.glob("*")} | {path.name for path in self.place.glob(".*")}

    @property
    def playlist(self) -> str:
        return (self.place / "live.m3u8").read_text()


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    found = Seen(tmp_path)
    found.send(2, configured=True)
    return found


def test_nobody_looks(seen: Seen) -> None:
    assert seen.names == set()
    assert len(seen.preview._cutter._pictures) == 0


def test_somebody_looks_for_a_while(seen: Seen) -> None:
    assert not seen.preview.live(seen.now)
    seen.send(4)
    assert seen.preview.live(seen.now)
    numbers = [int(number) for number in re.findall(r"^(\d+).m4s$", seen.playlist, re.MULTILINE)]
    assert len(numbers) == 3
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert seen.names == {"live.m3u8", f"init-{numbers[0]}.mp4", *(f"{number}.m4s" for number in numbers)}
    assert seen.playlist.count("#EXTINF:2.000,") == 3
    assert "#EXT-X-DISCONTINUITY\n" not in seen.playlist
    seen.send(100)
    assert seen.playlist.count("#EXTINF") == 6
    assert len(seen.names) == 11
    # A word about the next one, and it goes on; without, it ends.
    seen.now += KEPT_SECONDS - 0.1
    seen.preview.live(seen.now)
    seen.now += KEPT_SECONDS - 0.1
    seen.send()
    assert seen.playlist
    seen.now += 0.2
    seen.send()
    assert seen.names == set()
    # And begins again above what was.
    seen.preview.live(seen.now)
    seen.send(3)
    (first, *_) = re.findall(r"^(\d+).m4s$", seen.playlist, re.MULTILINE)
    assert int(first) > numbers[-1]


def test_a_break_is_told(seen: Seen) -> None:
    seen.preview.live(seen.now)
    seen.send(3)
    seen.preview.restart()
    seen.send(3)
    assert seen.playlist.count("#EXT-X-DISCONTINUITY\n") == 1
    first, second = re.findall(r'#EXT-X-MAP:URI="(.+)"', seen.playlist)
    assert {first, second} < seen.names
    (before,) = re.findall(r"#EXT-X-DISCONTINUITY-SEQUENCE:(\d+)", seen.playlist)
    seen.send(20)
    assert first not in seen.names
    assert second in seen.names
    assert f"#EXT-X-DISCONTINUITY-SEQUENCE:{int(before) + 1}\n" in seen.playlist


def test_a_still_is_there_at_once_and_only_while_it_is_wanted(seen: Seen) -> None:
    assert seen.preview.still(seen.now)
    assert seen.names == {"still.mp4"}
    before = (seen.place / "still.mp4").stat().st_mtime_ns
    assert seen.preview.still(seen.now)
    assert (seen.place / "still.mp4").stat().st_mtime_ns == before
    seen.send()
    assert seen.preview.still(seen.now)
    assert (seen.place / "still.mp4").stat().st_mtime_ns > before
    seen.now += KEPT_SECONDS
    seen.send()
    assert seen.names == set()


def test_what_is_over_is_not_shown(seen: Seen) -> None:
    seen.preview.live(seen.now)
    seen.preview.still(seen.now)
    seen.send(3)
    seen.preview.end()
    assert seen.names == set()
    assert not seen.preview.still(seen.now)
    assert not seen.preview.live(seen.now)
    seen.send(3)
    assert seen.preview.live(seen.now)


def test_what_an_earlier_run_left_is_taken_away(seen: Seen) -> None:
    seen.preview.live(seen.now)
    seen.send(3)
    Preview(seen.place, PROFILE)
    assert seen.names == set()


def test_a_disk_that_takes_nothing_costs_only_the_preview(seen: Seen) -> None:
    seen.place.parent.mkdir(parents=True)
    seen.place.write_text("no directory")
    seen.preview.live(seen.now)
    seen.send(3)
    assert not seen.preview.still(seen.now)
    seen.place.unlink()
    seen.send(3)
    assert seen.preview.live(seen.now)
    assert seen.preview.still(seen.now)
