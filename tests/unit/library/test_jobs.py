"""The queue's thread, where something breaks that should not."""

import pytest

from hook_service.library import jobs
from hook_service.library.jobs import Queue
from tests.unit.web.doubles import eventually


def test_a_defect_does_not_end_the_thread(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(jobs, "_RETRY_FIRST", 0.01)
    tries: list[int] = []

    def dsn() -> str:
        tries.append(1)
        raise RuntimeError("can't start new thread")

    queue = Queue(dsn, lambda path, profile, fade_in: None)
    queue.start()
    try:
        eventually(lambda: len(tries) >= 3)
        assert "can't start new thread" in caplog.text
    finally:
        queue.stop()
        queue.join(5)
