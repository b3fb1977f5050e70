"""Whatever bytes there are, parsing them gives frames or LoopDamaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.library.flv import FILE_HEADER, LoopDamaged, frames_of, nal_types, scan
from tests.unit.library.samples import flv, frame, gop, header, tag


def test_a_file_is_a_header_and_frames() -> None:
    tags = list(scan(flv([3, 2]), len(FILE_HEADER)))
    assert [item.is_header for item in tags] == [True, False, False, False, False, False]
    assert [item.is_keyframe for item in tags] == [False, True, False, False, True, False]
    assert tags[-1].end == len(flv([3, 2]))


def test_a_gop_is_its_frames() -> None:
    assert [key for _, key in frames_of(gop(4))] == [True, False, False, False]
    assert nal_types(frame(True)) == [5]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        gop(2)[:-1],
        gop(2) + b"\0",
        gop(2) + gop(2),
        tag(frame(False)),
        tag(frame(True), kind=8),
        header() + gop(1),
        tag(b"\x17\x01\0\0\x05" + frame(True)[5:]),  # a composition time: a B-frame
        tag(b"\x12\x01\0\0\0" + frame(True)[5:]),  # another codec
        tag(frame(True)[:-1]),
        tag(b"\x17" + frame(False)[1:]),  # says keyframe, holds none
        tag(frame(True) + b"\0\0"),
    ],
)
def test_what_is_no_gop_is_damage(data: bytes) -> None:
    with pytest.raises(LoopDamaged):
        frames_of(data)


@given(st.binary(max_size=300))
def test_random_bytes_are_never_more_than_damage(data: bytes) -> None:
    for read in (lambda: frames_of(data), lambda: list(scan(data)), lambda: nal_types(data)):
        try:
            read()
        except LoopDamaged:
            continue


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_or_cut_file_is_never_more_than_damage(position: int, value: int) -> None:
    whole = gop(6)
    position %= len(whole)
    for data in (whole[:position], whole[:position] + bytes([value]) + whole[position + 1 :]):
        try:
            frames = frames_of(data)
        except LoopDamaged:
            continue
        assert len(frames) <= 6
