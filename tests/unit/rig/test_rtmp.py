from hypothesis import given
from hypothesis import strategies as st

from tests.rig.flvread import AUDIO, VIDEO
from tests.rig.rtmp import Demuxer, amf

messages = st.lists(
    st.tuples(st.sampled_from([(6, AUDIO), (7, VIDEO)]), st.integers(0, 2**32 - 1), st.binary(max_size=400)),
    max_size=12,
)


def chunks(number: int, kind: int, time: int, body: bytes, size: int) -> bytes:
    """A message in chunks, with a full header and the extended time repeated as servers do."""
    extended = time.to_bytes(4, "big") if time >= 0xFFFFFF else b""
    head = min(time, 0xFFFFFF).to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind]) + b"\x01\0\0\0"
    out = bytes([number]) + head + extended + body[:size]
    for start in range(size, len(body), size):
        out += bytes([0xC0 | number]) + extended + body[start : start + size]
    return out


@given(messages, st.integers(1, 300), st.integers(1, 50))
def test_messages_come_out_as_they_went_in(
    sent: list[tuple[tuple[int, int], int, bytes]], size: int, piece: int
) -> None:
    stream = b"\x02\0\0\0\0\0\x04\x01\0\0\0\0" + size.to_bytes(4, "big")
    stream += b"".join(chunks(number, kind, time, body, size) for (number, kind), time, body in sent)
    demuxer = Demuxer()
    found = [tag for at in range(0, len(stream), piece) for tag in demuxer.feed(stream[at : at + piece])]
    assert [(tag.kind, tag.time, tag.body) for tag in found[1:]] == [
        (kind, time, body) for (_, kind), time, body in sent
    ]


def test_deltas_add_up_across_the_end_of_32_bits() -> None:
    begin = 2**32 - 40
    stream = b"\x06\xff\xff\xff\0\0\x01\x08\x01\0\0\0" + begin.to_bytes(4, "big") + b"a"
    stream += b"\x46\0\0\x1e\0\0\x01\x08b" + b"\x86\0\0\x14c" + b"\xc6d"
    found = [(tag.time, tag.body) for tag in Demuxer().feed(stream)]
    assert found == [(begin, b"a"), (begin + 30, b"b"), (10, b"c"), (30, b"d")]


def test_amf() -> None:
    assert amf("a", 1, True, None) == b"\x02\0\x01a" + b"\0\x3f\xf0" + b"\0" * 6 + b"\x01\x01" + b"\x05"
    assert amf({"k": "v"}) == b"\x03\0\x01k\x02\0\x01v\0\0\x09"
