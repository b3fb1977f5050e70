"""The run as Markdown and as JSON, with the machine it was made on."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
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
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": f"`{COMMAND}`",
    }


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


def markdown(parts: dict[str, Part], about: dict[str, str], others: dict[str, float], minutes: float) -> str:
    """The whole document."""
    checks = [check for part in parts.values() for check in part.checks]
    busy = max(others.values(), default=0.0)
    out = [
        "# Benchmarks",
        f"Written by `{COMMAND}` ({minutes:.0f} minutes): every figure here comes from one run of it, on real "
        "servers on loopback: Icecast, PostgreSQL, nginx-rtmp as the relay and a second nginx-rtmp as the platform. "
        "The same figures are in [benchmarks.json](benchmarks.json).",
        table(requirements(checks)),
        "## The machine",
        table(Table(["", ""], [[key, value] for key, value in about.items()])),
        f"Processes that were no part of the run used at most {busy:.0f} % of a core during any part of it.",
    ]
    for part in parts.values():
        out += [f"## {part.title}", *map(table, part.tables), *part.notes]
    return "\n\n".join(out) + "\n"


def as_json(parts: dict[str, Part], about: dict[str, str], others: dict[str, float], minutes: float) -> str:
    """The same for machines."""
    document: dict[str, Any] = {
        "machine": about,
        "minutes": minutes,
        "others_cpu_percent": others,
        "met": all(check.met for part in parts.values() for check in part.checks),
        "checks": [
            {
                "part": name,
                "what": check.what,
                "measured": check.measured,
                "required": check.required,
                "met": check.met,
            }
            for name, part in parts.items()
            for check in part.checks
        ],
        "parts": {name: part.figures for name, part in parts.items()},
    }
    return json.dumps(rounded(document), indent=2, ensure_ascii=False) + "\n"
