"""What is noted of a stream, and what of it is a fault's doing."""

import zlib
from math import inf

from tests.rig.alignment import Change
from tests.rig.flvread import AUDIO, VIDEO, Tag
from tests.soak.course import Done
from tests.soak.faults import EVERY_SECONDS, GENTLE, SEEN, Fault, plan
from tests.soak.verdict import lost_to, outside, thirds
from tests.soak.watch import Hole, Ledger, Wait


def picture(ms: int, body: bytes = b"p", *, key: bool = False) -> Tag:
    return Tag(VIDEO, ms, (b"\x17" if key else b"\x27") + b"\x01\0\0\0" + body)


def sound(ms: int) -> Tag:
    return Tag(AUDIO, ms, b"\xaf\x01ss")


def test_nothing_is_missing() -> None:
    ledger = Ledger({})
    frames = sorted(
        [*(picture(round(n * 1000 / 30)) for n in range(300)), *(sound(round(n * 1024 / 44.1)) for n in range(430))],
        key=lambda tag: tag.time,
    )
    for tag in frames:
        ledger.take(100 + tag.time / 1000, tag)
    assert (ledger.holes, ledger.waits, ledger.backwards) == ([], [], 0)
    assert ledger.frames == {VIDEO: 300, AUDIO: 430}
    assert max(ms for _, ms in ledger.apart) <= 34


def test_a_hole_is_counted_in_frames() -> None:
    ledger = Ledger({})
    for at, ms in ((1.0, 0), (1.03, 33), (1.2, 167)):
        ledger.take(at, picture(ms))
    for at, ms in ((1.0, 0), (2.5, 1510)):
        ledger.take(at, sound(ms))
    assert ledger.holes == [Hole(VIDEO, 3, 1.03, 1.2), Hole(AUDIO, 64, 1.0, 2.5)]
    assert ledger.waits == [Wait(AUDIO, 1.0, 2.5)]


def test_late_is_not_lost() -> None:
    ledger = Ledger({})
    ledger.take(1.0, sound(0))
    ledger.take(3.0, sound(23))
    assert ledger.holes == []
    assert ledger.waits == [Wait(AUDIO, 1.0, 3.0)]


def test_a_time_that_does_not_advance() -> None:
    ledger = Ledger({})
    for ms in (0, 33, 33, 20):
        ledger.take(1.0, picture(ms))
    assert ledger.backwards == 2


def test_sound_and_picture_apart() -> None:
    ledger = Ledger({})
    ledger.take(60.0, picture(1000))
    ledger.take(60.1, sound(1100))
    ledger.take(60.2, sound(1020))
    ledger.take(121.0, sound(1001))
    assert ledger.apart == [(60.0, 100), (120.0, 1)]


def test_loops_are_known_by_their_first_frames() -> None:
    bodies = {"coral": [b"c1", b"c2", b"c3"], "lagoon": [b"c1", b"l2", b"l3"]}

    def tags(name: str, ms: int) -> list[Tag]:
        return [picture(ms + 33 * n, body, key=n == 0) for n, body in enumerate(bodies[name])]

    prints = {name: [zlib.crc32(tag.body) for tag in tags(name, 0)] for name in bodies}
    ledger = Ledger(prints)
    # A loop that is cut off at once was not shown; its next round begins with a keyframe of another kind.
    stream = [
        *tags("coral", 0), picture(99), picture(132, b"k", key=True), picture(165), *tags("coral", 200)[:2],
        *tags("lagoon", 300), *tags("lagoon", 600), *tags("coral", 900),
    ]  # fmt: skip
    for tag in stream:
        ledger.take(0.0, tag)
    assert ledger.pictures == [(0, "coral"), (300, "lagoon"), (600, "lagoon"), (900, "coral")]
    assert [(seen.loop, seen.begin, seen.end) for seen in ledger.seen()] == [
        ("coral", 0, 300), ("lagoon", 300, 900), ("coral", 900, 966),
    ]  # fmt: skip


def test_what_is_lost_to_whom() -> None:
    quiet, loud = Fault("quiet", lambda _: None), Fault("loud", lambda _: None, seen=True)
    done = [Done(quiet, 100, 110, 112), Done(loud, 200, 201, 204), Done(loud, 300, 301, None)]
    holes = [Hole(VIDEO, 1, 104, 105), Hole(VIDEO, 20, 200, 203), Hole(AUDIO, 9, 200, 203), Hole(VIDEO, 5, 329, 330)]
    assert [lost_to(one, holes, VIDEO) for one in done] == [1, 20, 5]
    assert outside(holes, done) == [holes[0]]
    assert outside([Wait(VIDEO, 150, 152), Wait(VIDEO, 200, 205)], done) == [Wait(VIDEO, 150, 152)]


def test_an_hours_plan() -> None:
    found = plan(3600, ["web", "playout-demo", "monitor"])
    assert len(found) == 3600 / EVERY_SECONDS - 1
    assert {fault.name for fault in SEEN} <= {fault.name for fault in found}
    # The publisher's own are seldom.
    assert sum(fault.seen for fault in found) <= len(found) / 10
    # What is judged by its memory has more than half of the run to itself.
    assert set(found[len(found) * 46 // 100 :]) == set(GENTLE)
    assert any(fault.name == "programme monitor killed" for fault in found)
    assert not any("monitor" in fault.name for fault in plan(3600, ["web"]))
    assert len(plan(120, ["web"])) == 1


def test_the_thirds_of_what_was_decided_by_the_sound() -> None:
    offsets = [10, 20, 5000, 30, -40, inf, 50, 60, 70]
    changes = [Change(500, "coral", 0, None if offset == inf else offset) for offset in offsets]
    assert thirds(changes) == ([10, 20, 30], [50, 60, 70])
    assert thirds([]) == ([], [])
