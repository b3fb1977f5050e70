"""The player's side of RTMP: every message comes out as it went in, and nothing that comes can do harm."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.monitor.rtmp import AUDIO, VIDEO, Demuxer, Message, Player, RtmpError, amf
from tests.unit.rig.test_rtmp import chunks, messages

GREETING = b"\x03" + bytes(range(256)) * 12


def set_chunk_size(size: int) -> bytes:
    return b"\x02\0\0\0\0\0\x04\x01\0\0\0\0" + size.to_bytes(4, "big")


def in_pieces(demuxer: Demuxer | Player, stream: bytes, piece: int) -> list[Message]:
    return [message for at in range(0, len(stream), piece) for message in demuxer.feed(stream[at : at + piece])]


@given(messages, st.integers(1, 300), st.integers(1, 50))
def test_messages_come_out_as_they_went_in(
    sent: list[tuple[tuple[int, int], int, bytes]], size: int, piece: int
) -> None:
    stream = set_chunk_size(size)
    stream += b"".join(chunks(number, kind, time, body, size) for (number, kind), time, body in sent)
    assert in_pieces(Demuxer(), stream, piece) == [(kind, time, body) for (_, kind), time, body in sent]


def test_deltas_add_up_across_the_end_of_32_bits() -> None:
    begin = 2**32 - 40
    stream = b"\x06\xff\xff\xff\0\0\x01\x08\x01\0\0\0" + begin.to_bytes(4, "big") + b"a"
    stream += b"\x46\0\0\x1e\0\0\x01\x08b" + b"\x86\0\0\x14c" + b"\xc6d"
    assert [(m.ms, m.body) for m in Demuxer().feed(stream)] == [
        (begin, b"a"), (begin + 30, b"b"), (10, b"c"), (30, b"d"),
    ]  # fmt: skip


@pytest.mark.parametrize("number", [2, 63, 64, 319, 320, 65599])
def test_chunk_streams_of_every_number(number: int) -> None:
    if number < 64:
        head = bytes([number])
    elif number < 320:
        head = bytes([0, number - 64])
    else:
        head = b"\x01" + (number - 64).to_bytes(2, "little")
    stream = head + b"\0\0\x05\0\0\x01\x09\x01\0\0\0x"
    assert in_pieces(Demuxer(), stream, 1) == [Message(VIDEO, 5, b"x")]


def test_a_message_that_is_taken_back() -> None:
    begun = b"\x06\0\0\x05\0\0\xc8\x09\x01\0\0\0" + b"a" * 128
    abort = b"\x02\0\0\0\0\0\x04\x02\0\0\0\0\0\0\0\x06"
    whole = b"\x06\0\0\x07\0\0\x01\x09\x01\0\0\0b"
    assert Demuxer().feed(begun + abort + whole) == [Message(VIDEO, 7, b"b")]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_whatever_comes_costs_a_connection_at_most(data: bytes, piece: int) -> None:
    with contextlib.suppress(RtmpError):
        in_pieces(Demuxer(), data, piece)
    player = Player("127.0.0.1:1935", "live", "demo-a")
    with contextlib.suppress(RtmpError):
        in_pieces(player, GREETING + data, 500)


@given(messages, st.data())
def test_a_stream_with_bytes_changed(sent: list[tuple[tuple[int, int], int, bytes]], data: st.DataObject) -> None:
    stream = bytearray(b"".join(chunks(number, kind, time, body, 128) for (number, kind), time, body in sent))
    for _ in range(data.draw(st.integers(1, 4))):
        if stream:
            stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RtmpError):
        in_pieces(Demuxer(), bytes(stream), 64)


@pytest.mark.parametrize(
    "stream",
    [
        b"\x46\0\0\0\0\0\x01\x09x",  # a short header of a chunk stream that there never was
        b"\x06\0\0\0\xff\xff\xff\x09\x01\0\0\0",  # larger than any frame
        b"\x06\0\0\0\0\0\xc8\x09\x01\0\0\0" + b"a" * 128 + b"\x06\0\0\0\0\0\x01\x09\x01\0\0\0b",  # in another one
        set_chunk_size(0),
        b"".join(bytes([0, n]) + b"\0\0\0\0\0\x01\x09\x01\0\0\0x" for n in range(100)),
    ],
)
def test_what_no_server_sends(stream: bytes) -> None:
    with pytest.raises(RtmpError):
        Demuxer().feed(stream)


def test_a_player_from_the_greeting_to_the_first_frame() -> None:
    player = Player("127.0.0.1:1935", "live", "demo-a")
    hello = player.take()
    assert (len(hello), hello[0]) == (1537, 3)
    assert player.take() == b""
    assert in_pieces(player, GREETING, 1000) == []
    asked = player.take()
    assert asked.startswith(GREETING[1:1537])
    for command in ("connect", "createStream", "play", "demo-a"):
        assert amf(command) in asked
    assert b"rtmp://127.0.0.1:1935/live" in asked
    frame = chunks(6, VIDEO, 40, b"\x17\x01picture", 128)
    assert player.feed(frame) == [Message(VIDEO, 40, b"\x17\x01picture")]
    ping = chunks(2, 4, 0, b"\0\x06\0\0\x30\x39", 128)
    assert player.feed(ping) == []
    assert player.take().endswith(b"\0\x07\0\0\x30\x39")


def test_what_was_received_is_acknowledged() -> None:
    player = Player("127.0.0.1:1935", "live", "demo-a")
    player.feed(GREETING)
    player.take()
    player.feed(chunks(2, 5, 0, (1000).to_bytes(4, "big"), 128))
    sound = b"".join(chunks(6, AUDIO, n, b"\xaf\x01" + b"a" * 90, 128) for n in range(6))
    assert len(player.feed(sound)) == 6
    assert player.take().endswith((len(sound) + 16).to_bytes(4, "big"))


@pytest.mark.parametrize(
    "answer",
    [
        amf("_error", 1.0, None, {"level": "error"}),
        amf("onStatus", 0.0, None, {"level": "error", "code": "NetStream.Play.StreamNotFound"}),
    ],
)
def test_a_refusal(answer: bytes) -> None:
    player = Player("127.0.0.1:1935", "live", "demo-a")
    player.feed(GREETING)
    with pytest.raises(RtmpError, match="demo-a"):
        player.feed(chunks(3, 20, 0, answer, 128))


def test_something_else_than_an_rtmp_server() -> None:
    with pytest.raises(RtmpError, match="no RTMP server"):
        Player("127.0.0.1:80", "live", "demo-a").feed(b"HTTP/1.1 400 Bad Request\r\n")
