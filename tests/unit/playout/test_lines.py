"""Lines: what a publisher is given to read, and what happens when it does not."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from hook_service.library.profiles import BUILT_IN
from hook_service.playout import commands, flv, lines
from hook_service.playout.lines import TURN_OVER_MS, Line, Lines, other_key
from hook_service.playout.process import Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import State
from hook_service.playout.timeline import FrameRate, audio_ms
from tests.rig import flvread
from tests.unit.playout.helpers import run_for, run_until

PROFILE = BUILT_IN["720p30"]
RATE = FrameRate(30)
AVCC = b"\x01\x64\x00\x1f\xff\xe1"
OTHER_AVCC = b"\x01\x64\x00\x28\xff\xe1"
GOP = 6


def picture(n: int, size: int = 200) -> tuple[bytes, bool]:
    """Frame `n`, as a video tag's body that tells its number, and whether it is a keyframe."""
    key = n % GOP == 0
    return bytes([0x17 if key else 0x27, 1, 0, 0, 0]) + n.to_bytes(4, "big") + bytes(size), key


def number(tag: flvread.Tag) -> int:
    return int.from_bytes(tag.body[5:9] if tag.kind == flv.VIDEO else tag.body[2:6], "big")


class Feed:
    """Drives lines as the playout's ticks do, from frame `start` on."""

    def __init__(self, start: int = 0) -> None:
        self.video = start
        self.audio = -(-RATE.ns(start) * 44_100 // (1024 * 10**9))

    def tick(self, *into: Line, avcc: bytes = AVCC, size: int = 200, frames: int = 1) -> None:
        for _ in range(frames):
            body, key = picture(self.video, size)
            ms = RATE.ms(self.video)
            while audio_ms(self.audio) <= ms:
                for line in into:
                    line.audio(audio_ms(self.audio), self.audio.to_bytes(4, "big") + b"aac")
                self.audio += 1
            for line in into:
                line.video(ms, body, key, avcc)
                line.flush()
            self.video += 1


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


Begin = Callable[..., Line]


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The shell command of a publisher, by the last letter of its URL; `$out` is a new file for each start."""
    scripts = {"a": "exec cat > $out", "b": "exec cat > $out"}
    count = iter(range(1000))

    def command(url: str) -> list[str]:
        out = tmp_path / f"{url[-1]}{next(count):03d}.flv"
        return ["sh", "-c", f"out={out}; progress=/proc/self/fd/${{0#pipe:}}; {scripts[url[-1]]}", "{progress}"]

    monkeypatch.setattr(commands, "publisher", command)
    return scripts


@pytest.fixture
def begin(reactor: Reactor, publisher: dict[str, str]) -> Iterator[Begin]:
    made: list[Line] = []

    def line(
        key: str = "demo-a",
        base: int | None = None,
        on_replaced: Callable[[], None] = lambda: None,
        on_state: Callable[[Process], None] = lambda _: None,
    ) -> Line:
        it = Line(reactor, key, f"rtmp://127.0.0.1/live/{key}", PROFILE, base, on_replaced, on_state)
        made.append(it)
        return it

    yield line
    for each in made:
        each.end()
    run_until(reactor, lambda: all(each.process.pid is None for each in made))


def recorded(reactor: Reactor, tmp_path: Path, key: str = "a", nth: int = 0) -> list[flvread.Tag]:
    """What the nth publisher of a key has read, once it has read it all."""
    size, since = -1, 0.0

    def file() -> Path | None:
        return next(iter(sorted(tmp_path.glob(f"{key}*.flv"))[nth:]), None)

    def settled() -> bool:
        nonlocal size, since
        path = file()
        now = path.stat().st_size if path is not None else -1
        if now != size:
            size, since = now, time.monotonic()
        return size > 0 and time.monotonic() - since > 0.06

    run_until(reactor, settled)
    path = file()
    assert path is not None
    return flvread.read_file(path, cut=True)


RUNS = "printf 'total_size=1\\nout_time_us=1\\nprogress=continue\\n' > $progress; exec cat > $out"


def test_it_begins_with_all_that_a_reader_needs(reactor: Reactor, begin: Begin, tmp_path: Path) -> None:
    line, feed = begin(), Feed(2)
    assert not line.joined
    feed.tick(line, frames=4)
    assert not line.joined, "not before a keyframe"
    feed.tick(line, frames=30)
    assert line.joined
    tags = recorded(reactor, tmp_path)
    script, video, audio, first = tags[:4]
    assert script.kind == flv.SCRIPT
    assert b"onMetaData" in script.body
    assert video.is_header
    assert video.body[5:] == AVCC
    assert audio.is_header
    assert first.is_keyframe
    assert number(first) == 6
    assert [tag.time for tag in tags[:4]] == [0, 0, 0, 0]
    frames = [tag for tag in tags if tag.is_frame]
    assert [number(tag) for tag in frames if tag.kind == flv.VIDEO] == list(range(6, 36))
    heard = [number(tag) for tag in frames if tag.kind == flv.AUDIO]
    assert heard == list(range(heard[0], heard[-1] + 1))
    result = flvread.judge(tags)
    assert (result.non_monotonic, result.max_video_step, result.max_audio_step) == (0, 34, 24)
    assert all(a.time <= b.time for a, b in pairwise(tags))


def test_the_header_says_audio_and_video(reactor: Reactor, begin: Begin, tmp_path: Path) -> None:
    Feed().tick(line := begin(), frames=2)
    recorded(reactor, tmp_path)
    assert next(tmp_path.glob("a*.flv")).read_bytes()[:13] == flvread.HEADER
    assert line.flv_ms == 33


@pytest.mark.parametrize("base", [0, 1000, 9 * 10**10])
def test_its_time_is_the_timelines_without_its_base(
    reactor: Reactor, begin: Begin, tmp_path: Path, base: int
) -> None:
    start = base * 30 // 1000 // GOP * GOP + GOP
    line, feed = begin(base=base), Feed(start)
    feed.tick(line, frames=20)
    assert line.base == base
    tags = recorded(reactor, tmp_path)
    for tag in tags:
        if tag.kind == flv.VIDEO and tag.is_frame:
            assert tag.time == RATE.ms(number(tag)) - base
    assert line.flv_ms == max(tag.time for tag in tags)


def test_without_a_base_its_first_frame_is_zero(reactor: Reactor, begin: Begin, tmp_path: Path) -> None:
    line, feed = begin(), Feed(GOP * 10**8)
    feed.tick(line, frames=3)
    assert line.base == RATE.ms(GOP * 10**8)
    assert [tag.time for tag in recorded(reactor, tmp_path) if tag.kind == flv.VIDEO][-3:] == [0, 33, 67]


def test_another_configuration_is_announced_once(reactor: Reactor, begin: Begin, tmp_path: Path) -> None:
    line, feed = begin(), Feed()
    feed.tick(line, frames=GOP)
    feed.tick(line, frames=GOP, avcc=OTHER_AVCC)
    feed.tick(line, frames=GOP, avcc=bytes(OTHER_AVCC))
    feed.tick(line, frames=GOP, avcc=AVCC)
    tags = [tag for tag in recorded(reactor, tmp_path) if tag.kind == flv.VIDEO]
    headers = [n for n, tag in enumerate(tags) if tag.is_header]
    assert [tags[n].body[5:] for n in headers] == [AVCC, OTHER_AVCC, AVCC]
    for n in headers:
        assert tags[n + 1].is_keyframe
        assert tags[n + 1].time == tags[n].time


def test_a_publisher_that_dies_is_replaced_with_later_times(reactor: Reactor, begin: Begin, tmp_path: Path) -> None:
    replaced: list[int] = []
    line, feed = begin(on_replaced=lambda: replaced.append(1)), Feed()
    feed.tick(line, frames=10)
    recorded(reactor, tmp_path)
    first = line.process.pid
    assert first is not None
    assert replaced == []
    os.kill(first, signal.SIGKILL)
    feed.tick(line, frames=3)  # into the pipe of the dead
    run_until(reactor, lambda: line.process.pid not in (first, None))
    assert replaced == [1]
    assert not line.joined
    begun = feed.video
    feed.tick(line, frames=20)
    old, new = recorded(reactor, tmp_path), recorded(reactor, tmp_path, nth=1)
    assert new[0].kind == flv.SCRIPT
    assert [tag.is_header for tag in new[1:3]] == [True, True]
    assert new[3].is_keyframe
    assert number(new[3]) == -(-begun // GOP) * GOP
    assert new[0].time > old[-1].time, "never from zero"


def test_one_that_never_reads_is_killed_and_the_timeline_goes_on(
    reactor: Reactor, begin: Begin, publisher: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lines, "STALL_SECONDS", 0.3)
    publisher["a"] = f"[ -e {tmp_path}/once ] && exec cat > $out; touch {tmp_path}/once; exec sleep 60"
    line, feed = begin(), Feed()
    run_until(reactor, (tmp_path / "once").exists)
    first = line.process.pid
    slowest, begun, held = 0.0, time.monotonic(), 0
    while line.process.pid == first and time.monotonic() - begun < 5:
        at = time.monotonic()
        feed.tick(line, size=12_000)  # 3 Mb/s
        slowest = max(slowest, time.monotonic() - at)
        held = max(held, sum(map(len, line._out)))
        reactor.call_later(0.002, reactor.stop)
        reactor.run()
    assert slowest < 0.25, "nothing that blocks may block the timeline"
    assert 0.3 <= time.monotonic() - begun < 5.0
    assert 0 < held <= lines.BACKLOG_BYTES // 2, "the time ended it, and not the memory"
    feed.tick(line, frames=20)
    assert flvread.judge(recorded(reactor, tmp_path)).video_frames > 10


def test_one_that_reads_slowly_is_left_alone(
    reactor: Reactor, begin: Begin, publisher: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pipe is full all the time, but never for long without a byte of it being taken."""
    monkeypatch.setattr(lines, "STALL_SECONDS", 0.5)
    publisher["a"] = "while dd bs=65536 count=1 of=/dev/null 2> /dev/null; do sleep 0.05; done"
    line, feed = begin(), Feed()
    run_until(reactor, lambda: line.process.pid is not None)
    first, until, full = line.process.pid, time.monotonic() + 1.5, 0
    while time.monotonic() < until:
        feed.tick(line, size=60_000 if full < 20 else 1_000)
        full += bool(line._out)
        run_for(reactor, 0.01)
    assert full > 20
    assert line.process.pid == first
    assert line.process.supervision.restarts == 0


def test_one_for_which_too_much_waits_is_killed_before_its_time(
    reactor: Reactor, begin: Begin, publisher: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "STALL_SECONDS", 60.0)
    monkeypatch.setattr(lines, "BACKLOG_BYTES", 2_000_000)
    publisher["a"] = "exec sleep 60"
    line, feed = begin(), Feed()
    run_until(reactor, lambda: line.process.pid is not None)
    first, fed = line.process.pid, 0
    while line.joined or not fed:
        feed.tick(line, size=100_000)
        fed += 100_000
        assert sum(map(len, line._out)) <= 2_000_000
        assert fed < 10_000_000
    assert fed > 2_000_000
    run_until(reactor, lambda: line.process.pid not in (first, None))
    assert line.process.supervision.restarts == 1


def test_how_patient_a_line_is() -> None:
    assert (lines.STALL_SECONDS, lines.BACKLOG_BYTES) == (2.0, 16 << 20)


def test_a_stopped_publisher_costs_no_memory(
    reactor: Reactor, begin: Begin, publisher: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher["a"] = "exec sleep 60"
    line, feed = begin(), Feed()
    monkeypatch.setattr(line.process, "kill", lambda why: None)  # as though it could not be killed
    feed.tick(line, frames=100, size=12_000)
    held = sum(map(len, line._out))
    feed.tick(line, frames=1_000, size=12_000)
    assert sum(map(len, line._out)) < held + 20_000_000


@pytest.mark.parametrize("size", [1_100_000, 3_000_000])
def test_a_frame_larger_than_the_pipe_passes(reactor: Reactor, begin: Begin, tmp_path: Path, size: int) -> None:
    """Profiles may have 50 Mb/s; and after a pause of 1.9 s a 1080p station has as much to say at once."""
    line, feed = begin(), Feed()
    first = line.process.pid
    for _ in range(3):
        feed.tick(line, size=size)
        deadline = time.monotonic() + 5
        while line._out and time.monotonic() < deadline:
            run_for(reactor, 0.005)
            line.flush()
        assert not line._out
    tags = recorded(reactor, tmp_path)
    assert [number(tag) for tag in tags if tag.kind == flv.VIDEO and tag.is_frame] == [0, 1, 2]
    assert flvread.judge(tags).non_monotonic == 0
    assert line.process.pid == first
    assert line.process.supervision.restarts == 0


def test_many_small_frames_at_once_pass(reactor: Reactor, begin: Begin, tmp_path: Path) -> None:
    """More parts than one writev() takes."""
    line, feed = begin(), Feed()
    for n in range(2_000):
        body, key = picture(n, 10)
        line.video(RATE.ms(n), body, key, AVCC)
    line.flush()
    assert flvread.judge(recorded(reactor, tmp_path)).video_frames == 2_000
    assert line.process.supervision.restarts == 0
    assert feed.video == 0


class TestTurnOver:
    """Before FLV's time ends a second line begins."""

    @pytest.fixture
    def changes(self) -> list[tuple[str, str | None]]:
        return []

    @pytest.fixture
    def made(self, reactor: Reactor, begin: Begin, changes: list[tuple[str, str | None]], tmp_path: Path) -> Lines:
        it: Lines

        def changed() -> None:
            changes.append((it.current.key, it.next_key))

        it = Lines(begin("demo-a", 0), begin, changed)
        run_until(reactor, lambda: any(tmp_path.glob("a*.flv")))
        return it

    def at(self, made: Lines, ms: int, frames: int = GOP + 1) -> Feed:
        """The timeline is at `ms`."""
        feed = Feed(ms * 30 // 1000 // GOP * GOP)
        feed.tick(*made.all(), frames=frames)
        return feed

    def test_keys_take_turns(self) -> None:
        assert other_key("demo", None) == "demo-a"
        assert other_key("demo", "demo-a") == "demo-b"
        assert other_key("demo", "demo-b") == "demo-a"

    def test_nothing_happens_before_its_time(self, made: Lines) -> None:
        made.check("demo")
        self.at(made, TURN_OVER_MS - 10_000)
        made.check("demo")
        assert made.next is None
        assert made.all() == (made.current,)
        assert made.next_key is None
        made.turn_over()  # nothing to turn over to
        assert made.current.key == "demo-a"

    def test_the_whole_of_it(
        self,
        made: Lines,
        reactor: Reactor,
        publisher: dict[str, str],
        changes: list[tuple[str, str | None]],
        tmp_path: Path,
    ) -> None:
        go = tmp_path / "go"
        publisher["b"] = f"until [ -e {go} ]; do sleep 0.02; done; {RUNS}"
        feed = self.at(made, TURN_OVER_MS + 1_000)
        made.check("demo")
        assert made.next is not None
        assert made.next.key == "demo-b"
        feed.tick(*made.all(), frames=40)
        made.check("demo")
        assert made.next_key is None, "nobody is sent there before it is on the air"
        assert changes == []
        go.touch()
        run_until(reactor, lambda: made.next is not None and made.next.process.state is State.RUNNING)
        made.check("demo")
        made.check("demo")
        assert made.next_key == "demo-b"
        assert changes == [("demo-a", "demo-b")], "told once"
        feed.tick(*made.all(), frames=20)
        assert recorded(reactor, tmp_path)
        old = made.current
        made.turn_over()
        assert changes[1:] == [("demo-b", None)]
        assert made.all() == (made.current,)
        run_until(reactor, lambda: old.process.pid is None)
        assert old.process.state is State.STOPPED
        feed.tick(*made.all(), frames=20)
        made.check("demo")
        assert made.next is None, "the new one's time has just begun"
        first, second = recorded(reactor, tmp_path), recorded(reactor, tmp_path, "b")
        assert second[0].time == 0
        assert flvread.judge(second).non_monotonic == 0
        assert max(tag.time for tag in first) <= flv.LAST_MS
        # Both carry the same frames while both are on the air.
        seen = {number(tag) for tag in first if tag.kind == flv.VIDEO and tag.is_frame}
        also = {number(tag) for tag in second if tag.kind == flv.VIDEO and tag.is_frame}
        assert len(seen & also) >= 10
        assert set(range(min(seen), feed.video)) == seen | also, "no frame is in neither"

    def test_the_end_of_time_forces_it(self, made: Lines, changes: list[tuple[str, str | None]]) -> None:
        feed = self.at(made, TURN_OVER_MS + 1_000)
        made.check("demo")
        feed.tick(*made.all(), frames=GOP)
        self.at(made, flv.LAST_MS - 1_700, 1)
        made.check("demo")
        assert made.current.key == "demo-b"
        assert made.next is None
        assert changes == [("demo-b", None)]

    def test_a_minute_is_enough(self, made: Lines, reactor: Reactor, publisher: dict[str, str]) -> None:
        publisher["b"] = RUNS
        feed = self.at(made, flv.LAST_MS - 60_000)
        made.check("demo")
        feed.tick(*made.all(), frames=GOP)
        assert made.current.key == "demo-a"
        run_until(reactor, lambda: made.next is not None and made.next.process.state is State.RUNNING)
        made.check("demo")
        assert made.next_key == "demo-b"
        assert made.current.key == "demo-a"

    def test_it_can_happen_again_and_again(self, made: Lines, reactor: Reactor) -> None:
        base = 0
        for key in ("demo-b", "demo-a", "demo-b"):
            feed = self.at(made, base + TURN_OVER_MS + 5_000)
            made.check("demo")
            assert made.next is not None
            feed.tick(*made.all(), frames=GOP)
            made.turn_over()
            assert made.current.key == key
            base = made.current.base or 0

    def test_no_time_beyond_the_last_is_written(self, made: Lines, reactor: Reactor, tmp_path: Path) -> None:
        """The service was stopped for a month on a host that did not reboot: its anchor still counts."""
        old = made.current
        feed = Feed((flv.LAST_MS + 86_400_000) * 30 // 1000 // GOP * GOP)
        for _ in range(3):  # seconds
            feed.tick(*made.all(), frames=30)
            run_for(reactor, 0.1)
            made.check("demo")
        assert made.current.key == "demo-b"
        run_until(reactor, lambda: old.process.pid is None)
        tags = flvread.read_file(tmp_path / "a000.flv", cut=True)
        assert all(tag.time <= flv.LAST_MS for tag in tags)
        assert flvread.judge(tags).non_monotonic == 0
        assert flvread.judge(recorded(reactor, tmp_path, "b")).video_frames == 60


def test_the_publishers_policy_is_within_two_seconds() -> None:
    assert lines.POLICY.backoff_limit * 1.25 <= 2
    assert lines.POLICY.slow * 1.25 <= 2


def test_a_dead_publishers_half_written_tag_is_not_continued(
    reactor: Reactor, begin: Begin, publisher: dict[str, str], tmp_path: Path
) -> None:
    """The next one's first bytes are FLV's header, whatever the last one left unread."""
    publisher["a"] = f"[ -e {tmp_path}/once ] && exec cat > $out; touch {tmp_path}/once; exec sleep 60"
    line, feed = begin(), Feed()
    run_until(reactor, (tmp_path / "once").exists)
    first = line.process.pid
    feed.tick(line, frames=60, size=40_000)
    assert line._out, "a tag is half written"
    line.process.kill("for the test")
    run_until(reactor, lambda: line.process.pid not in (first, None))
    feed.tick(line, frames=GOP * 2)
    tags = recorded(reactor, tmp_path)
    assert tags[0].kind == flv.SCRIPT
    stream = io.BytesIO(next(iter(sorted(tmp_path.glob("a*.flv")))).read_bytes())
    assert len(list(flvread.read(stream))) == len(tags), "it ends with a whole tag"
