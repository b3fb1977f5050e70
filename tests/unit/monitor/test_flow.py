"""What is counted and measured without decoding."""

from __future__ import annotations

import pytest

from hook_service.library.profiles import BUILT_IN
from hook_service.monitor.flow import Flow
from hook_service.monitor.rtmp import AUDIO, VIDEO, Message

KEY, INTER, SOUND = b"\x17\x01\0\0\0" + b"k" * 995, b"\x27\x01\0\0\0" + b"p" * 495, b"\xaf\x01" + b"a" * 498


def frames(seconds: float, begin: float = 0.0, gop: int = 60) -> list[Message]:
    """Both streams at 30 pictures a second, as the timeline rounds them."""
    pictures, sounds = range(int(seconds * 30)), range(int(seconds * 44100 / 1024))
    video = [Message(VIDEO, int((begin + n / 30) * 1000), INTER if n % gop else KEY) for n in pictures]
    audio = [Message(AUDIO, int((begin + n * 1024 / 44100) * 1000), SOUND) for n in sounds]
    return sorted(video + audio, key=lambda message: message.ms)


@pytest.fixture
def flow() -> Flow:
    return Flow(BUILT_IN["720p30"])


def play(flow: Flow, messages: list[Message]) -> float:
    """Give it messages at their time, with a look twice a second; the time of the last one."""
    look = 0.0
    for message in messages:
        now = message.ms / 1000
        while now >= look:
            flow.mark(look)
            look += 0.5
        flow.take(message, now)
    flow.mark(look)
    return look


def test_all_is_well(flow: Flow) -> None:
    now = play(flow, [Message(VIDEO, 0, b"\x17\0\0\0\0avcc"), Message(AUDIO, 0, b"\xaf\0\x12\x10"), *frames(20)])
    assert flow.frames == {"video": 600, "audio": 861}
    assert flow.gaps == {"video": 0, "audio": 0}
    assert flow.keyframe_interval == 2.0
    assert flow.bitrates["video"] == pytest.approx(8 * (15 * 1000 + 885 * 500) / 30, rel=0.02)
    assert flow.bitrates["audio"] == pytest.approx(8 * 500 * 44100 / 1024, rel=0.02)
    assert flow.came(now)


def test_each_frame_that_is_missing_or_steps_back_is_a_gap(flow: Flow) -> None:
    messages = [m for m in frames(4) if not (m.kind == VIDEO and 1000 <= m.ms < 1100)]
    play(flow, messages)
    assert flow.gaps == {"video": 1, "audio": 0}
    flow.take(Message(AUDIO, 500, SOUND), 4.0)
    assert flow.gaps == {"video": 1, "audio": 1}


def test_another_connection_is_no_gap(flow: Flow) -> None:
    play(flow, frames(3))
    flow.restart()
    assert flow.keyframe_interval is None
    assert flow.bitrates == {}
    play(flow, frames(3, begin=500.0))
    assert flow.gaps == {"video": 0, "audio": 0}
    assert flow.frames["video"] == 180


def test_keyframes_that_do_not_come_are_seen_before_the_next_one(flow: Flow) -> None:
    play(flow, frames(9, gop=10**6))
    assert flow.keyframe_interval == pytest.approx(9, abs=0.1)


def test_an_interval_is_forgotten_after_ten_seconds(flow: Flow) -> None:
    messages = [m for m in frames(30) if not (m.body is KEY and 4000 <= m.ms <= 6000)]
    play(flow, [m for m in messages if m.ms < 12_000])
    assert flow.keyframe_interval == 6.0
    for message in messages:
        if message.ms >= 12_000:
            flow.take(message, message.ms / 1000)
    flow.mark(30.0)
    assert flow.keyframe_interval == 2.0


def test_it_is_known_which_stream_has_ended(flow: Flow) -> None:
    assert not flow.came(0.0)
    for message in frames(8):
        if message.kind == AUDIO or message.ms < 1000:
            flow.take(message, message.ms / 1000)
    assert flow.came(8.0)
    assert flow.came(8.0, "audio")
    assert not flow.came(8.0, "video")
    assert not flow.came(20.0)


@pytest.mark.parametrize("body", [b"", b"\x17", b"\x17\x02\0\0\0", b"\xaf\0", b"\x27\x05aaa"])
def test_what_is_neither_a_frame_nor_configuration(flow: Flow, body: bytes) -> None:
    for kind in (AUDIO, VIDEO):
        flow.take(Message(kind, 0, body), 0.0)
    flow.mark(0.0)
    assert flow.frames == {"video": 0, "audio": 0}


def test_a_timeline_that_begins_anew_leaves_no_old_interval(flow: Flow) -> None:
    play(flow, frames(6, begin=100.0, gop=90))
    assert flow.keyframe_interval == 3.0
    for message in frames(6):
        flow.take(message, 107.0 + message.ms / 1000)
    assert flow.keyframe_interval == 2.0
