"""Logs: sinks that are full, gone or hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hook_service.observe import log
from tests.unit.observe.logs import PROGRAM, ROOT, Logs, logger, messages, program


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
