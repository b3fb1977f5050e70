"""How many cases each target got, in the summary: a fuzzer that was not fed looks like one that found nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

from tests.fuzz.cases import TALLY, Tally

# `make fuzz` takes it with --hypothesis-profile; every other run is the short one.
settings.register_profile("fuzz", max_examples=1000, print_blob=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands its counts to whoever writes the summary."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["fuzz"] = {target: (found.cases, found.slowest) for target, found in TALLY.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take them."""
    for target, (cases, slowest) in getattr(node, "workeroutput", {}).get("fuzz", {}).items():
        found = TALLY.setdefault(target, Tally())
        found.cases += cases
        found.slowest = max(found.slowest, slowest)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table."""
    if not TALLY:
        return
    terminalreporter.section("fuzzing")
    for target, found in sorted(TALLY.items()):
        terminalreporter.write_line(
            f"{target:<44} {found.cases:>8} cases {found.slowest * 1000:>8.1f} ms CPU at most"
        )
    terminalreporter.write_line(f"{'all':<44} {sum(found.cases for found in TALLY.values()):>8} cases")
