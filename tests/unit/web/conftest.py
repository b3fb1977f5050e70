from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from hook_service import config
from hook_service.observe.metrics import Metrics
from hook_service.web.app import Services, create_app
from hook_service.web.auth import Guard
from hook_service.web.director import Director
from hook_service.web.health import Health, Storage
from hook_service.web.sessions import Sessions
from hook_service.web.sources import Sources
from hook_service.web.stations import Stations
from hook_service.web.store import Store
from hook_service.web.youtube import YouTube
from tests.unit.web.doubles import Ledger, NoStore, Rig, make_director, write_host
from tests.unit.web.peers import FakePeer

MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    running: list[Director] = []

    def make(start: bool = False, **changes: Any) -> Rig:
        host = config.load(write_host(tmp_path, **changes))
        metrics = Metrics(host.stations)
        ledger = Ledger()
        directors = {name: make_director(host, name, ledger, metrics) for name in host.stations}
        storage = [Storage(database_up=True, outbox_pending=0, snapshot_age=1.0)]
        total = [0]

        def streams() -> dict[str, int]:
            total[0] += 100_000
            return {"demo": total[0], "other": total[0]}

        stations = Stations(host.paths.run, host.stations)
        health = Health(
            stations,
            {name: list(station.destinations) for name, station in host.stations.items()},
            lambda: storage[0],
            streams,
        )
        services = Services(
            host,
            Guard(host),
            metrics,
            directors,
            health,
            cast("Store", NoStore(ledger)),
            stations,
            Sources(directors, {}),
            YouTube(host),
            Sessions(host),
        )
        app = create_app(services)
        if start:
            for director in directors.values():
                director.start()
                running.append(director)
        return Rig(host, app, app.test_client(), services, metrics, ledger, storage, streams, directors)

    yield make
    for director in running:
        director.stop()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()


@pytest.fixture
def playout(tmp_path: Path) -> Iterator[FakePeer]:
    (tmp_path / "run").mkdir(exist_ok=True)
    peer = FakePeer(tmp_path / "run" / "playout-demo.sock")
    yield peer
    peer.close()
