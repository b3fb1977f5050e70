"""What a person puts on the air in place of what the tracks ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from hook_service.web.plays import Play

Kind = Literal["hold", "switch", "slate"]
RULE: Final = "manual"
"""What the history has as the rule of a track that began meanwhile."""


@dataclass(frozen=True, slots=True)
class Override:
    """A loop (None: the slate) that stays whatever track begins, until `until`, or until it is released where that is
    None. Times are Unix seconds; `by` is who ordered it.
    """

    kind: Kind
    loop: str | None
    since: float
    until: float | None
    by: str
    request_id: str

    def over(self, now: float) -> bool:
        """Whether its time is up."""
        return self.until is not None and now >= self.until

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes an equal one."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Override:
        """Raises KeyError, TypeError or ValueError for what `to_json` did not write."""
        until = document["until"]
        return cls(
            kind=document["kind"],
            loop=document["loop"],
            since=float(document["since"]),
            until=None if until is None else float(until),
            by=str(document["by"]),
            request_id=str(document["request_id"]),
        )


def waiting(plays: Iterable[Play], current: str | None) -> list[Play]:
    """The plays that have not begun, of all that are remembered, in the order in which they were decided."""
    found: list[Play] = []
    for play in plays:
        found = [] if play.play_id == current else [*found, play]
    return found
