"""The picture: which frame each slot of the timeline shows.

Pure: loops are given as cursors, which hold a few decoded GOPs and are refilled from disk by `loops`. A switch
happens on the next frame slot, and the new loop enters on its keyframe. When a loop has no frame to give (its file
is damaged, its disk hangs) the default takes over in the same slot, and behind it the slate, which lies in memory:
some picture is always due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Frame = tuple[bytes, bool]
"""An FLV video tag's body, and whether it is a keyframe."""

SLATE = "slate"
"""The name of what has no file: loops have whole paths."""
Reason = Literal["switch", "default", "slate", "resumed", "recovered", "replaced"]


@dataclass(frozen=True, slots=True)
class Whole:
    """A prepared loop that is not growing: its directory, how many frames it has, and how many from key to key.

    `dressed` is the directory of the same loop with its card, and how many frames of it carry that.
    """

    directory: Path
    frames: int
    gop_frames: int
    dressed: tuple[Path, int] | None = None

    def holding(self, frame: int) -> Path:
        """The directory in which the GOP from this frame on is as it is shown."""
        if self.dressed is None:
            return self.directory
        directory, frames = self.dressed
        return directory if frames == self.frames or frame + self.gop_frames <= frames else self.directory


class Cursor:
    """A loop being played: its GOPs come from a loader, its frames go to the timeline.

    `request(cursor)` is called whenever fewer than two GOPs are left; the loader answers with `supply()` or
    `fail()`, now or later. While a loop is still being prepared (`growing`) it may have to wait for the encoder: then
    it plays again what it has.
    """

    def __init__(
        self, avcc: bytes, first: Sequence[Frame], request: Callable[[Cursor], None], growing: bool = False
    ) -> None:
        """`first` is the GOP that it enters with (faded in), `avcc` its decoder configuration.

        A growing loop's `first` may be lengthened while it plays.
        """
        self.avcc = avcc
        self.growing = growing
        self.failed: str | None = None
        self.dressed = False
        """Whether the GOP that was loaded last carries a card; for the loader."""
        self.next_gop = 1
        """The number of the GOP to load next; for the loader."""
        self.whole: Whole | None = None
        """For the loader to set, as soon as it is known."""
        self._gop = self._first = first
        self._size = 0
        """How many frames the GOP that it entered with will have, where that may still grow."""
        self._number = 0
        self._entering = True
        self._at = 0
        self._ready: deque[tuple[Sequence[Frame], int]] = deque()
        self._request = request
        self._asked = False

    def supply(self, gop: Sequence[Frame], number: int) -> None:
        """The GOP that was asked for, and its number."""
        self._asked = False
        self._ready.append((gop, number))

    def fail(self, reason: str) -> None:
        """No more GOPs will come."""
        self.failed = reason

    def take(self) -> Frame | None:
        """The frame of the next slot, or None when there is none to give."""
        if self._at >= len(self._gop):
            if self._entering and self._at < self._size:
                # Its crossfade was not encoded in time after all: it begins anew, on a keyframe.
                self._gop, self._size = self._first, 0
            elif self._ready:
                (self._gop, self._number), self._entering = self._ready.popleft(), False
                self._first = ()
            elif not self.growing or self.failed is not None:
                self._refill()
                return None
            self._at = 0
        self._refill()
        frame = self._gop[self._at]
        self._at += 1
        return frame

    def frame_in(self, slots: int) -> int | None:
        """Which frame of the loop it shows after so many more slots (0: the next), if nothing comes between.

        None where that can't be known, or where that is still the GOP that it entered with.
        """
        if self.whole is None or (self._entering and self._at + slots < max(len(self._gop), self._size)):
            return None
        return (self._number * self.whole.gop_frames + self._at + slots) % self.whole.frames

    def enter_with(self, gop: Sequence[Frame], size: int) -> None:
        """Enter with another GOP than the first one; it has `size` frames, or will have them while it plays.

        To be called before anything was taken.
        """
        self._gop, self._size = gop, size

    def slots_to_keyframe(self) -> int:
        """In how many slots the next keyframe is due: 0 when the very next frame is one."""
        size = max(len(self._gop), self._size if self._entering else 0)
        return (size - self._at) if self._at else 0

    def rewind(self) -> None:
        """Go back to the keyframe of the GOP that is playing: whoever joins now sees a picture at once."""
        if self._at < len(self._gop):
            self._at = 0

    def _refill(self) -> None:
        if len(self._ready) < 2 and not self._asked and self.failed is None:
            self._asked = True
            self._request(self)


class Still:
    """The slate: a loop that lies in memory whole and can't fail."""

    def __init__(self, avcc: bytes, gops: Sequence[Sequence[Frame]]) -> None:
        self.avcc = avcc
        self.failed: str | None = None
        self._frames = [frame for gop in gops for frame in gop]
        self._at = 0

    def take(self) -> Frame:
        """The frame of the next slot."""
        frame = self._frames[self._at]
        self._at = (self._at + 1) % len(self._frames)
        return frame

    def slots_to_keyframe(self) -> int:
        """In how many slots the next keyframe is due."""
        count = len(self._frames)
        return next(ahead for ahead in range(count) if self._frames[(self._at + ahead) % count][1])

    def rewind(self) -> None:
        """Go back to the keyframe before."""
        while not self._frames[self._at][1]:
            self._at -= 1


@dataclass(frozen=True, slots=True)
class Blend:
    """A GOP in which another loop gives way: good where `outgoing` would go on with its frame `frame`.

    It has `size` frames; `gop` may still grow towards that, faster than it is played.
    """

    outgoing: Cursor
    frame: int
    gop: Sequence[Frame]
    size: int


@dataclass(slots=True)
class Item:
    """Something that can be on the air, with what is known of it."""

    cursor: Cursor | Still
    loop: str
    play_id: str | None
    reason: Reason
    at: int = 0
    """Not before this position of the timeline (ns)."""
    request_id: str | None = None
    """The request that it goes back to, for the log."""
    blend: Blend | None = None
    """What it may enter with in the place of its own first GOP."""
    crossfaded: bool = False
    """Whether it did."""


class Picture:
    """What is on the air, what comes next, and what stands behind both."""

    def __init__(self, slate: Still, on_air: Callable[[Item], None], lost: Callable[[Item, str], None]) -> None:
        """`on_air` is told of every change as it happens; `lost` of a loop that could give no frame, and why."""
        self._slate = slate
        self._on_air = on_air
        self._lost = lost
        self.item = Item(slate, SLATE, None, "slate")
        self.next: Item | None = None
        self.default: Item | None = None
        """A loaded default loop, to step in at once; taken when it is used."""

    def switch(self, item: Item) -> Item | None:
        """Show `item` from the first slot at or after its time; gives back the one it replaces, not shown yet."""
        replaced, self.next = self.next, item
        return replaced

    def frame(self, due: int) -> tuple[bytes, bool, bytes]:
        """The frame of the slot due at `due` (ns): its body, whether it is a keyframe, its loop's configuration."""
        if self.next is not None and self.next.at <= due:
            if self.next.cursor is self._slate:
                self._slate.rewind()  # it enters with its keyframe too
            self._blend(self.next)
            self._show(self.next)
            self.next = None
        while True:
            cursor = self.item.cursor
            frame = cursor.take()
            if frame is not None:
                return frame[0], frame[1], cursor.avcc
            self._step_back()

    def rewind(self) -> None:
        """Begin again at the keyframe before."""
        self.item.cursor.rewind()

    def slots_to_keyframe(self) -> int:
        """In how many slots the next keyframe is due, unless a switch comes sooner."""
        return self.item.cursor.slots_to_keyframe()

    def fall_back(self, reason: str) -> None:
        """Leave the loop that is on the air, because of `reason`, for what stands behind it."""
        self._lost(self.item, reason)
        self._show_behind()

    def _blend(self, item: Item) -> None:
        """Let an item enter with its crossfade, if what is on the air has come to where that begins."""
        blend, item.blend = item.blend, None  # what was left is not to be held as long as the item is shown
        if blend is None or not isinstance(item.cursor, Cursor):
            return
        if self.item.cursor is blend.outgoing and blend.outgoing.frame_in(0) == blend.frame:
            item.cursor.enter_with(blend.gop, blend.size)
            item.crossfaded = True

    def _step_back(self) -> None:
        self.fall_back(self.item.cursor.failed or "the disk did not give its next pictures in time")

    def _show_behind(self) -> None:
        play_id, request_id = self.item.play_id, self.item.request_id
        if self.default is not None:
            item, self.default = self.default, None
            item.play_id, item.reason, item.request_id = play_id, "default", request_id
        else:
            self._slate.rewind()
            item = Item(self._slate, SLATE, play_id, "slate", request_id=request_id)
        self._show(item)

    def _show(self, item: Item) -> None:
        self.item = item
        self._on_air(item)
