"""Loops with a card: what is laid over which, what is there of them, and what goes when there are too many."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .card import Card, template_file, template_sha256
from .errors import NotNow
from .filters import Overlay
from .profiles import Profile

__all__ = ["Dress", "dressed", "find", "prune", "touch"]

log = logging.getLogger("radio.library")

KEPT_BYTES: Final = 4 << 30
"""What all loops with a card may take; less where the disk is short. A ten-second loop of 720p30 takes 4.5 MB."""
KEPT_SHARE: Final = 4  # at most this part of what would be free without them
_NAME = re.compile(r"[0-9a-f]{64}-[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Dress:
    """A card that is to be laid over a loop, with the text of its template and the file of its cover."""

    card: Card
    template: str
    art: Path | None

    def overlay(
        self, partial: Path, profile: Profile, frames: int | None, *, nice: int, cancel: threading.Event
    ) -> Overlay:
        """Draw the card into the directory of a loop of so many frames. Raises LibraryError or Cancelled."""
        # Only now: a loop that has its card already needs no cover.
        if self.art is not None and not self.art.is_file():
            raise NotNow("the cover is not there any more")
        # Jinja: not for a radio-prepare that never draws a card.
        from .card_render import draw  # noqa: PLC0415

        drawn = draw(self.card, self.template, self.art, profile, partial, nice, cancel)
        gops = max(1, self.card.seconds // profile.gop_seconds)
        bound = gops * profile.gop_frames
        # Where a file does not say how long it is, it counts as long.
        long = frames is None or frames > bound
        return Overlay(drawn.png.name, drawn.x, drawn.y, drawn.width, drawn.height, bound if long else None)


def find(card: Card, own: Path, art: Path) -> Dress:
    """The template and the cover of a card; `own` and `art` are the directories that they may come from.

    Raises NotNow where the template is not the one that was meant.
    """
    file = template_file(card.template, own)
    try:
        if file is None or template_sha256(file) != card.template_sha256:
            raise NotNow(f"the template {card.template} has changed or is missing")
        template = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotNow(f"the template {card.template} can't be read: {error}") from error
    return Dress(card, template, art / card.art if card.art is not None else None)


def touch(directory: Path) -> None:
    """Note that a loop with a card was wanted again."""
    with contextlib.suppress(OSError):
        os.utime(directory)


def dressed(library: Path) -> list[tuple[float, int, Path]]:
    """All loops with a card: when each was last wanted (Unix seconds), its bytes, its directory; the oldest first."""
    found = []
    for directory in library.glob("*/*-*"):
        if _NAME.match(directory.name):
            with contextlib.suppress(OSError):
                size = sum(file.stat().st_size for file in directory.iterdir())
                found.append((directory.stat().st_mtime, size, directory))
    return sorted(found)


def prune(library: Path, limit: int = KEPT_BYTES) -> int:
    """Remove the loops with a card that were wanted longest ago, until the rest fits; returns how many went.

    One that is on the air plays on: whoever reads it holds its files.
    """
    found = dressed(library)
    total = sum(size for _, size, _ in found)
    try:
        limit = min(limit, (shutil.disk_usage(library).free + total) // KEPT_SHARE)
    except OSError:
        return 0
    gone = 0
    for _, size, directory in found:
        if total <= limit:
            break
        # Renamed first: nobody may find half of one.
        old = directory.with_name(f"{directory.name}.old-{time.time_ns()}")
        with contextlib.suppress(OSError):
            directory.rename(old)
            shutil.rmtree(old, ignore_errors=True)
            total -= size
            gone += 1
    if gone:
        log.info("Removed loops with a card that were not wanted lately", extra={"context": {"loops": gone}})
    return gone
