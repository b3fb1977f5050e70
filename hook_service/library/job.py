"""One loop being prepared: what of which profile, with which card, how far it is, and who waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import catalog
from .catalog import Source
from .child import BACKGROUND_NICE, URGENT_NICE, Child
from .dress import Dress
from .profiles import Profile

__all__ = ["Job"]


@dataclass(slots=True)
class Job:
    """One loop being prepared. Other threads may read `percent` and `partial`, call `hurry` and set `cancel`.

    `on_encoding` is called once, with the `.partial` directory, as soon as FFmpeg runs (or is found to run already
    in another process or thread).
    """

    library: Path
    profile: Profile
    source: Source
    fd: int
    urgent: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)
    on_encoding: Callable[[Path], None] | None = None
    encoder: str | None = None
    is_slate: bool = False
    dress: Dress | None = None
    percent: int = 0
    partial: Path | None = None
    _child: Child | None = None

    @property
    def nice(self) -> int:
        """The priority of what this job starts."""
        return URGENT_NICE if self.urgent else BACKGROUND_NICE

    @property
    def final(self) -> Path:
        """Where the loop will be."""
        if self.dress is None:
            return catalog.prepared_dir(self.library, self.profile, self.source.sha256)
        return catalog.dressed_dir(self.library, self.profile, self.source.sha256, self.dress.card.key())

    @property
    def judges(self) -> bool:
        """Whether what fails here is the source's own fault. It never is with a card: the plain loop was made."""
        return not self.is_slate and self.dress is None

    def hurry(self) -> None:
        """Somebody waits for this now: raise its priority."""
        if not self.urgent:
            self.urgent = True
            child = self._child
            if child is not None:
                child.hurry()

    def started(self, partial: Path) -> None:
        """FFmpeg runs."""
        if self.partial is None:
            self.partial = partial
            if self.on_encoding is not None:
                self.on_encoding(partial)

    def run(self, command: list[str], directory: Path, seconds: float, frames: int | None) -> None:
        """Run one FFmpeg that writes `seconds` of video into `directory`; `frames` is for the percentage."""

        def progress(done: int) -> None:
            if frames:
                self.percent = min(99, 100 * done // frames)

        # Twice the bitrate for that long, and room for containers that lie about their duration.
        room = int(self.profile.video_kbps * 250 * (seconds + 60))
        bounded = "h264_nvenc" not in command
        child = Child(command, nice=self.nice, fds=(self.fd,), cwd=directory, file_bytes=room, bounded_memory=bounded)
        self._child = child
        try:
            self.started(directory)
            # A host that needs a minute for a second of video is not going to play it, but may prepare it overnight.
            child.wait(limit=600 + 60 * seconds, cancel=self.cancel, progress=progress)
        finally:
            self._child = None
