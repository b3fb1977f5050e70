"""Reading one loop's GOPs on and on: whole or still growing, with its card or without. For the disk's thread."""

from __future__ import annotations

from hook_service.library import catalog
from hook_service.library.loopfile import GrowingLoop, LoopDamaged, PreparedLoop, open_loop
from hook_service.playout.picture import Cursor, Whole
from hook_service.playout.wardrobe import Dressed
from hook_service.settings import Station

__all__ = ["Reader"]


class Reader:
    """Reads one loop's GOPs by number, over and over, whether it is whole or still growing."""

    def __init__(self, loop: PreparedLoop | GrowingLoop, station: Station) -> None:
        self._loop = loop
        self._station = station
        self.dressed = Dressed(station, loop.sha256)

    def next(self, cursor: Cursor) -> list[tuple[bytes, bool]]:
        """The GOP that `cursor` needs next. Raises LoopDamaged."""
        if isinstance(self._loop, GrowingLoop):
            if self._loop.finished:
                finished = open_loop(self._loop.final)
                self._loop.close()
                self._loop = finished
                cursor.growing, cursor.whole = False, self.whole()
            elif self._loop.abandoned:
                refused = catalog.refusal(self._station.library, self._loop.sha256, self._station.profile)
                raise LoopDamaged(refused or "its preparation was given up")
        if isinstance(self._loop, PreparedLoop):
            cursor.next_gop %= self._loop.gops
            dressed = self.dressed.gop(cursor.next_gop, self._loop)
            gop = dressed or self._loop.read_gop(cursor.next_gop)
            cursor.dressed, cursor.whole = dressed is not None, self.whole()
        else:
            growing = self._loop.read_gop(cursor.next_gop)
            if growing is None:
                # The encoder is behind: what there is of it is shown again, the fade too while there is no more.
                cursor.next_gop = 0
                loop = self._loop
                growing = loop.read_gop(0) or loop.read_gop(0, entry=True) or loop.read_part(0, entry=True)
            gop = growing
        if not gop:
            raise LoopDamaged("it has no frames")
        cursor.next_gop += 1
        return gop

    def whole(self) -> Whole | None:
        """Where the loop is and how long, unless it still grows."""
        loop, gop_frames = self._loop, self._station.profile.gop_frames
        if not isinstance(loop, PreparedLoop):
            return None
        return Whole(loop.path, loop.frames, gop_frames, self.dressed.worn)

    def close(self) -> None:
        """Give its files back."""
        self._loop.close()
        self.dressed.close()
