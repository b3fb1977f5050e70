"""The event stream: its format however it is cut, and Centrifugo's messages in it."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.web import sse
from hook_service.web.sse import MAX_EVENT, Parser, StreamError, message

CHANNEL = "station:demo"
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
TEXT = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20)


def parse(data: bytes) -> list[str]:
    return Parser().feed(data)


def test_what_centrifugo_writes() -> None:
    stream = b'\r\ndata: {"connect":{}}\n\ndata: {}\n\ndata: {"pub":1}\n\n'
    assert parse(stream) == ['{"connect":{}}', "{}", '{"pub":1}']


def test_lines_of_one_event_are_joined_and_what_is_no_data_is_left_out() -> None:
    stream = b"\xef\xbb\xbf: hello\nevent: x\nid: 3\nretry: 5\ndata:a\ndata\ndata:  b\nnothing\n\nevent: y\n\n"
    assert parse(stream) == ["a\n\n b"]


def test_what_is_not_complete_is_not_an_event() -> None:
    assert parse(b"data: a") == []
    assert parse(b"data: a\n") == []
    assert parse(b"data: \xff\xfe\n\n") == ["\ufffd\ufffd"]


@given(
    st.lists(st.tuples(st.lists(TEXT, min_size=1, max_size=3), LINE_ENDS), max_size=5),
    st.data(),
)
def test_events_are_the_same_however_the_stream_is_cut(events: list[tuple[list[str], str]], data: Any) -> None:
    stream = b"".join(
        "".join(f"data: {line}{end}" for line in lines).encode() + end.encode() for lines, end in events
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parser = Parser()
    found = [
        event
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for event in parser.feed(stream[start:end])
    ]
    assert found == ["\n".join(lines) for lines, _ in events]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_do_harm(packets: list[bytes]) -> None:
    parser = Parser()
    for packet in packets:
        for event in parser.feed(packet):
            with contextlib.suppress(StreamError):
                assert message(event, CHANNEL).kind


@pytest.mark.parametrize("piece", [b"x" * 4096, b"data: " + b"x" * 4090 + b"\n", b"data:\n" * 512])
def test_an_event_without_an_end_is_refused_before_it_fills_the_memory(piece: bytes) -> None:
    parser = Parser()

    def feed() -> None:
        # An empty line of data takes a byte of the event, and so counts for one.
        for _ in range(3 * MAX_EVENT // 512):
            assert parser.feed(piece) == []

    with pytest.raises(StreamError, match="more than"):
        feed()


def test_byte_by_byte_takes_no_more_than_its_length() -> None:
    parser = Parser()
    stream = b"data: " + b"y" * 200_000 + b"\n\n"
    found = [event for byte in stream for event in parser.feed(bytes([byte]))]
    assert found == ["y" * 200_000]


def test_the_first_message_carries_what_is_playing() -> None:
    connect = {
        "connect": {
            "client": "c", "version": "6.9.1", "ping": 25, "session": "s", "time": 1767225600000,
            "subs": {
                CHANNEL: {
                    "recoverable": True, "epoch": "a", "recovered": True, "offset": 7,
                    "publications": [{"data": {"np": {"a": 1}, "triggers": [], "current_time": 5}, "offset": 7}],
                },
                "station:other": {"publications": [{"data": {"np": {"b": 2}}}]},
            },
        }
    }  # fmt: skip
    assert message(json.dumps(connect), CHANNEL) == sse.Message("connect", [{"a": 1}])


@pytest.mark.parametrize("subs", [{}, {CHANNEL: {}}, {CHANNEL: {"publications": None}}, [], None, {CHANNEL: 5}])
def test_it_may_carry_nothing(subs: object) -> None:
    assert message(json.dumps({"connect": {"subs": subs}}), CHANNEL) == sse.Message("connect")


def test_publications_of_the_station_and_of_another() -> None:
    publication: dict[str, Any] = {"pub": {"data": {"np": {"a": 1}}, "offset": 3}}
    assert message(json.dumps({"channel": CHANNEL, **publication}), CHANNEL).bodies == [{"a": 1}]
    assert message(json.dumps(publication), CHANNEL).bodies == [{"a": 1}]
    assert message(json.dumps({"channel": "station:x", **publication}), CHANNEL) == sse.Message("other")


def test_pings_goodbyes_and_what_a_newer_server_may_send() -> None:
    assert message("{}", CHANNEL).kind == "ping"
    assert message('{"disconnect":{"code":3001,"reason":"shutdown"}}', CHANNEL).reason == "shutdown"
    assert message('{"disconnect":{"code":3001}}', CHANNEL).reason
    assert message('{"join":{"info":{}}}', CHANNEL).kind == "other"


@pytest.mark.parametrize(
    "data",
    ["", "x", "[]", "3", "null", '"a"', "{", '{"pub":NaN}', "[" * 100_000, "1" * 100_000, '{"a":Infinity}'],
)
def test_what_is_no_message_is_refused(data: str) -> None:
    with pytest.raises(StreamError):
        message(data, CHANNEL)
