"""Logs: what waits to be written when a process ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.observe.logs import messages, program


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
        program(text, path, seconds=20.0)  # for ever, were it kept

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
