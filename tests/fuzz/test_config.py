"""The configuration: whatever an operator saves, it is used or refused with a line that says what to mend."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from hook_service import config
from tests.fuzz.cases import changed, fuzz, spoiled
from tests.unit.configs import whole

# A YAML file can hold no half of a surrogate pair, and Python's writer no whole one either.
WRITABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | WRITABLE
    | st.dates()
    | st.sampled_from(("../x", "1:2", "0x9")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WRITABLE | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="steadycast-fuzz-") as directory:
        yield Path(directory) / "radio.yml"


def read(file: Path) -> None:
    try:
        host = config.load(file)
    except config.ConfigError as error:
        problems = error.problems
        assert problems
        assert all(len(problem.splitlines()) == 1 for problem in problems)
    else:
        for code in host.stations:
            host.station_profile(code)
        config.missing_credentials(host)


@fuzz("configuration, wrong values", 4, document=changed(whole(), values=VALUES))
def test_values(file: Path, document: Any) -> None:
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    read(file)


@fuzz("configuration, damaged", 3, data=spoiled([yaml.safe_dump(whole()).encode()]))
def test_bytes(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    read(file)
