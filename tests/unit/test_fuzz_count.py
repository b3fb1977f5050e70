"""A long run of all the fuzzing fails when it had too few cases; a part of it, or the short run, may be small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from pathlib import Path

from tests.fuzz import conftest as real
from tests.fuzz.conftest import *

real.HERE, real.LEAST = Path(__file__).parent, 50
"""
TARGET = """
from hypothesis import strategies as st

from tests.fuzz.cases import fuzz

@fuzz("a target", {shares}, value=st.integers())
def test_one(value):
    pass

@fuzz("another", 0.01, value=st.integers())
def test_two(value):
    pass
"""
SAID = "cases are too few: the whole directory must come to 50"


@pytest.mark.parametrize(
    ("shares", "arguments", "fails"),
    [
        (0.01, ("fuzz", "--hypothesis-profile=fuzz"), True),
        (0.01, ("fuzz", "--hypothesis-profile=fuzz", "-n2"), True),
        (0.02, ("fuzz", "--hypothesis-profile=fuzz", "-n2"), False),
        (0.01, ("fuzz",), False),
        (0.01, ("fuzz", "--hypothesis-profile=fuzz", "-n2", "-k", "two"), False),
        (0.01, ("fuzz/test_a.py::test_one", "fuzz/test_b.py", "--hypothesis-profile=fuzz"), False),
    ],
)
def test_too_few_cases(tmp_path: Path, shares: float, arguments: tuple[str, ...], fails: bool) -> None:
    place = tmp_path / "fuzz"
    place.mkdir()
    (place / "conftest.py").write_text(CONFTEST)
    for name in ("a", "b"):
        (place / f"test_{name}.py").write_text(TARGET.format(shares=shares))
    options = ("-q", "--import-mode=importlib", "-o", f"pythonpath={ROOT}")
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert "error" not in done.stdout.lower(), done.stdout
    assert (done.returncode, SAID in done.stdout) == ((1, True) if fails else (0, False)), done.stdout + done.stderr
