"""`python -m tests.soak`: an hour on the air a fault every minute. Exit 1 when something was wrong."""

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.bench import report
from tests.bench.outcome import Part, Table, rounded
from tests.rig.nginx import ROOT
from tests.soak import course
from tests.soak.verdict import judge

FULL_SECONDS = 3600


def main() -> int:
    """Run, print, write. A run of less than an hour writes nothing unless `--out` says where."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=FULL_SECONDS)
    parser.add_argument("--out", type=Path, help="directory for soak.md and soak.json (default: docs)")
    options = parser.parse_args()
    if options.seconds < 120:
        parser.error("a run takes 120 seconds at least: there is a fault a minute, and a minute without one")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    place = Path(tempfile.mkdtemp(prefix="steadycast-soak-"))
    place.chmod(0o711)  # servers that run as other users have to get to their files
    began = time.monotonic()
    try:
        part = judge(course.run(place, options.seconds, _say))
    finally:
        course.clear(place)
    minutes = (time.monotonic() - began) / 60
    about = report.machine() | {"date": report.now(), "command": f"`make soak SECONDS={options.seconds:.0f}`"}
    document = markdown(part, about, options.seconds / 60)
    print(document)
    out = options.out or (ROOT / "docs" if options.seconds >= FULL_SECONDS else None)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "soak.md").write_text(document)
        (out / "soak.json").write_text(as_json(part, about, minutes))
    missed = [check for check in part.checks if not check.met]
    for check in missed:
        print(f"missed: {check.what}: {check.measured}, required {check.required}", file=sys.stderr)
    return 1 if missed else 0


def markdown(part: Part, about: dict[str, str], minutes: float) -> str:
    """The whole document."""
    faults, processes = map(report.table, part.tables)
    about_faults, about_traffic, about_processes, about_alignment = part.notes
    return "\n\n".join([
        "# Soak",
        f"Written by {about['command']}: one station on the air for {minutes:.0f} minutes, a fault every minute. "
        "Its engine is Liquidsoap into Icecast, its AzuraCast tells by webhook, event stream and API; of its two "
        "destinations one is watched from the platform's side, frame by frame. The same figures are in "
        "[soak.json](soak.json).",
        report.table(report.requirements(part.checks)),
        about_traffic,
        "## Faults", faults, about_faults,
        "## Memory, descriptors, threads", processes, about_processes,
        "## Sound and picture", about_alignment,
        "## The machine", report.table(Table(["", ""], [[key, value] for key, value in about.items()])),
    ]) + "\n"  # fmt: skip


def as_json(part: Part, about: dict[str, str], minutes: float) -> str:
    """The same for machines."""
    document = {
        "machine": about,
        "minutes": minutes,
        "met": all(check.met for check in part.checks),
        "checks": [
            {"what": check.what, "measured": check.measured, "required": check.required, "met": check.met}
            for check in part.checks
        ],
        **part.figures,
    }
    return json.dumps(rounded(document), indent=2, ensure_ascii=False) + "\n"


def _say(text: str) -> None:
    print(f"soak: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _ended(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
