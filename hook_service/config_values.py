"""The kinds of value that the configuration is made of: each says what is wrong with it and how it is written."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")


def _name(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError(
            f"{value!r} is not a usable name; use lower-case letters, digits, '-' and '_', beginning with a "
            "letter or digit, 63 at most"
        )
    return value


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{value!r} is not an address; write host:port, such as 127.0.0.1:9000")
    return value


def _clock(value: Any) -> Any:
    # YAML 1.1 reads an unquoted 22:00 as the number 1320.
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value // 60:02d}:{value % 60:02d}"
    if not isinstance(value, str) or not re.match(r"([01]\d|2[0-3]):[0-5]\d\Z", value):
        raise ValueError(f"{value!r} is not a time of day; write it as 'HH:MM', such as '22:00'")
    return time.fromisoformat(value)


def port_is_good(url: str) -> bool:
    """Whether an address has a port that can be used, or none."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _loop_name(value: str) -> str:
    if not value or "\0" in value or ".." in Path(value).parts:
        raise ValueError(f"{value!r} leaves the loops directory; name a file below paths.loops")
    return value


# A YAML `true` is not the number 1.
Whole = Annotated[int, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True)]
Name = Annotated[str, AfterValidator(_name)]
Address = Annotated[str, AfterValidator(_address)]
Clock = Annotated[time, BeforeValidator(_clock)]
LoopName = Annotated[str, AfterValidator(_loop_name)]
