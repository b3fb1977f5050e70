"""Logs of a test's own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from tests.unit.observe.logs import Logs


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
    # Fewer, where one of an earlier test has ended meanwhile.
    assert threading.active_count() <= threads
