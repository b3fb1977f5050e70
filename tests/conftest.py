"""Fixtures that every test may use, and what the first try of a test failed on that passed in its second."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_LINES = 30


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A test that is tried again is either unsound or not quick enough for its limits: its first failure tells."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.write_line("\n".join(report.longreprtext.splitlines()[-_LINES:]))


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A directory for real servers: its path is short enough for sockets, and unprivileged servers can reach it."""
    path = Path(tempfile.mkdtemp(prefix="steadycast-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)
