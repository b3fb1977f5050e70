import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rig.flvread import AUDIO, HEADER, SCRIPT, VIDEO, FlvDamagedError, Tag, encode, judge, read

tags = st.lists(
    st.builds(Tag, st.sampled_from([AUDIO, VIDEO, SCRIPT]), st.integers(0, 2**32 - 1), st.binary(max_size=300)),
    max_size=20,
)


def frame(kind: int, time: int, *, key: bool = False) -> Tag:
    head = b"\xaf\x01" if kind == AUDIO else (b"\x17" if key else b"\x27") + b"\x01\0\0\0"
    return Tag(kind, time, head + b"\0" * 8)


@given(tags)
def test_what_is_written_is_read_back(written: list[Tag]) -> None:
    file = HEADER + b"".join(map(encode, written))
    assert list(read(io.BytesIO(file))) == written


@given(tags, st.data())
def test_a_cut_file_gives_the_whole_tags_before_the_cut(written: list[Tag], data: st.DataObject) -> None:
    file = HEADER + b"".join(map(encode, written))
    cut = data.draw(st.integers(0, len(file)))
    found = list(read(io.BytesIO(file[:cut]), cut=True))
    assert found == written[: len(found)]
    whole = len(HEADER) + sum(len(encode(tag)) for tag in found)
    assert whole <= max(cut, len(HEADER))
    if found != written:
        assert cut < whole + len(encode(written[len(found)]))


@given(tags.filter(bool), st.data())
def test_a_changed_length_never_passes(written: list[Tag], data: st.DataObject) -> None:
    file = bytearray(HEADER + b"".join(map(encode, written)))
    file[-1] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FlvDamagedError):
        list(read(io.BytesIO(bytes(file))))


@given(st.binary(max_size=200))
def test_no_input_does_more_than_be_refused(rubbish: bytes) -> None:
    for file in (rubbish, HEADER + rubbish):
        try:
            list(read(io.BytesIO(file)))
        except FlvDamagedError:
            continue


def test_steps_and_repeats_are_found() -> None:
    tags = [frame(VIDEO, time, key=time == 0) for time in (0, 33, 67, 67, 200)]
    tags += [frame(AUDIO, time) for time in (0, 23, 10)]
    found = judge(tags)
    assert (found.max_video_step, found.max_audio_step, found.non_monotonic) == (133, 23, 2)
    assert (found.video_frames, found.audio_frames, found.seconds) == (5, 3, 0.2)


def test_headers_are_no_frames_and_their_changes_count() -> None:
    one, two = Tag(VIDEO, 0, b"\x17\0\0\0\0one"), Tag(VIDEO, 0, b"\x17\0\0\0\0two")
    sound = Tag(AUDIO, 0, b"\xaf\0\x12\x10")
    found = judge([one, sound, frame(VIDEO, 1, key=True), one, frame(VIDEO, 2), two, frame(VIDEO, 3, key=True)])
    assert (found.codec_changes, found.video_frames, found.audio_frames, found.gops) == (1, 3, 0, [2])


def test_time_beyond_31_bits_is_unsigned() -> None:
    tag = frame(VIDEO, 2**31 + 5)
    assert next(read(io.BytesIO(HEADER + encode(tag)))).time == 2**31 + 5
