"""When sound and picture changed, in one capture of what the platform received, and how far apart the two were.

Every track of such a measurement is a steady tone, and has a loop of the demo's (`media.LOOPS`): which tone is heard
is found in the decoded sound, which loop is seen is read from the decoded pictures. All times are those of the
stream, in ms: what a player makes of it, whenever the bytes came.
"""

import cmath
import math
import subprocess
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, pairwise
from operator import mul
from pathlib import Path

from tests.rig import child, flvread, media
from tests.rig.flvread import AUDIO, VIDEO
from tests.rig.media import Picture
from tests.rig.net import RigError

# Tones that can be told apart in 20 ms, below what is left at the rate at which they are looked for.
TONES = tuple(range(500, 2900, 200))

_RATE, _BLOCK, _WINDOW = 8000, 40, 4  # samples a second, samples in a step of 5 ms, steps in a window of 20 ms
_AAC_FRAME, _AAC_RATE = 1024, 44100
_SILENT = 300.0  # of 32768, as root mean square
# What a window holds of its loudest tone, as a share of its energy: 1 for a pure tone, 1/4 in the middle of a cut.
_SHARE = 0.2
_SHORTEST = 60.0  # ms: what is heard for less belongs to a change


@dataclass(frozen=True, slots=True)
class Heard:
    """A tone (Hz) that was heard from `begin` to `end` (ms); None for anything else, silence too."""

    tone: int | None
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A loop that was seen from `begin` to `end` (ms); None for anything else: a slate, black."""

    loop: str | None
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the sound to a tone, and the change of the picture that belongs to it (None: there was none)."""

    tone: int
    loop: str
    sound: float
    picture: float | None

    @property
    def offset(self) -> float:
        """Picture minus sound in ms: negative when the picture came first, infinite when it never came."""
        return math.inf if self.picture is None else self.picture - self.sound


def make_tone(place: Path, hertz: int, seconds: float) -> Path:
    """A track of one tone as a WAV, from the cache `place` where it was made before."""
    sound = f"sine=frequency={hertz}:sample_rate={_AAC_RATE}:duration={seconds:g}"
    args = ["-f", "lavfi", "-i", sound, "-af", "volume=8dB", "-ac", "2", "-f", "wav"]
    return media.make(place, f"tone-{hertz}-{seconds:g}.wav", args)


# --- the sound ----------------------------------------------------------------------------------------------------


def heard(capture: Path, tones: Sequence[int] = TONES) -> list[Heard]:
    """What was heard, one after the other. No frame of sound may be missing in the capture (RigError).

    The time of a decoded sample is that of the AAC frame it was decoded from. An encoder's priming is in the frames
    and in their times, so it needs no correction.
    """
    times = _times(capture, AUDIO)
    done = subprocess.run(
        [child.find_program("ffmpeg"), "-v", "error", "-nostdin", "-i", str(capture), "-map", "0:a:0", "-ac", "1",
         "-ar", str(_RATE), "-f", "s16le", "-"],
        capture_output=True, check=False,
    )  # fmt: skip
    samples = array("h", done.stdout)
    frames = len(samples) * _AAC_RATE / _RATE / _AAC_FRAME
    if done.returncode != 0 or abs(frames - len(times)) > 1.5:
        raise RigError(f"{capture}: {len(times)} frames of sound, {frames:.1f} decoded {done.stderr[-300:]!r}")

    def time(step: float) -> float:
        frame, rest = divmod(step * _BLOCK * _AAC_RATE / _RATE, _AAC_FRAME)
        last = len(times) - 1
        return times[min(int(frame), last)] + (rest + max(0.0, frame - last) * _AAC_FRAME) * 1000 / _AAC_RATE

    found, place = [], 0
    for tone, group in groupby(_tones(samples, tones)):
        count = sum(1 for _ in group)
        # Between two windows that differ the change is half a step before the second one's middle.
        begin, place = place, place + count
        found.append(Heard(tone, *(time(0 if at == 0 else at + (_WINDOW - 1) / 2) for at in (begin, place))))
    return settle(found)


def _tones(samples: Sequence[int], tones: Sequence[int]) -> Iterator[int | None]:
    """The tone of every window; each begins a step after the one before."""
    tables = [(tone, *_table(tone), cmath.exp(-2j * math.pi * tone * _BLOCK / _RATE)) for tone in tones]
    spectra: list[list[complex]] = []
    energies: list[int] = []
    for start in range(0, len(samples) - _BLOCK + 1, _BLOCK):
        block = samples[start : start + _BLOCK]
        # One step's sums, turned to the phase that they have in a window whose first step is number 0.
        turns = [turn ** (start // _BLOCK % _RATE) for _, _, _, turn in tables]
        spectra.append([
            complex(sum(map(mul, block, cosine)), sum(map(mul, block, sine))) * turn
            for (_, cosine, sine, _), turn in zip(tables, turns, strict=True)
        ])  # fmt: skip
        energies.append(sum(map(mul, block, block)))
        del spectra[:-_WINDOW], energies[:-_WINDOW]
        if len(spectra) < _WINDOW:
            continue
        energy, length = sum(energies), _BLOCK * _WINDOW
        if energy < length * _SILENT**2:
            yield None
            continue
        powers = [abs(sum(column)) ** 2 for column in zip(*spectra, strict=True)]
        loudest = max(powers)
        yield tones[powers.index(loudest)] if 2 * loudest > _SHARE * energy * length else None


@cache
def _table(tone: int) -> tuple[list[float], list[float]]:
    """Cosine and negative sine of a tone over one step."""
    angles = [2 * math.pi * tone * n / _RATE for n in range(_BLOCK)]
    return [math.cos(a) for a in angles], [-math.sin(a) for a in angles]


def settle(runs: Sequence[Heard]) -> list[Heard]:
    """Without what is too short to be more than a change; what follows then begins where that began or ended.

    Between two tones a cut may leave a moment without one: the second tone begins when it is first heard. A moment
    within one tone changes nothing.
    """
    found: list[Heard] = []
    for run in runs:
        if run.end - run.begin < _SHORTEST:
            continue
        if found and found[-1].tone == run.tone:
            found[-1] = replace(found[-1], end=run.end)
            continue
        if found and run.tone is None:
            run = replace(run, begin=found[-1].end)  # noqa: PLW2901
        elif found:
            found[-1] = replace(found[-1], end=run.begin)
        found.append(run)
    return found


# --- the picture --------------------------------------------------------------------------------------------------


def seen(capture: Path) -> list[Seen]:
    """Which loops were seen, one after the other; every picture is decoded. RigError when some can't be."""
    times = _times(capture, VIDEO)
    pictures = media.read_pictures(capture)
    if len(pictures) != len(times) or not times:
        raise RigError(f"{capture}: {len(times)} pictures, {len(pictures)} decoded")
    begins = entries(pictures)
    ends = [*(place for _, place in begins[1:]), len(times) - 1]
    return [Seen(loop, times[place], times[end]) for (loop, place), end in zip(begins, ends, strict=True)]


def entries(pictures: Sequence[Picture]) -> list[tuple[str | None, int]]:
    """Each loop and the place of its first picture, one after the other.

    A loop that fades in begins black, which nothing can be read from; but the first picture that can be read says how
    many of the loop's there were before it.
    """
    found: list[tuple[str | None, int]] = []
    place = 0
    for loop, group in groupby(pictures, lambda picture: picture.loop):
        run = list(group)
        begin = place
        place += len(run)
        if loop is not None and found and found[-1][0] is None:
            begin = max(found[-1][1], begin - run[0].frame)
            if begin == found[-1][1]:
                found.pop()
        if not found or found[-1][0] != loop:
            found.append((loop, begin))
    return found


def _times(capture: Path, kind: int) -> list[int]:
    with capture.open("rb") as stream:
        times = [tag.time for tag in flvread.read(stream) if tag.kind == kind and tag.is_frame]
    if not times:
        raise RigError(f"{capture} has no {'sound' if kind == AUDIO else 'picture'}")
    return times


# --- both ---------------------------------------------------------------------------------------------------------


def match(
    sounds: Sequence[Heard], pictures: Sequence[Seen], loops: Mapping[int, str], within: float = 30_000.0
) -> tuple[list[Change], list[Seen]]:
    """Each change of the sound with its change of the picture, and the pictures that belong to none.

    `loops` is which loop belongs to which tone. Both orders are kept: of all ways to put the two stories side by side
    the one with the least distance in all, where an unmatched change counts as `within` ms, and nothing further
    apart than that is matched. So a picture that is late by several tracks is found to be that late, as long as the
    story does not repeat itself. A tone without a loop, and one with the same loop as the tone before, is no change.
    """
    changes: list[Change] = []
    last = next((loops.get(run.tone) for run in sounds if run.tone is not None), None)
    for run in sounds[1:]:
        if run.tone is not None and (loop := loops.get(run.tone)) is not None and loop != last:
            changes.append(Change(run.tone, loop, run.begin, None))
            last = loop
    shown = list(pictures[1:])
    # cost[n][m]: of the first n changes and the first m pictures.
    cost = [[within * (n + m) for m in range(len(shown) + 1)] for n in range(len(changes) + 1)]
    for n, change in enumerate(changes, 1):
        for m, picture in enumerate(shown, 1):
            both = cost[n - 1][m - 1] + _apart(change, picture, within)
            cost[n][m] = min(cost[n - 1][m] + within, cost[n][m - 1] + within, both)
    extra = []
    n, m = len(changes), len(shown)
    while n or m:
        if n and m and cost[n][m] == cost[n - 1][m - 1] + _apart(changes[n - 1], shown[m - 1], within):
            n, m = n - 1, m - 1
            changes[n] = replace(changes[n], picture=shown[m].begin)
        elif m and cost[n][m] == cost[n][m - 1] + within:
            m -= 1
            extra.append(shown[m])
        else:
            n -= 1
    return changes, extra[::-1]


def _apart(change: Change, picture: Seen, within: float) -> float:
    apart = abs(picture.begin - change.sound)
    return apart if picture.loop == change.loop and apart <= within else math.inf


def wrong(sounds: Sequence[Heard], pictures: Sequence[Seen], loops: Mapping[int, str]) -> float:
    """For how long at most another picture was seen than that of the tone that was heard (ms), without a break.

    While nothing known is heard the picture before is right, or any other: nobody hears the difference.
    """
    longest = current = 0.0
    runs: list[Heard | Seen] = [*sounds, *pictures]
    edges = sorted({edge for run in runs for edge in (run.begin, run.end)})
    ahead_sounds, ahead_pictures = list(sounds), list(pictures)
    for begin, end in pairwise(edges):
        while ahead_sounds and ahead_sounds[0].end <= begin:
            ahead_sounds.pop(0)
        while ahead_pictures and ahead_pictures[0].end <= begin:
            ahead_pictures.pop(0)
        tone = ahead_sounds[0].tone if ahead_sounds and ahead_sounds[0].begin <= begin else None
        loop = ahead_pictures[0].loop if ahead_pictures and ahead_pictures[0].begin <= begin else None
        wanted = loops.get(tone) if tone is not None else None
        current = current + end - begin if wanted is not None and wanted != loop else 0.0
        longest = max(longest, current)
    return longest


def told(sounds: Sequence[Heard], pictures: Sequence[Seen]) -> str:
    """Both stories, a line for each change: for a message."""
    lines = [(run.begin, f"{run.begin / 1000:9.3f} s  sound    {run.tone or '-'}") for run in sounds]
    lines += [(run.begin, f"{run.begin / 1000:9.3f} s  picture  {run.loop or '-'}") for run in pictures]
    return "\n".join(["", *(line for _, line in sorted(lines))])
