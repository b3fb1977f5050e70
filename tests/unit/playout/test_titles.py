"""Titles are decided in time, and as well as they can be: with a simulated Icecast and simulated time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.playout import looks
from hook_service.playout.mountstream import MountStream
from hook_service.playout.titles import HELD_SECONDS, TOLD_SECONDS, Decided, Left, Titles
from tests.unit.playout.coded import mp3
from tests.unit.playout.icecast_model import REFBUF, Icecast, Listener
from tests.unit.playout.test_icy import block
from tests.unit.playout.test_ogg import song

_RANDOM = random.Random(11)
SOUND = b"".join(mp3(fill=_RANDOM.randbytes(413)) for _ in range(1000))
RATE = 417 * 44100 / 1152
CUSHION = 3.0


@dataclass(slots=True)
class Run:
    """A listener from a moment on, whose sound is heard `CUSHION` seconds after it came."""

    icecast: Icecast
    begins: int
    look_seconds: float = 0.35
    titles: Titles = field(default_factory=Titles)
    decided: list[tuple[Decided, float]] = field(default_factory=list)
    """What was decided, and how many seconds before its sound."""
    looks: list[int] = field(default_factory=list)
    start: int = 0

    def run(self, heads: int, *, tick: float = 0.067) -> None:
        self.start = self.icecast.start(self.begins)
        stream = MountStream(self.icecast.interval, "mp3")
        self.titles.connected()
        raw_done = 0
        now, asked, due, wanted = self.begins / RATE, 0.0, None, 0

        def left(seconds: float) -> float:
            return seconds + CUSHION - (now - self.start / RATE)

        while now * RATE < heads:
            now += tick
            raw = self.icecast.send(self.start, self.icecast.whole(int(now * RATE)))
            _, marks = stream.feed(raw[raw_done:])
            raw_done = len(raw)
            for mark in marks:
                self.add(self.titles.saw(mark, stream), left)
            if due is not None and now >= due:
                when = int(asked * RATE) + 4 * REFBUF
                connect = partial(Listener, self.icecast, when, max(when, int(now * RATE)))
                self.titles.looked(looks.take(connect, wanted, 1.0), due - asked, stream)
                due = None
            decided, want = self.titles.step(stream, left)
            self.add(decided, left)
            if want is not None:
                assert due is None
                asked, due, wanted = now, now + self.look_seconds, want
                self.looks.append(int(now * RATE))

    def add(self, decided: list[Decided], left: Callable[[float], float]) -> None:
        for one in decided:
            assert one.seconds is not None
            self.decided.append((one, left(one.seconds)))

    def at(self, byte: int) -> float:
        """The second of the connection at which the sound is heard whose title was set at a byte of the source."""
        return (byte - self.start) / RATE + HELD_SECONDS["mp3"]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(150_000, 300_000), st.integers(90_000, 106_000), st.floats(0.1, 1.0), st.booleans(), st.integers(0, 1)
)
def test_a_title_is_told_in_time_and_where_it_is(byte: int, begins: int, slow: float, kh: bool, seed: int) -> None:
    icecast = Icecast(SOUND, {0: "Old - One", byte: "New - Two"}, kh=kh)
    run = Run(icecast, begins, look_seconds=slow)
    run.run(byte + 80_000)
    assert [one.text for one, _ in run.decided] == ["Old - One", "New - Two"]
    first, (second, left) = run.decided[0][0], run.decided[1]
    assert not first.change
    assert first.seconds == 0.0
    assert second.change
    assert (second.artist, second.title) == ("New", "Two")
    assert second.seconds is not None
    assert abs(second.seconds - run.at(byte)) <= second.within + 0.01
    assert left > TOLD_SECONDS - 0.07
    assert len(run.looks) <= looks.LOOKS
    if slow < 0.4:
        assert second.within < (0.13 if kh else 0.34)
    if kh:
        assert len(run.looks) == 1


def test_looks_make_it_four_times_as_sure_on_average() -> None:
    """The second title of a connection: by then it is known how far back looks reach."""
    doubts = []
    for byte in range(180_000, 196_000, 640):
        run = Run(Icecast(SOUND, {0: "A", 150_000: "B", byte + 60_000: "C"}), 100_000)
        run.run(byte + 120_000)
        decided = run.decided[-1][0]
        assert decided.text == "C"
        assert decided.seconds is not None
        assert abs(decided.seconds - run.at(byte + 60_000)) <= decided.within + 0.01
        doubts.append(decided.within)
    assert sum(doubts) / len(doubts) < 16_000 / RATE / 2 / 3
    assert max(doubts) < 0.25


def test_a_server_without_a_burst_is_not_asked_for_ever() -> None:
    titles = {0: "A"} | {120_000 + n * 30_000: f"Title {n}" for n in range(9)}
    run = Run(Icecast(SOUND, titles, burst=0), 90_000)
    run.run(400_000)
    assert [one.text for one, _ in run.decided] == list(titles.values())
    assert len(run.looks) <= 3
    assert all(one.within < 0.6 for one, _ in run.decided)


def test_looks_that_fail_cost_nothing_but_certainty() -> None:
    icecast = Icecast(SOUND, {0: "A", 120_000: "B"})
    stream = MountStream(icecast.interval, "mp3")
    titles = Titles()
    titles.connected()
    start = icecast.start(100_000)
    _, marks = stream.feed(icecast.send(start, icecast.whole(137_000)))
    made, decided = 0, []
    for mark in marks:
        decided += titles.saw(mark, stream)
    head = 137_000
    while titles.open and head < 180_000:
        head += 1400
        raw = icecast.send(start, icecast.whole(head))
        stream.feed(raw[len(icecast.send(start, icecast.whole(head - 1400))) :])
        found, want = titles.step(stream, lambda seconds: seconds + CUSHION - (stream.seconds or 0.0))
        decided += found
        if want is not None:
            made += 1
            titles.looked(None, 0.4, stream)
    assert 1 <= made <= 3
    assert [one.text for one in decided] == ["A", "B"]
    assert decided[1].seconds == pytest.approx((120_000 // REFBUF * REFBUF - start) / RATE, abs=0.6)


def mount(interval: int = 1000) -> tuple[Titles, MountStream]:
    titles = Titles()
    titles.connected()
    return titles, MountStream(interval, "mp3")


def saw(titles: Titles, stream: MountStream, text: str | None) -> list[Decided]:
    """One interval of sound and a block."""
    decided: list[Decided] = []
    at = stream.bytes % 417_000
    for mark in stream.feed(SOUND[at : at + stream.interval] + block(text))[1]:
        decided += titles.saw(mark, stream)
    return decided


def test_a_title_that_goes_on_is_told_once_across_connections() -> None:
    titles, stream = mount()
    assert [(one.text, one.change) for one in saw(titles, stream, "A")] == [("A", False)]
    for text in ("A", None, "A"):
        assert saw(titles, stream, text) == []
    assert titles.gone(stream) == []
    titles.connected()
    stream = MountStream(1000, "mp3")
    assert saw(titles, stream, "A") == []
    assert not titles.open
    assert titles.current == "A"


def test_a_title_that_changed_while_the_mount_was_away() -> None:
    titles, stream = mount()
    saw(titles, stream, "A")
    titles.connected()
    stream = MountStream(1000, "mp3")
    (decided,) = saw(titles, stream, "B")
    assert (decided.text, decided.change) == ("B", True)


def test_a_title_after_a_time_without_is_looked_for_like_any_other() -> None:
    titles, stream = mount()
    assert [(one.text, one.change) for one in saw(titles, stream, "A")] == [("A", False)]
    titles.connected()
    stream = MountStream(1000, "mp3")
    for text in (None, None):
        assert saw(titles, stream, text) == []
    assert saw(titles, stream, "B") == []
    assert titles.open
    (decided,) = titles.gone(stream)
    assert (decided.text, decided.change) == ("B", True)


def test_the_first_title_of_all_is_no_change_however_late_it_comes() -> None:
    titles, stream = mount()
    for text in (None, None):
        assert saw(titles, stream, text) == []
    assert [(one.text, one.change) for one in saw(titles, stream, "A")] == [("A", False)]


def test_what_waits_is_decided_when_the_next_title_comes_and_when_the_connection_ends() -> None:
    titles, stream = mount()
    for text in ("A", None, None):
        saw(titles, stream, text)
    assert saw(titles, stream, "B") == []
    assert titles.open
    assert [one.text for one in saw(titles, stream, "C")] == ["B"]
    assert [one.text for one in titles.gone(stream)] == ["C"]
    assert titles.gone(stream) == []
    assert not titles.open


def test_what_is_due_now_or_has_no_time_yet_is_decided_at_once() -> None:
    lefts: list[Left] = [lambda seconds: 0.2, lambda seconds: -5.0, lambda seconds: None]
    for left in lefts:
        titles, stream = mount()
        for text in ("A", None, "B"):
            saw(titles, stream, text)
        decided, want = titles.step(stream, left)
        assert [one.text for one in decided] == ["B"]
        assert want is None
        assert titles.step(stream, lambda seconds: 1.0) == ([], None)


@pytest.mark.parametrize("demuxer", [None, "mp3"])
def test_a_format_that_can_not_be_counted(demuxer: str | None) -> None:
    titles, stream = Titles(), MountStream(10, demuxer)
    titles.connected()
    found = [
        one
        for mark in stream.feed(bytes(10) + block("A") + bytes(10) + block("B"))[1]
        for one in titles.saw(mark, stream)
    ]
    assert [(one.text, one.change) for one in found] == [("A", False), ("B", True)]
    assert not titles.open


def test_ogg_needs_no_looks() -> None:
    titles, stream = Titles(), MountStream(0, "ogg")
    titles.connected()
    found = [
        one
        for mark in stream.feed(song(1, "A", "B", 3) + song(2, "C", "D", 2))[1]
        for one in titles.saw(mark, stream)
    ]
    assert [(one.text, one.within) for one in found] == [("A - B", 0.0), ("C - D", 0.0)]
    assert found[1].seconds == pytest.approx(3.0)
