"""Logs of a test's own, and programs that log."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import queue
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from hook_service.observe import log

ROOT = Path(__file__).parents[3]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
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


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def messages(path: Path) -> list[object]:
    return [line["message"] for line in lines(path)]


logger = logging.getLogger("radio.x")


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
