"""What an order at the control socket asks to be shown. Raises BadRequest, which says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from hook_service.playout.control import BadRequest, Message
from hook_service.playout.picture import SLATE
from hook_service.playout.state import OnAir
from hook_service.playout.wardrobe import Card, card_of
from hook_service.settings import Station

# The last second of the year 9999; JSON can also say NaN and Infinity, which are no times.
_LATEST = 253_402_300_800


def wanted(message: Message, station: Station) -> OnAir:
    """What a switch asks for: `loop` (null: the slate), `default`, `play_id`, `request_id` and `card`."""
    loop = SLATE if message.get("loop", "") is None else str(path(message, "loop", station))
    default = path(message, "default", station) if message.get("default") else station.default_loop
    return OnAir(loop, str(default), _text(message, "play_id"), _text(message, "request_id"), card(message))


def path(message: Message, key: str, station: Station) -> Path:
    """A loop, below the loops directory where it is not given whole."""
    value = message.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadRequest(f"{key} is not a path")
    return station.loops / value


def time(message: Message) -> float | None:
    """`at` in unix seconds, or None for at once."""
    at = message.get("at")
    if at is not None and (isinstance(at, bool) or not isinstance(at, int | float) or not abs(at) < _LATEST):
        raise BadRequest("at is not a time; give unix seconds or null")
    return at


def card(message: Message) -> Card | None:
    """What is to be laid over the loop."""
    try:
        return card_of(message.get("card"))
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _text(message: Message, key: str) -> str | None:
    value = message.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{key} is not a string")
    return value
