import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hook_service.store import spool as module
from hook_service.store.spool import Spool

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.sqlite3"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    queue = Spool(path)
    yield queue
    queue.close()


def bodies(queue: Spool, limit: int = 1000) -> list[str]:
    return [record.body for record in queue.batch(limit)]


def fill_up(queue: Spool) -> None:
    """The file may not grow by another page."""
    assert queue._db is not None
    pages = queue._db.execute("PRAGMA page_count").fetchone()[0]
    queue._db.execute(f"PRAGMA max_page_count={pages}")


def make_room(queue: Spool) -> None:
    assert queue._db is not None
    queue._db.execute("PRAGMA max_page_count=1000000")


def test_order_and_forgetting(spool: Spool) -> None:
    for n in range(10):
        assert spool.append("k", str(n))
    assert (spool.pending, bodies(spool, 3)) == (10, ["0", "1", "2"])
    spool.forget(spool.batch(3))
    assert (spool.pending, bodies(spool, 2)) == (7, ["3", "4"])
    assert spool.oldest is not None
    assert time.time() - spool.oldest < 60
    spool.forget(spool.batch(100))
    assert (spool.pending, bodies(spool)) == (0, [])
    assert spool.oldest is None


def test_survives_reopening(path: Path) -> None:
    first = Spool(path)
    first.append("k", "a")
    first.append("k", "b")
    first.forget(first.batch(1))
    first.close()
    second = Spool(path)
    second.append("k", "c")
    assert bodies(second) == ["b", "c"]
    second.close()


def test_survives_the_death_of_the_process(path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from hook_service.store.spool import Spool\n"
        "s = Spool(Path(sys.argv[1]))\n"
        "for n in range(50): s.append('k', str(n))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, timeout=30, check=False)
    assert done.returncode == -9
    queue = Spool(path)
    assert bodies(queue) == [str(n) for n in range(50)]
    queue.close()


def test_is_forced_to_the_disk_soon(spool: Spool, path: Path) -> None:
    spool.append("k", "x" * 100)
    deadline = time.monotonic() + 10
    # The record is in the main file, which holds nothing that was not forced to the disk before.
    while b"x" * 100 not in path.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_full_disk_goes_to_memory_and_back_in_order(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(path, memory=4)
    spool.append("k", "0" * 1000)
    fill_up(spool)
    written = 1
    while spool.in_memory == 0:
        spool.append("k", str(written) * 1000)
        written += 1
    assert spool.append("k", "memory")
    assert not spool.append("k", "error", dispensable=True)
    assert spool.append("k", "memory 2")
    assert spool.append("k", "memory 3")
    assert not spool.append("k", "too much")
    assert (spool.dropped, spool.pending, spool.in_memory) == (2, written + 3, 4)
    assert [record.message for record in caplog.records if "can't be written" in record.message]
    make_room(spool)
    expected = [str(n) * 1000 for n in range(written)] + ["memory", "memory 2", "memory 3"]
    assert bodies(spool) == expected
    assert spool.in_memory == 0
    spool.append("k", "after")
    assert bodies(spool) == [*expected, "after"]
    spool.close()


def test_delivery_goes_on_while_the_disk_is_full(spool: Spool) -> None:
    for n in range(20):
        spool.append("k", str(n))
    assert spool._db is not None
    spool._db.execute("PRAGMA query_only=1")
    spool.append("k", "memory")
    seen = []
    while batch := spool.batch(5):
        seen += [record.body for record in batch]
        spool.forget(batch)
    assert seen == [*map(str, range(20)), "memory"]
    assert spool.pending == 0
    spool._db.execute("PRAGMA query_only=0")
    spool.append("k", "after")
    spool.forget(spool.batch(1))
    assert spool._db.execute("SELECT count(*) FROM records").fetchone() == (0,)


def test_damaged_file_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but something else" * 200)
    spool = Spool(path)
    assert spool.append("k", "a")
    assert bodies(spool) == ["a"]
    assert spool.in_memory == 0
    spool.close()
    assert len(list(path.parent.glob("*.damaged-*"))) == 1


def test_directory_that_comes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_EVERY", 0.0)
    blocker = tmp_path / "state"
    blocker.write_text("a file where the directory should be")
    spool = Spool(blocker / "outbox.sqlite3")
    assert spool.append("k", "a")
    assert (spool.in_memory, bodies(spool), spool.pending) == (1, ["a"], 1)
    spool.forget(spool.batch(1))
    assert spool.pending == 0
    spool.append("k", "b")
    blocker.unlink()
    assert bodies(spool) == ["b"]
    assert spool.in_memory == 0
    spool.close()


def test_buried_records_are_kept(spool: Spool, path: Path) -> None:
    spool.append("k", "bad")
    [record] = spool.batch(1)
    spool.bury(record, "because")
    spool.bury(record, "because")
    spool.forget([record])
    assert (spool.pending, spool.dead) == (0, 1)
    db = sqlite3.connect(path)
    assert db.execute("SELECT kind, body, reason FROM dead").fetchall() == [("k", "bad", "because")]
    db.close()


def test_many_threads_append_while_one_takes(spool: Spool) -> None:
    def append(name: int) -> None:
        for n in range(200):
            spool.append("k", f"{name}:{n}")

    threads = [threading.Thread(target=append, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    deadline = time.monotonic() + 30
    while len(seen) < 800:
        assert time.monotonic() < deadline
        batch = spool.batch(50)
        seen += [record.body for record in batch]
        spool.forget(batch)
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 800
    for name in range(4):
        own = [int(body.split(":")[1]) for body in seen if body.startswith(f"{name}:")]
        assert own == sorted(own)
