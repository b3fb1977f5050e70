"""Crossfades: one closed GOP in which the loop on the air gives way to the one that follows it.

Which frame the loop on the air will have reached at the slot of a switch is known as soon as the slot is. From there
on its frames are mixed with the first GOP's of the loop that comes, and what that gives is encoded as entries are. It
is played in the entry's place, once: the loop goes on with its second GOP.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from . import catalog
from .child import URGENT_NICE, Child, ChildFailed
from .errors import LibraryError, NotNow
from .ffmpeg import crossfade_command
from .flv import FILE_HEADER, SEQUENCE_HEADER, Frame, LoopDamaged, one_gop, tag
from .loopfile import open_loop
from .probe import last_line
from .profiles import RECIPE, Profile
from .verify import threads

__all__ = ["Change", "pictures", "render", "tidy"]

# A loop is hardly ever left at the same frame for the same loop again. These are for switches that are foretold and
# then ordered, or ordered twice.
_KEPT = 16
_UNFINISHED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Change:
    """The loop prepared at `outgoing` gives way, from its frame `frame` on, to the one prepared at `incoming`."""

    profile: Profile
    outgoing: Path
    frame: int
    incoming: Path


def pictures(frame: int, count: int, frames: int, gop_frames: int) -> tuple[list[int], int]:
    """The GOPs that hold `count` frames of a loop from its frame `frame` on, and how many to leave out in front.

    The loop has `frames` frames, a keyframe every `gop_frames`, and begins again where it ends.
    """
    number, skip = divmod(frame, gop_frames)
    gops = -(-frames // gop_frames)
    found: list[int] = []
    have = -skip
    while have < count:
        found.append(number)
        have += min(gop_frames, frames - number * gop_frames)
        number = (number + 1) % gops
    return found, skip


def render(
    library: Path,
    change: Change,
    within: float,
    cancel: threading.Event,
    on_encoding: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Make a crossfade and return its file: one GOP with as many frames as the first one of the incoming loop.

    `on_encoding` is told of the file while it grows; it is renamed when it is whole, or goes. Blocks for `within`
    seconds at most. Raises NotNow where it takes longer or can't be done, LibraryError where
    there are no such loops or frames, Cancelled.
    """
    profile = change.profile
    place = library / "crossfades" / profile.fingerprint()
    text = f"{change.outgoing} {change.frame} {change.incoming} {RECIPE}"
    target = place / f"{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}.flv"
    begun = time.monotonic()
    try:
        if target.exists():
            return target
        avcc, left, skip, entered = _read(library, change)
        encoder = catalog.slate(library, profile).encoder
        place.mkdir(parents=True, exist_ok=True)
        tidy(place)
        handle, name = tempfile.mkstemp(dir=place, prefix=".")
        os.close(handle)
        try:
            with _film(avcc, left, profile.fps) as one, _film(avcc, entered, profile.fps) as two:
                command = crossfade_command((one, two), skip, len(entered), profile, encoder, name, threads())
                room, bounded = profile.video_kbps * 1000 * profile.gop_seconds, encoder != "h264_nvenc"
                child = Child(command, nice=URGENT_NICE, fds=(one, two), file_bytes=room, bounded_memory=bounded)
                on_encoding(Path(name))
                child.wait(limit=max(0.1, within - (time.monotonic() - begun)), cancel=cancel)
            # Not decoded for a check, as a loop is: that takes half the time again, which nobody has.
            made = one_gop(Path(name).read_bytes())
            if made[0] != avcc or len(made[1]) != len(entered):
                raise LoopDamaged("its SPS, PPS or length are not those of the loop")
            Path(name).chmod(0o644)
            Path(name).rename(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except ChildFailed as error:
        raise NotNow(error.why or last_line(error.text)) from error
    except LoopDamaged as error:
        raise NotNow(str(error)) from error
    except OSError as error:
        raise NotNow("no space left for crossfades" if catalog.is_full(error) else str(error)) from error
    return target


def _read(library: Path, change: Change) -> tuple[bytes, list[Frame], int, list[Frame]]:
    """Decoder configuration, the frames that are left, how many to skip of these, and the frames that are entered."""
    avcc = catalog.reference_avcc(catalog.profile_dir(library, change.profile))
    with open_loop(change.outgoing) as outgoing, open_loop(change.incoming) as incoming:
        if not outgoing.avcc == incoming.avcc == avcc:
            raise LibraryError("loops of different profiles can't be mixed")
        if not 0 <= change.frame < outgoing.frames:
            raise LibraryError(f"{change.outgoing.name} has no frame {change.frame}")
        entered = incoming.read_gop(0)
        numbers, skip = pictures(change.frame, len(entered), outgoing.frames, change.profile.gop_frames)
        left = [frame for number in numbers for frame in outgoing.read_gop(number)]
    return avcc, left, skip, entered


def tidy(place: Path) -> None:
    """Keep the newest few of what is in `place`, and nothing that was never finished."""
    now = time.time()
    whole = []
    for path in place.iterdir():
        with contextlib.suppress(FileNotFoundError):
            changed = path.stat().st_mtime
            if not path.name.startswith("."):
                whole.append((changed, path))
            elif now - changed > _UNFINISHED_SECONDS:
                path.unlink()
    for _, path in sorted(whole)[: -_KEPT + 1]:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _film(avcc: bytes, frames: Sequence[Frame], fps: Fraction) -> Iterator[int]:
    """The descriptor of an FLV file in memory."""
    with os.fdopen(os.memfd_create("film"), "wb") as file:
        file.write(FILE_HEADER + tag(0, SEQUENCE_HEADER + avcc))
        for number, (body, _) in enumerate(frames):
            file.write(tag(round(number * 1000 / fps), body))
        file.flush()
        yield file.fileno()
