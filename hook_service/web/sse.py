"""Server-sent events as AzuraCast's Centrifugo writes them: bytes in, what was told out. Pure.

The stream's format is the HTML standard's (9.2.6, "Interpreting an event stream"); the messages are Centrifugo's
one-way protocol: first `connect`, with the newest publication of each channel where it has one that is fresh, then
`pub` for each new one, `{}` as a ping, and `disconnect` with a reason before the server closes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NoReturn

MAX_EVENT: Final = 1 << 20
"""Bytes. AzuraCast's own events have 3 to 30 KB."""

_LINE_END: Final = re.compile(rb"[\r\n]")


class StreamError(Exception):
    """What came can't be an event stream of AzuraCast's; the message says why. The connection is of no more use."""


class Parser:
    """Cuts a stream into events. `feed` gives the data of each event that is complete; what is not yet is kept, up
    to `MAX_EVENT` bytes.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        self._after_cr = False

    def feed(self, data: bytes) -> list[str]:
        """The events that these bytes complete. Raises StreamError for one that has no end."""
        events = []
        at = 0
        if self._after_cr and data:
            # A CR is the end of a line at once; the LF that may follow in the next packet belongs to it.
            at = 1 if data[0] == 0x0A else 0
            self._after_cr = False
        while match := _LINE_END.search(data, at):
            self._line += data[at : match.start()]
            at = match.end()
            if match[0] == b"\r":
                self._after_cr = at == len(data)
                at += data[at : at + 1] == b"\n"
            event = self._end_line()
            if event is not None:
                events.append(event)
        self._line += data[at:]
        self._check()
        return events

    def _end_line(self) -> str | None:
        self._check()
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        if not line:
            data, self._data, self._size = self._data, [], 0
            # Bytes that are no UTF-8 are for JSON to refuse, or are in a title.
            return b"\n".join(data).decode(errors="replace") if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + 1
            self._check()
        return None

    def _check(self) -> None:
        if len(self._line) + self._size > MAX_EVENT:
            raise StreamError(f"sends an event of more than {MAX_EVENT} bytes")


@dataclass(frozen=True, slots=True)
class Message:
    """One event. `bodies` are the NowPlaying documents it carries, oldest first, not looked into yet."""

    kind: Literal["connect", "publication", "ping", "disconnect", "other"]
    bodies: list[Any] = field(default_factory=list)
    reason: str = ""
    """Why the server says that it closes."""


def message(data: str, channel: str) -> Message:
    """What an event says of a channel. Raises StreamError where it is not Centrifugo's JSON."""
    try:
        document = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise StreamError("sends an event that is not JSON") from None
    if not isinstance(document, dict):
        raise StreamError("sends an event that is no message of Centrifugo's")
    if not document:
        return Message("ping")
    if isinstance(connect := document.get("connect"), dict):
        subscription = _at(connect, "subs", channel)
        kept = _at(subscription, "publications")
        return Message("connect", [_body(one) for one in kept] if isinstance(kept, list) else [])
    if "pub" in document:
        ours = document.get("channel", channel) == channel
        return Message("publication", [_body(document["pub"])]) if ours else Message("other")
    if "disconnect" in document:
        return Message("disconnect", reason=str(_at(document, "disconnect", "reason") or "no reason given")[:200])
    return Message("other")


def _body(publication: Any) -> Any:
    """AzuraCast wraps the document in `{np, triggers, current_time}`."""
    return _at(publication, "data", "np")


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
