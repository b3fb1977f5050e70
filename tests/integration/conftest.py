"""The station that most survival tests share: whatever is done to it, it has to get over."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hearing import Sweep
from tests.integration.onair import on_air, wait_healthy, with_backup
from tests.rig.station import Station


@pytest.fixture(scope="session")
def prepared() -> Iterator[Path]:
    """Where stations leave their prepared loops for each other."""
    with tempfile.TemporaryDirectory(prefix="steadycast-prepared-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def shared(prepared: Path) -> Iterator[Station]:
    """A station with a backup ingest, on the air for the whole session. The sweep is its mount."""
    with on_air(prepared, with_backup()) as station:
        assert station.source is not None
        station.source.stop()
        yield station


@pytest.fixture(scope="session")
def sweep(shared: Station) -> Iterator[Sweep]:
    """What plays on its mount."""
    with Sweep(shared.icecast) as source:
        yield source


@pytest.fixture
def station(shared: Station, sweep: Sweep) -> Station:
    """The shared station, well."""
    if not sweep.process.running:
        sweep.start()
    wait_healthy(shared)
    return shared
