"""playbooks/azuracast.yml against AzuraCast's API: one webhook per station, made once, mended where it differs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.roles.fake_azuracast import KEY, FakeAzuraCast
from tests.unit.roles.inventory import Inventory, play

URL = "https://radio.music.net/webhook/azuracast"
WANTED = {
    "webhook_url": URL,
    "basic_auth_username": "azuracast",
    "basic_auth_password": "5f1e",
    "timeout": 5,
    "rate_limit": 0,
}
TRIGGERS = ["song_changed", "live_connect", "live_disconnect", "station_offline", "station_online"]


@pytest.fixture
def azuracast() -> Iterator[FakeAzuraCast]:
    with FakeAzuraCast() as fake:
        yield fake


def run(where: Path, azuracast: FakeAzuraCast, *arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    inventory = Inventory(where)
    inventory.append("radio", f"azuracast_url: {azuracast.url}/\nazuracast_api_key: '{key}'\n")
    return play(inventory.path, "playbooks/azuracast.yml", *arguments)


def test_webhook_is_made_once(azuracast: FakeAzuraCast, tmp_path: Path) -> None:
    azuracast.add(name="Telegram", type="telegram", config={"bot_token": "t"})
    first = run(tmp_path / "a", azuracast)
    assert first.returncode == 0, first.stdout
    assert "changed=1" in first.stdout
    (made,) = [one for one in azuracast.webhooks if one["type"] == "generic"]
    assert made["config"] == WANTED
    assert made["triggers"] == TRIGGERS
    assert made["is_enabled"] is True
    assert made["name"] == "Steadycast"

    again = run(tmp_path / "b", azuracast)
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout
    assert len(azuracast.webhooks) == 2
    for secret in ("5f1e", KEY):
        assert secret not in first.stdout + first.stderr + again.stdout


@pytest.mark.parametrize(
    "harm",
    [
        {"is_enabled": False},
        {"triggers": []},
        {"triggers": [*TRIGGERS, "listener_gained"]},
        {"config": {**WANTED, "basic_auth_password": "old", "extra": "kept"}},
        {"config": {**WANTED, "rate_limit": 60}},
        {"config": {**WANTED, "webhook_url": "https://old.music.net/webhook/azuracast"}},
        {"config": []},  # how PHP writes an empty object
        {"name": "Radio on YouTube"},
    ],
)
def test_webhook_is_mended(azuracast: FakeAzuraCast, tmp_path: Path, harm: dict[str, object]) -> None:
    azuracast.add(**{"name": "Steadycast", "triggers": TRIGGERS, "config": WANTED, **harm})
    told = run(tmp_path, azuracast)
    assert told.returncode == 0, told.stdout
    assert "changed=1" in told.stdout
    (mended,) = azuracast.webhooks
    assert mended["config"] == {**({"extra": "kept"} if "extra" in str(harm) else {}), **WANTED}
    assert (mended["name"], mended["triggers"], mended["is_enabled"]) == ("Steadycast", TRIGGERS, True)


def test_check_mode_says_it_and_changes_nothing(azuracast: FakeAzuraCast, tmp_path: Path) -> None:
    told = run(tmp_path, azuracast, "--check", "--diff")
    assert told.returncode == 0, told.stdout
    assert "demo: would be made" in told.stdout
    assert azuracast.webhooks == []
    assert {method for method, _ in azuracast.requests} == {"GET"}


def test_wrong_key_is_told(azuracast: FakeAzuraCast, tmp_path: Path) -> None:
    told = run(tmp_path, azuracast, key="no:body")
    assert told.returncode != 0
    assert "answered 403" in told.stdout
    assert "You must be logged in" in told.stdout
    assert "no:body" not in told.stdout


def test_unknown_station_is_told(tmp_path: Path) -> None:
    with FakeAzuraCast("other") as azuracast:
        told = run(tmp_path, azuracast)
    assert told.returncode != 0
    assert "answered 404" in told.stdout
    assert "no station demo" in told.stdout
