"""A picture without a disk: its loops' frames tell where they are from."""

from __future__ import annotations

from hook_service.playout.picture import Cursor, Frame, Item, Picture, Still
from hook_service.playout.timeline import FrameRate

RATE = FrameRate(30)
AVCC = b"avcc"


def gop(name: str, number: int, frames: int = 4) -> list[Frame]:
    """A GOP whose frames tell where they are from: `name/number/place`."""
    return [(f"{name}/{number}/{n}".encode(), n == 0) for n in range(frames)]


class Disk:
    """A loader whose answers come at once, after `delay` more slots, or never."""

    def __init__(self) -> None:
        self.asked: list[Cursor] = []

    def request(self, cursor: Cursor) -> None:
        self.asked.append(cursor)

    def answer(self, names: dict[Cursor, str], gops: int = 3) -> None:
        asked, self.asked = self.asked, []
        for cursor in asked:
            number = cursor.next_gop % gops
            cursor.next_gop = number + 1
            cursor.supply(gop(names[cursor], number), number)

    def fail(self, reason: str) -> None:
        asked, self.asked = self.asked, []
        for cursor in asked:
            cursor.fail(reason)


class Screen:
    """A picture with a slate, and everything that it told."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.names: dict[Cursor, str] = {}
        self.on_air: list[tuple[str, str, str | None]] = []
        self.lost: list[tuple[str, str]] = []
        self.slot = 0
        self.picture = Picture(
            Still(b"slate-avcc", [gop("slate", 0), gop("slate", 1)]),
            lambda item: self.on_air.append((item.loop, item.reason, item.play_id)),
            lambda item, why: self.lost.append((item.loop, why)),
        )

    def cursor(self, name: str, *, growing: bool = False, avcc: bytes = AVCC) -> Cursor:
        cursor = Cursor(avcc, gop(name, 0), self.disk.request, growing)
        self.names[cursor] = name
        return cursor

    def item(self, name: str, slot: int = 0, play: str | None = None, *, growing: bool = False) -> Item:
        return Item(self.cursor(name, growing=growing), name, play, "switch", RATE.ns(slot))

    def show(self, slots: int = 1, *, answers: bool = True) -> list[str]:
        shown = []
        for _ in range(slots):
            body, key, _ = self.picture.frame(RATE.ns(self.slot))
            assert key == body.endswith(b"/0")
            shown.append(body.decode())
            self.slot += 1
            if answers:
                self.disk.answer(self.names)
        return shown
