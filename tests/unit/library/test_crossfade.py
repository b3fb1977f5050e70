"""Crossfades: which frames of the loop on the air are mixed, and what is kept of what was made."""

import os
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hook_service.library.crossfade import pictures, tidy
from hook_service.library.ffmpeg import crossfade_command
from hook_service.library.flv import one_gop
from hook_service.library.profiles import BUILT_IN
from tests.unit.library.samples import AVCC, flv


@given(st.data())
def test_the_frames_from_a_place_on_across_the_loops_end(data: st.DataObject) -> None:
    gop_frames = data.draw(st.integers(1, 60), "frames to a GOP")
    frames = data.draw(st.integers(1, 400), "frames")
    frame = data.draw(st.integers(0, frames - 1), "the first one")
    count = data.draw(st.integers(1, gop_frames), "how many")
    gops = [list(range(begin, min(begin + gop_frames, frames))) for begin in range(0, frames, gop_frames)]
    numbers, skip = pictures(frame, count, frames, gop_frames)
    read = [place for number in numbers for place in gops[number]]
    assert read[skip : skip + count] == [(frame + n) % frames for n in range(count)]
    assert skip < len(gops[numbers[0]]), "no GOP is decoded for nothing in front"
    assert len(read) - len(gops[numbers[-1]]) < skip + count, "nor behind"


def test_it_is_encoded_as_an_entry_of_the_profile() -> None:
    command = crossfade_command((7, 8), 12, 60, BUILT_IN["720p30"], "libx264", "/library/x.flv", 2)
    assert [command[n + 1] for n, option in enumerate(command) if option == "-i"] == [
        "file:/proc/self/fd/7",
        "file:/proc/self/fd/8",
    ]
    chain = command[command.index("-filter_complex") + 1]
    assert "trim=start_frame=12:end_frame=72" in chain
    assert "nb_frames=60:alpha=1" in chain
    assert command[command.index("-frames:v") + 1] == "60"
    assert "stitchable=1" in command[command.index("-x264-params") + 1]


def test_what_is_kept(tmp_path: Path) -> None:
    now = time.time()
    for age in range(30):
        path = tmp_path / f"{age:02}.flv"
        path.write_bytes(b"")
        os.utime(path, (now - age, now - age))
    for name, age in ((".new", 1), (".old", 3600)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (now - age, now - age))
    tidy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new", *(f"{age:02}.flv" for age in range(15))]


def test_a_file_of_one_gop() -> None:
    avcc, frames = one_gop(flv([5]))
    assert (avcc, len(frames), frames[0][1]) == (AVCC, 5, True)
