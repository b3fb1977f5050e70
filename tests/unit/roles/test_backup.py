"""Which backups stay, and what is told of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.backup.files.radio_backup import Backup, Failed, back_up, finished, kept, metrics
from tests.unit.roles.inventory import Inventory
from tests.unit.roles.test_preflight import mistakes_of

NOW = datetime(2026, 11, 21, 3, 40, tzinfo=UTC)  # a Saturday


def backup(taken: datetime, verified: bool = True) -> Backup:
    return Backup(taken, verified, 1000, 10, Path(f"{taken:%Y%m%dT%H%M%SZ}"))


def nights(count: int) -> list[Backup]:
    return [backup(NOW - timedelta(days=age)) for age in range(count)]


def ages(paths: set[Path]) -> list[int]:
    return sorted((NOW - datetime.fromisoformat(path.name)).days for path in paths)


def test_a_week_of_days_and_a_month_of_weeks_stay() -> None:
    # Sundays end the weeks before: 6, 13 and 20 days ago. The week that goes on has its last in the newest.
    assert ages(kept(nights(60), daily=7, weekly=4)) == [0, 1, 2, 3, 4, 5, 6, 13, 20]


def test_days_without_a_backup_do_not_count() -> None:
    found = [one for one in nights(60) if (NOW - one.taken).days not in range(1, 10)]
    assert ages(kept(found, daily=3, weekly=0)) == [0, 10, 11]


def test_a_backup_that_was_restored_stands_for_its_day() -> None:
    good, later = backup(NOW), backup(NOW + timedelta(hours=2), verified=False)
    newer = [backup(NOW + timedelta(days=age)) for age in range(1, 8)]
    assert good.path in kept([good, later, *newer], daily=8, weekly=0)
    assert later.path not in kept([good, later, *newer], daily=8, weekly=0)


def test_the_last_that_is_known_to_be_good_stays_however_long_none_is() -> None:
    good = backup(NOW - timedelta(days=300))
    bad = [backup(NOW - timedelta(days=age), verified=False) for age in range(40)]
    stay = kept([good, *bad], daily=2, weekly=0)
    assert stay == {good.path, bad[0].path, bad[1].path}


@given(
    st.lists(st.tuples(st.datetimes(NOW.replace(tzinfo=None) - timedelta(days=900), NOW.replace(tzinfo=None)),
                       st.booleans()), max_size=60),
    st.integers(1, 30),
    st.integers(0, 30),
)  # fmt: skip
def test_what_stays_is_bounded_and_never_nothing(times: list[tuple[datetime, bool]], daily: int, weekly: int) -> None:
    found = {backup(taken.replace(tzinfo=UTC, microsecond=0), good).path: good for taken, good in times}
    backups = [backup(datetime.fromisoformat(path.name), good) for path, good in found.items()]
    stay = kept(backups, daily, weekly)
    assert stay <= set(found)
    assert len(stay) <= daily + weekly + 2
    if backups:
        assert max(backups, key=lambda one: one.taken).path in stay
    if any(found.values()):
        assert any(found[path] for path in stay)
    # Once more changes nothing.
    assert kept([one for one in backups if one.path in stay], daily, weekly) == stay


def test_figures_tell_the_newest_and_the_newest_that_is_known_to_be_good() -> None:
    told = metrics([backup(NOW), backup(NOW - timedelta(days=1)), backup(NOW + timedelta(days=1), verified=False)])
    figures = dict(line.split() for line in told.splitlines() if not line.startswith("#"))
    assert figures == {
        "radio_backup_last_success_timestamp_seconds": f"{(NOW + timedelta(days=1)).timestamp():.0f}",
        "radio_backup_verified_timestamp_seconds": f"{NOW.timestamp():.0f}",
        "radio_backup_size_bytes": "1000",
        "radio_backup_rows": "10",
    }
    assert metrics([]) == ""


def test_what_is_not_finished_is_no_backup(tmp_path: Path) -> None:
    manifest = {"verified": True, "database": {"rows": {"a": 2, "b": 3}}}
    for name in ("20261121T034000Z", "20261120T034000Z.unfinished", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "radio.dump").write_bytes(b"12345")
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "20261119T034000Z").mkdir()
    (tmp_path / "20261118T034000Z").mkdir()
    (tmp_path / "20261118T034000Z/manifest.json").write_text("{")
    (tmp_path / "latest").symlink_to("20261121T034000Z")
    assert finished(tmp_path) == [Backup(NOW, True, 5, 5, tmp_path / "20261121T034000Z")]


def test_no_dump_is_begun_for_which_there_may_be_no_room(tmp_path: Path) -> None:
    before = tmp_path / "20261120T034000Z"
    before.mkdir()
    (before / "manifest.json").write_text(json.dumps({"verified": True, "database": {"rows": {"a": 1}}}))
    with (before / "radio.dump").open("wb") as dump:
        dump.truncate(8 << 40)
    with pytest.raises(Failed, match=f"no room for a backup: .* MB are free in {tmp_path}"):
        back_up(tmp_path, "demo", daily=7, weekly=4)
    assert [path.name for path in tmp_path.iterdir()] == [before.name]


def test_what_a_copy_needs_is_told_before_a_host_is_touched(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path)
    inventory.append("radio", "backup_copy_to: store.music.net\nbackup_copy_host_key: ''\nbackup_copy_key: secret\n")
    said = " ".join(mistakes_of(inventory))
    for wanted in ("USER@HOST:DIRECTORY", "ssh-keyscan", "is no private SSH key"):
        assert wanted in said
    assert "'secret'" not in said
    inventory.replace("radio", "backup_copy_to: store.music.net", "backup_copy_to: radio@store.music.net:.")
    inventory.replace(
        "radio", "backup_copy_host_key: ''", "backup_copy_host_key: store.music.net ssh-ed25519 AAAAC3Nz"
    )
    inventory.replace("radio", "backup_copy_key: secret", "backup_copy_key: '-----BEGIN OPENSSH PRIVATE KEY-----'")
    assert mistakes_of(inventory) == []
