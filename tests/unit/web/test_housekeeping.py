"""A chore that fails, and one that takes long."""

import threading

import pytest

from hook_service.web.housekeeping import keep_house
from tests.unit.web.doubles import eventually


def test_a_chore_that_fails_is_done_again_and_keeps_no_other(caplog: pytest.LogCaptureFixture) -> None:
    ended, done = threading.Event(), []

    def fails() -> None:
        done.append("fails")
        raise RuntimeError("index corrupted")

    thread = threading.Thread(target=keep_house, args=(ended, [fails, lambda: done.append("works")], 0.01, 0.02))
    thread.start()
    eventually(lambda: len(done) >= 4)
    ended.set()
    thread.join(5)
    assert not thread.is_alive()
    assert done[:4] == ["fails", "works", "fails", "works"]
    assert "index corrupted" in caplog.text
