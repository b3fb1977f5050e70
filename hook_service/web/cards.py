"""Which card belongs to a track: from what is known of it to what the playout is told."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hook_service.library.card import Card, clean, template_file, template_sha256
from hook_service.tracks.nowplaying import TrackEvent
from hook_service.web.art import Gallery

log = logging.getLogger("radio.web")


@dataclass(slots=True)
class Cards:
    """Of one station: its design, where designs and covers are, and which hosts of covers may be private."""

    template: str
    seconds: int
    own: Path
    gallery: Gallery
    allowed: Collection[str]
    _complained: bool = False

    def of(self, event: TrackEvent) -> tuple[dict[str, Any] | None, bool]:
        """The card for a track, as the playout is told, or None; and whether that is the last word.

        It is not while the cover is being fetched.
        """
        artist, title, album = clean(event.artist), clean(event.title), clean(event.album)
        if not event.online or not (artist or title):
            return None, True
        digest = self._design()
        if digest is None:
            return None, True
        art, pending = self.gallery.get(event.art, self.allowed) if event.art else (None, False)
        if pending:
            return None, False
        # Without a title the artist's name is all there is: then it takes the larger line.
        title, artist = (title, artist) if title else (artist, "")
        return Card(self.template, digest, artist, title, album, art, self.seconds).to_json(), True

    def _design(self) -> str | None:
        """The hash of the design as it is now; None where there is none, which is said once."""
        file = template_file(self.template, self.own)
        try:
            if file is None:
                raise FileNotFoundError(2, "there is no such design")
            digest = template_sha256(file)
        except OSError as error:
            if not self._complained:
                context = {"template": self.template, "error": error.strerror}
                log.error(  # noqa: TRY400 - the reason is enough
                    "The card's design can't be read: loops are shown without", extra={"context": context}
                )
            self._complained = True
            return None
        self._complained = False
        return digest
