"""How much sound is in compressed bytes, counted as they pass, without decoding: MP3, AAC in ADTS, and Ogg.

Sources: ISO 11172-3 and 13818-3 (MP3's frame header), ISO 14496-3 1.A.2.2 (ADTS). Ogg is in `ogg.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

KEPT_SECONDS = 30.0
"""For how far back it is known where each byte's sound lies."""
_SPACING = 0.1
"""Seconds between two places that are remembered; between them bytes are taken to be evenly full of sound."""

_MP3_RATES = ((11025, 12000, 8000), (0, 0, 0), (22050, 24000, 16000), (44100, 48000, 32000))
_MP3_KBPS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),  # MPEG 1
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),  # MPEG 2 and 2.5
)
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350, 0, 0, 0)


class Frame(NamedTuple):
    """What one frame's header says."""

    size: int
    """Bytes, header included."""
    samples: int
    rate: int
    """Samples in a second."""
    kind: int
    """Frames of one stream have the same."""


class Counter(Protocol):
    """Counts the sound in the bytes that it is fed."""

    def feed(self, data: bytes) -> None:
        """Bytes as they come, in any portions."""

    @property
    def seconds(self) -> float:
        """The sound in all bytes until now."""

    def seconds_at(self, byte: int) -> float:
        """The sound before a byte: one of the last `KEPT_SECONDS`, or of what the last frame announces."""


class Places:
    """Where sound lies in a stream: remembered places, evenly filled between them."""

    def __init__(self) -> None:
        self._bytes: deque[int] = deque([0])
        self._seconds: deque[float] = deque([0.0])

    def add(self, byte: int, seconds: float) -> None:
        """There are `seconds` of sound before `byte`; neither ever decreases."""
        if byte == self._bytes[-1] or (len(self._bytes) > 1 and seconds - self._seconds[-2] < _SPACING):
            # Too near to the place before it to be worth remembering: it moves on.
            self._bytes[-1], self._seconds[-1] = byte, seconds
            return
        self._bytes.append(byte)
        self._seconds.append(seconds)
        while len(self._seconds) > 2 and self._seconds[1] < seconds - KEPT_SECONDS:
            self._bytes.popleft()
            self._seconds.popleft()

    def seconds_at(self, byte: int) -> float:
        """The sound before `byte`; what lies outside of what is remembered is taken for its nearest place."""
        after = bisect_right(self._bytes, byte)
        if after == 0:
            return self._seconds[0]
        if after == len(self._bytes):
            return self._seconds[-1]
        begin, end = self._bytes[after - 1], self._bytes[after]
        share = (byte - begin) / (end - begin)
        return self._seconds[after - 1] + share * (self._seconds[after] - self._seconds[after - 1])


class FrameCounter:
    """Counts a stream of frames that each say how long they are. What is between them is no sound."""

    def __init__(self, header: int, parse: Callable[[bytes, int], Frame | None]) -> None:
        """`header` is how many bytes `parse` needs at its place."""
        self._header = header
        self._parse = parse
        self._buffer = b""
        self._fed = 0
        self._next = 0
        """Where the next header is, counted from the stream's first byte."""
        self._before = 0.0
        self._samples = 0
        self._rate = 1
        """The sound in all frames before `_next`: seconds, and these samples. Whole numbers don't drift in months."""
        self._kind: int | None = None
        """None while it is not known where a frame begins."""
        self._places = Places()
        self.begins: int | None = None
        """Where the first whole frame begins; None while there was none."""

    def feed(self, data: bytes) -> None:
        """Bytes as they come, in any portions."""
        start = self._fed - len(self._buffer)
        self._fed += len(data)
        if self._fed < self._next + self._header:
            # Within a frame whose end is known: nothing to look at, only a header's beginning to keep.
            self._buffer = (self._buffer + data)[max(0, self._next - start) :]
            return
        buffer = self._buffer + data
        at = self._next - start
        while at + self._header <= len(buffer):
            frame = self._parse(buffer, at)
            if frame is not None and frame.kind == self._kind:
                self._places.add(start + at, self._before + self._samples / self._rate)
                self._samples += frame.samples
                at += frame.size
                continue
            found = self._resync(buffer, at)
            if found is None:
                at = len(buffer) - self._header + 1
                break
            if found < 0:
                # A frame may begin there: the next one's header, still to come, will tell.
                at = ~found
                break
            at = found
        self._next = start + at
        if self._kind is not None:
            self._places.add(self._next, self._before + self._samples / self._rate)
        self._buffer = buffer[at:]

    @property
    def seconds(self) -> float:
        """The sound in all bytes until now."""
        return self._places.seconds_at(self._fed)

    def seconds_at(self, byte: int) -> float:
        """The sound before a byte: one of the last `KEPT_SECONDS`, or of what the last frame announces."""
        return self._places.seconds_at(byte)

    def _resync(self, buffer: bytes, at: int) -> int | None:
        """Where from `at` on a frame begins that another of its kind follows; ~place where that can't be told yet."""
        self._kind = None
        while True:
            at = buffer.find(b"\xff", at)
            if at < 0 or at + self._header > len(buffer):
                return None
            frame = self._parse(buffer, at)
            if frame is not None:
                if at + frame.size + self._header > len(buffer):
                    return ~at
                follower = self._parse(buffer, at + frame.size)
                if follower is not None and follower.kind == frame.kind:
                    self._synced(frame, at + self._fed - len(buffer))
                    return at
            at += 1

    def _synced(self, frame: Frame, place: int) -> None:
        """A stream of frames like this one begins at `place`."""
        self._kind = frame.kind
        self._before += self._samples / self._rate
        self._samples, self._rate = 0, frame.rate
        if self.begins is None:
            self.begins = place
        self._places.add(place, self._before)


def mp3() -> FrameCounter:
    """Counts MPEG 1, 2 and 2.5 layer III."""
    return FrameCounter(4, mp3_frame)


def adts() -> FrameCounter:
    """Counts AAC in ADTS."""
    return FrameCounter(7, adts_frame)


_mp3_headers: dict[int, Frame | None] = {}


def mp3_frame(buffer: bytes, at: int) -> Frame | None:
    """The layer III frame whose header is at `at`; None where there is none (or one of free bit rate)."""
    if buffer[at] != 0xFF or buffer[at + 1] < 0xE0:
        return None
    key = (buffer[at + 1] << 8) | buffer[at + 2]
    try:
        return _mp3_headers[key]
    except KeyError:
        return _mp3_headers.setdefault(key, _mp3_frame(key))


def _mp3_frame(key: int) -> Frame | None:
    """From the header's second and third byte: 111 version(2) layer(2) crc(1), bit rate(4) rate(2) padding(1) 0."""
    version, layer = (key >> 11) & 3, (key >> 9) & 3
    rates = _MP3_RATES[version]
    if layer != 1 or not rates[0] or (key >> 2) & 3 == 3:
        return None
    mpeg1 = version == 3
    rate = rates[(key >> 2) & 3]
    kbps = _MP3_KBPS[0 if mpeg1 else 1][(key >> 4) & 15]
    if not kbps:
        return None
    samples = 1152 if mpeg1 else 576
    return Frame(samples // 8 * kbps * 1000 // rate + ((key >> 1) & 1), samples, rate, rate)


def adts_frame(buffer: bytes, at: int) -> Frame | None:
    """The AAC frame whose ADTS header is at `at`; None where there is none."""
    if buffer[at] != 0xFF or buffer[at + 1] & 0xF6 != 0xF0:
        return None
    rate = _ADTS_RATES[(buffer[at + 2] >> 2) & 15]
    size = ((buffer[at + 3] & 3) << 11) | (buffer[at + 4] << 3) | (buffer[at + 5] >> 5)
    if not rate or size < 8:
        return None
    # Profile, rate and whether there is a CRC stay the same in a stream; the channels too, but they span two bytes.
    kind = (buffer[at + 1] << 8) | (buffer[at + 2] & 0xFC)
    return Frame(size, ((buffer[at + 6] & 3) + 1) * 1024, rate, kind)
