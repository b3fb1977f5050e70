"""How many cases each target got, in the summary: a fuzzer that was not fed looks like one that found nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.fuzz.cases import TALLY, Tally

LEAST = 100_000
"""Cases of the long profile, all targets together: with fewer a run of the whole directory fails."""
HERE = Path(__file__).parent
_WHOLE = pytest.StashKey[bool]()
_TOO_FEW = pytest.StashKey[str]()

# `make fuzz` takes it with --hypothesis-profile; every other run is the short one.
settings.register_profile("fuzz", max_examples=1000, print_blob=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Whether every file of this directory is there, before some of its tests are left out."""
    files = set(HERE.glob("test_*.py"))
    # What is chosen by name has only a part of a file's tests.
    chosen = any("::" in str(argument) for argument in config.args)
    config.stash[_WHOLE] = not chosen and files <= {item.path for item in items}


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """By -k, -m or --last-failed."""
    for item in items:
        item.config.stash[_WHOLE] = False


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands its counts to whoever writes the summary, who judges the sum."""
    whole = session.config.stash.get(_WHOLE, False)
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["fuzz"] = {target: (found.cases, found.slowest) for target, found in TALLY.items()}
        output["fuzz_whole"] = whole
        return
    cases = sum(found.cases for found in TALLY.values())
    long = settings.get_current_profile_name() == "fuzz" and not session.config.option.collectonly
    ended = session.shouldfail or session.shouldstop  # before its end, by -x or by hand
    if whole and long and not ended and cases < LEAST:
        session.config.stash[_TOO_FEW] = f"{cases} cases are too few: the whole directory must come to {LEAST}"
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take them."""
    output = getattr(node, "workeroutput", {})
    # Each worker has collected everything, whichever of it was its own to run.
    node.config.stash[_WHOLE] = output.get("fuzz_whole", False)
    for target, (cases, slowest) in output.get("fuzz", {}).items():
        found = TALLY.setdefault(target, Tally())
        found.cases += cases
        found.slowest = max(found.slowest, slowest)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table."""
    too_few = terminalreporter.config.stash.get(_TOO_FEW, None)
    if not TALLY and too_few is None:
        return
    terminalreporter.section("fuzzing")
    for target, found in sorted(TALLY.items()):
        terminalreporter.write_line(
            f"{target:<44} {found.cases:>8} cases {found.slowest * 1000:>8.1f} ms CPU at most"
        )
    terminalreporter.write_line(f"{'all':<44} {sum(found.cases for found in TALLY.values()):>8} cases")
    if too_few is not None:
        terminalreporter.write_line(too_few, red=True)
