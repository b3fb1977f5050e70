"""Mappings and songs as CSV: what is exported can be imported again, after a spreadsheet has had it in between."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hook_service.store.bulk import Line
from hook_service.tracks.loops import LoopNameError, loop_path
from hook_service.tracks.snapshot import EVERY_STATION, KINDS
from hook_service.tracks.track_key import normalise, track_key

MAPPINGS: Final = ("station", "kind", "track_key", "loop_file_path", "azuracast_song_id", "media_unique_id")
SONGS: Final = (
    "artist",
    "title",
    "loop_file_path",
    "album",
    "genre",
    "playlists",
    "shown",
    "rule",
    "media_unique_id",
)
"""`loop_file_path` is that of the song's own mapping; `shown` is the loop that it gets now, by `rule`."""
_KNOWN: Final = {*MAPPINGS, *SONGS}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")
_LENGTHS: Final = {"azuracast_song_id": 128, "media_unique_id": 64, "station": 100}


def written(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV with a head. A value that a spreadsheet would take for a formula gets an apostrophe before it."""
    names = list(columns)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_quoted("" if row[name] is None else str(row[name])) for name in names] for row in rows)
    return text.getvalue()


@dataclass(slots=True)
class Parsed:
    """What a CSV holds: mappings, how many lines have no loop, and what is wrong with which line."""

    mappings: list[Line] = field(default_factory=list)
    lines: int = 0
    blank: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


def parse(text: str, stations: Collection[str], loops_dir: str, first_line: int = 1) -> Parsed:
    """The mappings in a CSV. Raises ValueError for a text that is none: without a head, or with unknown columns.

    `stations` are the shortcodes that are configured, `loops_dir` is absolute.
    """
    text = text.removeprefix("\ufeff")
    # Some spreadsheets write semicolons, by the country they are used in.
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = Parsed()
    seen: dict[tuple[str, str, str], int] = {}
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check(columns)
        begins = first_line + reader.line_num
        for values in reader:
            at, begins = begins, first_line + reader.line_num
            if not any(value.strip() for value in values):
                continue
            found.lines += 1
            row = {name: _plain(value) for name, value in zip(columns, values, strict=False)}
            if not row.get("loop_file_path"):
                found.blank += 1
                continue
            try:
                line = _line(row, len(values) - len(columns), stations, loops_dir)
            except ValueError as error:
                found.bad.append((at, str(error)))
                continue
            before = seen.setdefault(line[:3], at)
            if before == at:
                found.mappings.append(line)
            else:
                found.bad.append((at, f"is for the same as line {before}"))
    except csv.Error as error:
        raise ValueError(f"line {first_line + reader.line_num - 1} can't be read as CSV: {error}") from None
    return found


def _check(columns: list[str]) -> None:
    if "loop_file_path" not in columns:
        raise ValueError("the first line must name the columns, and loop_file_path among them")
    if not {"track_key", "artist", "title"} & set(columns):
        raise ValueError("the first line must name track_key, or artist and title")
    unknown = [name for name in columns if name not in _KNOWN]
    if unknown or len(set(columns)) < len(columns):
        raise ValueError(
            f"unknown or given twice: {', '.join(unknown or columns)[:200]}; known: {', '.join(sorted(_KNOWN))}"
        )


def _line(row: Mapping[str, str], surplus: int, stations: Collection[str], loops_dir: str) -> Line:
    if surplus > 0:
        raise ValueError(f"has {surplus} values more than there are columns")
    station, kind = row.get("station") or EVERY_STATION, row.get("kind") or "track"
    if station != EVERY_STATION and station not in stations:
        raise ValueError(f"station: {station[:100]!r} is not configured; '*' means all of them")
    if kind not in KINDS:
        raise ValueError(f"kind: {kind[:20]!r} is not one of {', '.join(KINDS)}")
    key = normalise(row.get("track_key") or "")
    if not key and kind == "track":
        key = track_key(row.get("artist") or "", row.get("title") or "")
    if not key:
        raise ValueError("track_key: is missing, or nothing is left of it; a track may be named by artist and title")
    for name, length in _LENGTHS.items():
        if len(row.get(name) or "") > length or "\0" in (row.get(name) or ""):
            raise ValueError(f"{name}: is longer than {length} characters, or can't be stored")
    loop = row["loop_file_path"]
    try:
        path = loop_path(loops_dir, loop)
    except LoopNameError as error:
        raise ValueError(f"loop_file_path: {error}") from None
    name = path.removeprefix(loops_dir.rstrip("/") + "/")
    return Line(station, kind, key, row.get("azuracast_song_id") or None, row.get("media_unique_id") or None, name)


def _quoted(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value


def _plain(value: str) -> str:
    value = value.strip()
    return value[1:] if value.startswith("'") and value[1:].startswith(_FORMULA) else value
