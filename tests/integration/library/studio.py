"""What the tests of the library share: sources, a library to prepare them in, a look at what came out."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hook_service.library import catalog, encode
from hook_service.library.basics import ensure_basics
from hook_service.library.encode import Job
from hook_service.library.loopfile import PreparedLoop, open_loop
from hook_service.library.profiles import BUILT_IN, Profile

SMALL = Profile("small", 320, 180, 30, 1, 400)
P720 = BUILT_IN["720p30"]
X264 = ["-c:v", "libx264", "-preset", "ultrafast"]


Value = TypeVar("Value")


def until(probe: Callable[[], Value], seconds: float, what: str) -> Value:
    """The first thing that `probe` gives that is true; after `seconds` the test fails, saying `what` was missing."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.005)
    return value


def make(path: Path, source: str, *options: str, inputs: tuple[str, ...] = ()) -> Path:
    """A file with pictures from a lavfi source."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, *inputs, *options]
    subprocess.run([*command, f"file:{os.fspath(path)}"], check=True, timeout=60)
    return path


@dataclass
class Studio:
    """A directory of loops and the library that is made of it."""

    loops: Path
    library: Path

    def job(self, path: Path, profile: Profile = SMALL, **options: Any) -> Job:
        """The job of preparing a file; its descriptor lives as long as the process."""
        ensure_basics(self.library, profile)
        fd = catalog.open_source(path, self.loops)
        return Job(self.library, profile, catalog.identify_open(fd, path, self.library), fd, **options)

    def prepare(self, path: Path, profile: Profile = SMALL, **options: Any) -> PreparedLoop:
        job = self.job(path, profile, **options)
        try:
            return open_loop(encode.prepare(job))
        finally:
            os.close(job.fd)


def deviation(loop: PreparedLoop) -> float:
    return float(json.loads((loop.path / "index.json").read_text())["deviation"])


def pixels(loop: PreparedLoop, frame: int, width: int = 16, height: int = 9, entry: bool = False) -> list[list[int]]:
    """A frame of a loop, as bytes of red, green and blue for each pixel of a small picture."""
    name = "entry.flv" if entry else "body.flv"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(loop.path / name), "-frames:v", "1"]
    command += ["-vf", f"select=eq(n\\,{frame}),scale={width}:{height}:flags=area", "-f", "rawvideo"]
    data = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], check=True, capture_output=True, timeout=30).stdout
    return [list(data[at : at + 3]) for at in range(0, len(data), 3)]


def leftovers(library: Path) -> list[Path]:
    return [*library.glob("*/*.partial"), *library.glob("*/*.old-*")]


def ffmpegs_of(directory: Path) -> list[int]:
    """FFmpegs that work in or on a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text().strip()
            at = (process / "cwd").readlink()
        except OSError:
            continue
        if name == "ffmpeg" and at.is_relative_to(directory):
            found.append(int(process.name))
    return found
