"""Second looks never exclude the true place of a title, and the next look is made when it tells the most."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook_service.playout import looks
from hook_service.playout.looks import BLOCK, Blocks, Chances, Glimpse, IceBlocks, Span
from hook_service.playout.mountstream import Recent
from tests.unit.playout.icecast_model import REFBUF, Icecast, Listener
from tests.unit.playout.pieces import cuts, pieces

SOUND = random.Random(4).randbytes(400_000)
places = st.integers(70_000, 300_000)


def glimpse(icecast: Icecast, head: int) -> Glimpse:
    return looks.take(lambda: Listener(icecast, head, head + 4000), 70_000, 1.0)


def known(head: int) -> Recent:
    recent = Recent()
    recent.add(SOUND[:head])
    return recent


@settings(max_examples=60, deadline=None)
@given(places, st.integers(0, 15_999), st.lists(st.integers(0, 40_000), max_size=4), st.booleans())
def test_the_true_place_is_never_excluded(byte: int, phase: int, after: list[int], kh: bool) -> None:
    icecast = Icecast(SOUND, {0: "old", byte: "new"}, kh=kh)
    block = icecast.block(byte)
    # The listener whose blocks lie at `phase` sees the title at the first of them behind the block's first byte.
    seen = block + 1 + (phase - block - 1) % 16_000
    span = Span(seen - 16_000, seen)
    assert span.begin <= block < span.end
    for more in after:
        head = seen + more
        found = glimpse(icecast, head)
        start = looks.aligned(found, known(head))
        assert start is not None
        left = looks.narrowed(span, "new", found, start)
        assert left is not None
        span = left
        assert span.begin <= block < span.end
    if kh and after:
        assert span == Span(block, block + 1)


def test_three_looks_leave_little() -> None:
    left = []
    for byte in range(100_000, 116_000, 500):
        icecast = Icecast(SOUND, {0: "old", byte: "new"})
        seen = byte // REFBUF * REFBUF + 1 + (5000 - byte // REFBUF * REFBUF - 1) % 16_000
        span, head = Span(seen - 16_000, seen), seen
        for count in (3, 2, 1):
            ahead = (span.begin + span.end) // 2 + 60_000
            at = looks.plan(span, head, Chances(16_000, 62_700, 5000, ahead - (span.begin + span.end) // 2), count)
            if at is None:
                break
            assert at >= head
            found = glimpse(icecast, at + 2 * REFBUF)
            start = looks.aligned(found, known(at + 8000))
            assert start is not None
            less = looks.narrowed(span, "new", found, start)
            assert less is not None
            span = less
            head = at + 5000
        left.append(span.end - span.begin)
    assert sum(left) / len(left) < 2800


@pytest.mark.parametrize("exact", [False, True])
def test_a_server_that_sends_the_newest_title_with_old_sound_tells_nothing(exact: bool) -> None:
    span = Span(40_000, 56_000)
    assert looks.narrowed(span, "new", Glimpse(b"", ((7000, "new"), (23_000, "new")), exact=exact), 10_000) is None
    assert (
        looks.narrowed(span, "new", Glimpse(b"", ((7000, "old"), (33_000, "new")), exact=exact), 10_000) is not None
    )


@given(
    st.integers(0, 200_000), st.integers(1, 32_000), st.integers(0, 40_000), st.integers(0, 70_000),
    st.integers(0, 12_000), st.integers(0, 80_000), st.integers(0, 3),
)  # fmt: skip
def test_a_plan_is_in_time_and_of_use(
    begin: int, width: int, later: int, reach: int, lasts: int, ahead: int, count: int
) -> None:
    span, head = Span(begin, begin + width), begin + width + later
    chances = Chances(16_000, reach, lasts, ahead)
    at = looks.plan(span, head, chances, count)
    if at is None:
        return
    assert count
    assert width > BLOCK
    assert head <= at
    assert at + lasts <= (span.begin + span.end) // 2 + ahead
    # One of its metadata blocks lies within the doubt.
    first = at - reach + 16_000
    inside = [place for place in range(first, span.end, 16_000) if span.begin < place]
    assert inside


def test_no_plan_where_a_look_can_not_help() -> None:
    span = Span(100_000, 116_000)
    assert looks.plan(span, 116_000, Chances(16_000, 62_000, 5000, 60_000), 0) is None
    assert looks.plan(span, 116_000, Chances(16_000, 62_000, 5000, 0), 3) is None  # too late
    assert looks.plan(span, 116_000, Chances(16_000, 0, 5000, 60_000), 3) is None  # no burst
    assert looks.plan(Span(100_000, 101_400), 116_000, Chances(16_000, 62_000, 5000, 60_000), 3) is None


@given(st.lists(st.sampled_from(["old", "new", "other"]), min_size=1, max_size=6), cuts)
def test_blocks_repeat_the_title_before(told: list[str], at: list[int]) -> None:
    icecast = Icecast(SOUND, {n * 16_000 // REFBUF * REFBUF: text for n, text in enumerate(told)})
    reader = Blocks(16_000)
    end = len(told) * 16_000 + 500
    for piece in pieces(icecast.send(0, end), at):
        reader.feed(piece)
    assert bytes(reader.sound) == SOUND[:end]
    assert reader.titles == [(n * 16_000, icecast.title_of_block(n * 16_000 - 1)) for n in range(1, len(told) + 1)]


@given(st.dictionaries(st.integers(0, 60_000), st.sampled_from(["A - B", "C - D", "Ä"]), max_size=5), cuts)
def test_exact_blocks(titles: dict[int, str], at: list[int]) -> None:
    icecast = Icecast(SOUND, {0: "first", **titles}, kh=True)
    reader = IceBlocks()
    for piece in pieces(icecast.send(0, 70_000, exact=True), at):
        reader.feed(piece)
    assert bytes(reader.sound) == SOUND[:70_000]
    changes = [(byte, text) for byte, text in sorted(icecast.blocks.items())]
    wanted = [one for n, one in enumerate(changes) if n == 0 or one[1] != changes[n - 1][1]]
    assert reader.titles == wanted


def test_exact_blocks_with_artist_and_title() -> None:
    reader = IceBlocks()
    text = "\0mode=updinfo\nartist=Ä = B\ntitle=C\nURL=x\n\0".encode()
    reader.feed((len(text) + 2 | 0x8000).to_bytes(2, "big") + text)
    assert reader.titles == [(0, "Ä = B - C")]


@given(st.binary(max_size=4000), cuts)
def test_random_bytes_never_raise(data: bytes, at: list[int]) -> None:
    for reader in (IceBlocks(), Blocks(1000)):
        for piece in pieces(data, at):
            reader.feed(piece)
        assert len(reader.sound) <= len(data)


def test_a_look_is_aligned_where_one_lacks_what_the_other_has() -> None:
    def look(begin: int, end: int) -> Glimpse:
        return Glimpse(SOUND[begin:end], (), exact=False)

    recent = Recent()
    recent.add(SOUND[50_000:100_000])
    assert looks.aligned(look(60_000, 90_000), recent) == 10_000
    assert looks.aligned(look(80_000, 110_000), recent) == 30_000  # newer than what we have
    assert looks.aligned(look(30_000, 80_000), recent) == -20_000  # older
    assert looks.aligned(look(200_000, 240_000), recent) is None
    assert looks.aligned(look(60_000, 60_500), recent) is None


def test_silence_can_not_be_aligned() -> None:
    recent = Recent()
    recent.add(SOUND[:9000] + bytes(60_000) + SOUND[9000:50_000])
    assert looks.aligned(Glimpse(bytes(30_000), (), exact=False), recent) is None
    assert looks.aligned(Glimpse(bytes(3000) + SOUND[9000:12_500], (), exact=False), recent) == 66_000


@pytest.mark.parametrize("trouble", [TimeoutError, ConnectionResetError])
def test_a_look_ends_in_good_order(trouble: type[OSError]) -> None:
    icecast = Icecast(SOUND, {0: "old"})
    listener = Listener(icecast, 80_000, 80_000)
    recv: Callable[..., bytes] = listener.recv
    calls = 0

    def failing(size: int = 1448) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise trouble
        return recv(size)

    listener.recv = failing  # type: ignore[method-assign]
    if trouble is TimeoutError:
        found = looks.take(lambda: listener, 70_000, 1.0)
        assert found.sound == SOUND[icecast.start(80_000) :][: len(found.sound)]
        assert 500 + 20 * 1448 - 100 < len(found.sound) <= 500 + 20 * 1448
    else:
        with pytest.raises(ConnectionResetError):
            looks.take(lambda: listener, 70_000, 1.0)
    assert listener.closed
