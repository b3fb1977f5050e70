"""The run as Markdown and as JSON, with the machine it was made on."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hook_service
from tests.bench.outcome import Check, Part, Table, rounded
from tests.rig import child

COMMAND = "make bench"


def machine() -> dict[str, str]:
    """What the figures depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "CPU": _line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "kernel": platform.release(),
        "system": f"{_line('/etc/os-release', 'PRETTY_NAME').strip(chr(34))} ({_text('/etc/debian_version')})",
        "FFmpeg": _first([child.find_program("ffmpeg"), "-version"]).removeprefix("ffmpeg version ").split(" ")[0],
        "nginx": _first([child.find_program("nginx"), "-v"]).rpartition("/")[2],
        **{
            name: _first(["dpkg-query", "-W", "-f", "${Version}", package]) or "not from a package"
            for name, package in {
                "nginx-rtmp": "libnginx-mod-rtmp",
                "Icecast": "icecast2",
                "Liquidsoap": "liquidsoap",
            }.items()
        },
        "Python": platform.python_version(),
        "Steadycast": hook_service.__version__,
    }


def now() -> str:
    """The time, as a reader should see it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _line(path: str, name: str) -> str:
    for line in _text(path).splitlines():
        key, found, value = line.partition("=" if "=" in line and ":" not in line.partition("=")[0] else ":")
        if found and key.strip() == name:
            return value.strip()
    return ""


def _first(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def table(what: Table) -> str:
    """A Markdown table whose columns also line up as plain text."""
    lines = [list(what.header), *map(list, what.rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(what.header))]

    def row(cells: Sequence[str]) -> str:
        first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return "| " + " | ".join([cells[0].ljust(len(first)), *others]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([row(lines[0]), rule, *map(row, lines[1:])])


def requirements(checks: Sequence[Check]) -> Table:
    """What was asked and what came of it."""
    rows = [[check.what, check.measured, check.required, "yes" if check.met else "**no**"] for check in checks]
    return Table(["Requirement", "Measured", "Required", "Met"], rows)


@dataclass(frozen=True, slots=True)
class Run:
    """One part, measured: when (text, UTC), for how long, and what other processes used meanwhile (% of a core)."""

    part: Part
    measured: str
    minutes: float
    others_cpu_percent: float


def markdown(runs: dict[str, Run], about: dict[str, str]) -> str:
    """The whole document."""
    checks = [check for run in runs.values() for check in run.part.checks]
    minutes = sum(run.minutes for run in runs.values())
    when = [
        [run.part.title, run.measured, f"{run.minutes:.1f} min", f"{run.others_cpu_percent:.0f} %"]
        for run in runs.values()
    ]
    out = [
        "# Benchmarks",
        f"Written by `{COMMAND}` ({minutes:.0f} minutes) on real servers on loopback: Icecast, PostgreSQL, "
        "nginx-rtmp as the relay, and another as the platform. One part can be measured anew on the same machine by "
        "`python -m tests.bench --only PART --out docs`; when each was is below. The same figures are in "
        "[benchmarks.json](benchmarks.json).",
        table(requirements(checks)),
        "## The machine",
        table(Table(["", ""], [[key, value] for key, value in about.items()])),
        table(Table(["Part", "Measured", "Took", "Others used at most"], when)),
        "Others are processes that were no part of the run; in percent of one core.",
    ]
    for run in runs.values():
        out += [f"## {run.part.title}", *map(table, run.part.tables), *run.part.notes]
    return "\n\n".join(out) + "\n"


def as_json(runs: dict[str, Run], about: dict[str, str]) -> str:
    """The same for machines, and for `saved`."""
    document: dict[str, Any] = {
        "machine": about,
        "met": all(check.met for run in runs.values() for check in run.part.checks),
        "parts": {name: asdict(run) for name, run in runs.items()},
    }
    return json.dumps(rounded(document), indent=2, ensure_ascii=False) + "\n"


def saved(text: str, about: dict[str, str]) -> dict[str, Run]:
    """The runs of a document that `as_json` wrote. Raises ValueError for those of another machine or release."""
    document = json.loads(text)
    other = [key for key, value in about.items() if document["machine"].get(key) != value]
    if other:
        raise ValueError(f"they were measured with another {', '.join(other)}: measure all parts anew")
    runs = {}
    for name, run in document["parts"].items():
        part = run["part"]
        part["tables"] = [Table(**one) for one in part["tables"]]
        part["checks"] = [Check(**one) for one in part["checks"]]
        runs[name] = Run(**{**run, "part": Part(**part)})
    return runs
