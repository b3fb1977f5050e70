"""An immutable picture of the mappings and defaults in the database, arranged so that a lookup is a
dictionary lookup.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any, Final, NamedTuple

from .track_key import normalise

EVERY_STATION: Final = "*"
KINDS: Final = ("track", "album", "artist", "playlist")
"""What the key of a mapping is the key of: `track_mappings.kind`."""

_RANGE: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")


class MappingRow(NamedTuple):
    """A row of `track_mappings`, as far as it decides."""

    id: int
    station: str
    kind: str
    track_key: str
    azuracast_song_id: str | None
    media_unique_id: str | None
    loop_file_path: str


class DefaultRow(NamedTuple):
    """A row of `default_config`."""

    station: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Daypart:
    """A loop for a part of the day in the station's own time: from `start` up to, not including, `end`.

    Over midnight when `end` is before `start`; the whole day when they are the same.
    """

    start: time
    end: time
    loop: str

    @classmethod
    def parse(cls, text: str, loop: str) -> "Daypart":
        """From "HH:MM-HH:MM"; 24:00 may end it. Raises ValueError."""
        match = _RANGE.fullmatch(text.strip())
        if not match:
            raise ValueError('a part of the day is written "HH:MM-HH:MM", as in "22:00-06:00"')
        hour, minute = (match[3], match[4]) if match[3] else ("0", "0")
        return cls(time(int(match[1]), int(match[2])), time(int(hour), int(minute)), loop)

    def covers(self, at: time) -> bool:
        """Whether `at`, the station's wall clock, lies in this part of the day."""
        at = at.replace(tzinfo=None)
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    @property
    def minutes(self) -> int:
        """How long it lasts."""
        start, end = (moment.hour * 60 + moment.minute for moment in (self.start, self.end))
        return (end - start) % 1440 or 1440


Claims = Mapping[str, Mapping[str, MappingRow]]
"""By station or "*", then by normalised key or id.

There may be ten thousand, read again whenever one changes: these are the rows, and nothing more is made for each.
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Build it with `build`; never change what it holds."""

    loaded_at: float = 0.0
    """Unix seconds when it was read from the database; 0 for the empty one."""
    by_song_id: Claims = field(default_factory=dict)
    by_media_id: Claims = field(default_factory=dict)
    by_key: Mapping[str, Claims] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    default_loops: Mapping[str, str] = field(default_factory=dict)
    dayparts: Mapping[str, tuple[Daypart, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """Rows that could not be used, and why."""
    rows: tuple[MappingRow, ...] = ()
    default_rows: tuple[DefaultRow, ...] = ()

    @classmethod
    def build(cls, rows: Iterable[MappingRow], defaults: Iterable[DefaultRow], loaded_at: float) -> "Snapshot":
        """Arrange rows. Of two that claim the same thing the one with the larger id, the later, has it."""
        ordered = tuple(sorted(rows))
        by_song_id: defaultdict[str, dict[str, MappingRow]] = defaultdict(dict)
        by_media_id: defaultdict[str, dict[str, MappingRow]] = defaultdict(dict)
        by_key: dict[str, defaultdict[str, dict[str, MappingRow]]] = {kind: defaultdict(dict) for kind in KINDS}
        problems = []
        for row in ordered:
            if row.azuracast_song_id:
                by_song_id[row.station][row.azuracast_song_id.strip().lower()] = row
            if row.media_unique_id:
                by_media_id[row.station][row.media_unique_id.strip().lower()] = row
            # Rows written by hand need not be normalised; what is looked up always is.
            key = normalise(row.track_key)
            if key and row.kind in by_key:
                by_key[row.kind][row.station][key] = row
            elif not (row.azuracast_song_id or row.media_unique_id):
                problems.append(f"track_mappings row {row.id}: nothing is left of its key")
        kept = tuple(sorted(defaults))
        default_loops, dayparts, faults = _defaults(kept)
        return cls(
            loaded_at=loaded_at,
            by_song_id=by_song_id,
            by_media_id=by_media_id,
            by_key=by_key,
            default_loops=default_loops,
            dayparts=dayparts,
            problems=(*problems, *faults),
            rows=ordered,
            default_rows=kept,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes an equal snapshot."""
        return {
            "version": 1,
            "loaded_at": self.loaded_at,
            "mappings": self.rows,
            "defaults": self.default_rows,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Snapshot":
        """Raises ValueError for what `to_json` did not write."""
        try:
            if document["version"] != 1:
                raise ValueError("written by another version")
            rows = [MappingRow(*row) for row in document["mappings"]]
            defaults = [DefaultRow(*row) for row in document["defaults"]]
            return cls.build(rows, defaults, float(document["loaded_at"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a snapshot: {error!r}") from error


def _defaults(
    rows: Iterable[DefaultRow],
) -> tuple[dict[str, str], dict[str, tuple[Daypart, ...]], list[str]]:
    loops: dict[str, str] = {}
    parts: dict[str, list[Daypart]] = {}
    faults = []
    for row in rows:
        name, _, span = row.key.strip().partition(" ")
        if name != "default_loop":
            continue
        if not span.strip():
            loops[row.station] = row.value
            continue
        try:
            parts.setdefault(row.station, []).append(Daypart.parse(span, row.value))
        except ValueError as error:
            faults.append(f"default_config key {row.key!r} of station {row.station!r}: {error}")
    # Rows have no order of their own: of two that overlap the shorter is the more particular one.
    return loops, {s: tuple(sorted(p, key=lambda part: part.minutes)) for s, p in parts.items()}, faults
