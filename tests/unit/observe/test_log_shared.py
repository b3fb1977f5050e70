"""Logs: a file that several processes share."""

from __future__ import annotations

import logging.handlers
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.observe.logs import PROGRAM, ROOT, Logs, lines, until

WRITER = """
_, _, service, size, files, count, rotates, go = sys.argv
log.ROTATE_BYTES, log.ROTATE_FILES = int(size), int(files)
log._STOP_SECONDS = 60.0  # however slow the machine is
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
