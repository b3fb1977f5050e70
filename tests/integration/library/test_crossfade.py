"""Crossfades as FFmpeg makes them: what each picture shows, and what can't be made."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hook_service.library import catalog
from hook_service.library.crossfade import Change, render
from hook_service.library.errors import LibraryError, NotNow
from hook_service.library.flv import one_gop
from hook_service.library.loopfile import PreparedLoop
from hook_service.library.preparer import Preparer
from hook_service.library.profiles import Profile
from tests.integration.library.studio import SMALL, X264, Studio, make

NTSC = Profile("ntsc", 320, 180, 30000, 1001, 400)


def ramp(studio: Studio, name: str, seconds: float, red: int, profile: Profile = SMALL) -> PreparedLoop:
    """A loop whose green tells the frame: it grows by two with each, and begins again at 0 after a hundred."""
    colours = f"geq=r={red}:g='2*mod(N,100)':b=64"
    rate = f"{profile.fps_num}/{profile.fps_den}"
    source = f"color=black:s=320x180:r={rate}:d={seconds},format=gbrp,{colours},format=yuv444p"
    return studio.prepare(make(studio.loops / name, source, *X264, "-crf", "1"), profile)


def colours(film: Path) -> list[tuple[int, int, int]]:
    """The mean colour of each picture."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(film), "-vf", "scale=1:1:flags=area", "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], check=True, capture_output=True, timeout=30).stdout
    return [(raw[at], raw[at + 1], raw[at + 2]) for at in range(0, len(raw), 3)]


def made(studio: Studio, change: Change, within: float = 30.0) -> Path:
    return render(studio.library, change, within, threading.Event())


@pytest.mark.parametrize(
    ("profile", "frame"),
    [(SMALL, 60), (SMALL, 77), (SMALL, 99), (NTSC, 71)],
    ids=["from a keyframe", "from the middle, over the loop's end", "from its last frame", "at 29.97 a second"],
)
def test_each_picture_mixes_the_frames_of_its_place(studio: Studio, profile: Profile, frame: int) -> None:
    # The loop that is left has a hundred frames: a GOP of 60 and one of 40.
    leaving = ramp(studio, "leaving.mp4", 100 * float(1 / profile.fps), 200, profile)
    coming = ramp(studio, "coming.mp4", 3, 40, profile)
    assert leaving.frames == 100
    file = made(studio, Change(profile, leaving.path, frame, coming.path))
    avcc, gop = one_gop(file.read_bytes())
    assert avcc == leaving.avcc == coming.avcc
    assert [key for _, key in gop] == [True] + [False] * 59
    one, two, seen = colours(leaving.path / "body.flv"), colours(coming.path / "body.flv"), colours(file)
    assert len(seen) == 60

    def off(shift: int) -> list[float]:
        """How far each picture is from what it would be, were another frame the first."""
        found = []
        for n, colour in enumerate(seen):
            mixed = [a + (b - a) * n / 60 for a, b in zip(one[(frame + shift + n) % 100], two[n], strict=True)]
            found.append(max(abs(a - b) for a, b in zip(colour, mixed, strict=True)))
        return found

    assert max(off(0)) < 25  # at 400 kb/s
    assert min(range(-3, 4), key=lambda shift: sum(off(shift))) == 0


def test_a_loop_shorter_than_a_gop_is_entered_with_as_many_frames_as_it_has(studio: Studio) -> None:
    short, other = ramp(studio, "short.mp4", 1.2, 200), ramp(studio, "other.mp4", 4, 40)
    assert len(colours(made(studio, Change(SMALL, other.path, 70, short.path)))) == short.frames == 36
    assert len(colours(made(studio, Change(SMALL, short.path, 35, other.path)))) == 60


def test_it_is_made_once_for_all_who_ask(studio: Studio) -> None:
    one, two = ramp(studio, "one.mp4", 3, 200), ramp(studio, "two.mp4", 3, 40)
    preparer = Preparer(studio.library, studio.loops, [SMALL])
    growing: list[Path] = []
    with ThreadPoolExecutor(3) as pool:
        change = Change(SMALL, one.path, 5, two.path)
        files = list(pool.map(lambda _: preparer.crossfade(change, 30, growing.append), range(3)))
    assert len(set(files)) == len(set(growing)) == 1


def test_what_can_not_be_made(studio: Studio, tmp_path: Path) -> None:
    one, two = ramp(studio, "one.mp4", 3, 200), ramp(studio, "two.mp4", 3, 40)
    begun = time.monotonic()
    with pytest.raises(NotNow):
        made(studio, Change(SMALL, one.path, 5, two.path), within=0.01)
    assert time.monotonic() - begun < 1
    for change in (
        Change(SMALL, one.path, 90, two.path),
        Change(SMALL, one.path, -1, two.path),
        Change(SMALL, one.path, 5, tmp_path / "nothing"),
        Change(NTSC, one.path, 5, two.path),
    ):
        with pytest.raises(LibraryError):
            made(studio, change)
    (two.path / "body.flv").write_bytes(b"")
    with pytest.raises(NotNow):
        made(studio, Change(SMALL, one.path, 5, two.path))
    place = studio.library / "crossfades" / SMALL.fingerprint()
    assert list(place.iterdir()) == [], "nothing is left of them"
    assert catalog.slate(studio.library, SMALL).frames
