"""The audio source over a real child that plays FFmpeg's part."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hook_service.playout import commands
from hook_service.playout import source as module
from hook_service.playout.audio import CUSHION_SECONDS, Cushion
from hook_service.playout.reactor import Reactor
from hook_service.playout.source import Source
from hook_service.playout.supervise import State
from tests.unit.playout.helpers import adts, run_for, run_until


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def start(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], tuple[Source, Cushion]]]:
    made: list[Source] = []

    def begin(script: str) -> tuple[Source, Cushion]:
        monkeypatch.setattr(commands, "audio", lambda url, kbps, demuxer: ["sh", "-c", script])
        monkeypatch.setattr(module, "demuxer", lambda url: None)
        cushion = Cushion()
        source = Source(reactor, "http://127.0.0.1/radio.mp3", 192, cushion, lambda _: None)
        made.append(source)

        def poll() -> None:
            source.poll()
            reactor.call_later(0.01, poll)

        poll()
        return source, cushion

    yield begin
    for source in made:
        source.stop()
    run_until(reactor, lambda: all(source.process.pid is None for source in made))


@pytest.fixture
def burst(tmp_path: Path) -> Path:
    """Four seconds of sound, with rubbish before and in the middle."""
    path = tmp_path / "burst.aac"
    frames = [adts(b"%03d" % n + bytes(100)) for n in range(172)]
    path.write_bytes(b"rubbish" + b"".join(frames[:80]) + b"more of it" + b"".join(frames[80:]))
    return path


@pytest.fixture
def present(tmp_path: Path) -> Path:
    """What a mount sends after its burst: its first two frames."""
    path = tmp_path / "present.aac"
    path.write_bytes(b"".join(adts(b"%03d" % n + bytes(100)) for n in (172, 173)))
    return path


def test_a_burst_is_trimmed_to_the_cushion(
    reactor: Reactor, start: Callable[[str], tuple[Source, Cushion]], burst: Path, present: Path
) -> None:
    source, cushion = start(f"cat {burst}; sleep 0.5; cat {present}; exec sleep 60")
    run_until(reactor, lambda: cushion.joined)
    assert source.process.state is State.RUNNING
    assert cushion.seconds == pytest.approx(CUSHION_SECONDS, abs=0.03)
    assert cushion.trimmed == 174 - 43
    frames = []
    while frame := cushion.take():
        frames.append(frame[:3])
    assert frames == [b"%03d" % n for n in range(174 - 43, 174)]


def test_its_end_leaves_what_waits_and_the_next_one_joins(
    reactor: Reactor, start: Callable[[str], tuple[Source, Cushion]], burst: Path, present: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    source, cushion = start(
        f"cat {burst}; sleep 0.5; cat {present}; until [ -e {go} ]; do sleep 0.02; done; rm {go}; exit 1"
    )
    run_until(reactor, lambda: cushion.joined)
    go.touch()
    run_until(reactor, lambda: not cushion.joined)
    assert cushion.seconds > 0.9, "the cushion is played to its end"
    run_until(reactor, lambda: cushion.joined)
    assert source.process.supervision.restarts == 1
    assert cushion.seconds == pytest.approx(CUSHION_SECONDS, abs=0.03)


def test_sound_of_another_shape_is_no_sound(
    reactor: Reactor, start: Callable[[str], tuple[Source, Cushion]], tmp_path: Path
) -> None:
    path = tmp_path / "mono.aac"
    path.write_bytes(b"".join(adts(bytes(100), channels=1) for _ in range(200)))
    source, cushion = start(f"cat {path}; exec sleep 0.3")
    run_until(reactor, lambda: source.process.supervision.restarts >= 1)
    assert not cushion.joined
    assert cushion.seconds == 0


def test_a_file_instead_of_a_mount_is_held_back_and_not_called_stale(
    reactor: Reactor, start: Callable[[str], tuple[Source, Cushion]], burst: Path
) -> None:
    source, cushion = start(f"while :; do cat {burst}; done")
    run_until(reactor, lambda: cushion.joined)
    run_until(reactor, lambda: cushion.full)
    assert cushion.seconds < 20
    assert source.process.supervision.restarts == 0


class TestAMountThatIsSlowToSay:
    """A name server that hangs: what the mount sends is not known yet."""

    @pytest.fixture
    def answer(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
        event = threading.Event()

        def demuxer(_: str) -> str:
            event.wait(8)
            return "mp3"

        monkeypatch.setattr(module, "_ASK_SECONDS", 0.1)
        monkeypatch.setattr(module, "demuxer", demuxer)
        yield event
        event.set()

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
        demuxers: list[str | None] = []

        def audio(url: str, kbps: int, demuxer: str | None) -> list[str]:
            demuxers.append(demuxer)
            return ["sleep", "60"]

        monkeypatch.setattr(commands, "audio", audio)
        return demuxers

    def test_is_tried_all_the_same(self, reactor: Reactor, answer: threading.Event, asked: list[str | None]) -> None:
        source = Source(reactor, "http://127.0.0.1/radio.mp3", 192, Cushion(), lambda _: None)
        run_until(reactor, lambda: source.process.pid is not None)
        assert asked == [None], "left to guess"
        answer.set()
        run_until(reactor, lambda: source._format == "mp3")
        run_for(reactor, 0.05)
        assert asked == [None], "once"
        source.process.kill("for the test")
        run_until(reactor, lambda: len(asked) > 1)
        assert asked == [None, "mp3"]
        source.stop()
        run_until(reactor, lambda: source.process.pid is None)

    def test_is_not_begun_after_its_end(
        self, reactor: Reactor, answer: threading.Event, asked: list[str | None]
    ) -> None:
        source = Source(reactor, "http://127.0.0.1/radio.mp3", 192, Cushion(), lambda _: None)
        source.stop()
        answer.set()
        run_for(reactor, 0.3)
        assert asked == []
        assert source.process.pid is None


class TestDemuxer:
    """What a mount says that it sends."""

    @pytest.fixture
    def serve(self) -> Iterator[Callable[[bytes], str]]:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(5)
        threads: list[threading.Thread] = []

        def begin(answer: bytes) -> str:
            def work() -> None:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)
                        if b"Content-Type" in answer:  # a stream has no end: the listener goes
                            connection.settimeout(3)
                            connection.recv(1)

            threads.append(threading.Thread(target=work))
            threads[-1].start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}/radio.mp3?x=1"

        yield begin
        listener.close()
        for thread in threads:
            thread.join()

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            (b"audio/mpeg", "mp3"),
            (b"AUDIO/MPEG; charset=x", "mp3"),
            (b"audio/aacp", "aac"),
            (b"application/ogg", "ogg"),
            (b"text/html", None),
            (b"", None),
        ],
    )
    def test_by_its_content_type(self, serve: Callable[[bytes], str], kind: bytes, name: str | None) -> None:
        answer = b"HTTP/1.0 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n" + bytes(100)
        assert module.demuxer(serve(answer)) == name

    @pytest.mark.parametrize("answer", [b"", b"\xff\xfe\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
    def test_what_speaks_no_http_says_nothing(self, serve: Callable[[bytes], str], answer: bytes) -> None:
        assert module.demuxer(serve(answer)) is None

    def test_nobody_there_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        assert module.demuxer(f"http://127.0.0.1:{port}/x") is None
        assert module.demuxer("http://127.0.0.1:1/with space\r\n") is None

    def test_a_port_that_is_none_says_nothing(self) -> None:
        assert module.demuxer("http://127.0.0.1:99999/x") is None
        assert module.demuxer("http://127.0.0.1:port/x") is None
