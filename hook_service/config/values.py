"""The kinds of value that the configuration is made of: each says what is wrong with it and how it is written."""

from __future__ import annotations

import difflib
import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A part of the configuration: an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good(value):
        raise ValueError(f"{value!r} is not a server's address; write http://host:port")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("is more than a server's address; leave out user, password and what follows '?' or '#'")
    return value.rstrip("/")


def _loop_name(value: str) -> str:
    if not value or "\0" in value or ".." in Path(value).parts:
        raise ValueError(f"{value!r} leaves the loops directory; name a file below paths.loops")
    return value


def choice_or_loop(value: str, words: tuple[str, ...]) -> str:
    """`value` where it is one of `words` or names a loop; raises ValueError.

    A loop is a file with an ending: without that rule a misspelt word would be taken for a loop that is not there.
    """
    if value in words:
        return value
    if not Path(value).suffix:
        near = difflib.get_close_matches(value, words, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"write {', '.join(words)}, or a file such as card.mp4"
        raise ValueError(f"{value!r} is neither a policy nor a loop; {hint}")
    return _loop_name(value)


# A YAML `true` is not the number 1.
Whole = Annotated[int, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True)]
Name = Annotated[str, AfterValidator(_name)]
Address = Annotated[str, AfterValidator(_address)]
Origin = Annotated[str, AfterValidator(_origin)]
Clock = Annotated[time, BeforeValidator(_clock)]
LoopName = Annotated[str, AfterValidator(_loop_name)]
