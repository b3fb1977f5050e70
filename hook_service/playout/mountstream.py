"""One connection to the mount: its sound and its titles apart, and where in the sound each title lies.

Pure: bytes in, bytes and marks out. All places are counted in this connection's sound, from its first byte.
"""

from __future__ import annotations

from dataclasses import dataclass

from hook_service.playout import frames, icy
from hook_service.playout.frames import FrameCounter
from hook_service.playout.ogg import OggCounter

RECENT_BYTES = 192 << 10
"""How much of the sound is remembered: three times what Icecast sends a new listener at once."""
# Forgetting moves the rest in memory: that is done once for so many bytes.
_FORGET_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Mark:
    """A title, and where it was seen. What it names begins between `since_byte` and `byte`."""

    text: str
    artist: str | None
    title: str | None
    byte: int
    """Bytes of sound before the title."""
    seconds: float | None
    """Seconds of sound before the title; None where the format is unknown."""
    since_byte: int
    """Bytes of sound before the last place that would have shown it, had it been there already."""
    since_seconds: float | None


class Recent:
    """The last bytes of a stream, by their place."""

    def __init__(self, limit: int = RECENT_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.start = 0
        """The place of the first byte that is kept."""

    @property
    def end(self) -> int:
        """Where the next byte will be."""
        return self.start + len(self._kept)

    def add(self, data: bytes) -> None:
        """The next bytes."""
        self._kept += data
        if len(self._kept) > self._limit + _FORGET_BYTES:
            surplus = len(self._kept) - self._limit
            del self._kept[:surplus]
            self.start += surplus

    def read(self, byte: int, length: int | None = None) -> bytes:
        """What is kept from a place on, at most `length` bytes."""
        begin = max(0, byte - self.start)
        return bytes(self._kept[begin : None if length is None else begin + length])

    def find(self, data: bytes) -> int | None:
        """The place of these bytes; None where they are not, or are more than once (silence is all alike)."""
        found = self._kept.find(data) if data else -1
        if found < 0 or self._kept.find(data, found + 1) >= 0:
            return None
        return self.start + found


class MountStream:
    """Fed with what the mount sends."""

    def __init__(self, interval: int, demuxer: str | None) -> None:
        """`interval` is the answer's `icy-metaint`, 0 without; `demuxer` is FFmpeg's name: mp3, aac, ogg."""
        self.interval = interval
        self.demuxer = demuxer
        self.recent = Recent()
        """The last of its sound."""
        self.bytes = 0
        """Bytes of sound until now."""
        self._icy = icy.IcyReader(interval)
        self._frames: FrameCounter | None = None
        self._ogg = OggCounter() if demuxer == "ogg" else None
        if demuxer == "mp3":
            self._frames = frames.mp3()
        elif demuxer == "aac":
            self._frames = frames.adts()

    def feed(self, raw: bytes) -> tuple[bytes, list[Mark]]:
        """What arrived: its sound, for FFmpeg, and the titles in it."""
        sound: list[bytes] = []
        marks: list[Mark] = []
        for piece in self._icy.feed(raw):
            if isinstance(piece, str):
                marks.append(self._mark(piece))
                continue
            sound.append(piece)
            self.bytes += len(piece)
            if self._frames is not None:
                self._frames.feed(piece)
            elif self._ogg is not None:
                for tags in self._ogg.feed(piece):
                    text = icy.cut(" - ".join(part for part in (tags.artist, tags.title) if part))
                    place = (tags.byte, tags.seconds)
                    marks.append(Mark(text, tags.artist, tags.title, *place, *place))
        data = b"".join(sound)
        self.recent.add(data)
        return data, marks

    @property
    def seconds(self) -> float | None:
        """The sound until now; None where the format is unknown."""
        counter = self._frames or self._ogg
        return None if counter is None else counter.seconds

    @property
    def begins(self) -> int | None:
        """Where the first whole frame of MP3 or AAC begins; None while there was none."""
        return None if self._frames is None else self._frames.begins

    def seconds_at(self, byte: int) -> float | None:
        """The sound before a byte of the last `frames.KEPT_SECONDS`; None where the format is unknown."""
        counter = self._frames or self._ogg
        return None if counter is None else counter.seconds_at(byte)

    def _mark(self, text: str) -> Mark:
        since = max(0, self.bytes - self.interval)
        artist, title = icy.split(text)
        return Mark(text, artist, title, self.bytes, self.seconds_at(self.bytes), since, self.seconds_at(since))
