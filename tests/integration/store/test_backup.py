"""The nightly backup of a real database: taken, restored, counted; and what is left when it can't be."""

import json
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from roles.backup.files import radio_backup
from tests.rig.postgres import PrivatePostgres

Connection = psycopg.Connection[dict[str, object]]


@pytest.fixture(autouse=True)
def database(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs find the test's own server and database."""
    found = conninfo_to_dict(dsn)
    for name in ("host", "port", "user"):
        monkeypatch.setenv(f"PG{name.upper()}", str(found[name]))
    monkeypatch.setattr(radio_backup, "DATABASE", str(found["dbname"]))


@pytest.fixture
def home(tmp_path: Path, db: Connection) -> Path:
    """A place with one good backup of three mappings; a fourth came after it."""
    db.execute(
        "INSERT INTO track_mappings (station, track_key, loop_file_path) "
        "SELECT 'demo', 'artist - ' || number, 'a.mp4' FROM generate_series(1, 3) AS number"
    )
    assert radio_backup.back_up(tmp_path, "radio1", daily=7, weekly=4)
    db.execute("INSERT INTO track_mappings (station, track_key, loop_file_path) VALUES ('demo', 'b - c', 'a.mp4')")
    # Two in one second would have one name.
    (good,) = radio_backup.finished(tmp_path)
    good.path.rename(tmp_path / "20200101T034000Z")
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to("20200101T034000Z")
    return tmp_path


def manifest(home: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((home / "latest/manifest.json").read_text())
    return found


def left(home: Path, db: Connection) -> list[str]:
    """What a run must not leave."""
    scratch = db.execute("SELECT datname FROM pg_database WHERE datname = %s", [radio_backup.SCRATCH]).fetchall()
    return [str(path) for path in home.glob("*.unfinished")] + [str(row["datname"]) for row in scratch]


def test_a_backup_has_every_row_of_its_moment(home: Path, db: Connection) -> None:
    assert manifest(home)["verified"] is True
    rows = manifest(home)["database"]["rows"]  # type: ignore[index]
    assert rows["track_mappings"] == 3
    assert "play_history" in rows
    radio_backup.back_up(home, "radio1", daily=7, weekly=4)
    assert manifest(home)["database"]["rows"]["track_mappings"] == 4  # type: ignore[index]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=home / "latest", check=True)
    assert left(home, db) == []


def test_what_can_not_be_restored_is_kept_and_not_relied_on(home: Path, db: Connection) -> None:
    # It holds for every row, and can't be seen to hold before the other table is there.
    db.execute(
        "CREATE FUNCTION known(text) RETURNS boolean LANGUAGE sql AS "
        "'SELECT EXISTS (SELECT FROM public.track_mappings WHERE track_key = $1)'"
    )
    db.execute("CREATE TABLE a_favourite (track_key text CHECK (known(track_key)))")
    db.execute("INSERT INTO a_favourite VALUES ('b - c')")
    with pytest.raises(radio_backup.Failed, match=r"was kept.*pg_restore.*a_favourite"):
        radio_backup.back_up(home, "radio1", daily=7, weekly=4)
    assert [one.verified for one in radio_backup.finished(home)] == [True, False]
    assert (home / "latest").readlink().name == "20200101T034000Z"
    assert left(home, db) == []


def test_a_database_that_is_away_leaves_the_backups_as_they_were(
    home: Path, server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(home.iterdir())
    server.stop()
    with pytest.raises(radio_backup.Failed, match="Connection refused"):
        radio_backup.back_up(home, "radio1", daily=1, weekly=0)
    assert sorted(home.iterdir()) == before
    assert manifest(home)["verified"] is True


def test_a_disk_without_room_for_the_restored_copy_is_left_alone(
    home: Path, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio_backup, "_ROOM_TO_SPARE", 1 << 60)
    with pytest.raises(radio_backup.Failed, match="there is no room to restore it beside the database"):
        radio_backup.back_up(home, "radio1", daily=7, weekly=4)
    assert len(radio_backup.finished(home)) == 2
    assert left(home, db) == []


def test_what_a_run_has_left_that_was_killed_is_in_no_ones_way(home: Path, db: Connection) -> None:
    (home / "20200102T034000Z.unfinished").mkdir()
    (home / "20200102T034000Z.unfinished/radio.dump").write_bytes(b"half")
    db.execute(f"CREATE DATABASE {radio_backup.SCRATCH}")
    radio_backup.back_up(home, "radio1", daily=7, weekly=4)
    assert left(home, db) == []
