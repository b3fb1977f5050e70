"""What is uploaded as a loop: files that any DJ may put there, damaged or made to do harm."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from hook_service.library import flv, writer
from hook_service.library.errors import LibraryError, NotNow, Refused
from hook_service.library.growing import GrowingLoop
from hook_service.library.loopfile import LoopDamaged, PreparedLoop, open_loop
from hook_service.library.media import MAX_SECONDS, Media
from hook_service.library.preparer import Preparer
from hook_service.library.probe import _media, last_line, probe
from hook_service.library.profiles import Profile
from tests.fuzz.cases import NUMBERS, TEXT, changed, fuzz, spoiled
from tests.unit.library.samples import flv as whole_flv
from tests.unit.library.samples import gop, write_loop, write_plan

SMALL = Profile("small", 64, 64, 10, 1, 100, fade_in=0.5)
STREAM = {
    "index": 0,
    "codec_type": "video",
    "codec_name": "h264",
    "width": 64,
    "height": 36,
    "duration": "10.000000",
    "pix_fmt": "yuv420p",
    "field_order": "progressive",
    "disposition": {"attached_pic": 0},
    "tags": {"DURATION": "00:00:10.500000000"},
}
ANSWER = {"streams": [STREAM], "format": {"format_name": "matroska,webm", "duration": "10.000000"}}
# What FFmpeg itself writes is a number where it says number; what it takes from the file is any text.
TOLD = st.sampled_from(
    ("N/A", "1/0", "0:0:1e999999999", "1e400", "inf", "nan", "-1", "0", "9" * 30, "::", "\u0661", "1_0")
)


@fuzz(
    "FFprobe's answers",
    8,
    duration=TOLD | TEXT | NUMBERS.map(str),
    tag=TOLD | TEXT,
    whole=TOLD | TEXT,
    less=st.integers(0, 3),
)
def test_answers(duration: str, tag: str, whole: str, less: int) -> None:
    answer = copy.deepcopy(ANSWER)
    stream: dict[str, Any] = {**STREAM, "duration": duration, "tags": {"DURATION": tag}}
    for name in ("duration", "tags")[:less]:
        del stream[name]
    answer |= {"streams": [stream], "format": {"format_name": "matroska,webm", "duration": whole}}
    try:
        found = _media(answer, -1, 0, None)
    except Refused as refused:
        reason = str(refused)
        assert len(reason) < 200
    else:
        assert isinstance(found, Media)
        assert found.seconds is None or 0 < found.seconds <= MAX_SECONDS


@fuzz("FFmpeg's last words", 2, text=TEXT)
def test_last_words(text: str) -> None:
    assert last_line(text).isprintable()


@fuzz("FLV", 10, data=spoiled([whole_flv([3, 2, 5]), gop(4), gop(1)]))
def test_flv(data: bytes) -> None:
    try:
        frames = flv.frames_of(data)
    except LoopDamaged:
        pass
    else:
        assert frames[0][1]
        assert sum(len(body) for body, _ in frames) < len(data)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="steadycast-fuzz-") as directory:
        yield Path(directory)


@fuzz("FLV files", 3, data=spoiled([whole_flv([3, 2, 5])]))
def test_survey(place: Path, data: bytes) -> None:
    file = place / "survey.flv"
    file.write_bytes(data)
    try:
        found = writer.survey(file)
    except LoopDamaged:
        return
    assert len(found.gops) == len(found.gop_frames) + 1 == len(found.crc) + 1


@pytest.fixture(scope="module")
def loop(place: Path) -> Path:
    return write_loop(place / "loop", [3, 2, 5])


@pytest.fixture(scope="module")
def good(loop: Path) -> tuple[dict[str, Any], bytes]:
    return json.loads((loop / "index.json").read_text()), (loop / "body.flv").read_bytes()


@fuzz("prepared loops", 4, index=st.data(), data=spoiled([whole_flv([3, 2, 5])], most=2))
def test_loop(loop: Path, good: tuple[dict[str, Any], bytes], index: Any, data: bytes) -> None:
    (loop / "index.json").write_text(json.dumps(index.draw(changed(good[0]))))
    (loop / "body.flv").write_bytes(data)
    try:
        with open_loop(loop) as found:
            play(found)
    except LoopDamaged:
        pass


def play(found: PreparedLoop) -> None:
    for number in range(min(found.gops, 20)):
        assert found.read_gop(number, entry=number == 0)


@fuzz("loops that grow", 2, data=spoiled([whole_flv([3, 3, 3])]), plan=st.data())
def test_growing(place: Path, data: bytes, plan: Any) -> None:
    directory = place / "growing.partial"
    if not directory.exists():
        write_plan(directory, 3, entry=False)
    document = {"source": "a", "sha256": "b", "gop_frames": 3, "entry": False, "expected_frames": None}
    (directory / "plan.json").write_text(json.dumps(plan.draw(changed(document, most=1))))
    (directory / "body.flv").write_bytes(data)
    try:
        with GrowingLoop(directory) as found:
            ready = found.frames_ready()
            assert sum(len(found.read_part(number)) for number in range(ready + 1)) == ready
            assert found.read_gop(ready + 1) is None
    except LoopDamaged:
        pass


FORMATS = (
    ("mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-movflags", "+faststart")),
    ("mkv", ("-c:v", "libx264", "-preset", "ultrafast")),
    ("gif", ()),
    ("png", ("-frames:v", "1")),
    ("webm", ("-c:v", "libvpx", "-deadline", "realtime", "-b:v", "50k")),
    ("mov", ("-c:v", "mpeg4")),
)


@pytest.fixture(scope="module")
def media(place: Path) -> list[bytes]:
    """A second of moving picture in each container."""
    found = []
    for suffix, options in FORMATS:
        file = place / f"good.{suffix}"
        source = ("-f", "lavfi", "-i", "testsrc=size=64x36:rate=10:duration=1.2")
        subprocess.run(["ffmpeg", "-v", "error", *source, *options, file], check=True)
        found.append(file.read_bytes())
    return found


@fuzz("uploads, probed", 0.3, data=st.data())
def test_probe(place: Path, media: list[bytes], data: Any) -> None:
    file = place / "upload"
    file.write_bytes(data.draw(spoiled(media)))
    fd = os.open(file, os.O_RDONLY)
    try:
        found = probe(fd, 0)
    except (Refused, NotNow) as refused:
        reason = str(refused)
        assert reason.isprintable()
    else:
        assert found.width > 0
        assert found.height > 0
    finally:
        os.close(fd)


@fuzz("uploads, prepared", 0.05, data=st.data())
def test_prepare(place: Path, media: list[bytes], data: Any) -> None:
    """Whatever is uploaded becomes a loop that plays from end to end, or is refused with a reason."""
    loops = place / "loops"
    loops.mkdir(exist_ok=True)
    file = loops / "upload.mp4"
    file.write_bytes(data.draw(spoiled(media, most=3)))
    try:
        prepared = Preparer(place / "library", loops, [SMALL]).prepare(file, SMALL, urgent=True)
    except LibraryError as refused:
        reason = str(refused)
        assert reason
    else:
        with open_loop(prepared) as found:
            play(found)
