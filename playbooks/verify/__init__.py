"""The operator's check of what runs: each finding is a line that says PASS or FAIL, and how to mend what failed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One finding. `fix` is for those that failed."""

    ok: bool
    what: str
    found: str
    fix: str = ""


def table(verdicts: list[tuple[str, Verdict]]) -> str:
    """What the operator reads: a line for each host's findings, and below a failed one how to mend it."""
    hosts = max((len(host) for host, _ in verdicts), default=0)
    whats = max((len(one.what) for _, one in verdicts), default=0)
    lines = []
    for host, one in verdicts:
        lines.append(f"{'PASS' if one.ok else 'FAIL'}  {host:<{hosts}}  {one.what:<{whats}}  {one.found}".rstrip())
        if not one.ok and one.fix:
            lines.append(f"      {'':<{hosts}}  -> {one.fix}")
    failed = sum(not one.ok for _, one in verdicts)
    lines += ["", f"{failed} of {len(verdicts)} failed" if failed else f"all {len(verdicts)} passed"]
    return "\n".join(lines)
