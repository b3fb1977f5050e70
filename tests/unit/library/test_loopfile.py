"""Reading prepared loops, and loops that are still growing."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hook_service.library.loopfile import GrowingLoop, LoopDamaged, open_loop
from tests.unit.library.samples import AVCC, SHA, flv, write_loop, write_plan


def test_every_gop_of_a_loop_by_its_number(tmp_path: Path) -> None:
    with open_loop(write_loop(tmp_path / SHA, [4, 4, 2])) as loop:
        assert (loop.frames, loop.gops, loop.avcc, loop.sha256) == (10, 3, AVCC, SHA)
        assert [len(loop.read_gop(n)) for n in range(3)] == [4, 4, 2]
        assert loop.read_gop(0, entry=True) != loop.read_gop(0)
        assert loop.read_gop(1, entry=True) == loop.read_gop(1)
        for n in (-1, 3):
            with pytest.raises(IndexError):
                loop.read_gop(n)


def test_without_a_fade_the_body_is_entered(tmp_path: Path) -> None:
    with open_loop(write_loop(tmp_path / SHA, [4], entry=False)) as loop:
        assert not loop.has_entry
        assert loop.read_gop(0, entry=True) == loop.read_gop(0)


def test_an_open_loop_outlives_its_directory(tmp_path: Path) -> None:
    directory = write_loop(tmp_path / SHA, [4, 4])
    with open_loop(directory) as loop:
        loop.read_gop(0)
        directory.rename(tmp_path / "elsewhere")
        assert len(loop.read_gop(0, entry=True)) == 4
        shutil.rmtree(tmp_path / "elsewhere")
        assert len(loop.read_gop(1)) == 4


def change(key: str, value: Any) -> Callable[[Path], None]:
    def apply(directory: Path) -> None:
        index = json.loads((directory / "index.json").read_text())
        index[key] = value
        (directory / "index.json").write_text(json.dumps(index))

    return apply


def truncate(directory: Path) -> None:
    with (directory / "body.flv").open("r+b") as file:
        file.truncate(60)


@pytest.mark.parametrize(
    "harm",
    [
        shutil.rmtree,
        lambda directory: (directory / "index.json").unlink(),
        lambda directory: (directory / "index.json").write_text("{"),
        lambda directory: (directory / "index.json").write_text("[]"),
        lambda directory: (directory / "body.flv").unlink(),
        lambda directory: (directory / "entry.flv").unlink(),
        truncate,
        change("gops", []),
        change("gops", [5, 4]),
        change("gops", "x"),
        change("frames", -1),
        change("frames", True),
        change("avcc", "zz"),
        change("crc", [1]),
        change("entry", [9]),
    ],
)
def test_a_damaged_loop_does_not_open(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    directory = write_loop(tmp_path / SHA, [4, 4])
    harm(directory)
    with pytest.raises(LoopDamaged):
        open_loop(directory)


def test_altered_frames_are_noticed(tmp_path: Path) -> None:
    directory = write_loop(tmp_path / SHA, [4, 4])
    data = bytearray((directory / "body.flv").read_bytes())
    data[-6] ^= 1
    (directory / "body.flv").write_bytes(data)
    with open_loop(directory) as loop:
        assert len(loop.read_gop(0)) == 4
        with pytest.raises(LoopDamaged):
            loop.read_gop(1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(["index.json", "body.flv", "entry.flv", "plan.json"]))
def test_random_files_are_never_more_than_damage(run_dir: Path, data: bytes, name: str) -> None:
    for directory in (run_dir / "x", run_dir / "x.partial"):
        shutil.rmtree(directory, ignore_errors=True)
    whole, growing = write_loop(run_dir / "x", [2, 2]), write_plan(run_dir / "x.partial", 2)
    (growing / "body.flv").write_bytes(flv([2, 1]))
    for directory in (whole, growing):
        (directory / name).write_bytes(data)
    with contextlib.suppress(LoopDamaged), open_loop(whole) as loop:
        for n in range(loop.gops):
            loop.read_gop(n, entry=True)
    with contextlib.suppress(LoopDamaged), GrowingLoop(growing) as follower:
        follower.read_part(0, entry=True)
        follower.read_gop(0)
        follower.read_gop(1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.integers(0, 80), max_size=12))
def test_a_growing_file_gives_every_frame_once_and_none_too_early(run_dir: Path, steps: list[int]) -> None:
    shutil.rmtree(run_dir / "x.partial", ignore_errors=True)
    whole = flv([3, 3, 2])
    directory = write_plan(run_dir / "x.partial", 3, entry=False)
    with GrowingLoop(directory) as loop, (directory / "body.flv").open("wb", buffering=0) as file:
        got = 0
        for step in [*steps, len(whole)]:
            file.write(whole[file.tell() :][:step])
            new = loop.read_part(0, start=got)
            got += len(new)
            assert (loop.read_gop(0) is not None) == (got == 3)
            assert loop.frames_ready() * 4 <= file.tell()
        assert got == 3
        assert len(loop.read_gop(1) or []) == 3
        assert loop.read_gop(2) is None  # two frames of three: only the end of the encoder says that this is all
        assert len(loop.read_part(2)) == 2
        assert loop.avcc == AVCC


def test_a_growing_loop_is_followed_to_its_end(tmp_path: Path) -> None:
    directory = write_plan(tmp_path / f"{SHA}.partial", 3)
    loop = GrowingLoop(directory)
    assert loop.avcc is None
    assert loop.read_gop(0, entry=True) is None
    assert loop.read_part(0) == []
    (directory / "entry.flv").write_bytes(flv([3]))
    assert loop.avcc == AVCC
    assert len(loop.read_gop(0, entry=True) or []) == 3
    assert loop.read_gop(1) is None
    (directory / "body.flv").write_bytes(flv([3, 2]))
    assert loop.read_gop(1) is None
    assert not loop.finished
    directory.rename(loop.final)
    assert loop.finished
    assert len(loop.read_gop(1) or []) == 2
    assert not loop.abandoned
    shutil.rmtree(loop.final)
    assert loop.abandoned
    assert not loop.finished
    loop.close()
    loop.close()


def test_a_corrected_body_does_not_disturb_who_follows_the_first(tmp_path: Path) -> None:
    directory = write_plan(tmp_path / f"{SHA}.partial", 3, entry=False)
    (directory / "body.flv").write_bytes(flv([3]))
    with GrowingLoop(directory) as loop:
        first = loop.read_gop(0)
        (directory / "other").write_bytes(flv([3, 3])[:90])
        (directory / "other").replace(directory / "body.flv")
        assert loop.read_gop(0) == first
