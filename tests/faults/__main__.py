"""`python -m tests.faults`: every fault on a throwaway host, into docs/RELIABILITY.md.

Exit 1 when one is not as expected.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.outcome import Table
from tests.bench.report import machine, now, table
from tests.faults import around, content, measure, network, processes, report, resources
from tests.faults.fault import Fault, Measured, Unavailable
from tests.faults.stage import Stage
from tests.hosts.group import CHECKOUT
from tests.hosts.shell import HostsError
from tests.rig.net import RigError

FAULTS: dict[str, Fault] = {
    fault.name: fault for part in (processes, network, content, resources, around) for fault in part.FAULTS
}


def main() -> int:
    """Run, print, write. A run of a few faults writes nothing unless `--out` says where."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--only", choices=FAULTS, metavar="NAME", action="append", help="this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--keep", action="store_true", help="leave the hosts there, and take them the next time")
    parser.add_argument(
        "--out",
        type=Path,
        help="directory for RELIABILITY.md and reliability.json (default: docs); with --only the figures of the "
        "other faults that are there already stay",
    )
    options = parser.parse_args()
    if options.list:
        print(table(Table(["Name", "What"], [[fault.name, fault.what] for fault in FAULTS.values()])))
        return 0
    stage = Stage(Path(os.environ.get("RUN_DIR") or ".run") / "faults")
    out = options.out or (None if options.only else CHECKOUT / "docs")
    try:
        stage.open()
        return _run(stage, [FAULTS[name] for name in options.only or FAULTS], out, anew=options.only is None)
    except (HostsError, RigError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    finally:
        stage.close()
        if not options.keep:
            stage.down()


def _run(stage: Stage, wanted: Sequence[Fault], out: Path | None, *, anew: bool) -> int:
    done = Run() if anew or out is None else Run.load(out / "reliability.json")
    for fault in wanted:
        began = time.monotonic()
        done.forget(fault.name)
        try:
            done.found[fault.name] = measure.run(fault, stage)
        except Unavailable as error:
            done.missing[fault.name] = f"{error}."
        except (HostsError, RigError, OSError, KeyError, ValueError) as error:
            # That is a fault of the measuring; the others can still be had.
            done.missing[fault.name] = f"not measured: {str(error).splitlines()[0]}."
            _say(f"{fault.name}: {error!r}")
        seconds = time.monotonic() - began
        done.minutes += seconds / 60
        _tell(fault, done, seconds)
        if out is not None:
            # After each: a long run that breaks off has not been for nothing.
            done.save(out, stage)
    wrong = [f"{name}: {problem}" for name in done.found for problem in done.found[name].problems]
    wrong += [f"{name}: {why}" for name, why in done.missing.items() if why.startswith("not measured")]
    for line in wrong:
        print(f"not as expected: {line}", file=sys.stderr)
    return 1 if wrong else 0


@dataclass(slots=True)
class Run:
    """What was measured, and what could not be, by the faults' names."""

    found: dict[str, Measured] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    minutes: float = 0.0

    @classmethod
    def load(cls, path: Path) -> Run:
        """What an earlier run has saved of faults that there still are; nothing where there is no file."""
        if not path.exists():
            return cls()
        saved = json.loads(path.read_text())
        found = {
            one["name"]: report.from_dict(one, FAULTS[one["name"]])
            for one in saved["faults"]
            if one["name"] in FAULTS
        }
        return cls(found, {name: why for name, why in saved["not_had"].items() if name in FAULTS}, saved["minutes"])

    def forget(self, name: str) -> None:
        """It is measured anew."""
        self.found.pop(name, None)
        self.missing.pop(name, None)

    def save(self, out: Path, stage: Stage) -> None:
        """Both documents, the faults in their own order."""
        system = stage.host(". /etc/os-release; echo $PRETTY_NAME").strip()
        about = machine() | {"date": now(), "host": system, "command": f"`{report.COMMAND}`"}
        found = [self.found[name] for name in FAULTS if name in self.found]
        out.mkdir(parents=True, exist_ok=True)
        (out / "RELIABILITY.md").write_text(report.markdown(found, self.missing, about, self.minutes))
        (out / "reliability.json").write_text(report.as_json(found, self.missing, about, self.minutes))


def _tell(fault: Fault, done: Run, seconds: float) -> None:
    if fault.name in done.missing:
        _say(f"{fault.name}: {done.missing[fault.name]} ({seconds:.0f} s)")
        return
    measured = done.found[fault.name]
    _say(f"{' | '.join(report.row(measured))} ({seconds:.0f} s; others: {', '.join(measured.others) or 'none'})")
    for problem in measured.problems:
        _say(f"  {problem}")


def _say(text: str) -> None:
    print(f"faults: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
