"""What a look found: what is wrong, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["fault", "warning"]
State = Literal["well", "warning", "fault", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. A fault keeps something from working; a warning will, or may."""

    severity: Severity
    what: str
    where: str
    mend: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one check saw. `said` is what it looked at, or why it could not look."""

    check: str
    said: str
    findings: tuple[Finding, ...] = field(default=())
    skipped: bool = False

    @property
    def state(self) -> State:
        """The worst of it."""
        if self.skipped:
            return "skipped"
        found = {finding.severity for finding in self.findings}
        return "fault" if "fault" in found else "warning" if found else "well"

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        findings = [asdict(finding) for finding in self.findings]
        return {"check": self.check, "state": self.state, "said": self.said, "findings": findings}


def look(check: str, said: str, findings: Iterable[Finding] = ()) -> Look:
    """What was seen."""
    return Look(check, said, tuple(findings))


def not_looked(check: str, why: str) -> Look:
    """Nothing could be seen, and that is no fault."""
    return Look(check, why, skipped=True)
