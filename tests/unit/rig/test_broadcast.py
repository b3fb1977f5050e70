from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hook_service.tracks.track_key import track_key
from tests.rig.broadcast import loops_of, pieces, shuffled


def test_pieces_can_be_told_apart() -> None:
    known = pieces()
    assert len(loops_of(known)) == len(known)
    assert len({track_key(piece.track.artist, piece.track.title) for piece in known}) == len(known)
    assert all(piece.track.loop is None for piece in known)
    assert all(piece.track.loop == f"{piece.loop}.mp4" for piece in pieces(fields=True))


@given(st.integers(1, 60), st.integers())
def test_two_that_follow_each_other_have_different_loops(count: int, seed: int) -> None:
    order = shuffled(pieces(), count, seed)
    assert len(order) == count
    assert all(one.loop != two.loop for one, two in pairwise(order))
    assert order == shuffled(pieces(), count, seed)
