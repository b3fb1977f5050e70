"""`python -m tests.bench`: all figures in one run, beside the original's design. Exit 1 when one is missed."""

import argparse
import importlib
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.bench import report
from tests.bench.measure import Others
from tests.bench.report import Run
from tests.bench.stage import Stage
from tests.rig.child import become_subreaper, forget_place
from tests.rig.nginx import ROOT

# In the order of the document; each is a module with `measure(stage) -> Part`.
PARTS = (
    "cost", "onair", "transitions", "cards", "latency", "alignment",
    "load", "pages", "stations", "preparing", "library", "mappings", "walk",
)  # fmt: skip


def main() -> int:
    """Run, print, write. A run of a few parts, or a quick one, writes nothing unless `--out` says where."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given more than once")
    parser.add_argument("--quick", action="store_true", help="short, for development: its figures mean little")
    parser.add_argument(
        "--out",
        type=Path,
        help="directory for benchmarks.md and benchmarks.json (default: docs); with --only the other parts that are "
        "there already stay",
    )
    options = parser.parse_args()
    whole = options.only is None and not options.quick
    out = options.out or (ROOT / "docs" if whole else None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    place = Path(tempfile.mkdtemp(prefix="steadycast-bench-"))
    place.chmod(0o711)  # servers that run as other users have to get to their files
    try:
        return _run(Stage(place, options.quick, _say), options.only or PARTS, out)
    finally:
        for name in ("ours", "original"):
            for server in ("postgres", "icecast"):
                forget_place(place / name, server)
        shutil.rmtree(place, ignore_errors=True)


def _run(stage: Stage, names: tuple[str, ...] | list[str], out: Path | None) -> int:
    become_subreaper()
    about = report.machine()
    known: dict[str, Run] = {}
    if out is not None and names is not PARTS and (out / "benchmarks.json").exists():
        try:
            known = report.saved((out / "benchmarks.json").read_text(), about)
        except ValueError as error:
            print(f"bench: the other parts in {out} can't stay: {error}", file=sys.stderr)
            return 1
    runs: dict[str, Run] = {}
    for name in names:
        at, rest = time.monotonic(), Others()
        part = importlib.import_module(f"tests.bench.{name}").measure(stage)
        seconds = time.monotonic() - at
        runs[name] = Run(part, report.now(), seconds / 60, rest.share())
        _say(f"{name}: {seconds:.0f} s")
    print(report.markdown(runs, about))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        whole = {name: (known | runs)[name] for name in PARTS if name in known | runs}
        (out / "benchmarks.md").write_text(report.markdown(whole, about))
        (out / "benchmarks.json").write_text(report.as_json(whole, about))
    missed = [check for run in runs.values() for check in run.part.checks if not check.met]
    for check in missed:
        print(f"missed: {check.what}: {check.measured}, required {check.required}", file=sys.stderr)
    return 1 if missed else 0


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _ended(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
