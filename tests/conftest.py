"""Fixtures that every test may use."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A directory for real servers: its path is short enough for sockets, and unprivileged servers can reach it."""
    path = Path(tempfile.mkdtemp(prefix="steadycast-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)
