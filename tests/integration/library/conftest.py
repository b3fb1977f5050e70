"""A library with a slate in it."""

import shutil
from pathlib import Path

import pytest

from hook_service.library.basics import ensure_basics
from tests.integration.library.studio import SMALL, Studio


@pytest.fixture(scope="module")
def slated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the small profile's slate in it: copied rather than made for each test."""
    library = tmp_path_factory.mktemp("slated") / "library"
    ensure_basics(library, SMALL)
    return library


@pytest.fixture
def studio(tmp_path: Path, slated: Path) -> Studio:
    (tmp_path / "loops").mkdir()
    shutil.copytree(slated, tmp_path / "library")
    return Studio(tmp_path / "loops", tmp_path / "library")
