"""The picture: from one loop to the next in a crossfade."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout.picture import Blend, Cursor, Item, Whole
from tests.unit.playout.screen import AVCC, RATE, Screen, gop


def loop_item(screen: Screen, name: str, gops: int, last: int, at: int = 0) -> Item:
    """A loop whose length is known: `gops` GOPs of four frames, of `last` frames the last one."""
    sizes = [4] * (gops - 1) + [last]

    def request(cursor: Cursor) -> None:
        number = cursor.next_gop % gops
        cursor.next_gop = number + 1
        cursor.supply(gop(name, number, sizes[number]), number)

    cursor = Cursor(AVCC, gop(name, 0, sizes[0]), request)
    cursor.whole = Whole(Path("/library") / name, sum(sizes), 4)
    return Item(cursor, name, None, "switch", RATE.ns(at))


def frame_of(shown: str) -> int:
    """The number in its loop of a frame that was shown."""
    _, number, place = shown.split("/")
    return int(number) * 4 + int(place)


@given(gops=st.integers(1, 4), last=st.integers(1, 4), shown=st.integers(1, 30), ahead=st.integers(0, 30))
def test_where_a_loop_will_be_is_foretold(gops: int, last: int, shown: int, ahead: int) -> None:
    screen = Screen()
    item = loop_item(screen, "a", gops, last)
    screen.picture.switch(item)
    screen.show(shown)
    assert isinstance(item.cursor, Cursor)
    foretold = item.cursor.frame_in(ahead)
    first = last if gops == 1 else 4
    if shown + ahead < first:
        assert foretold is None, "the entry is not the loop's own picture"
    else:
        assert foretold == frame_of(screen.show(ahead + 1)[-1])


@given(gops=st.integers(1, 4), last=st.integers(1, 4), armed=st.integers(5, 30), ahead=st.integers(0, 20))
def test_a_crossfade_is_entered_with_once(gops: int, last: int, armed: int, ahead: int) -> None:
    screen = Screen()
    leaving, coming = loop_item(screen, "a", gops, last), loop_item(screen, "b", 3, 2, armed + ahead)
    screen.picture.switch(leaving)
    before = screen.show(armed)
    assert isinstance(leaving.cursor, Cursor)
    frame = leaving.cursor.frame_in(ahead)
    assert frame is not None
    coming.blend = Blend(leaving.cursor, frame, gop("a-to-b", 0), 4)
    screen.picture.switch(coming)
    before += screen.show(ahead)
    assert (frame_of(before[-1]) + 1) % (4 * (gops - 1) + last) == frame, "it begins where the loop was left"
    seen = screen.show(14)
    assert seen[:4] == [f"a-to-b/0/{n}" for n in range(4)]
    assert seen[4:] == [f"b/{n}" for n in ("1/0", "1/1", "1/2", "1/3", "2/0", "2/1", "0/0", "0/1", "0/2", "0/3")]
    assert coming.crossfaded
    assert coming.blend is None, "what was left is let go"


@pytest.mark.parametrize("cause", ["rewound", "another loop", "the slate"])
def test_a_crossfade_from_elsewhere_is_not_shown(cause: str) -> None:
    screen = Screen()
    leaving, coming = loop_item(screen, "a", 3, 4), loop_item(screen, "b", 3, 4, 10)
    screen.picture.switch(leaving)
    screen.show(6)
    assert isinstance(leaving.cursor, Cursor)
    frame = leaving.cursor.frame_in(4)
    assert frame is not None
    coming.blend = Blend(leaving.cursor, frame, gop("a-to-b", 0), 4)
    screen.picture.switch(coming)
    if cause == "rewound":
        screen.picture.rewind()
    elif cause == "another loop":
        screen.picture.default = loop_item(screen, "default", 3, 4)
        screen.picture.fall_back("its file was removed")
    else:
        screen.picture.fall_back("its file was removed")
    screen.show(4)
    assert screen.show(5) == ["b/0/0", "b/0/1", "b/0/2", "b/0/3", "b/1/0"]
    assert not coming.crossfaded
    assert coming.blend is None


@given(there=st.integers(1, 8), pace=st.integers(0, 3))
def test_a_crossfade_may_grow_while_it_is_played(there: int, pace: int) -> None:
    screen = Screen()
    leaving, coming = loop_item(screen, "a", 3, 4), loop_item(screen, "b", 3, 4, 10)
    screen.picture.switch(leaving)
    screen.show(10)
    assert isinstance(leaving.cursor, Cursor)
    frame = leaving.cursor.frame_in(0)
    assert frame is not None
    whole = gop("a-to-b", 0, 8)
    made = whole[:there]
    coming.blend = Blend(leaving.cursor, frame, made, 8)
    screen.picture.switch(coming)
    seen = []
    for _ in range(16):
        assert screen.picture.slots_to_keyframe() >= 0
        seen += screen.show()
        made.extend(whole[len(made) : len(made) + pace])
    if there == 8 or pace:
        assert seen == [f"a-to-b/0/{n}" for n in range(8)] + [f"b/{g}/{n}" for g in (1, 2) for n in range(4)]
    else:
        # The encoder stopped: the loop begins anew, with its own entry and its keyframe.
        rest = [f"b/{g % 3}/{n}" for g in range(4) for n in range(4)]
        assert seen == ([f"a-to-b/0/{n}" for n in range(there)] + rest)[:16]
