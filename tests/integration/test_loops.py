"""A loop is deleted, damaged or replaced while it is on the air, a mapping leads nowhere: the default loop shows."""

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.onair import assert_unbroken, errors, history, metric, show, shown, wait_frames
from tests.rig import media
from tests.rig.azuracast import Track
from tests.rig.net import wait_until
from tests.rig.station import MEDIA_CACHE, Station

# A file is looked at every two seconds; what is gone is given up at the next look.
NOTICED = 5.0
# What could not be shown is tried again every ten seconds, and may have to be prepared first.
MENDED = 20.0


@pytest.fixture
def victim(station: Station) -> Path:
    """A loop of 4 s that nobody else shows, prepared; the strip says coral. Default is on the air."""
    source = media.make(MEDIA_CACHE, "victim.mp4", media.loop_args(media.LOOPS[1], seconds=4))
    victim = station.loops / f"victim-{time.time_ns()}.mp4"
    shutil.copy(source, victim)
    show(station, victim.name)
    station.wait_on_air(victim.name)
    wait_until(lambda: not station.status()["on_air"]["preparing"], "the whole loop", 20)
    show(station, "default.mp4")
    station.wait_on_air("default.mp4")
    return victim


def counted(station: Station) -> float:
    return metric(station, "radio_errors_total", {"station": "demo", "severity": "ERROR"})


def said(station: Station, since: float, name: str) -> bool:
    """Whether the error log has a word about this loop since a Unix time."""
    return any(severity == "ERROR" and name in message for _, severity, message in errors(station, since))


def replace(path: Path, source: Path) -> None:
    """As an operator's upload does: whole, under the same name."""
    part = path.with_suffix(".part")
    shutil.copy(source, part)
    part.replace(path)


def delete(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3)


def rubbish(path: Path) -> None:
    path.write_text("#EXTM3U\nfile:///etc/passwd\n")


@pytest.mark.parametrize("harm", [delete, truncate, rubbish])
def test_loop_is_harmed_on_the_air(station: Station, victim: Path, harm: Callable[[Path], None]) -> None:
    begun, before = time.time(), counted(station)
    good = victim.with_suffix(".good")
    shutil.copy(victim, good)
    with station.capture() as capture:
        track = show(station, victim.name)
        station.wait_on_air(victim.name)
        wait_frames(capture, 15)
        harm(victim)
        harmed = time.time()
        station.wait_on_air("default.mp4", seconds=NOTICED)
        wait_until(lambda: said(station, begun, victim.name), "a row in the error log", 5)
        assert counted(station) > before
        wait_frames(capture, 15)
        replace(victim, good)
        mended = time.time()
        station.wait_on_air(victim.name, seconds=MENDED)
        wait_frames(capture, 15)
    assert_unbroken(capture)
    seen = shown(capture)
    assert [one.loop for one in seen] == ["default", "coral", "default", "coral"]
    print("noticed after", round(seen[2].at - harmed, 2), "s, mended after", round(seen[3].at - mended, 2), "s")
    # The play went on all the time, and its row says what was wrong with it.
    show(station, "default.mp4")
    wait_until(lambda: [row["had_errors"] for row in history(station, [track])] == [True], "its row", 10)
    assert victim.name in history(station, [track])[0]["error"]


def test_loop_is_replaced_on_the_air(station: Station, victim: Path) -> None:
    before = counted(station)
    with station.capture() as capture:
        show(station, victim.name)
        station.wait_on_air(victim.name)
        wait_frames(capture, 15)
        replace(victim, station.loops / "lagoon.mp4")
        wait_until(lambda: station.status()["on_air"]["reason"] == "replaced", "the new one", NOTICED)
        wait_frames(capture, 15)
    assert_unbroken(capture)
    assert [one.loop for one in shown(capture)] == ["default", "coral", "lagoon"]
    assert counted(station) == before


def zero(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(100_000))


@pytest.mark.parametrize("harm", [truncate, zero])
def test_prepared_file_is_damaged(station: Station, victim: Path, harm: Callable[[Path], None]) -> None:
    begun, before = time.time(), counted(station)
    # The one that was prepared last.
    body = max((station.run_dir / "library").glob("*/*/body.flv"), key=lambda path: path.stat().st_mtime)
    with station.capture() as capture:
        show(station, victim.name)
        station.wait_on_air(victim.name)
        wait_frames(capture, 15)
        harm(body)
        station.wait_on_air("default.mp4", seconds=10)
        wait_until(lambda: said(station, begun, victim.name), "a row in the error log", 5)
        assert counted(station) > before
        station.wait_on_air(victim.name, seconds=MENDED)
        wait_frames(capture, 180)
        assert station.on_air() == victim.name
    assert_unbroken(capture)
    assert [one.loop for one in shown(capture)] == ["default", "coral", "default", "coral"]


@pytest.mark.parametrize("loop", ["nowhere.mp4", "../credentials/api-token", "/etc/hostname"])
@pytest.mark.parametrize("where", ["mapping", "custom field"])
def test_mapping_leads_nowhere(station: Station, loop: str, where: str) -> None:
    show(station, "coral.mp4")
    station.wait_on_air("coral.mp4")
    begun, before = time.time(), metric(station, "radio_errors_total", {"station": "demo"})
    title = f"{where} {loop} {secrets.token_hex(3)}".replace("/", " ")
    track = Track("Misled", title, loop=loop if where == "custom field" else None)
    if where == "mapping":
        key = f"misled - {track.title}".lower().replace(".", "").replace("  ", " ")
        station.sql("INSERT INTO track_mappings (track_key, loop_file_path) VALUES (%s, %s)", [key, loop])
        time.sleep(1.0)
    with station.capture() as capture:
        assert station.webhook(track) == 202
        station.wait_on_air("default.mp4")
        wait_frames(capture, 15)
    assert_unbroken(capture, decode=False)
    assert [one.loop for one in shown(capture)] == ["coral", "default"]
    wait_until(lambda: errors(station, begun), "a row in the error log", 5)
    print(errors(station, begun))
    assert metric(station, "radio_errors_total", {"station": "demo"}) > before
    wait_until(lambda: len(history(station, [track])) == 1, "its row", 10)
    assert history(station, [track])[0]["loop"].endswith("default.mp4")


def test_missing_loop_is_uploaded_later(station: Station) -> None:
    missing = station.loops / f"later-{time.time_ns()}.mp4"
    show(station, missing.name)
    station.wait_on_air("default.mp4")
    with station.capture() as capture:
        replace(missing, station.loops / "honey.mp4")
        station.wait_on_air(missing.name, seconds=MENDED)
        wait_frames(capture, 15)
    assert_unbroken(capture, decode=False)
    assert [one.loop for one in shown(capture)] == ["default", "honey"]
