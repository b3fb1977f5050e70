"""Small pictures of prepared loops, for those who choose among them: a still and a few seconds that move.

They are made of the prepared loop, not of what was given: that is what is shown, and no stranger's file is decoded
for it. They lie in `<library>/posters/`, by content.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from . import catalog
from .child import BACKGROUND_NICE, Child
from .ffmpeg import poster_command
from .loopfile import open_loop
from .profiles import Profile

__all__ = ["make", "path_of"]

_PARTS = 3
_PREVIEW_FPS = 10
_LARGEST = 8 << 20


def path_of(library: Path, sha256: str, moving: bool = False) -> Path:
    """Where the still, or the moving picture, of some content is or will be; both appear whole."""
    return library / "posters" / f"{sha256}.{'mp4' if moving else 'jpg'}"


def make(library: Path, profile: Profile, sha256: str, cancel: threading.Event | None = None) -> None:
    """Make both pictures of a prepared loop. Blocks for about a second.

    Raises LoopDamaged, ChildFailed, OSError, Cancelled; what was there before then stays.
    """
    with open_loop(catalog.prepared_dir(library, profile, sha256)) as loop:
        # Scenes from all of it, and the still out of its middle: beginnings are often dark.
        gops = sorted({loop.gops * (2 * part + 1) // (2 * _PARTS) for part in range(_PARTS)})
        data = loop.excerpt(gops)
    still = len(gops) // 2 * profile.gop_frames
    step = max(1, round(profile.fps / _PREVIEW_FPS))
    targets = [path_of(library, sha256), path_of(library, sha256, moving=True)]
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    fd = os.memfd_create("excerpt", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        with tempfile.TemporaryDirectory(dir=targets[0].parent, prefix=".") as directory:
            names = [Path(directory) / target.name for target in targets]
            command = poster_command(fd, still, step, profile.fps / step, str(names[0]), str(names[1]))
            child = Child(command, nice=BACKGROUND_NICE, fds=(fd,), file_bytes=_LARGEST)
            child.wait(limit=60, cancel=cancel)
            # The still last: where it is, both are.
            for name, target in reversed(list(zip(names, targets, strict=True))):
                name.chmod(0o644)
                name.replace(target)
    finally:
        os.close(fd)
