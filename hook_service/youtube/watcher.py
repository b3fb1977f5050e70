"""One thread for each destination: asks YouTube how its stream and its broadcast are, and binds anew where asked.

Nothing waits for it: what it found last is read from memory, and what goes wrong is told and tried again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from hook_service.library.atomic import write_json
from hook_service.web.httpget import Away
from hook_service.youtube import rebind
from hook_service.youtube.answers import Broadcast, Refused, Stream, number
from hook_service.youtube.client import Client
from hook_service.youtube.rebind import AIRING, Memory, Step

EVERY: Final = 60.0
"""Seconds between two looks, at least."""
UNIT_SECONDS: Final = 15.0
"""Seconds that each unit of a look has to last: a host uses 5,760 a day at most, of 10,000 that Google allows."""
RETRY_LAST: Final = 900.0
"""Seconds between two looks that fail, in the end."""
QUOTA_SECONDS: Final = 3600.0
"""Seconds until the next look where the quota is used up: it is filled once a day."""
SLOWEST: Final = 16.0
"""How many times as long a look has to last in the end, where the quota was used up again and again."""
STALE: Final = 600.0
"""Seconds for which what was found last is told while YouTube does not answer."""
_QUOTA = ("quotaExceeded", "dailyLimitExceeded")

log = logging.getLogger("radio.web.youtube")


@dataclass(frozen=True, slots=True)
class Found:
    """`state`: whether YouTube's API answers; `error`: why not. `trouble`: what is wrong there although it does.
    `since` (of the state), `checked_at` and `rebound_at` are Unix seconds; `rebinds` counts since the process began.
    `stream` and `broadcast` are what was found last.
    """

    state: Literal["connecting", "connected", "away"]
    since: float
    error: str | None = None
    checked_at: float | None = None
    trouble: str | None = None
    stream: Stream | None = None
    broadcast: Broadcast | None = None
    rebinds: int = 0
    rebound_at: float | None = None


class Watcher:
    """Watches the stream with the id `stream`, with `client`, which is None where the credentials can't be used:
    `unusable` then says why. `sharing` is how many watchers this host has: they share a project's quota. `memory` is
    the file for what must outlive the process.
    """

    def __init__(
        self,
        station: str,
        destination: str,
        stream: str,
        client: Client | None,
        *,
        rebind: bool,
        memory: Path,
        sharing: int = 1,
        unusable: str | None = None,
    ) -> None:
        self.station, self.destination, self.rebind = station, destination, rebind
        self._stream = stream
        self._client = client
        self._path = memory
        self._memory = recall(memory)
        self._sharing = sharing
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards what was found
        self._found = Found("connecting", time.time())
        self._rebinds = 0
        self._rebound_at: float | None = None
        self._rebind_error: str | None = None
        self._next_rebind = 0.0  # monotonic: no step of the clock makes two in an hour
        if client is None:
            self._found = Found("away", time.time(), error=unusable)
        self._thread = threading.Thread(target=self._run, name=f"youtube-{station}-{destination}", daemon=True)

    def start(self) -> None:
        """Begin; goes on until stopped, whatever YouTube does."""
        if self._client is not None:
            self._thread.start()

    def end(self) -> None:
        """Let it end. What it waits for is broken off."""
        self._stopped.set()
        if self._client is not None:
            self._client.end()

    def stop(self, seconds: float = 2.0) -> None:
        """End it, and wait for that. Only a name that can't be resolved takes longer than that waits."""
        self.end()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def found(self) -> Found:
        """What is known, now; no stream and no broadcast where that is older than `STALE`."""
        with self._lock:
            found = self._found
        if found.state != "connected" and time.time() - (found.checked_at or 0.0) > STALE:
            return replace(found, stream=None, broadcast=None, trouble=None)
        return found

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._client is not None  # noqa: S101 - it is not started without
        failures, pace = 0, 1.0
        while not self._stopped.is_set():
            used = self._client.units
            try:
                units = self._look(self._client) - used
            except Away as away:
                error, quota = str(away), isinstance(away, Refused) and away.reason in _QUOTA
            except Exception as broken:
                log.exception("YouTube could not be asked", extra={"context": self._context()})
                error, quota = type(broken).__name__, False
            else:
                failures = 0
                self._wait(pace * max(EVERY, units * UNIT_SECONDS * self._sharing))
                continue
            failures += 1
            if quota and failures == 1:
                # Others use the project too, or Google counts more than it says: half as often from now on.
                pace = min(2.0 * pace, SLOWEST)
            if not self._stopped.is_set():
                self._away(error)
            self._wait(QUOTA_SECONDS if quota else min(EVERY * 2.0 ** min(failures - 1, 10), RETRY_LAST))

    def _wait(self, seconds: float) -> None:
        # Up to a fifth more or less, so that many stations do not ask all at once.
        self._stopped.wait(seconds * random.uniform(0.8, 1.2))  # noqa: S311 - nothing secret

    def _look(self, client: Client) -> int:
        """Ask once, and do what is to be done; gives the client's units before the latter. Raises Away."""
        stream = client.stream(self._stream)
        if stream is None:
            raise Away(
                f"knows no stream {self._stream!r} on the channel that was authorised; "
                "hook_service.youtube.authorise shows those there are"
            )
        broadcasts = self._broadcasts(client)
        units = client.units
        found = rebind.current(broadcasts, stream.id, self._memory.known)
        if found is not None and found.life_cycle in AIRING and found.id != self._memory.last:
            self._note(replace(self._memory, last=found.id))
        if self.rebind:
            found = self._rebound(client, stream, found, broadcasts)
        self._connected(stream, found)
        return units

    def _broadcasts(self, client: Client) -> list[Broadcast]:
        """As few lists as tell which broadcast the stream is on: one, as long as all is well."""
        found = client.broadcasts("active")
        if any(one.stream == self._stream for one in found):
            return found
        found += client.broadcasts("upcoming")
        if self._memory.known:
            there = {one.id for one in found}
            found += [one for one in client.broadcasts_with(self._memory.known) if one.id not in there]
        if rebind.current(found, self._stream, self._memory.known) is None:
            found += client.broadcasts("completed")
        return found

    def _rebound(
        self, client: Client, stream: Stream, found: Broadcast | None, broadcasts: list[Broadcast]
    ) -> Broadcast | None:
        """Take the next step, if there is one; the broadcast that the stream is on then."""
        step = rebind.next_step(stream, found, broadcasts, self._memory, time.time())
        if step is None or self._stopped.is_set():
            if found is not None and found.life_cycle in AIRING:
                self._rebind_error = None
            return found
        try:
            return self._take(client, step)
        except Away as away:
            if not self._stopped.is_set():
                # An attempt to make one was counted before it began.
                tries = self._memory.tries + (step.what == "air")
                self._note(replace(self._memory, tried_at=time.time(), tries=tries))
                context = self._context() | {"why": str(away), "broadcast": step.broadcast.id}
                if self._rebind_error != str(away):
                    log.warning("The broadcast could not be bound anew", extra={"context": context})
                self._rebind_error = str(away)
            return found

    def _take(self, client: Client, step: Step) -> Broadcast:
        one = step.broadcast
        if step.what == "create":
            if time.monotonic() < self._next_rebind:
                return one
            # Written down first, as an attempt: whatever happens from here on, the next one is a while away.
            now, begins = time.time(), rebind.soon(time.time())
            tries = self._memory.tries + 1
            self._remember(replace(self._memory, last=one.id, made=None, asked=begins, tried_at=now, tries=tries))
            one = client.insert(rebind.like(one, begins))
        if one.id != self._memory.made:
            self._next_rebind = time.monotonic() + rebind.APART
            self._remember(replace(self._memory, made=one.id, made_at=time.time(), asked=None, tries=0))
        if one.stream != self._stream:
            one = client.bind(one.id, self._stream)
            self._rebinds, self._rebound_at = self._rebinds + 1, time.time()
            context = self._context() | {"broadcast": one.id, "title": one.title}
            log.warning("The stream is bound to a new broadcast", extra={"context": context})
        try:
            one = client.start(one.id)
        except Refused as refused:
            # It starts by itself as well; who of the two was first does not matter.
            if refused.reason != "redundantTransition":
                raise
            one = replace(one, life_cycle="liveStarting")
        self._rebind_error = None
        self._remember(replace(self._memory, last=one.id, tries=0))
        return one

    def _remember(self, memory: Memory) -> None:
        """Raises Away: without its memory, a process that is restarted over and over would make one each time."""
        if memory == self._memory:
            return
        try:
            write_json(self._path, asdict(memory))
        except OSError as error:
            raise Away(f"is left as it is, as {self._path} can't be written ({error.strerror})") from None
        self._memory = memory

    def _note(self, memory: Memory) -> None:
        """The same for what may be forgotten: a full disk is no reason not to look."""
        with contextlib.suppress(Away):
            self._remember(memory)
        self._memory = memory

    # --- what is told --------------------------------------------------------------------------------------------

    def _connected(self, stream: Stream, broadcast: Broadcast | None) -> None:
        now = time.time()
        trouble = rebind.trouble(stream, broadcast, self.rebind)
        if trouble and self._rebind_error:
            trouble = f"{trouble}; the last attempt failed: YouTube {self._rebind_error}"
        with self._lock:
            before = self._found
            since = before.since if before.state == "connected" else now
            self._found = replace(
                before, state="connected", since=since, error=None, checked_at=now, trouble=trouble, stream=stream,
                broadcast=broadcast, rebinds=self._rebinds, rebound_at=self._rebound_at,
            )  # fmt: skip
        if before.state != "connected":
            log.info("YouTube's API answers", extra={"context": self._context()})
        if before.state == "connecting" or trouble != before.trouble:
            context = self._context() | {"stream": stream.status, "health": stream.health}
            context["broadcast"] = broadcast.life_cycle if broadcast is not None else "none"
            if trouble:
                log.warning("Not well at YouTube", extra={"context": context | {"why": trouble}})
            else:
                log.info("Well at YouTube", extra={"context": context})

    def _away(self, error: str) -> None:
        with self._lock:
            before = self._found
            since = before.since if before.state == "away" else time.time()
            self._found = replace(before, state="away", since=since, error=f"YouTube {error}"[:500])
        if before.state != "away" or before.error != self._found.error:
            log.warning("YouTube's API is away", extra={"context": self._context() | {"why": error}})

    def _context(self) -> dict[str, Any]:
        return {"station": self.station, "destination": self.destination}


def recall(path: Path) -> Memory:
    """What was remembered; nothing where that can't be read."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return Memory()
    if not isinstance(document, dict):
        return Memory()
    last, made = (value if isinstance(value, str) else None for value in (document.get("last"), document.get("made")))
    at, asked, tried = (number(document.get(name), 0.0, 4e9, 0.0) for name in ("made_at", "asked", "tried_at"))
    return Memory(last, made, at, asked or None, tried, int(number(document.get("tries"), 0, 1e6, 0)))
