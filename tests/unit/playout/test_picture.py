"""The picture: what each slot shows, whatever its loops do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.playout.picture import Cursor, Item
from tests.unit.playout.screen import AVCC, RATE, Screen, gop


def test_the_slate_is_there_from_the_first_slot_and_goes_round() -> None:
    assert Screen().show(9) == [f"slate/{g}/{n}" for g in (0, 1) for n in range(4)] + ["slate/0/0"]


def test_a_switch_happens_on_the_first_slot_at_its_time() -> None:
    screen = Screen()
    screen.picture.switch(screen.item("a", 5, "play-a"))
    assert [name.split("/")[0] for name in screen.show(5)] == ["slate"] * 5
    assert screen.on_air == []
    assert screen.show() == ["a/0/0"], "it enters on its keyframe"
    assert screen.on_air == [("a", "switch", "play-a")]
    assert screen.picture.next is None


@given(st.integers(0, 40 * 33_333_333))
def test_at_its_time_or_right_after(at: int) -> None:
    screen = Screen()
    screen.picture.switch(Item(screen.cursor("a"), "a", None, "switch", at))
    first = next(slot for slot in range(50) if screen.show()[0].startswith("a/"))
    assert RATE.ns(first) >= at
    assert first == 0 or RATE.ns(first - 1) < at


def test_a_time_that_has_passed_is_the_next_slot() -> None:
    screen = Screen()
    screen.show(10)
    screen.picture.switch(screen.item("a", 3))
    assert screen.show() == ["a/0/0"]


def test_a_loop_goes_round_without_a_step() -> None:
    screen = Screen()
    screen.picture.switch(screen.item("a"))
    assert screen.show(25) == [f"a/{g % 3}/{n}" for g in range(7) for n in range(4)][:25]
    assert screen.on_air == [("a", "switch", None)]
    assert screen.lost == []


def test_a_later_switch_replaces_one_not_shown_yet() -> None:
    screen = Screen()
    first, second = screen.item("a", 5, "1"), screen.item("b", 7, "2")
    assert screen.picture.switch(first) is None
    assert screen.picture.switch(second) is first
    assert {name.split("/")[0] for name in screen.show(20)} == {"slate", "b"}
    assert screen.on_air == [("b", "switch", "2")]


def test_dry_then_the_default_then_the_slate_in_the_same_slots() -> None:
    screen = Screen()
    screen.picture.default = Item(screen.cursor("default"), "default", None, "default")
    screen.picture.switch(screen.item("a", 0, "play"))
    assert screen.show(10, answers=False) == [
        *(f"a/0/{n}" for n in range(4)),
        *(f"default/0/{n}" for n in range(4)),
        "slate/0/0",
        "slate/0/1",
    ]
    assert screen.on_air == [("a", "switch", "play"), ("default", "default", "play"), ("slate", "slate", "play")]
    assert [loop for loop, _ in screen.lost] == ["a", "default"]
    assert screen.picture.default is None, "it is on the air now, and no longer at hand"


def test_the_slate_can_be_switched_to_and_enters_with_its_keyframe() -> None:
    screen = Screen()
    screen.show(6)
    screen.picture.switch(screen.item("a", 6))
    screen.show(3)
    slate = screen.picture._slate
    screen.picture.switch(Item(slate, "slate", "play", "switch", RATE.ns(11)))
    assert screen.show(4) == ["a/0/3", "a/1/0", "slate/1/0", "slate/1/1"]
    assert screen.on_air[-1] == ("slate", "switch", "play")


def test_the_slate_begins_on_a_keyframe() -> None:
    screen = Screen()
    screen.show(6)  # the slate is in the middle of a GOP
    screen.picture.switch(screen.item("a", 0))
    shown = screen.show(10, answers=False)
    assert shown[4].startswith("slate/")
    assert shown[4].endswith("/0")


def test_a_damaged_loop_says_why() -> None:
    screen = Screen()
    screen.picture.switch(screen.item("a", 0))
    screen.show(1, answers=False)
    screen.disk.fail("GOP 1 is short or altered")
    assert screen.show(4, answers=False) == ["a/0/1", "a/0/2", "a/0/3", "slate/0/0"]
    assert screen.lost == [("a", "GOP 1 is short or altered")]


def test_a_failed_loop_plays_what_it_has() -> None:
    screen = Screen()
    cursor = screen.cursor("a")
    screen.picture.switch(Item(cursor, "a", None, "switch"))
    screen.show(1)  # GOP 1 is there
    screen.show(1)
    cursor.fail("gone")
    shown = screen.show(20, answers=False)
    assert shown[:7] == ["a/0/2", "a/0/3", "a/1/0", "a/1/1", "a/1/2", "a/1/3", "a/2/0"]
    assert shown[10:12] == ["slate/0/0", "slate/0/1"]


def test_rewind_goes_back_to_the_keyframe() -> None:
    screen = Screen()
    screen.picture.switch(screen.item("a"))
    screen.show(6)
    screen.picture.rewind()
    assert screen.show(3) == ["a/1/0", "a/1/1", "a/1/2"]
    screen.show(1)
    screen.picture.rewind()  # between two GOPs the next frame is a keyframe anyway
    assert screen.show() == ["a/2/0"]


@given(st.integers(0, 30), st.booleans())
def test_the_slot_after_a_rewind_is_a_keyframe(slots: int, slate: bool) -> None:
    screen = Screen()
    if not slate:
        screen.picture.switch(screen.item("a"))
    screen.show(slots)
    screen.picture.rewind()
    assert screen.picture.slots_to_keyframe() == 0
    assert screen.picture.frame(RATE.ns(slots))[1]


@given(st.integers(0, 30), st.booleans())
def test_the_next_keyframe_is_foretold(slots: int, slate: bool) -> None:
    screen = Screen()
    if not slate:
        screen.picture.switch(screen.item("a"))
    screen.show(slots)
    told = screen.picture.slots_to_keyframe()
    found = next(ahead for ahead in range(20) if screen.show()[0].endswith("/0"))
    assert told == found


def test_a_growing_loop_replays_what_it_has_until_there_is_more() -> None:
    screen = Screen()
    cursor = screen.cursor("a", growing=True)
    screen.picture.switch(Item(cursor, "a", None, "switch"))
    assert screen.show(10, answers=False) == [f"a/0/{n % 4}" for n in range(10)]
    screen.disk.answer(screen.names)
    assert screen.show(4) == ["a/0/2", "a/0/3", "a/1/0", "a/1/1"]
    assert screen.lost == []
    cursor.growing = False
    assert screen.show(7)[-1] == "a/0/0"


def test_a_growing_loops_first_gop_may_lengthen() -> None:
    screen = Screen()
    first = gop("a", 0)[:2]
    cursor = Cursor(AVCC, first, lambda _: None, growing=True)
    screen.picture.switch(Item(cursor, "a", None, "switch"))
    assert screen.show(3) == ["a/0/0", "a/0/1", "a/0/0"]
    first.extend(gop("a", 0)[2:])
    assert screen.show(4) == ["a/0/1", "a/0/2", "a/0/3", "a/0/0"]


def test_no_more_than_two_gops_are_held() -> None:
    screen = Screen()
    cursor = screen.cursor("a")
    screen.picture.switch(Item(cursor, "a", None, "switch"))
    for _ in range(40):
        screen.show(1)
        assert len(cursor._ready) <= 2, "a loop of two hours would fill the memory"
    for _ in range(3):
        screen.show(1, answers=False)
        assert len(screen.disk.asked) <= 1, "asked once for each GOP"


def test_fall_back_leaves_a_healthy_loop() -> None:
    screen = Screen()
    screen.picture.switch(screen.item("a", 0, "play"))
    screen.show(2)
    screen.picture.fall_back("its file was removed")
    assert screen.show() == ["slate/0/0"]
    assert screen.lost == [("a", "its file was removed")]
    assert screen.on_air[-1] == ("slate", "slate", "play")


def test_each_frame_comes_with_its_own_loops_configuration() -> None:
    screen = Screen()
    assert screen.picture.frame(0)[2] == b"slate-avcc"
    screen.picture.switch(Item(screen.cursor("a", avcc=b"other"), "a", None, "switch"))
    assert screen.picture.frame(RATE.ns(1))[2] == b"other"


orders = st.lists(
    st.one_of(
        st.tuples(st.just("switch"), st.integers(-3, 20)),
        st.tuples(st.just("growing"), st.integers(-3, 20)),
        st.tuples(st.just("default"), st.just(0)),
        st.tuples(st.just("show"), st.integers(1, 15)),
        st.tuples(st.just("hang"), st.integers(1, 15)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("rewind"), st.just(0)),
        st.tuples(st.just("fall back"), st.just(0)),
    ),
    max_size=40,
)


@given(orders)
@settings(deadline=None)
def test_whatever_happens_every_slot_has_a_decodable_picture(steps: list[tuple[str, int]]) -> None:
    """After a change the first frame is a keyframe; within a loop frames follow each other; on_air is told once."""
    screen = Screen()
    made, before, told, fell = 0, "slate/1/3", 0, 0
    for order, amount in steps:
        if order in ("switch", "growing"):
            made += 1
            screen.picture.switch(
                screen.item(f"n{made}", screen.slot + amount, f"p{made}", growing=order == "growing")
            )
        elif order == "default":
            screen.picture.default = Item(screen.cursor("default"), "default", None, "default")
        elif order == "fail":
            screen.disk.fail("damaged")
        elif order == "rewind":
            screen.picture.rewind()
            before = ""
        elif order == "fall back":
            screen.picture.fall_back("asked")
            fell += 1
        else:
            for _ in range(amount):
                [name] = screen.show(1, answers=order == "show")
                (loop, number, place), old = name.split("/"), before.split("/")
                if before == "" or loop != old[0] or int(place) != int(old[2]) + 1 or number != old[1]:
                    assert place == "0", f"{name} after {before} is no keyframe"
                elif len(screen.on_air) - fell == told:
                    assert name == f"{old[0]}/{old[1]}/{int(old[2]) + 1}"
                before = name
                assert screen.picture.item.loop == loop
                assert not screen.on_air or screen.on_air[-1][0] == loop
                told = len(screen.on_air) - fell
    plays = [play for _, reason, play in screen.on_air if reason == "switch"]
    assert len(plays) == len(set(plays)), "a switch was told twice"
    assert plays == sorted(plays, key=lambda play: int((play or "p0")[1:]))


@pytest.mark.parametrize("gops", [1, 2, 3])
def test_short_loops_go_round(gops: int) -> None:
    screen = Screen()
    screen.picture.switch(screen.item("a"))
    shown = []
    for _ in range(30):
        shown += screen.show(1, answers=False)
        screen.disk.answer(screen.names, gops)
    assert shown == [f"a/{g % gops}/{n}" for g in range(10) for n in range(4)][:30]
