"""Cutting a stream of bytes anywhere: whoever reads one must not care."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

cuts = st.lists(st.integers(0, 1 << 20), max_size=12)
"""Places to cut at, of any stream."""


def pieces(stream: bytes, at: list[int]) -> Iterator[bytes]:
    """The stream in pieces, some of which may be empty."""
    begin = 0
    for end in [*sorted(place % (len(stream) + 1) for place in at), len(stream)]:
        yield stream[begin:end]
        begin = end
