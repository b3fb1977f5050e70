"""Pages of a list by key, and the patterns that a search becomes."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..tracks.track_key import normalise

MAX_LIMIT: Final = 500
"""Rows on one page."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list; `next` is the cursor of the page that follows, None on the last."""

    items: list[Row]
    next: str | None


def page(rows: list[Row], limit: int, column: str) -> Page:
    """The page from rows ordered by `column` and id, one more than `limit` of which were asked for."""
    # One row more than asked for tells whether there is another page.
    limit = bounded(limit)
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    value = last[column].isoformat() if isinstance(last[column], datetime) else last[column]
    text = json.dumps([value, last["id"]], ensure_ascii=False)
    return Page(rows[:limit], base64.urlsafe_b64encode(text.encode()).decode())


def read_cursor(cursor: str | None) -> tuple[str | None, int | None]:
    """The key and id of the last row before the page. Raises ValueError."""
    if not cursor:
        return None, None
    try:
        value, row_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, RecursionError):
        raise ValueError("cursor: is not one that was given out") from None
    if not isinstance(value, str) or not isinstance(row_id, int) or "\x00" in value:
        raise ValueError("cursor: is not one that was given out")
    return value, row_id


def bounded(limit: int) -> int:
    """`limit`, within what one page may hold."""
    return min(max(limit, 1), MAX_LIMIT)


def patterns(q: str | None) -> Row:
    """The LIKE patterns for a search, for text (`pattern`) and for keys (`key_pattern`)."""
    if q is None or not q.strip():
        return {"pattern": None, "key_pattern": None}
    # A question made of signs alone has no key; it is then looked for as it is, and matches no key by accident.
    key = normalise(q) or q
    return {"pattern": contains(q.strip()), "key_pattern": contains(key)}


def contains(text: str) -> str:
    """The LIKE pattern for what has `text` in it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
