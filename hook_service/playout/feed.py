"""One connection to the mount on its way through FFmpeg: compressed sound in, numbered AAC frames out.

Nothing here waits: the socket is read while there is something, and what FFmpeg does not take yet is kept. While too
much is kept the socket is not read, so a slow FFmpeg slows down the mount and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from hook_service.playout import mount
from hook_service.playout.adts import AdtsReader
from hook_service.playout.mountstream import RECENT_BYTES, Mark, MountStream
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS

# So much may wait for FFmpeg, besides the 64 KB of its pipe.
_WAITING_BYTES = 64 * 1024
# What is read in one go: a burst takes a tick or two, and none of them takes long.
_GO_BYTES = 96 * 1024
# Where there is no frame of MP3 or AAC in so much of what is said to be that, FFmpeg is left to judge it.
_STRANGE_BYTES = 32 * 1024
# By so many last bytes the connection before is recognised in a new one's burst.
_TAIL_BYTES = 2048
# Where the same byte is in both connections, counted back from the older one's end: the first place is taken whose
# second is known in both (of Ogg only whole pages are counted).
_PLACES = (0, 2048, 4096, 8192, 16384, 32768, 49152)

# From a second of the mount's sound to the second of FFmpeg's output at which it is heard. 1024 samples are the AAC
# encoder's; the rest is what the station's own encoder adds (LAME 1105 samples, AAC 1024). Measured with clicks,
# FFmpeg 5.1 (tests/integration/test_delay.py).
_DELAYS = {"mp3": 0.048, "aac": 0.046, "ogg": 0.024}
_ENCODER_SECONDS = 0.0232

# FFmpeg is behind what it was given by a few frames, always as many. Where that changes, some sound was counted that
# is none, or the other way round (at each song of Ogg Vorbis FFmpeg gives 3 ms more than there are, damaged frames it
# leaves out), and the count is put right. The least of a window counts: FFmpeg has caught up by then.
_BEHIND_FRAMES = 1.4
_AT_FIRST_FRAMES = (-2.0, 6.0)  # what may be on a new connection
_OFF_FRAMES = 1.5
_WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Before:
    """The connection before: its sound, and the number of the first frame that never came of it."""

    sound: MountStream
    frames: float


class Feed:
    """One connection, from its first byte on."""

    def __init__(self, stream: mount.Stream, before: Before | None) -> None:
        """`stream` has been told not to wait."""
        self.stream = stream
        self.sound = MountStream(stream.interval, stream.demuxer)
        self.frames = 0
        """How many frames FFmpeg has made of it."""
        self.first: int | None = None
        """The frame that follows the last one of the connection before; None while (or where) that is not known."""
        self.old_bytes = 0
        """So many bytes of sound came over the connection before already."""
        self.owed = False
        """Whether FFmpeg was given something since it last gave a frame."""
        self._before = before
        self._reader = AdtsReader()
        self._waiting = bytearray()
        self._synced = stream.demuxer not in ("mp3", "aac")
        self._strange = False
        self._shift = 0.0
        self._lag = float("inf")
        self._usual: float | None = None
        self._window_ends: float | None = None

    def receive(self) -> tuple[int, list[Mark]]:
        """Take what the mount has sent: how many bytes, and the titles in it. Raises OSError when it has ended."""
        came, marks = self._take(self.stream.first)
        self.stream.first = b""  # once
        while came < _GO_BYTES and len(self._waiting) < _WAITING_BYTES:
            try:
                data = self.stream.recv()
            except BlockingIOError:
                break
            if not data:
                if came:
                    break  # it is told so again
                raise ConnectionError("it ended")
            more, titles = self._take(data)
            came += more
            marks += titles
        if self.first is None and self._before is not None:
            self._align(self._before)
        return came, marks

    @property
    def held_up(self) -> bool:
        """Whether the mount is not read because FFmpeg does not take what there is."""
        return len(self._waiting) >= _WAITING_BYTES

    def give(self, file: int) -> None:
        """Hand what waits to FFmpeg, as much as it takes."""
        while self._waiting:
            try:
                written = os.write(file, self._waiting)
            except BlockingIOError:
                return
            except OSError:  # it has just died; its exit is on its way
                self._waiting.clear()
                return
            self.owed = True
            del self._waiting[:written]

    def encoded(self, data: bytes, now: float) -> list[bytes]:
        """The frames that FFmpeg has completed with `data`."""
        frames = self._reader.feed(data)
        if frames:
            self.frames += len(frames)
            self.owed = False
            self._check_count(now)
        return frames

    def frame_at(self, seconds: float) -> float:
        """The number of the frame in which a second of this connection's sound is heard."""
        delay = _DELAYS.get(self.stream.demuxer or "", _ENCODER_SECONDS)
        return (seconds + delay) / AUDIO_FRAME_SECONDS + self._shift

    def ended(self) -> Before | None:
        """It is over: what the next connection has to know of it."""
        self.stream.close()
        if self._before is not None and self.first is None:
            return self._before  # nothing of this one was heard
        if self._seconds is None:
            return None
        return Before(self.sound, max(self.frames, self.first or 0) - self._shift)

    @property
    def looks_for_its_begin(self) -> bool:
        """Whether it is still open where its new sound begins."""
        return self._before is not None

    @property
    def doubt(self) -> float:
        """How many seconds a title may be off where this sound can't be counted."""
        return 1.0 if self._seconds is None else 0.0

    def begins_anew(self) -> None:
        """The connection before is not to be looked for any longer."""
        self._before = None

    @property
    def _seconds(self) -> float | None:
        """The sound until now, None where it can't be counted."""
        return None if self._strange else self.sound.seconds

    def _take(self, raw: bytes) -> tuple[int, list[Mark]]:
        data, marks = self.sound.feed(raw)
        if self._synced:
            self._waiting += data
        elif (begin := self.sound.begins) is not None:
            # FFmpeg takes any two bytes for a frame's beginning: it gets the sound from its first whole frame on.
            self._synced = True
            self._waiting += self.sound.recent.read(begin)
        elif self.sound.bytes > _STRANGE_BYTES:
            self._synced = self._strange = True
            self._waiting += self.sound.recent.read(0)
        if self._seconds is None:
            marks = [self._placed(mark) for mark in marks]
        return len(raw), marks

    def _placed(self, mark: Mark) -> Mark:
        """A title in a format that is not counted: it is about where FFmpeg is."""
        seconds = self.frames * AUDIO_FRAME_SECONDS
        return replace(mark, seconds=seconds, since_byte=mark.byte, since_seconds=seconds)

    def _align(self, before: Before) -> None:
        """Look for the end of the connection before in what came until now."""
        old, new = before.sound, self.sound
        if new.bytes > RECENT_BYTES or old.bytes < _TAIL_BYTES:
            self._before = None
            return
        place = new.recent.find(old.recent.read(old.bytes - _TAIL_BYTES))
        if place is None:
            return
        end = place + _TAIL_BYTES
        for back in _PLACES:
            then, here = old.seconds_at(old.bytes - back), new.seconds_at(end - back) if end > back else None
            if then is None or here is None or new.seconds is None or old.seconds is None:
                continue
            if then < old.seconds and 0.0 < here < new.seconds:
                self.first = max(0, round(before.frames + (here - then) / AUDIO_FRAME_SECONDS))
                self.old_bytes = end
                self._before = None
                return

    def _check_count(self, now: float) -> None:
        """Keep count and output together for as long as a connection lasts, which may be months."""
        seconds = self._seconds
        if seconds is None or self._waiting:
            return
        if self._window_ends is None or now >= self._window_ends:
            if self._window_ends is not None:
                if self._usual is None:
                    least, most = _AT_FIRST_FRAMES
                    self._usual = self._lag if least < self._lag < most else _BEHIND_FRAMES
                if abs(self._lag - self._usual) > _OFF_FRAMES:
                    self._shift -= self._lag - self._usual
            self._window_ends, self._lag = now + _WINDOW_SECONDS, float("inf")
        self._lag = min(self._lag, seconds / AUDIO_FRAME_SECONDS + self._shift - self.frames)
