"""Logs: the shape of a line, a file that several processes share, and sinks that are full, gone or hang."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from hook_service.observe import log

ROOT = Path(__file__).parents[3]


def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert condition(), f"it did not happen within {seconds} s"


class Logs:
    """`setup()` is for a whole process: this one stops its threads and puts everything back."""

    def __init__(self) -> None:
        self._writers: list[log.Writer] = []

    def setup(self, service: str, path: Path | None, level: str = "INFO", *, rotates: bool = False) -> None:
        self._writers.append(log.setup(service, path, level, rotates=rotates))

    @property
    def waiting(self) -> queue.Queue[logging.LogRecord]:
        return cast("queue.Queue[logging.LogRecord]", self._writers[-1].queue)

    def written(self) -> None:
        """Wait until what was logged is written (or dropped), and log on."""
        until(lambda: self.waiting.unfinished_tasks == 0)

    def stop(self) -> None:
        for writer in self._writers:
            atexit.unregister(writer.stop)
            until(lambda: not self.waiting.full())  # it would not take the order to stop
            writer.stop()
            for handler in writer.handlers:
                with contextlib.suppress(OSError, ValueError):  # as the interpreter does at its end
                    handler.close()
        self._writers.clear()


@pytest.fixture
def logs() -> Iterator[Logs]:
    root = logging.getLogger()
    handlers, level, threads = list(root.handlers), root.level, threading.active_count()
    logs = Logs()
    yield logs
    logging.captureWarnings(False)
    logs.stop()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    assert threading.active_count() == threads


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def messages(path: Path) -> list[object]:
    return [line["message"] for line in lines(path)]


logger = logging.getLogger("radio.x")


class TestALine:
    def test_its_shape(self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "log" / "app.log"
        logs.setup("radio-web", path)
        before = datetime.now(UTC)
        logger.info("Track %s", "switched", extra={"context": {"artist": "Sigur Rós", "n": 1}})
        logs.stop()
        [line] = lines(path)
        assert list(line) == ["timestamp", "level", "service", "message", "context"]
        assert (line["level"], line["service"], line["message"]) == ("INFO", "radio-web", "Track switched")
        assert line["context"] == {"artist": "Sigur Rós", "n": 1}
        assert isinstance(line["timestamp"], str)
        assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000000+00:00")
        at = datetime.fromisoformat(line["timestamp"])
        assert at.utcoffset() is not None
        assert abs((at - before).total_seconds()) < 5
        assert json.loads(capsys.readouterr().out) == line, "the journal gets the same"

    def test_is_always_one(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        logger.warning("two\nlines\u2028and\r\x00more", extra={"context": {"a\nb": Path("/x\ny")}})
        try:
            json.loads("{")
        except ValueError:
            logger.exception("broke")
        logs.stop()
        raw = path.read_bytes()
        assert raw.count(b"\n") == 2
        first, second = (json.loads(line) for line in raw.split(b"\n")[:2])
        assert first["message"] == "two\nlines\u2028and\r\x00more"
        assert "JSONDecodeError" in second["context"]["exception"]
        assert second["context"]["exception"].startswith("Traceback")

    def test_says_what_was_so_when_it_was_logged(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        loops = ["a"]
        for name in "bcd":
            logger.info("%s", loops)
            loops.append(name)
        logs.stop()
        assert messages(path) == ["['a']", "['a', 'b']", "['a', 'b', 'c']"]

    def test_levels_and_warnings(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path, level="WARNING")
        logger.info("not this")
        logger.error("this")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("a library is old", DeprecationWarning, stacklevel=1)
        logs.stop()
        assert [line["level"] for line in lines(path)] == ["ERROR", "WARNING"]
        assert "a library is old" in str(messages(path)[1])

    def test_no_context_is_an_empty_one(self, logs: Logs, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        logger.error("x", extra={"context": None})
        logs.stop()
        assert lines(path)[0]["context"] == {}

    @pytest.mark.parametrize("rotates", [False, True])
    def test_with_a_name_that_is_no_text(
        self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str], rotates: bool
    ) -> None:
        """A loop's name may be any bytes; Python gives those as lone surrogates."""
        path = tmp_path / "app.log"
        logs.setup("radio", path, rotates=rotates)
        name = os.fsdecode(b"caf\xe9.mp4")
        logger.error("%s can't be shown", name, extra={"context": {"loop": name}})
        logger.error("next")
        logs.stop()
        out, err = capsys.readouterr()
        for first, second in (lines(path), [json.loads(line) for line in out.splitlines()]):
            assert (first["message"], first["context"]) == (f"{name} can't be shown", {"loop": name})
            assert second["message"] == "next"
        assert b"caf\\udce9.mp4" in path.read_bytes()
        assert err == ""

    def test_that_cannot_be_made_costs_only_itself(
        self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "app.log"
        logs.setup("radio", path)
        ring: dict[str, object] = {}
        ring["ring"] = ring
        logger.error("%d things", "some")
        logger.error("x", extra={"context": ring})
        logger.error("x", extra={"context": "no mapping"})
        logger.error("next")
        logs.stop()
        assert messages(path) == ["next"]
        assert capsys.readouterr().err == ""

    def test_the_formatter_alone(self) -> None:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(log.JsonLines("radio"))
        record = logging.LogRecord("x", logging.DEBUG, "", 0, "100%% of %s", ("it",), None)
        record.created = 1_700_000_000.25
        handler.handle(record)
        assert json.loads(stream.getvalue())["timestamp"] == "2023-11-14T22:13:20.250000+00:00"
        assert json.loads(stream.getvalue())["message"] == "100% of it"


PROGRAM = """
import logging, os, resource, sys, threading, time
from pathlib import Path
from hook_service.observe import log
path, logger = Path(sys.argv[1]), logging.getLogger('radio')
"""


def program(text: str, path: Path, *arguments: str, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run a program that has `log`, `logger` and `path`."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + text, str(path), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


WRITER = """
_, _, service, size, files, count, rotates, go = sys.argv
log.ROTATE_BYTES, log.ROTATE_FILES = int(size), int(files)
sys.stdout = open('/dev/null', 'w')
log.setup(service, path, rotates=rotates == 'True')
Path(go, service).touch()
while not Path(go, 'go').exists():
    time.sleep(0.001)
for n in range(int(count)):
    logger.info('%d', n)
    if n % 100 == 99:
        time.sleep(0.001)
"""


def write_together(path: Path, writers: dict[str, bool], size: int, files: int, count: int) -> dict[str, list[int]]:
    """Processes write `count` numbered lines each at once; which of them are found, by writer, in order."""
    go = path.parent.parent / "go"
    go.mkdir()
    path.parent.mkdir()
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", PROGRAM + WRITER, str(path), name, str(size), str(files), str(count)),
                *(str(rotates), str(go)),
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        for name, rotates in writers.items()
    ]
    until(lambda: len(list(go.iterdir())) == len(writers), 20.0)
    (go / "go").touch()
    for each in running:
        _, err = each.communicate(timeout=60)
        assert each.returncode == 0, err
        assert err == b""
    found: dict[str, list[int]] = {name: [] for name in writers}
    for part in sorted(path.parent.glob(f"{path.name}*"), key=lambda p: -int(p.suffix[1:]) if p != path else 1):
        for line in lines(part):
            found[str(line["service"])].append(int(str(line["message"])))
    return found


class TestTheSharedFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "log" / "app.log"

    def test_one_that_rotates(self, path: Path) -> None:
        found = write_together(path, {"web": True}, 20_000, 60, 3_000)
        assert found == {"web": list(range(3_000))}
        assert all(part.stat().st_size <= 20_000 for part in path.parent.iterdir())
        assert len(list(path.parent.iterdir())) > 10

    def test_one_that_rotates_and_those_that_follow_lose_nothing(self, path: Path) -> None:
        writers = {"web": True, "playout": False, "output": False}
        found = write_together(path, writers, 3_000, 900, 2_000)
        assert {who: 2_000 - len(set(numbers)) for who, numbers in found.items()} == dict.fromkeys(writers, 0)
        assert all(numbers == list(range(2_000)) for numbers in found.values()), "out of order, or twice"
        assert len(list(path.parent.iterdir())) > 30

    def test_those_that_follow_never_rotate(self, path: Path) -> None:
        found = write_together(path, {"playout": False, "output": False}, 3_000, 900, 1_000)
        assert found == {"playout": list(range(1_000)), "output": list(range(1_000))}
        assert [part.name for part in path.parent.iterdir()] == ["app.log"]

    def test_no_more_files_than_wanted(self, path: Path) -> None:
        found = write_together(path, {"web": True, "playout": False}, 5_000, 3, 1_000)
        assert sorted(part.name for part in path.parent.iterdir()) == [
            *("app.log", "app.log.1", "app.log.2", "app.log.3")
        ]
        assert 999 in found["web"] + found["playout"]

    def test_the_limits_that_ship(self, logs: Logs, path: Path) -> None:
        logs.setup("radio-web", path, rotates=True)
        [handler] = (h for h in logs._writers[0].handlers if isinstance(h, logging.handlers.RotatingFileHandler))
        assert (handler.maxBytes, handler.backupCount) == (100 * 1024 * 1024, 10)


class TestNowhereToWrite:
    def test_a_directory_that_cannot_be_made_is_said(
        self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("")
        logs.setup("radio", tmp_path / "file" / "log" / "app.log")
        logger.error("goes on")
        logs.stop()
        out = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
        assert str(tmp_path / "file" / "log") in out[0]
        assert "create it" in out[0]
        assert out[1] == "goes on"

    def test_without_a_path_there_is_no_file(self, logs: Logs, capsys: pytest.CaptureFixture[str]) -> None:
        logs.setup("radio", None)
        logger.error("x")
        logs.stop()
        assert json.loads(capsys.readouterr().out)["message"] == "x"

    @pytest.mark.filterwarnings("ignore::ResourceWarning")  # a file that can't be flushed is dropped unclosed
    @pytest.mark.parametrize("rotates", [False, True])
    def test_a_full_disk_costs_lines_and_nothing_else(
        self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str], rotates: bool
    ) -> None:
        path = tmp_path / "app.log"
        path.symlink_to("/dev/full")
        logs.setup("radio", path, rotates=rotates)
        for n in range(2_000):
            logger.error("line %d", n)
        logs.stop()
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 2_000, "they still go to the journal"
        assert err == ""

    @pytest.mark.parametrize("rotates", [False, True])
    def test_when_there_is_room_again_it_goes_on(self, tmp_path: Path, rotates: bool) -> None:
        path = tmp_path / "app.log"
        text = """
writer = log.setup('radio', path, rotates=sys.argv[2] == 'True')
def say(what):
    for n in range(50):
        logger.info('%s %d', what, n)
    writer.queue.join()
say('before')
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 150, resource.RLIM_INFINITY))  # amid the second line
say('full')
assert path.stat().st_size == size + 150
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
say('after')
"""
        done = program(text, path, str(rotates))
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == 150, "the journal gets them all"
        got = messages(path)
        assert got[:51] == [*(f"before {n}" for n in range(50)), "full 0"]
        assert got[-49:] == [f"after {n}" for n in range(1, 50)], "one line may be what finds out"

    @pytest.mark.parametrize("rotates", [False, True])
    def test_a_directory_that_comes_later(self, logs: Logs, tmp_path: Path, rotates: bool) -> None:
        path = tmp_path / "log" / "app.log"
        logs.setup("radio", path, rotates=rotates)
        path.parent.rmdir()
        logger.error("lost")
        logs.written()
        path.parent.mkdir()
        logger.error("kept")
        logs.stop()
        assert messages(path) == ["kept"]

    @pytest.mark.parametrize(
        "rotates",
        [
            False,
            True,
        ],
    )
    @pytest.mark.parametrize("gone", ["file", "directory"])
    def test_what_vanishes_and_comes_back(
        self, logs: Logs, tmp_path: Path, capsys: pytest.CaptureFixture[str], rotates: bool, gone: str
    ) -> None:
        path = tmp_path / "log" / "app.log"
        logs.setup("radio", path, rotates=rotates)
        logger.error("one")
        logs.written()
        path.unlink()
        if gone == "directory":
            path.parent.rmdir()
            logger.error("two")
            logs.written()
            path.parent.mkdir()
        logger.error("three")
        logger.error("four")
        logs.stop()
        assert messages(path)[-2:] == ["three", "four"]
        assert capsys.readouterr().err == ""

    def test_standard_output_that_goes_is_harmless(self, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        text = """
writer = log.setup('radio', path)
sys.stdin.read()
for n in range(5): logger.error('line %d', n)
writer.stop()
os._exit(0)
"""
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM + text, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            assert child.stderr is not None
            child.stdout.close()
            child.stdin.close()
            assert child.wait(10) == 0
            assert child.stderr.read() == b""
        assert messages(path) == [f"line {n}" for n in range(5)]

    def test_a_process_that_has_no_standard_output(self, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        inner = PROGRAM + "log.setup('radio', path)\nlogger.error('x')\n"
        done = subprocess.run(
            ["sh", "-c", 'exec "$0" "$@" >&-', sys.executable, "-c", inner, str(path)],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert messages(path) == ["x"]


class TestASinkThatHangs:
    def test_a_file_never_holds_up_who_logs(
        self, logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A FIFO that nobody reads can't even be opened; a disk may be as bad."""
        monkeypatch.setattr(log, "WAITING_LINES", 100)
        path = tmp_path / "app.log"
        os.mkfifo(path)
        logs.setup("radio", path)
        slowest, begun = 0.0, time.monotonic()
        try:
            for n in range(5_000):
                at = time.monotonic()
                logger.info("line %d", n)
                slowest = max(slowest, time.monotonic() - at)
                assert logs.waiting.qsize() <= 100
            took = time.monotonic() - begun
            assert logs.waiting.full()
        finally:
            reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # now somebody reads
            logs.written()
        logger.info("later")
        logs.stop()
        got = [json.loads(line)["message"] for line in os.read(reader, 1 << 20).splitlines()]
        os.close(reader)
        assert slowest < 0.25, "once, on a busy host"
        assert took / 5_000 < 0.001
        assert got[:100] == [f"line {n}" for n in range(100)]
        assert len(got) <= 105, "what did not fit was dropped"
        assert got[-1] == "later"

    def test_standard_output_never_holds_up_who_logs(self, tmp_path: Path) -> None:
        path, told = tmp_path / "app.log", tmp_path / "told"
        text = """
writer = log.setup('radio', path)
slowest = total = 0.0
for n in range(30_000):
    at = time.monotonic()
    logger.info('line %d', n)
    took = time.monotonic() - at
    slowest, total = max(slowest, took), total + took
Path(sys.argv[2]).write_text(f'{slowest} {total} {writer.queue.qsize()}')
os._exit(0)
"""
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM + text, str(path), str(told)], cwd=ROOT, stdout=subprocess.PIPE
        ) as child:
            assert child.wait(20) == 0
        slowest, total, waiting = map(float, told.read_text().split())
        assert slowest < 0.25, "once, on a busy host"
        assert total / 30_000 < 0.001
        assert waiting == log.WAITING_LINES == 10_000

    def test_it_goes_on_where_it_hung(self, tmp_path: Path) -> None:
        text = """
log.setup('radio', None)
for n in range(5_000):
    logger.info('line %d', n)
"""
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM + text, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        ) as child:
            time.sleep(0.5)  # some 600 KB, of which 64 fit
            assert child.poll() is None
            assert child.stdout is not None
            got = [json.loads(line)["message"] for line in child.stdout]
            assert child.wait(10) == 0
        assert got == [f"line {n}" for n in range(5_000)]


class TestTheEndOfAProcess:
    def test_what_waits_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        done = program("log.setup('radio', path)\nfor n in range(5_000): logger.info('%d', n)\n", path)
        assert (done.returncode, done.stderr) == (0, "")
        assert messages(path) == [str(n) for n in range(5_000)]
        assert len(done.stdout.splitlines()) == 5_000

    def test_so_it_is_when_it_ends_by_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        done = program("log.setup('radio', path)\nlogger.info('last')\nraise SystemExit(3)\n", path)
        assert (done.returncode, done.stderr) == (3, "")
        assert messages(path) == ["last"]

    def test_with_as_much_waiting_as_may_wait(self, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        text = """
log.WAITING_LINES = 100
writer = log.setup('radio', path)
sys.setswitchinterval(5.0)
writer.handlers[0].acquire()
for n in range(300): logger.info('%d', n)
writer.handlers[0].release()
"""
        done = program(text, path)
        assert (done.returncode, done.stderr) == (0, "")
        assert messages(path)[:100] == [str(n) for n in range(100)]

    @pytest.mark.parametrize("waiting", [1, 300], ids=["a line", "as much as may wait"])
    def test_a_sink_that_hangs_does_not_keep_it(self, tmp_path: Path, waiting: int) -> None:
        path = tmp_path / "app.log"
        os.mkfifo(path)
        text = f"""
log.WAITING_LINES = 100
log.setup('radio', path)
for n in range({waiting}): logger.info('%d', n)
time.sleep(0.2)
"""
        program(text, path, seconds=4.0)

    def test_a_context_that_is_too_deep_costs_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "app.log"
        text = """
log.setup('radio', path)
deep = {}
for _ in range(5_000): deep = {'in': deep}
logger.info('deep', extra={'context': deep})
logger.info('next')
"""
        done = program(text, path)
        assert (done.returncode, done.stderr) == (0, "")
        assert messages(path)[-1] == "next"
