"""What the operator sees of the loops: found, filtered, with what uses them and how far their preparation is."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hook_service.library.catalog import printable
from hook_service.store import tags as stored
from hook_service.store.pool import DatabaseAway
from hook_service.web import trash
from hook_service.web.loops import preparation
from hook_service.web.shelf import Loop, Shelf
from hook_service.web.uploads import RESERVE, Uploads
from hook_service.web.usage import Usage, Uses

if TYPE_CHECKING:
    from hook_service.web.app import Services

TAGS_FRESH = 2.0
"""Seconds that the tags in memory are good for: another host may have changed them."""
AWAY_SECONDS = 5.0
"""Seconds after which a database that was away is asked again: a listing does not wait for it each time."""
DISK_FRESH = 30.0

Tags = Mapping[str, Sequence[str]]


class Library:
    """The loops of one host, for all threads of the API."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.paths = services.host.paths
        self.shelf = Shelf(services.host)
        self.uploads = Uploads(self.paths.loops, self.paths.library, self.paths.run, self.shelf)
        self._usage = Usage(services.host)
        self._lock = threading.Lock()
        self._tags: Tags | None = None
        self._tags_until = 0.0
        self._prepared = (float("-inf"), 0)

    def page(
        self,
        *,
        after: str = "",
        limit: int = 100,
        q: str = "",
        tag: str | None = None,
        state: str | None = None,
        used: bool | None = None,
    ) -> dict[str, Any]:
        """A page of the loops, by name. Raises DatabaseAway where a tag is asked for and nobody knows the tags."""
        tags, uses = self.tags(), self.uses()
        if tag is not None and tags is None:
            raise DatabaseAway("the tags are not known")
        words = q.casefold().split()

        def fits(loop: Loop) -> bool:
            own = (tags or {}).get(loop.name, ())
            text = "\n".join((loop.name, *own)).casefold()
            return (
                all(word in text for word in words)
                and (tag is None or tag in own)
                and (state is None or loop.state == state)
                and (used is None or (loop.name in uses) == used)
            )

        found = [loop for loop in self.shelf.all().values() if fits(loop)]
        rest = [loop for loop in found if loop.name > after]
        told = preparation(self.paths.run)
        percents = {(each["path"], each["profile"]): each["percent"] for each in (told or {}).get("encoding", ())}
        return {
            "items": [self._item(loop, tags, uses, percents) for loop in rest[:limit]],
            "next": rest[limit - 1].name if len(rest) > limit else None,
            "total": len(found),
            "preparation": told,
        }

    def uses(self) -> dict[str, Uses]:
        """What uses which loop."""
        return self._usage.now(self._services.store.keeper.current, self._services.stations)

    def tags(self) -> Tags | None:
        """The tags of all loops; None while the database is away."""
        with self._lock:
            if time.monotonic() > self._tags_until:
                try:
                    self._tags = stored.tags(self._services.store.pool())
                    self._tags_until = time.monotonic() + TAGS_FRESH
                except DatabaseAway:
                    self._tags, self._tags_until = None, time.monotonic() + AWAY_SECONDS
            return self._tags

    def set_tags(self, name: str, wanted: Sequence[str]) -> list[str]:
        """Give a loop exactly these tags. Raises DatabaseAway."""
        with self._lock:
            now = stored.set_tags(self._services.store.pool(), name, wanted)
            self._tags_until = 0.0
            return now

    def disk(self) -> dict[str, int]:
        """What takes how much room, in bytes."""
        loops = self.shelf.all().values()
        deleted = trash.listing(self.paths.loops)
        usage = shutil.disk_usage(self.paths.loops)
        with self._lock:
            if time.monotonic() - self._prepared[0] > DISK_FRESH:
                self._prepared = (time.monotonic(), sum(_sizes(self.paths.library)))
        return {
            "loops": len(loops),
            "loops_bytes": sum(loop.size for loop in loops),
            "prepared_bytes": self._prepared[1],
            "trash": len(deleted),
            "trash_bytes": sum(each.size for each in deleted),
            "free_bytes": usage.free,
            "total_bytes": usage.total,
            "room_bytes": max(0, usage.free - RESERVE),
        }

    def _item(
        self, loop: Loop, tags: Tags | None, uses: Mapping[str, Uses], percents: Mapping[tuple[str, str], int]
    ) -> dict[str, Any]:
        path = printable(self.paths.loops / loop.name)
        own = [percents[path, profile] for profile in loop.states if (path, profile) in percents]
        states = {
            profile: "encoding" if (path, profile) in percents else state for profile, state in loop.states.items()
        }
        used = asdict(uses.get(loop.name) or Uses())
        del used["fixed"]
        return {
            "name": loop.name,
            "size": loop.size,
            "modified_at": datetime.fromtimestamp(loop.mtime_ns / 1e9, UTC),
            "sha256": loop.sha256,
            "state": "encoding" if own else loop.state,
            "profiles": states,
            "percent": min(own) if own else None,
            "reason": loop.reason,
            "tags": None if tags is None else list(tags.get(loop.name, ())),
            "used": used,
            "picture": loop.sha256[:16] if loop.sha256 and self.shelf.has_poster(loop.sha256) else None,
        }


def _sizes(directory: Path) -> Iterator[int]:
    """The sizes of all files below a directory; what goes meanwhile does not count."""
    for path, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                yield Path(path, name).stat().st_size
