"""What is black, still, or silent. Pure: small grey pictures and loudness in, verdicts out.

A picture is WIDTH x HEIGHT bytes of luma, 0 to 255. Loudness is EBU R128's (ITU-R BS.1770), in LUFS.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WIDTH, HEIGHT = 64, 36
PICTURE_BYTES = WIDTH * HEIGHT

PICTURE_SECONDS = 5.0
"""A picture that is black or still for so long is no fade."""
SILENT_SECONDS = 10.0
SOUND_SECONDS = 1.0
"""So much sound in a row ends a silence; a click does not."""
BLOCK_SECONDS = 0.1
"""What each loudness is measured over anew."""
SILENT_LUFS = -60.0
"""Below it nobody hears anything. Quiet music is louder, the playout's floor is not."""
LOWEST = -120.0
"""What no sound at all is told as, in LUFS and in dBFS."""

# As FFmpeg's blackdetect has it: a tenth of the range is dark, and 98 % of a black picture is.
_DARK = 26
_DARK_SHARE = 0.98
_IS_DARK = bytes(int(value < _DARK) for value in range(256))
# Still pictures are coded anew in each GOP, and differ by a step or two.
_SAME = 2
_PEAK_BLOCKS = 100
_SHORT_TERM_BLOCKS = 30


def is_black(picture: bytes) -> bool:
    """Whether nearly all of it is dark."""
    return picture.translate(_IS_DARK).count(1) >= _DARK_SHARE * len(picture)


def same(one: bytes, other: bytes) -> bool:
    """Whether two pictures show the same."""
    return one == other or all(abs(a - b) <= _SAME for a, b in zip(one, other, strict=True))


@dataclass(slots=True)
class Still:
    """Pictures in a row that show the same: the times (ms) of the first and the last one, and the first keyframe."""

    since_ms: int
    until_ms: int
    keyframe: bytes
    picture: bytes

    @property
    def seconds(self) -> float:
        """How long nothing has changed."""
        return (self.until_ms - self.since_ms) / 1000


class Pictures:
    """Follows the keyframes. Whether what is still should move is for others to find out: see `expected`."""

    def __init__(self) -> None:
        self.still: Still | None = None
        self._black_since: int | None = None
        self._ms = 0

    @property
    def black(self) -> bool:
        """Whether it is black, and has been for longer than a fade takes."""
        return self._black_since is not None and self._ms - self._black_since >= PICTURE_SECONDS * 1000

    def take(self, ms: int, keyframe: bytes, picture: bytes) -> None:
        """A keyframe's time and body, and what it shows."""
        self._ms = ms
        if not is_black(picture):
            self._black_since = None
        elif self._black_since is None or ms < self._black_since:
            self._black_since = ms
        still = self.still
        if still is not None and ms > still.until_ms and same(still.picture, picture):
            still.until_ms = ms
        else:
            self.still = Still(ms, ms, keyframe, picture)

    def changed(self) -> None:
        """Another loop is on the air: what was still before says nothing about it."""
        self.still = None

    def restart(self) -> None:
        """What comes next is another connection's."""
        self.still = self._black_since = None


class Sound:
    """Follows the loudness, a block of a tenth of a second at a time."""

    def __init__(self) -> None:
        self.short_term: float | None = None
        """Loudness of the last three seconds, in LUFS; None before there were so many."""
        self.silent = False
        self._peaks: deque[float] = deque(maxlen=_PEAK_BLOCKS)
        self._blocks = 0
        self._quiet = self._loud = 0.0  # seconds in a row, where a click is no sound and a pause no silence

    @property
    def peak(self) -> float | None:
        """The highest sample of the last ten seconds, in dBFS."""
        return max(self._peaks, default=None)

    def take(self, momentary: float, short_term: float, peak: float) -> None:
        """A block: the loudness of its last 0.4 s and 3 s, and its own highest sample."""
        self._blocks += 1
        self._peaks.append(max(peak, LOWEST))
        if self._blocks >= _SHORT_TERM_BLOCKS:
            self.short_term = max(short_term, LOWEST)
        if momentary < SILENT_LUFS:
            self._loud = 0.0
            self._quiet += BLOCK_SECONDS
        else:
            self._loud += BLOCK_SECONDS
            if self._loud >= SOUND_SECONDS:
                self._quiet = 0.0
        # Sums of tenths.
        if self._quiet >= SILENT_SECONDS - BLOCK_SECONDS / 2:
            self.silent = True
        elif not self._quiet:
            self.silent = False


class Levels:
    """Reads what FFmpeg's `ametadata` prints of `ebur128` and `astats`, in pieces of any size."""

    _WANTED = (b"lavfi.r128.M", b"lavfi.r128.S", b"lavfi.astats.Overall.Peak_level")

    def __init__(self) -> None:
        self._rest = b""
        self._found: dict[bytes, float] = {}

    def feed(self, data: bytes) -> list[tuple[float, float, float]]:
        """The blocks that are whole with this: momentary and short-term loudness, highest sample."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4096:]
        blocks = []
        for line in lines:
            name, _, value = line.partition(b"=")
            if name not in self._WANTED:
                continue
            self._found[name] = _level(value)
            if len(self._found) == len(self._WANTED):
                momentary, short_term, peak = (self._found[key] for key in self._WANTED)
                blocks.append((momentary, short_term, peak))
                self._found.clear()
        return blocks


def _level(text: bytes) -> float:
    """A level; of no sound at all FFmpeg says -inf or nan."""
    try:
        value = float(text)
    except ValueError:
        return LOWEST
    return value if LOWEST < value < -LOWEST else LOWEST
