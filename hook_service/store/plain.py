"""Whatever it is, as JSON that PostgreSQL can hold."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

MAX_CONTEXT: Final = 65_536
"""Characters of JSON kept of an error's context."""


def bounded_json(context: Mapping[str, Any]) -> str:
    """A mapping as JSON; of what is too long only the beginning, as `truncated`."""
    text = json.dumps(plain(context), allow_nan=False, ensure_ascii=False)
    if len(text) > MAX_CONTEXT:
        return json.dumps({"truncated": text[: MAX_CONTEXT // 2]}, ensure_ascii=False)
    return text


def dump(values: dict[str, Any]) -> str:
    """The body of a record."""
    return json.dumps(plain(values), allow_nan=False)


def plain(value: Any, depth: int = 0) -> Any:
    """`value` as JSON that PostgreSQL can hold: no NUL, no half of a surrogate pair, no NaN, no cycle."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if depth < 8:
        if isinstance(value, Mapping):
            return {plain(str(key)): plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [plain(item, depth + 1) for item in value]
    return plain(str(value)[:1000])
