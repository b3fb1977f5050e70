import base64
from datetime import UTC, datetime

import pytest

from hook_service.store.paging import MAX_LIMIT, bounded, page, patterns, read_cursor


def test_page_and_its_cursor() -> None:
    rows = [{"id": n, "at": datetime(2026, 1, n, tzinfo=UTC)} for n in (3, 2, 1)]
    found = page(rows, 2, "at")
    assert [row["id"] for row in found.items] == [3, 2]
    assert read_cursor(found.next) == ("2026-01-02T00:00:00+00:00", 2)
    assert page(rows, 3, "at").next is None
    assert read_cursor(None) == (None, None)


@pytest.mark.parametrize(
    "text", ["[" * 1500, "x", "====", "[1, 2]", '["a"]', '["a", "b"]', '["a\\u0000", 1]', '{"a": 1, "b": 2}']
)
def test_foreign_cursors(text: str) -> None:
    for cursor in (text, base64.urlsafe_b64encode(text.encode()).decode()):
        with pytest.raises(ValueError, match="cursor"):
            read_cursor(cursor)


def test_limits_and_patterns() -> None:
    assert (bounded(0), bounded(7), bounded(10**9)) == (1, 7, MAX_LIMIT)
    assert patterns(None) == patterns("  ") == {"pattern": None, "key_pattern": None}
    assert patterns("50%_Off\\") == {"pattern": "%50\\%\\_Off\\\\%", "key_pattern": "%50off%"}
