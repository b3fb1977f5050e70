"""Which events to act on: AzuraCast never retries, but it repeats itself, holds events back and sends old
snapshots.

The rules come from how AzuraCast behaves:

- Backups hold events back; they arrive later in a burst, with the snapshots of then. The newest (`played_at`,
  `sh_id`) counts and what is older is dropped. `played_at` decides, since a restored database makes `sh_id`
  go back; `sh_id` settles what happened in the same second.
- A webhook without triggers fires every 10 to 16 s, and the same truth arrives by more than one way:
  duplicates.
- The same `sh_id` with another song is a live show whose metadata changed: it counts. Of two such, the one
  with the larger `elapsed` is the later.
- `sh_id` 0 is a station that is offline or restarting; the real track follows, and counts even if it is the
  very one that was playing before. The offline body's `elapsed` is the time it was written, which tells an
  old one from a new.
- The original's small body has neither number: there only a change of the song itself can be seen.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from .nowplaying import TrackEvent
from .track_key import track_key

Verdict = Literal["fresh", "duplicate", "stale", "offline"]

DISPLAY_DELAY: Final = 6.0
"""Seconds. AzuraCast's `played_at` is 5 s later than the play: two times of one body can differ by that, and
rounding.
"""

MAX_AHEAD: Final = 300.0
"""Seconds that a station's clock may be ahead of ours before a `played_at` in the future is no longer
believed.
"""

_EPOCH: Final = 1_000_000_000
"""An `elapsed` beyond this is not the age of a song but a time (after 2001)."""


@dataclass(slots=True)
class _Last:
    """The newest event of a station; before the first, one that every event differs from. Times are unix seconds."""

    identity: str = ""
    sh_id: int | None = None
    played_at: float | None = None
    elapsed: float | None = None
    offline: bool = False
    offline_at: float | None = None


class Gate:
    """Recognises duplicates and stale events, station by station. Safe to share between threads.

    It keeps one small record for every station it has been shown: show it configured stations only.
    `clock` gives unix seconds and is used for one thing, to notice a station whose clock is far ahead.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, _Last] = {}

    def admit(self, event: TrackEvent) -> Verdict:
        """Judge an event and, when it is fresh or the station went offline, remember it as the newest.

        "offline" is answered once; the ones that follow, with nothing between, are duplicates.
        """
        with self._lock:
            last = self._last.setdefault(event.station, _Last())
            if not event.online:
                return self._went_offline(last, event)
            # A title made of signs alone has no key, but is not every other such title.
            identity = event.song_id or track_key(event.artist, event.title) or f"{event.artist}\n{event.title}"
            judge = self._after_offline if last.offline else self._compare
            verdict = judge(last, event, identity)
            if verdict == "duplicate" and event.elapsed is not None:
                last.elapsed = max(last.elapsed or 0.0, event.elapsed)
            if verdict == "fresh":
                last.identity, last.elapsed, last.offline = identity, event.elapsed, False
                # The small body says nothing of either: what is known stays, so that an old real body is
                # still old.
                last.sh_id = event.sh_id if event.sh_id is not None else last.sh_id
                last.played_at = event.played_at if event.played_at is not None else last.played_at
            return verdict

    def state(self) -> dict[str, dict[str, Any]]:
        """What is remembered, as plain JSON values: kept over a restart, repeated events stay duplicates."""
        with self._lock:
            return {station: asdict(last) for station, last in self._last.items()}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what `state()` gave. Entries that are not of that shape are left out."""
        names = {field.name for field in fields(_Last)}
        with self._lock:
            self._last.update({station: _Last(**entry) for station, entry in state.items() if names == set(entry)})

    def _went_offline(self, last: _Last, event: TrackEvent) -> Verdict:
        written = event.elapsed if event.elapsed is not None and event.elapsed > _EPOCH else None
        if last.offline:
            last.offline_at = max(written or 0.0, last.offline_at or 0.0) or None
            return "duplicate"
        seen = _written(last.played_at, last.elapsed)
        if written is not None and seen is not None and written + DISPLAY_DELAY < seen:
            return "stale"
        last.offline, last.offline_at = True, written
        return "offline"

    def _after_offline(self, last: _Last, event: TrackEvent, identity: str) -> Verdict:
        verdict = self._compare(last, event, identity)
        if verdict != "duplicate":
            return verdict
        # The very track from before. The station is back with it, unless this body is from before as well.
        seen = _written(event.played_at, event.elapsed)
        capped = event.duration is not None and event.elapsed is not None and event.elapsed >= event.duration
        if last.offline_at is not None and seen is not None and not capped and seen + DISPLAY_DELAY < last.offline_at:
            return "duplicate"
        return "fresh"

    def _compare(self, last: _Last, event: TrackEvent, identity: str) -> Verdict:
        order = self._order(last, event)
        if order:
            return "fresh" if order > 0 else "stale"
        if identity == last.identity:
            return "duplicate"
        in_sequence = event.sh_id is not None or event.played_at is not None
        if in_sequence and event.elapsed is not None and last.elapsed is not None and event.elapsed < last.elapsed:
            return "stale"
        return "fresh"

    def _order(self, last: _Last, event: TrackEvent) -> int:
        """1 if the event is of a later play than the last one, -1 if of an earlier, 0 if of the same or
        unknown.
        """
        by_time = _sign(event.played_at, last.played_at)
        by_row = _sign(event.sh_id, last.sh_id)
        if by_time < 0 < by_row and last.played_at is not None and last.played_at > self._clock() + MAX_AHEAD:
            # The station's clock was far ahead and has been set right. Going by time alone, nothing would be
            # believed until the old, wrong time is reached.
            return by_row
        return by_time or by_row


def _sign(new: float | None, old: float | None) -> int:
    if new is None or old is None:
        return 0
    return (new > old) - (new < old)


def _written(played_at: float | None, elapsed: float | None) -> float | None:
    """When a body was written, at the earliest: `elapsed` stands still at the song's end."""
    if not played_at or elapsed is None or elapsed > _EPOCH:
        return None
    return played_at + elapsed
