"""Loops on their way from disk to the picture. Everything here that may block does so in threads of its own.

`fetch()` turns a source's path into a cursor ready to be switched to, having it prepared first where need be.
One more thread, the disk's, reads the following GOPs ahead. When it hangs, cursors run dry and the picture
steps back to what it holds in memory.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hook_service import ipc
from hook_service.library import catalog
from hook_service.library.errors import NotNow, SourceMissing
from hook_service.library.loopfile import GrowingLoop, LoopDamaged, PreparedLoop, open_loop
from hook_service.playout.picture import Cursor
from hook_service.playout.reactor import Reactor
from hook_service.playout.reader import Reader
from hook_service.playout.wardrobe import Card, order
from hook_service.settings import Station

_log = logging.getLogger("radio.loops")

# A loop that is still being encoded is entered once this much of it is there and the encoder outruns the playback.
_LEAD_SECONDS = 0.25
_OUTRUN = 1.3
_FOLLOW_SECONDS = 0.02
_RETRY_SECONDS = 1.0
FORETOLD_PATIENCE = 60.0
"""How long a loop is tried for that is not due yet, in seconds: once it is due it is fetched again."""
# Without a word from the preparation for this long, it is asked again.
_PREPARE_TIMEOUT = 60.0


@dataclass(slots=True)
class Loaded:
    """A loop that can be switched to at once."""

    path: Path
    cursor: Cursor
    source: catalog.Source


class Unplayable(Exception):
    """A loop that can't be shown, and why."""


class Ticket:
    """A fetch under way; `cancel()` when its result is not wanted any more."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Its result won't be delivered."""
        self.cancelled = True


class Loader:
    """Fetches loops for the picture; its results arrive on the reactor."""

    def __init__(self, reactor: Reactor, station: Station, trouble: Callable[[str], None]) -> None:
        """`trouble(text)` is told, once for each fetch, why a loop keeps being waited for."""
        self._reactor = reactor
        self._station = station
        self._trouble = trouble
        self._readers: dict[Cursor, Reader] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._disk, name="disk", daemon=True).start()

    def fetch(
        self,
        path: Path,
        done: Callable[[Loaded | Unplayable], None],
        card: Card | None = None,
        *,
        urgent: bool = True,
        patience: float = math.inf,
    ) -> Ticket:
        """Load the loop at `path`, preparing it first where it never was; `done` is called on the reactor.

        A `card` is ordered, in a hurry if `urgent`, and shown as soon as it is there; `done` does not wait for it.
        What can't be had for the moment is tried again until the ticket is cancelled, or for `patience` seconds.
        """
        ticket = Ticket()

        def deliver(result: Loaded | Unplayable) -> None:
            if not ticket.cancelled:
                done(result)
            elif isinstance(result, Loaded):
                self.release(result.cursor)

        def work() -> None:
            try:
                if card is not None:
                    order(self._station, path, card, urgent=urgent)
                result: Loaded | Unplayable = self._load(path, card, ticket, time.monotonic() + patience)
            except Unplayable as reason:
                result = reason
            except (SourceMissing, LoopDamaged) as reason:
                result = Unplayable(str(reason))
            except Exception as reason:
                _log.exception("A loop could not be loaded", extra={"context": {"loop": os.fspath(path)}})
                result = Unplayable(f"{type(reason).__name__}: {reason}")
            self._reactor.post(lambda: deliver(result))

        threading.Thread(target=work, name=f"fetch {path.name}", daemon=True).start()
        return ticket

    def warm(self, path: Path, card: Card | None = None) -> None:
        """Have a loop prepared, and its card, that will be wanted soon."""

        def done(result: Loaded | Unplayable) -> None:
            if isinstance(result, Loaded):
                self.release(result.cursor)

        self.fetch(path, done, card, urgent=False, patience=FORETOLD_PATIENCE)

    def dress(self, loaded: Loaded, card: Card | None) -> None:
        """Show a loop that is loaded with this card, or with none, as soon as may be."""
        reader = self._readers.get(loaded.cursor)
        if reader is None:
            return
        if card is not None:
            order(self._station, loaded.path, card, urgent=True)
        reader.dressed.wear(card)

    def release(self, cursor: Cursor) -> None:
        """A cursor that won't be shown any more."""
        reader = self._readers.pop(cursor, None)
        if reader is not None:
            self._jobs.put(reader.close)

    def unchanged(self, loaded: Loaded, done: Callable[[str | None], None]) -> None:
        """Look whether the source is still the file that was loaded; `done` gets None, "missing" or "changed"."""

        def look() -> None:
            try:
                now = loaded.path.stat()
            except OSError:
                found: str | None = "missing"
            else:
                same = (now.st_size, now.st_mtime_ns, now.st_ino)
                source = loaded.source
                found = None if same == (source.size, source.mtime_ns, source.inode) else "changed"
            self._reactor.post(lambda: done(found))

        self._jobs.put(look)

    def discard(self, loaded: Loaded) -> None:
        """Put a damaged prepared loop out of the way, so that it is prepared again."""
        directory = catalog.prepared_dir(self._station.library, self._station.profile, loaded.source.sha256)

        def move() -> None:
            try:
                directory.rename(directory.with_name(f"{directory.name}.damaged-{time.time_ns()}"))
            except OSError:
                return  # it is gone already

        self._jobs.put(move)

    def later(self, job: Callable[[], None]) -> None:
        """Have something done on the disk, in order, without waiting for it."""
        self._jobs.put(job)

    def _disk(self) -> None:
        while True:
            self._jobs.get()()

    def _refill(self, cursor: Cursor) -> None:
        reader = self._readers.get(cursor)
        if reader is None:
            return

        def read() -> None:
            try:
                gop = reader.next(cursor)
            except (LoopDamaged, OSError) as reason:
                text = str(reason)
                self._reactor.post(lambda: cursor.fail(text))
            else:
                number = cursor.next_gop - 1
                self._reactor.post(lambda: cursor.supply(gop, number))

        self._jobs.put(read)

    def _load(self, path: Path, card: Card | None, ticket: Ticket, until: float) -> Loaded:
        station = self._station
        told = False
        while True:
            try:
                source = catalog.identify(path, station.library, station.loops)
                directory = catalog.prepared_dir(station.library, station.profile, source.sha256)
                try:
                    return self._whole(path, source, open_loop(directory), card)
                except LoopDamaged:
                    if directory.exists():
                        directory.rename(directory.with_name(f"{directory.name}.damaged-{time.time_ns()}"))
                loaded = self._prepare(path, source, card, ticket)
                if loaded is not None:
                    return loaded
            except (NotNow, ipc.PeerDown, OSError) as reason:
                if not told:
                    told = True
                    self._reactor.post(partial(self._trouble, f"{path.name} is waited for: {reason}"))
                time.sleep(_RETRY_SECONDS)
            if ticket.cancelled or time.monotonic() > until:
                raise Unplayable("not wanted any more")

    def _prepare(self, path: Path, source: catalog.Source, card: Card | None, ticket: Ticket) -> Loaded | None:
        """Ask for a loop to be prepared at once; a cursor that follows it, or None when it is ready by now."""
        message = {"op": "prepare", "path": os.fspath(path), "profile": self._station.profile.name}
        message["fingerprint"] = self._station.profile.fingerprint()
        for answer in ipc.stream(self._station.prepare_socket, message, timeout=_PREPARE_TIMEOUT):
            state = answer.get("state")
            if state == "ready":
                return None
            if state == "refused":
                raise Unplayable(str(answer.get("reason", "refused")))
            if state == "encoding":
                # Two views of the same files: one for each of the threads that will read them.
                growing, follower = (GrowingLoop(Path(answer["dir"])) for _ in range(2))
                if self._outruns(growing, ticket):
                    return self._growing(path, source, growing, follower, card, ticket)
                growing.close()
                follower.close()
                # Too slow to be followed: the next answer comes when it is ready.
        raise ipc.PeerDown(self._station.prepare_socket, "did not finish the loop")

    def _outruns(self, growing: GrowingLoop, ticket: Ticket) -> bool:
        """Wait for the beginning of a growing loop; whether its encoder is fast enough to be followed."""
        fps = float(self._station.profile.fps)
        lead = max(1, round(_LEAD_SECONDS * fps))
        first: tuple[float, int] | None = None
        while not (growing.finished or growing.abandoned or ticket.cancelled):
            ready = min(growing.frames_ready(entry=True), growing.gop_frames)
            now = time.monotonic()
            if ready and first is None:
                first = (now, ready)
            if first is not None and ready >= lead:
                if ready >= growing.gop_frames:
                    return True
                elapsed, more = now - first[0], ready - first[1]
                if elapsed > 0 and more / fps / elapsed >= _OUTRUN:
                    return True
                if elapsed > _LEAD_SECONDS * 4:
                    return False
            time.sleep(_FOLLOW_SECONDS)
        return False

    def _whole(self, path: Path, source: catalog.Source, loop: PreparedLoop, card: Card | None) -> Loaded:
        reader = Reader(loop, self._station)
        reader.dressed.wear(card)
        first = reader.dressed.gop(0, loop, entry=True)
        cursor = Cursor(loop.avcc, first or loop.read_gop(0, entry=True), self._refill)
        cursor.dressed = first is not None
        self._readers[cursor] = reader
        cursor.whole = reader.whole()
        return Loaded(path, cursor, source)

    def _growing(
        self,
        path: Path,
        source: catalog.Source,
        growing: GrowingLoop,
        follower: GrowingLoop,
        card: Card | None,
        ticket: Ticket,
    ) -> Loaded:
        """A cursor on a growing loop. `follower` lengthens its first GOP, frame by frame; the rest goes by GOPs."""
        first = growing.read_part(0, entry=True)
        avcc = growing.avcc
        if avcc is None or not first:
            raise LoopDamaged("its preparation gave no frames")
        cursor = Cursor(avcc, first, self._refill, growing=True)
        self._readers[cursor] = reader = Reader(growing, self._station)
        reader.dressed.wear(card)

        def lengthen() -> None:
            have = len(first)
            while have < follower.gop_frames and not (follower.abandoned or ticket.cancelled):
                more = follower.read_part(0, entry=True, start=have)
                if more:
                    have += len(more)
                    self._reactor.post(partial(first.extend, more))
                elif follower.finished:
                    break
                else:
                    time.sleep(_FOLLOW_SECONDS)
            follower.close()

        threading.Thread(target=lengthen, name=f"follow {path.name}", daemon=True).start()
        return Loaded(path, cursor, source)
