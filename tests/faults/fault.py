"""What a fault is, and what one measurement of it gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.alerts import Told
from tests.faults.watch import Seen

if TYPE_CHECKING:
    from tests.faults.stage import Stage

Deed = Callable[["Stage"], None]


def nothing(_stage: Stage) -> None:
    """For a fault that needs no preparation, or mends itself."""


class Unavailable(RuntimeError):
    """This machine or this release can't have that fault; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: what it does, how it is undone, and what is expected of the station meanwhile.

    `prepare` and `cleanup` set the stage and are not measured; they may take the station off the air. The fault lasts
    `hold` seconds, or longer when an alert is waited for: until that fires.
    """

    name: str
    what: str
    """For the table: what is done, and for how long."""
    do: Deed
    undo: Deed = nothing
    prepare: Deed = nothing
    cleanup: Deed = nothing
    hold: float = 6.0
    song: bool = True
    """Whether a song begins meanwhile; not where the fault is in the songs, or in a picture that one would change."""
    alert: str | None = None
    """The alert that must come of it."""
    off_air: float = 0.0
    """The most seconds off the air, at a destination that the fault isn't about."""
    lost: int = 0
    """The most frames lost there."""
    second_off_air: float | None = None
    """Where the fault is about the second destination alone: the most seconds there. None: the same as the first."""
    recovery: float = 30.0
    """The most seconds until all is well."""
    plays_lost: int = 0
    """The most plays without a row."""
    why: str = ""
    """Where figures other than none are allowed: why."""


@dataclass(slots=True)
class Measured:
    """One fault's figures. Times in seconds; `problems` is what was not as expected, empty when all was."""

    fault: Fault
    first: Seen
    second: Seen
    alert: Told | None
    others: list[str]
    """Other alerts that became pending meanwhile."""
    lasted: float
    recovery: float | None
    """From the fault's end until all was well; None when that was not within the fault's limit."""
    told: int
    rows: int
    date: str = ""
    problems: list[str] = field(default_factory=list)


def judge(measured: Measured) -> list[str]:
    """What is not as the fault expects, each as a sentence."""
    fault, problems = measured.fault, []
    allowed = fault.off_air if fault.second_off_air is None else fault.second_off_air
    for name, seen, limit in (("the first", measured.first, fault.off_air), ("the second", measured.second, allowed)):
        if seen.off_air > limit:
            problems.append(f"off the air for {seen.off_air:.1f} s at {name} destination, {limit:g} s allowed")
    both = (("the first", measured.first), ("the second", measured.second))
    for name, seen in both if fault.second_off_air is None else both[:1]:
        if seen.lost > fault.lost:
            problems.append(f"{seen.lost} frames lost at {name} destination, {fault.lost} allowed")
    if measured.recovery is None:
        problems.append(f"not well within {fault.recovery:g} s")
    if measured.told - measured.rows > fault.plays_lost:
        problems.append(f"{measured.told - measured.rows} plays have no row, {fault.plays_lost} allowed")
    if measured.alert is not None and measured.alert.missed:
        problems.append(f"{measured.alert.name} did not {measured.alert.missed} within {measured.lasted:.0f} s")
    return problems
