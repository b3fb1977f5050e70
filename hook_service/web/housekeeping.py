"""Removing what was kept long enough: once a day, in a thread that nothing waits for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

FIRST: Final = 3600.0  # not while everything starts
EVERY: Final = 24 * 3600.0

log = logging.getLogger("radio.web")


def keep_house(
    ended: threading.Event, chores: Sequence[Callable[[], object]], first: float = FIRST, every: float = EVERY
) -> None:
    """Do all chores after `first` seconds, and then every so many, until `ended`. One may fail, or take long."""
    wait = first
    while not ended.wait(wait):
        wait = every
        for chore in chores:
            try:
                chore()
            except Exception:
                log.exception("What is old could not be removed; it is tried again tomorrow")
