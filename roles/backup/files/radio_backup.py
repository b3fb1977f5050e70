#!/usr/bin/python3
"""Backs up the stations' database on its host, restores the backup to see that it is good, and removes old ones.

Run by radio-backup.service, which says what it may do. It uses nothing but Python's own library and PostgreSQL's
programs, because the database's host need not have anything else of the station.

A backup is a directory of the same form as those that playbooks/backup.yml makes, so that playbooks/restore.yml takes
either. What fails leaves the backups that there are as they were; why it failed is the last line on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

DATABASE = "radio"
SCRATCH = "radio_backup_check"
HOME = Path("/var/backups/radio")
COUNT_ROWS = Path(__file__).with_name("count_rows.sql")

_NAME = re.compile(r"\d{8}T\d{6}Z")
_UNFINISHED = ".unfinished"
# Beside the scratch database itself, all of which goes through the log: PostgreSQL stops when that finds no room.
_ROOM_TO_SPARE = 64 << 20
# What else grows on the dump's disk while it is written.
_ROOM_BESIDE_A_DUMP = 64 << 20


class Failed(Exception):
    """What went wrong, as a sentence for the operator."""


@dataclass(frozen=True, order=True)
class Backup:
    """A finished backup: when its moment was (UTC), whether it was restored, its dump's bytes and rows."""

    taken: datetime
    verified: bool
    size: int
    rows: int
    path: Path


def kept(backups: Iterable[Backup], daily: int, weekly: int) -> set[Path]:
    """Which backups stay: the last of each of the last `daily` days and `weekly` weeks (ISO) that have any.

    One that was restored stands for its day or week before a later one that was not. The newest, and the newest
    that was restored, stay whatever the numbers are.
    """
    best_last = sorted(backups, key=lambda one: (one.verified, one.taken))
    days = {one.taken.date(): one.path for one in best_last}
    weeks = {one.taken.isocalendar()[:2]: one.path for one in best_last}
    chosen = {days[day] for day in sorted(days, reverse=True)[:daily]}
    chosen |= {weeks[week] for week in sorted(weeks, reverse=True)[:weekly]}
    newest = max(best_last, key=lambda one: one.taken, default=None)
    return chosen | {one.path for one in (newest, *best_last[-1:]) if one is not None}


def metrics(backups: Iterable[Backup]) -> str:
    """Figures in Prometheus's text format; of what there is not, there is none."""
    in_order = sorted(backups, key=lambda one: one.taken)
    figures: list[tuple[str, str, float]] = []
    for newest in in_order[-1:]:
        figures += [
            ("last_success_timestamp_seconds", "When the newest backup was taken.", newest.taken.timestamp()),
            ("size_bytes", "Size of the newest backup's dump.", newest.size),
            ("rows", "Rows in the newest backup.", newest.rows),
        ]
    for good in [one for one in in_order if one.verified][-1:]:
        text = "When the newest backup was taken that was restored and had every row."
        figures.append(("verified_timestamp_seconds", text, good.taken.timestamp()))
    return "".join(
        f"# HELP radio_backup_{name} {text}\n# TYPE radio_backup_{name} gauge\nradio_backup_{name} {value:.0f}\n"
        for name, text, value in figures
    )


def finished(home: Path) -> list[Backup]:
    """The backups in `home`, the oldest first. What has no manifest is none, and what is not named by a time is
    somebody else's."""
    found = []
    for path in sorted(home.iterdir()):
        if _NAME.fullmatch(path.name) and not path.is_symlink():
            try:
                manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
                found.append(
                    Backup(
                        datetime.fromisoformat(path.name),
                        bool(manifest["verified"]),
                        (path / "radio.dump").stat().st_size,
                        sum(manifest["database"]["rows"].values()),
                        path,
                    )
                )
            except (OSError, ValueError, KeyError):
                continue
    return found


def back_up(home: Path, host: str, daily: int, weekly: int) -> str:
    """Takes a backup, restores it to see that it can be, then removes what need not be kept; says what was done.

    Raises Failed when there is no backup, or one that could not be restored; then it is kept nevertheless, marked.
    """
    _clean(home)
    taken = datetime.now(UTC)
    place = home / f"{taken:%Y%m%dT%H%M%SZ}{_UNFINISHED}"
    place.mkdir(mode=0o700)
    try:
        _look_for_room_to_dump(home)
        moment = _dump(place)
        (place / "SHA256SUMS").write_text(_run("sha256sum", "radio.dump", cwd=place), encoding="utf-8")
        wrong = _wrong_with(place / "radio.dump", moment["rows"])
        manifest = {"format": 1, "host": host, "time": f"{taken:%Y%m%dT%H%M%SZ}", "secrets": False,
                    "database": moment, "files": ["radio.dump"], "verified": not wrong}  # fmt: skip
        # Last: what has no manifest is no backup.
        (place / "manifest.json").write_text(json.dumps(manifest, indent=4) + "\n", encoding="utf-8")
        # A power cut leaves a whole backup, or none.
        os.sync()
        place = place.rename(place.with_suffix(""))
    finally:
        _clean(home)
    if not wrong:
        _lead(home / "latest", place.name)
    everything = finished(home)
    for gone in {one.path for one in everything} - kept(everything, daily, weekly):
        gone.rename(gone.with_name(gone.name + _UNFINISHED))
    _clean(home)
    if wrong:
        raise Failed(f"{place.name} was kept, but it is not known to be good: {wrong}")
    return f"{place.name}: {sum(moment['rows'].values())} rows, each restored"


def _dump(place: Path) -> dict[str, Any]:
    """The database into `place`/radio.dump; the moment, the version and each table's rows, all of one snapshot."""
    with _session(DATABASE) as ask:
        ask("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1;")
        snapshot = ask("SELECT pg_export_snapshot();")
        # A migration that waits for the dump makes everyone else wait behind it; the dump waits for one no longer.
        _run("pg_dump", f"--dbname={DATABASE}", f"--snapshot={snapshot}", "--format=custom", "--no-owner",
             "--no-acl", "--lock-wait-timeout=60s", f"--file={place / 'radio.dump'}")  # fmt: skip
        moment: dict[str, Any] = json.loads(
            ask(
                "SELECT json_build_object('postgresql', current_setting('server_version_num')::integer / 10000, "
                f"'taken_at', now(), 'rows', coalesce(({COUNT_ROWS.read_text(encoding='utf-8')}), '{{}}'));"
            )
        )
    return moment


def _wrong_with(dump: Path, rows: dict[str, int]) -> str:
    """Restores a dump into a database of its own and counts; a sentence, or nothing when all is there."""
    try:
        _look_for_room_to_restore()
        with _scratch():
            _run("pg_restore", f"--dbname={SCRATCH}", "--no-owner", "--no-acl", "--single-transaction",
                 "--exit-on-error", str(dump))  # fmt: skip
            counted = json.loads(_sql(SCRATCH, COUNT_ROWS.read_text(encoding="utf-8")) or "{}")
    except (Failed, OSError) as failure:
        return str(failure)
    return "" if counted == rows else f"it was taken with the rows {rows}, and {counted} came of it"


def _look_for_room_to_dump(home: Path) -> None:
    """Raises Failed where a dump could fill its disk: that is often the one that the database needs."""
    before = finished(home)
    # A dump is compressed: the first may need as much as the database itself, the next little more than the last.
    needed = 2 * before[-1].size if before else int(_sql(DATABASE, "SELECT pg_database_size(current_database())"))
    _look_for_room("for a backup", home, needed + _ROOM_BESIDE_A_DUMP)


def _look_for_room_to_restore() -> None:
    """Raises Failed where the restored copy could fill the disk that the database itself needs."""
    directory, size = _sql(
        DATABASE, "SELECT current_setting('data_directory'), pg_database_size(current_database())"
    ).rsplit("|", 1)
    _look_for_room("to restore it beside the database", Path(directory), 2 * int(size) + _ROOM_TO_SPARE)


def _look_for_room(what_for: str, directory: Path, needed: int) -> None:
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    if free < needed:
        raise Failed(
            f"there is no room {what_for}: {free >> 20} MB are free in {directory}, {needed >> 20} MB may be needed"
        )


@contextmanager
def _scratch() -> Iterator[None]:
    """An empty database, gone afterwards; one that a run before has left is in nobody's way."""
    drop = f"DROP DATABASE IF EXISTS {SCRATCH}"
    _sql("postgres", drop)
    _sql(
        "postgres",
        f"CREATE DATABASE {SCRATCH} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'",
    )
    try:
        yield
    finally:
        _sql("postgres", drop)


def _clean(home: Path) -> None:
    """Removes what is not a backup yet, or no longer."""
    for path in home.glob(f"*{_UNFINISHED}"):
        shutil.rmtree(path)


@contextmanager
def _session(database: str) -> Iterator[Callable[[str], str]]:
    """A session that stays open; what it yields sends a query and returns the one line of its answer."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as complaints:
        psql = subprocess.Popen(
            [*_PSQL, f"--dbname={database}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True, bufsize=1,
        )  # fmt: skip
        commands, answers = cast(IO[str], psql.stdin), cast(IO[str], psql.stdout)

        def ask(query: str) -> str:
            try:
                commands.write(query.rstrip("\n") + "\n")
                line = answers.readline()
            except BrokenPipeError:
                line = ""
            if not line:
                complaints.seek(0)
                raise Failed(_said("psql", complaints.read()))
            return line.strip()

        try:
            yield ask
        finally:
            psql.kill()
            psql.communicate()


_PSQL = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")


def _sql(database: str, statement: str) -> str:
    return _run(*_PSQL, f"--dbname={database}", f"--command={statement}").strip()


def _run(*command: str, cwd: Path | None = None) -> str:
    """What a program prints; Failed with its own words where it does not end well."""
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise Failed(_said(command[0], done.stderr or f"ended with {done.returncode}"))
    return done.stdout


def _said(program: str, words: str) -> str:
    """A program's own words in one line, and whose they are."""
    line = "; ".join(line.strip() for line in words.splitlines() if line.strip())[:1000]
    return line if line.startswith(f"{program}:") else f"{program}: {line}"


def _lead(link: Path, to: str) -> None:
    new = link.with_name(f".{link.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(to)
    new.replace(link)


def main() -> int:
    """Exit 0 when there is a new backup that is known to be good."""
    parser = argparse.ArgumentParser(prog="radio-backup", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", required=True, help="the name of this host in the inventory")
    parser.add_argument("--daily", type=int, required=True, help="how many days' backups are kept")
    parser.add_argument("--weekly", type=int, required=True, help="how many weeks' backups are kept")
    asked = parser.parse_args()

    # So that what was begun is taken back, also when systemd has waited long enough.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("<3>Ended before it was done."))
    status = 0
    try:
        print(back_up(HOME, asked.host, asked.daily, asked.weekly), flush=True)
    except (Failed, OSError) as failure:
        # The prefix makes it an error in the journal.
        print(f"<3>{failure}", file=sys.stderr, flush=True)
        status = 1
    # The node exporter finds them whole, or as they were.
    figures = Path(os.environ["STATE_DIRECTORY"]) / "metrics.prom"
    new = figures.with_suffix(".new")
    new.write_text(metrics(finished(HOME)), encoding="utf-8")
    new.chmod(0o644)
    new.replace(figures)
    return status


if __name__ == "__main__":
    sys.exit(main())
