"""Where the tests of the library have their loops, and what is prepared of them."""

from pathlib import Path

import pytest


@pytest.fixture
def loops(tmp_path: Path) -> Path:
    path = tmp_path / "loops"
    path.mkdir()
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"
