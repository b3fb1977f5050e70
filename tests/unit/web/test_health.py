from __future__ import annotations

from typing import Any

import pytest

from hook_service.web import health as module
from hook_service.web.health import Health, Storage
from hook_service.web.relay import RelayDown
from tests.unit.web.doubles import KEY, Rig


class World:
    """One station with two destinations; everything can be broken."""

    def __init__(self) -> None:
        self.playout: dict[str, Any] | None = {
            "timeline": {"relay_key": "demo-2"},
            "audio": {"source": "mount"},
            "processes": [{"name": "publisher", "state": "RUNNING"}],
        }
        self.destinations = {"tube": "RUNNING", "twitch": "RUNNING"}
        self.stopped: set[str] = set()
        self.outputs_up = True
        self.storage = Storage(database_up=True, outbox_pending=0, snapshot_age=5.0)
        self.seen: dict[str, Any] | None = {"demo": {"up": True, "black": False, "frozen": None, "silent": False}}
        self.grows = True
        self.relay_up = True
        self.bytes = 0
        self.looks = 0
        self.health = Health(self, {"demo": list(self.destinations)}, lambda: self.storage, self.streams)  # type: ignore[arg-type]

    def statuses(self) -> dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]]:
        outputs = {
            "processes": [
                {"name": f"destination:{name}", "state": state, "wanted": name not in self.stopped}
                for name, state in self.destinations.items()
            ]
        }
        return {"demo": (self.playout, outputs if self.outputs_up else None)}

    def onair(self) -> dict[str, Any] | None:
        return self.seen

    def streams(self) -> dict[str, int]:
        self.looks += 1
        if not self.relay_up:
            raise RelayDown("refused")
        self.bytes += 50_000 if self.grows else 0
        return {"demo-2": self.bytes, "someone-else": self.looks * 1000}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(module, "LOOKS_APART", (0.01, 5.0))
    monkeypatch.setattr(module, "CACHED", 0.0)
    return World()


def test_all_is_well(world: World) -> None:
    on_air, document = world.health.check()
    assert (on_air, document["status"]) == (True, "up")
    assert document["stations"]["demo"]["status"] == "up"
    assert document["stations"]["demo"]["relay"]["status"] == "receiving"
    assert document["stations"]["demo"]["relay"]["kbps"] > 0


def test_bytes_that_do_not_grow_are_off_the_air(world: World) -> None:
    assert world.health.check()[0]
    world.grows = False
    on_air, document = world.health.check()
    assert not on_air
    assert document["status"] == "down"
    assert document["stations"]["demo"]["relay"] == {"status": "silent", "kbps": 0}
    # The publisher believes that it is running; that is told, and counts for nothing.
    assert document["stations"]["demo"]["publisher"]["status"] == "RUNNING"


def test_at_first_there_are_two_looks(world: World) -> None:
    world.grows = False
    world.bytes = 10**9
    assert not world.health.check()[0]
    assert world.looks == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"relay_up": False}, "down"),
        ({"playout": None}, "down"),
        ({"destinations": {"tube": "CRASHED", "twitch": "FAILED"}}, "down"),
        ({"outputs_up": False}, "down"),
        ({"destinations": {"tube": "CRASHED", "twitch": "RUNNING"}}, "degraded"),
        ({"storage": Storage(False, 17, 60.0)}, "degraded"),
        ({"storage": Storage(True, 0, None)}, "degraded"),
        ({"storage": Storage(True, 0, 3600.0)}, "degraded"),
        ({"storage": Storage(True, 17, 1.0)}, "up"),
    ],
)
def test_what_costs_the_broadcast_and_what_does_not(world: World, change: dict[str, Any], status: str) -> None:
    for name, value in change.items():
        setattr(world, name, value)
    on_air, document = world.health.check()
    assert document["status"] == status
    assert on_air == (status != "down")


@pytest.mark.parametrize(("stopped", "status"), [({"twitch"}, "up"), ({"tube", "twitch"}, "degraded")])
def test_a_destination_that_was_stopped_by_hand(world: World, stopped: set[str], status: str) -> None:
    world.stopped = stopped
    world.destinations |= dict.fromkeys(stopped, "STOPPED")
    on_air, document = world.health.check()
    assert on_air
    assert document["status"] == status
    assert document["stations"]["demo"]["destinations"]["twitch"] == {"status": "STOPPED", "wanted": False}


def test_fallback_audio_is_degraded(world: World) -> None:
    assert world.playout is not None
    world.playout["audio"]["source"] = "floor"
    on_air, document = world.health.check()
    assert (on_air, document["status"]) == (True, "degraded")
    assert document["stations"]["demo"]["audio"] == {"status": "floor"}


@pytest.mark.parametrize(
    ("seen", "told", "status"),
    [
        ({"up": True, "black": True, "frozen": False, "silent": True}, "black", "degraded"),
        ({"up": True, "black": False, "frozen": True, "silent": False}, "frozen", "degraded"),
        ({"up": True, "black": None, "frozen": None, "silent": True}, "silent", "degraded"),
        ({"up": True, "black": None, "frozen": None, "silent": None}, "unknown", "up"),
        ({"up": True, "black": False, "frozen": None, "silent": None}, "up", "up"),
        ({"up": False}, "unknown", "up"),
        (None, "unknown", "up"),
    ],
)
def test_what_is_seen_never_makes_it_a_503(world: World, seen: dict[str, Any] | None, told: str, status: str) -> None:
    world.seen = {} if seen is None else {"demo": seen}
    on_air, document = world.health.check()
    assert (on_air, document["status"]) == (True, status)
    assert document["stations"]["demo"]["onair"] == {"status": told}
    assert document["components"]["monitor"] == {"status": "up"}


def test_nobody_looks(world: World) -> None:
    world.seen = None
    on_air, document = world.health.check()
    assert (on_air, document["status"]) == (True, "degraded")
    assert document["components"]["monitor"] == {"status": "down"}
    assert document["stations"]["demo"]["status"] == "up"


def test_it_is_made_once_a_second(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHED", 60.0)
    for _ in range(50):
        world.health.check()
    assert world.looks == 2


def test_over_http(rig: Rig) -> None:
    answer = rig.client.get("/health")
    assert answer.status_code == 503
    assert answer.get_json()["stations"]["demo"]["playout"] == {"status": "down"}
    for private in (KEY, "example.org", "127.0.0.1", str(rig.host.paths.loops)):
        assert private not in answer.text
