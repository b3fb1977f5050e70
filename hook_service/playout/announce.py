"""Announcing titles: when the sound of each will be written to the timeline, told before it is.

`titles` decides what a title is and where it begins in the sound of the mount. Here that place becomes a time of day,
looks are made in threads of their own, and the event `title` is published.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from hook_service.playout import looks, mount
from hook_service.playout.audio import Cushion
from hook_service.playout.feed import Feed
from hook_service.playout.looks import Glimpse
from hook_service.playout.mountstream import Mark
from hook_service.playout.reactor import Reactor
from hook_service.playout.titles import Decided, Titles

# What is not told now is told with the next tick at the soonest.
_TICK_SECONDS = 0.07
# A look that takes longer comes too late for its title.
_LOOK_SECONDS = 1.5


class Announcer:
    """The titles of one mount, across its connections."""

    def __init__(
        self,
        reactor: Reactor,
        url: str,
        cushion: Cushion,
        when: Callable[[float], float],
        publish: Callable[..., None],
    ) -> None:
        """`when(slots)`: the Unix time at which the sound so many slots ahead is due; `publish(kind, **values)`."""
        self._reactor = reactor
        self._url = url
        self._cushion = cushion
        self._when = when
        self._publish = publish
        self._titles = Titles()
        self._feed: Feed | None = None
        self._seen: list[Mark] = []
        """Titles of a connection of which it is not known yet where its new sound begins."""
        self._untold: list[Decided] = []
        """What is decided, but has no time yet: its sound is held back."""

    @property
    def title(self) -> str | None:
        """The newest title that was seen."""
        return self._titles.current

    def connected(self, feed: Feed) -> None:
        """A new connection begins."""
        self._feed = feed
        self._titles.connected()

    def gone(self, feed: Feed) -> None:
        """The connection ended: what waits is told as well as it is known."""
        self._tell(self._titles.gone(feed.sound), feed)
        for decided in self._untold:
            self._event(decided, time.time(), feed.doubt)
        self._untold.clear()
        self._seen.clear()
        self._feed = None

    def saw(self, mark: Mark) -> None:
        """A title came along."""
        self._seen.append(mark)

    def poll(self, feed: Feed) -> None:
        """To be called with every tick of the timeline."""
        if self._seen and not feed.looks_for_its_begin:
            for mark in self._seen:
                # A burst begins with titles of long ago.
                if mark.byte > feed.old_bytes or mark.text == self._titles.current:
                    self._tell(self._titles.saw(mark, feed.sound), feed)
            self._seen.clear()
        if self._untold and self._cushion.joined:
            untold, self._untold = self._untold, []
            self._tell(untold, feed)
        if self._titles.open:
            decided, want = self._titles.step(feed.sound, partial(self._left, feed))
            self._tell(decided, feed)
            if want is not None:
                self._look(want, feed)

    def _left(self, feed: Feed, seconds: float) -> float | None:
        """In how many seconds a second of this connection's sound is due."""
        due = self._due(feed, seconds)
        return None if due is None else due - time.time() - _TICK_SECONDS

    def _due(self, feed: Feed, seconds: float) -> float | None:
        slots = self._cushion.ahead(feed.frame_at(seconds))
        return None if slots is None else self._when(slots)

    def _tell(self, decided: list[Decided], feed: Feed) -> None:
        for each in decided:
            due = None if each.seconds is None else self._due(feed, each.seconds)
            if due is None:
                self._untold.append(each)
            else:
                self._event(each, due, feed.doubt)

    def _event(self, decided: Decided, sound_at: float, doubt: float) -> None:
        self._publish(
            "title",
            text=decided.text,
            artist=decided.artist,
            title=decided.title,
            sound_at=sound_at,
            within=round(max(decided.within, doubt), 3),
            change=decided.change,
        )

    def _look(self, want: int, feed: Feed) -> None:
        """Ask the mount once more, for a moment, beside everything else."""
        began = time.monotonic()
        connect = partial(mount.connect, self._url, _LOOK_SECONDS, looks.HEADERS)

        def look() -> None:
            glimpse: Glimpse | None
            try:
                glimpse = looks.take(connect, want, _LOOK_SECONDS)
            except (mount.NoMount, OSError, ValueError):
                glimpse = None
            self._reactor.post(partial(self._looked, glimpse, time.monotonic() - began, feed))

        threading.Thread(target=look, name="look", daemon=True).start()

    def _looked(self, glimpse: Glimpse | None, seconds: float, feed: Feed) -> None:
        # What was seen of the connection before says nothing about the present one.
        self._titles.looked(glimpse if feed is self._feed else None, seconds, feed.sound)
