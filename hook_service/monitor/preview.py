"""What is on the air, for whoever looks at the page: files in the run directory, as HTTP Live Streaming has them.

They are made of the very stream that the relay sends, and only while somebody asks. `live.m3u8` lists the last GOPs
(`N.m4s`) and what goes before each stretch of them (`init-N.mp4`, RFC 8216); `still.mp4` is the newest keyframe.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from hook_service.library.profiles import Profile
from hook_service.monitor.cutter import Cutter
from hook_service.monitor.flow import is_configuration, is_keyframe
from hook_service.monitor.rtmp import Message

_log = logging.getLogger("radio.monitor")

KEPT_SECONDS = 15.0
"""So long after the last question it goes on."""
_LISTED = 6
# A player may still fetch what was listed a moment ago.
_BEHIND = 3


class _File(NamedTuple):
    number: int
    seconds: float
    stretch: int
    """The number of the stretch's first GOP."""
    breaks: int
    """Stretches before this one."""


class Preview:
    """One station's. `now` is in seconds of a monotonic clock; no method raises for a disk that is full."""

    def __init__(self, directory: Path, profile: Profile) -> None:
        self._directory = directory
        self._cutter = Cutter(profile)
        self._keyframe: Message | None = None
        self._still: Message | None = None
        """The keyframe that `still.mp4` shows."""
        self._live_until = self._still_until = float("-inf")
        self._files: deque[_File] = deque()
        # Players take numbers that go back for an old list: after a restart they go on above what was.
        self._next = self._breaks = int(time.time())
        self._remove("*", ".*.part")

    def live(self, now: float) -> bool:
        """Somebody wants to see it move. Whether there is something to see yet."""
        self._live_until = now + KEPT_SECONDS
        return bool(self._files)

    def still(self, now: float) -> bool:
        """Somebody wants to see the newest keyframe. Whether there is one."""
        self._still_until = now + KEPT_SECONDS
        if self._keyframe is None:
            return False
        if self._keyframe is not self._still:
            data = self._cutter.still(self._keyframe)
            if data is None or not self._write("still.mp4", data):
                return False
            self._still = self._keyframe
        return True

    def take(self, message: Message, now: float) -> None:
        """What the relay sent. While nobody asks, only what is needed to begin at once is kept of it."""
        if is_keyframe(message):
            self._keyframe = message
        if now < self._live_until:
            piece = self._cutter.take(message)
            if piece is not None:
                self._add(piece.seconds, piece.data, piece.initialisation)
        elif is_configuration(message):
            self._cutter.configure(message)

    def restart(self) -> None:
        """What comes next does not follow what came. What is listed stays until then: players bridge it."""
        self._cutter.restart()

    def end(self) -> None:
        """Nothing comes any more: an old picture would say that all is well."""
        self._keyframe = None
        self._end_live()
        self._end_still()

    def look(self, now: float) -> None:
        """To be called now and then: what nobody wants any more is taken away."""
        if now >= self._live_until:
            self._end_live()
        if now >= self._still_until:
            self._end_still()

    def _add(self, seconds: float, data: bytes, initialisation: bytes | None) -> None:
        number, self._next = self._next, self._next + 1
        if initialisation is not None:
            self._breaks += 1
            if not self._write(f"init-{number}.mp4", initialisation):
                self._cutter.restart()
                return
        elif not self._files:
            return  # nobody knows what goes before it
        stretch = number if initialisation is not None else self._files[-1].stretch
        if not self._write(f"{number}.m4s", data):
            self._cutter.restart()
            return
        self._files.append(_File(number, seconds, stretch, self._breaks))
        while len(self._files) > _LISTED + _BEHIND:
            file = self._files.popleft()
            self._remove(f"{file.number}.m4s")
            if file.stretch != self._files[0].stretch:
                self._remove(f"init-{file.stretch}.mp4")
        self._write("live.m3u8", playlist(list(self._files)[-_LISTED:]).encode())

    def _end_live(self) -> None:
        self._cutter.restart()
        if self._files:
            self._files.clear()
            self._remove("live.m3u8", "*.m4s", "init-*.mp4")

    def _end_still(self) -> None:
        if self._still is not None:
            self._still = None
            self._remove("still.mp4")

    def _remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self._directory.glob(pattern):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _write(self, name: str, data: bytes) -> bool:
        """Put a file in its place whole. What lies in memory need not be brought to a disk."""
        path = self._directory / name
        part = path.with_name(f".{name}.part")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            _log.warning("The preview can't be written to %s: %s", self._directory, error)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return False
        return True


def playlist(files: list[_File]) -> str:
    """The list of these GOPs (at least one) for players."""
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(2, *(math.ceil(file.seconds) for file in files))}",
        f"#EXT-X-MEDIA-SEQUENCE:{files[0].number}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{files[0].breaks}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    stretch = None
    for file in files:
        if file.stretch != stretch:
            if stretch is not None:
                lines.append("#EXT-X-DISCONTINUITY")
            lines.append(f'#EXT-X-MAP:URI="init-{file.stretch}.mp4"')
            stretch = file.stretch
        lines += [f"#EXTINF:{file.seconds:.3f},", f"{file.number}.m4s"]
    return "\n".join(lines) + "\n"
