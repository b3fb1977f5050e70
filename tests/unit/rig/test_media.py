from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rig import media
from tests.rig.media import FRAME_BITS, LOOPS, Picture, read_strip


def strip(number: int, frame: int, white: int, black: int) -> bytes:
    bits = [*(number >> b & 1 for b in (2, 1, 0)), *(frame >> b & 1 for b in reversed(range(FRAME_BITS)))]
    cells = [1, 0, *bits, sum(bits) % 2, 1]
    return bytes(white if cell else black for cell in cells)


@given(st.sampled_from(LOOPS), st.integers(0, 511), st.integers(0, 60), st.integers(40, 195))
def test_a_strip_is_read_also_when_it_is_dim(loop: media.Loop, frame: int, black: int, contrast: int) -> None:
    assert read_strip(strip(loop.number, frame, black + contrast, black)) == Picture(loop.name, frame)


@given(st.sampled_from(LOOPS), st.integers(0, 511), st.integers(2, 14))
def test_one_wrong_cell_is_noticed(loop: media.Loop, frame: int, cell: int) -> None:
    cells = bytearray(strip(loop.number, frame, 235, 16))
    cells[cell] = 251 - cells[cell]
    assert read_strip(bytes(cells)).loop is None


@pytest.mark.parametrize("cells", [b"", b"\0" * 16, b"\xff" * 16, b"\x10" * 15])
def test_what_is_no_strip_is_no_loop(cells: bytes) -> None:
    assert read_strip(cells).loop is None


def test_runs() -> None:
    seen = [Picture("a", 1), Picture("a", 2), Picture(None, -1), Picture("b", 0)]
    assert media.runs(seen) == [("a", 2), (None, 1), ("b", 1)]
    assert media.runs([]) == []


def test_a_generated_loop_says_what_it_is(tmp_path: Path) -> None:
    loop = LOOPS[3]
    path = media.make(tmp_path, loop.file, media.loop_args(loop, 1, (640, 360), 25))
    assert media.read_pictures(path) == [Picture(loop.name, frame) for frame in range(25)]
    made = path.stat().st_mtime_ns
    assert media.make(tmp_path, loop.file, media.loop_args(loop, 1, (640, 360), 25)).stat().st_mtime_ns == made


def test_an_operators_own_video_is_told_from_every_loop(tmp_path: Path) -> None:
    path = media.make(tmp_path, "own.mp4", media.own_args(1, (640, 360)))
    assert media.read_pictures(path) == [Picture(media.OWN, frame) for frame in range(30)]
    assert media.OWN not in [loop.name for loop in LOOPS]
