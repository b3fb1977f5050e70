"""Which broadcast a stream is on, and what is to be done about one that has ended. Pure: no clock, no network.

The rules of the public API description that count here: a broadcast that is `complete` never airs again; to go on, a
new one is made, the stream is bound to it, and it is started (`transition` to `live`, for which the stream must be
`active`, and which needs no test before where its monitor stream is off).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from hook_service.youtube.answers import LIFE_CYCLE, Broadcast, Stream

APART: Final = 3600.0
"""Seconds between two broadcasts that are made, whatever happens: viewers follow none that changes more often, and
each costs 150 of the 10,000 units that Google allows in a day.
"""
TRY_FIRST: Final = 60.0
"""Seconds between two attempts to bind and start one; doubles up to `APART`. Each attempt costs 50 units."""
AIRING: Final = ("live", "liveStarting", "testing", "testStarting")
"""Somebody, or we, have started it."""
_WAITING = ("created", "ready")
_RANK = ("live", "liveStarting", "testing", "testStarting", "ready", "created", "complete", "revoked")
_LIKE_SNIPPET = ("title", "description")
_LIKE_STATUS = ("privacyStatus", "selfDeclaredMadeForKids")
_LIKE_DETAILS = (
    "closedCaptionsType", "enableDvr", "enableEmbed", "latencyPreference", "projection", "recordFromStart"
)  # fmt: skip
_SOON = 60


@dataclass(frozen=True, slots=True)
class Memory:
    """What must outlive the process, times in Unix seconds. `last` is the last broadcast that was seen on the stream;
    `made` the one that was made in its place, and `made_at` when. `asked` is the beginning for which one was asked
    that YouTube has not told the id of: by it, one that was made all the same is known again. `tried_at` and `tries`
    are the attempts that have led to nothing since.
    """

    last: str | None = None
    made: str | None = None
    made_at: float = 0.0
    asked: float | None = None
    tried_at: float = 0.0
    tries: int = 0

    @property
    def known(self) -> list[str]:
        """Broadcasts to ask for by their ids: an ended one need not be in any list."""
        return list(dict.fromkeys(one for one in (self.made, self.last) if one))


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done next. `create`: one like `broadcast`; `air`: bind this one to the stream and start it."""

    what: Literal["create", "air"]
    broadcast: Broadcast


def current(broadcasts: Iterable[Broadcast], stream: str, known: Iterable[str] = ()) -> Broadcast | None:
    """The broadcast that a stream is on: the one that airs, else one that waits, else the last that ended.

    `known` are broadcasts that count as the stream's as long as they are bound to no other.
    """
    mine = set(known)
    found = [one for one in broadcasts if one.stream == stream or (one.stream is None and one.id in mine)]
    latest = sorted(found, key=lambda one: one.at, reverse=True)
    return min(latest, key=lambda one: _RANK.index(one.life_cycle) if one.life_cycle in _RANK else 99, default=None)


def next_step(
    stream: Stream, found: Broadcast | None, broadcasts: Iterable[Broadcast], memory: Memory, now: float
) -> Step | None:
    """What to do so that viewers see the stream again, None for nothing.

    Nothing is done while YouTube receives nothing: there would be nothing to see. Nor with one that YouTube took down
    (`revoked`), nor with one that somebody else prepared: that is theirs to start.
    """
    if stream.status != "active" or (found is not None and found.life_cycle in AIRING):
        return None
    if abs(now - memory.tried_at) < _pause(memory.tries):  # however the clock is set meanwhile
        return None
    made = next((one for one in broadcasts if one.life_cycle in _WAITING and _is_made(one, memory)), None)
    if made is not None:
        return Step("air", made)
    if found is not None and found.life_cycle == "complete" and abs(now - memory.made_at) >= APART:
        return Step("create", found)
    return None


def _is_made(one: Broadcast, memory: Memory) -> bool:
    if memory.asked is not None:
        return one.stream is None and one.scheduled == memory.asked
    return one.id == memory.made


def _pause(tries: int) -> float:
    return min(TRY_FIRST * 2.0 ** (min(tries, 16) - 1), APART) if tries else 0.0


def soon(now: float) -> float:
    """When a new broadcast is to begin, in whole Unix seconds: it must lie in the future."""
    return float(int(now) + _SOON)


def like(ended: Broadcast, begins: float) -> dict[str, Any]:
    """The body of an `insert`: a broadcast like the one that ended, which `begins` then.

    It starts by itself once the stream is there and is not ended when that pauses; its monitor stream is off, as one
    with it would have to be tested first.
    """
    snippet, status, details = (_section(ended.resource, name) for name in ("snippet", "status", "contentDetails"))
    return {
        "snippet": {
            "title": ended.title or "Live",
            **{name: snippet[name] for name in _LIKE_SNIPPET if isinstance(snippet.get(name), str) and snippet[name]},
            "scheduledStartTime": datetime.fromtimestamp(begins, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        # Required; one that says nothing of who may see it is seen by nobody.
        "status": {"privacyStatus": "private"} | {name: status[name] for name in _LIKE_STATUS if name in status},
        "contentDetails": {name: details[name] for name in _LIKE_DETAILS if name in details}
        | {"enableAutoStart": True, "enableAutoStop": False, "monitorStream": {"enableMonitorStream": False}},
    }


def trouble(stream: Stream, found: Broadcast | None, rebind: bool) -> str | None:
    """Why viewers see nothing, or see it badly, with what to do about it; None where all is well."""
    said = _of_broadcast(found, rebind)
    if said is None and stream.status != "active":
        said = "YouTube receives nothing; see the destination's own state"
    if said is None and stream.health == "revoked":
        said = "YouTube has taken the stream down; see YouTube Studio"
    if said is None and stream.health in ("bad", "noData"):
        worst = sorted(stream.issues, key=lambda issue: issue.severity != "error")[:1]
        why = f": {worst[0].description or worst[0].reason or worst[0].kind}" if worst else ""
        said = f"YouTube calls what it receives {stream.health}{why}"
    return said


def _of_broadcast(found: Broadcast | None, rebind: bool) -> str | None:
    if found is None:
        return "no broadcast is bound to the stream; make one in YouTube Studio"
    if found.life_cycle == "complete":
        then = "another follows, one in an hour at most" if rebind else "start one in YouTube Studio, or set rebind"
        return f"the broadcast has ended; {then}"
    if found.life_cycle == "revoked":
        return "YouTube has taken the broadcast down; see YouTube Studio"
    if found.life_cycle in _WAITING:
        return "the broadcast has not been started; start it in YouTube Studio"
    if found.life_cycle not in LIFE_CYCLE:
        return f"the broadcast is {found.life_cycle or 'in no state'}, which is not known here"
    return None


def _section(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = resource.get(name)
    return found if isinstance(found, dict) else {}
