"""The checks of an inventory, before anything is done with it: no host is asked, nothing is changed.

`check()` collects every mistake, so that an operator mends them all at once. Each one names the file, the line where
that can be told, the variable, what is wrong and how to mend it, and never shows a secret.
"""

from __future__ import annotations

from playbooks.preflight import backups, network, secrets, stations, variables
from playbooks.preflight.model import Problem, Site

__all__ = ["Problem", "Site", "check", "count", "report"]

_CHECKS = (variables.check, secrets.check, stations.check, network.check, backups.check)


def check(site: Site) -> list[Problem]:
    """Every mistake, once, in the order of files and lines."""
    found = {problem.key: problem for one in _CHECKS for problem in one(site)}
    return sorted(found.values(), key=lambda problem: (problem.file, problem.line or 0, problem.variable))


def count(problems: list[Problem]) -> str:
    """How many there are, in words."""
    return "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"


def report(problems: list[Problem]) -> str:
    """What the operator reads."""
    lines = [f"{count(problems)} in the inventory:", ""]
    for number, one in enumerate(problems, 1):
        lines += [f"{number:>2}. {one.place}", f"    {one.variable}: {one.fault}", f"    -> {one.fix}"]
    return "\n".join(lines)
