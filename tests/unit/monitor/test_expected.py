"""What a loop shows from a keyframe on."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from hook_service.library.flv import LoopDamaged
from hook_service.library.loopfile import open_loop
from hook_service.monitor.expected import decode, find
from hook_service.monitor.judge import is_black, same
from tests.rig import flvread
from tests.unit.library.samples import SHA, frame, write_loop


def test_a_keyframe_tells_where_in_its_loop_it_is(tmp_path: Path) -> None:
    with open_loop(write_loop(tmp_path / SHA, [4, 4, 2])) as loop:
        keyframes = [loop.read_gop(n)[0][0] for n in range(3)]
        assert [loop.keyframe(n) for n in range(3)] == keyframes
        assert [find(loop, keyframe) for keyframe in keyframes] == [[0], [1], [2]]
        assert find(loop, loop.read_gop(0, entry=True)[0][0]) == [0]
        assert find(loop, b"of another loop") == [0]
        assert loop.keyframe(1, size=3) is None
        with pytest.raises(IndexError):
            loop.keyframe(3)


def test_a_damaged_loop_has_no_keyframe(tmp_path: Path) -> None:
    directory = write_loop(tmp_path / SHA, [4, 4])
    with open_loop(directory) as loop, (directory / "body.flv").open("r+b") as file:
        file.seek(100)
        file.write(b"\0" * 400)
        file.flush()
        with pytest.raises(LoopDamaged):
            loop.keyframe(1)


def test_what_keyframes_show() -> None:
    picture = "color=black:s=320x180:r=1:d=1[a];color=white:s=320x180:r=1:d=1[b];[a][b]concat=n=2"
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", picture, "-c:v", "libx264", "-g", "1", "-bf", "0",
         "-pix_fmt", "yuv420p", "-f", "flv", "pipe:1"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    tags = list(flvread.read(io.BytesIO(made.replace(b"FLV\x01\x01", b"FLV\x01\x05", 1))))
    (avcc,) = [tag.body[5:] for tag in tags if tag.is_header]
    dark, bright = [tag.body for tag in tags if tag.is_frame]
    pictures = decode(avcc, [dark, bright, dark])
    assert [is_black(picture) for picture in pictures] == [True, False, True]
    assert same(pictures[0], pictures[2])
    assert max(pictures[0]) < 5
    assert min(pictures[1]) > 250
    with pytest.raises((LoopDamaged, subprocess.SubprocessError)):
        decode(avcc, [frame(True)])
