"""radio-prepare: prepares loops in the background and, when one is wanted on the air at once, right away."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hook_service.observe import notify

from .basics import ensure_basics
from .catalog import printable
from .child import BACKGROUND_NICE, Cancelled
from .claim import clean
from .dress import find
from .errors import LibraryError, Refused
from .gallery import Gallery
from .jobs import Queue
from .preparer import Preparer
from .scanner import Item, Scanner, prune
from .urgent import UrgentLane

if TYPE_CHECKING:
    from hook_service.config import Host

    from .profiles import Profile

__all__ = ["Service", "main"]

log = logging.getLogger("radio.library")

SCAN_SECONDS = 5.0
_PRUNE_SECONDS = 3600.0
_AGAIN_FIRST = 15.0
_AGAIN_LAST = 3600.0
_STOP_SECONDS = 4.0


@dataclass(slots=True)
class _Backoff:
    """When something that failed for the moment may be tried again."""

    not_before: float
    wait: float


class Service:
    """All of radio-prepare but its command line and its signals: `start`, then `stop`."""

    def __init__(self, host: Host, scan_seconds: float = SCAN_SECONDS) -> None:
        profiles: list[Profile] = [host.station_profile(shortcode) for shortcode in host.stations]
        self._host = host
        self._scan_seconds = scan_seconds
        self._library = host.paths.library
        self._preparer = Preparer(host.paths.library, host.paths.loops, profiles)
        first = [host.paths.loops / name for station in host.stations.values() for name in _needed(station)]
        self._scanner = Scanner(host.paths.loops, self._library, self._preparer.profiles, first)
        self._first = frozenset(first)
        self._queue = Queue(host.dsn, self._work)
        self._gallery = Gallery(self._library)
        wardrobe = partial(find, own=host.paths.cards, art=host.paths.art)
        self._lane = UrgentLane(host.paths.run / "prepare.sock", self._preparer, self.status, self.loops, wardrobe)
        self._items: list[Item] = []
        self._later: dict[tuple[str, str], _Backoff] = {}
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._threads = [threading.Thread(target=self._scan, name="scanner")]
        self._local: threading.Thread | None = None
        self._scanned = 0.0

    def start(self) -> None:
        """Answer on the socket, and begin to look for loops and to take jobs."""
        self._clean()
        self._lane.start()
        self._queue.start()
        self._gallery.start()
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the scanner moves; it hashes large files, which may take minutes."""
        return not self._scanned or time.monotonic() - self._scanned < 1800

    def stop(self) -> None:
        """End all work and every FFmpeg at once."""
        self._stopping.set()
        self._wake.set()
        self._preparer.stop(_STOP_SECONDS)
        self._queue.stop()
        self._gallery.stop()
        self._lane.stop()
        deadline = time.monotonic() + _STOP_SECONDS
        self._queue.join(_STOP_SECONDS)
        self._gallery.join(max(0.1, deadline - time.monotonic()))
        for thread in (*self._threads, self._local):
            if thread is not None:
                thread.join(max(0.1, deadline - time.monotonic()))

    def status(self) -> dict[str, Any]:
        """The answer to the op `status`."""
        items, encoding = self._items, self._preparer.encoding()
        count = Counter(item.state for item in items)
        return {
            "ok": True,
            "queued": max(0, count["queued"] - len(encoding)),
            "encoding": encoding,
            "prepared": count["ready"],
            "refused": count["refused"],
            "unreadable": count["unreadable"],
            # Of the queued: what was tried, failed, and is tried again later.
            "postponed": sum(item.state == "queued" and _key(item) in self._later for item in items),
            "database": "up" if self._queue.is_up else "down",
        }

    def loops(self) -> list[dict[str, Any]]:
        """The answer to the op `loops`: `path`, `profile`, `state`, `reason` of every file and profile."""
        busy = {(entry["path"], entry["profile"]): entry["percent"] for entry in self._preparer.encoding()}
        found = []
        for item in self._items:
            entry = {"path": printable(item.path), "profile": item.profile.name, "reason": item.reason}
            percent = busy.get((entry["path"], item.profile.name))
            state = item.state if percent is None else "encoding"
            found.append({**entry, "sha256": item.sha256, "state": state, "percent": percent})
        return found

    def _scan(self) -> None:
        self._basics()
        # This thread hashes every new file: not at the expense of what is on the air.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICE)
        pruned = 0.0
        while not self._stopping.is_set():
            try:
                self._basics()
                self._queue.check()
                self._items = self._scanner.scan()
                self._gallery.want(self._items)
                if not pruned or time.monotonic() - pruned > _PRUNE_SECONDS:
                    self._clean()
                    prune(self._library, self._preparer.profiles, self._items)
                    pruned = time.monotonic()
                self._hand_out([item for item in self._items if item.state == "queued"])
            except Exception:
                log.exception("The loops could not be looked through")
            self._scanned = time.monotonic()
            self._wake.wait(self._scan_seconds)
            self._wake.clear()

    def _clean(self) -> None:
        cleaned = clean(self._library)
        if cleaned:
            log.warning("Removed loops that were never finished, or damaged", extra={"context": {"loops": cleaned}})

    def _basics(self) -> None:
        for profile in self._preparer.profiles:
            try:
                ensure_basics(self._library, profile)
            except LibraryError as error:
                context = {"profile": profile.name, "reason": str(error)}
                log.error("The slate or the floor can't be made", extra={"context": context})  # noqa: TRY400

    def _hand_out(self, wanted: list[Item]) -> None:
        """Give what is to be done to the queue, or to a thread here while there is no queue."""
        now = time.monotonic()
        due = []
        for item in wanted:
            backoff = self._later.get(_key(item))
            busy = self._preparer.is_busy_with(item.profile, item.sha256)
            if not busy and (backoff is None or backoff.not_before <= now):
                due.append(item)
        due = [item for item in due if not self._queue.put(item, 10 if item.path in self._first else 0)]
        if self._local is None or not self._local.is_alive():
            audio = self._missing_audio()
            if due or audio:
                self._local = threading.Thread(target=self._alone, args=(due, audio), name="local")
                self._local.start()

    def _missing_audio(self) -> list[tuple[Path, int]]:
        found = []
        for shortcode, station in self._host.stations.items():
            if station.audio.fallback:
                path = self._host.paths.loops / station.audio.fallback
                backoff = self._later.get((str(path), "audio"))
                if path.is_file() and (backoff is None or backoff.not_before <= time.monotonic()):
                    found.append((path, self._host.station_profile(shortcode).audio_kbps))
        return found

    def _alone(self, items: list[Item], audio: list[tuple[Path, int]]) -> None:
        """Prepare without the database, one after the other, until it is back."""
        for path, kbps in audio:
            try:
                self._preparer.prepare_audio(path, kbps)
                self._postpone((str(path), "audio"), 60.0, 60.0)  # looked at again: it may be replaced
            except LibraryError as error:
                self._postpone((str(path), "audio"))
                context = {"path": printable(path), "reason": str(error)}
                log.warning("A fallback audio can't be prepared", extra={"context": context})
        for number, item in enumerate(items):
            # At least one each time: there may be a file that the queue can't take.
            if self._stopping.is_set() or (number and self._queue.is_up):
                return
            self._work(item.path, item.profile.name, item.profile.fade_in)

    def _work(self, path: Path, profile_name: str, fade_in: float) -> None:
        """One background job. Never raises: what went wrong is remembered or tried again later."""
        key = (str(path), f"{profile_name}/{fade_in}")
        try:
            self._preparer.prepare(path, self._preparer.profile(profile_name, fade_in))
        except Cancelled:
            return
        except Refused as error:
            context = {"path": printable(path), "profile": profile_name, "reason": str(error)}
            log.warning("A loop was refused", extra={"context": context})
        except LibraryError as error:
            self._postpone(key)
            context = {"path": printable(path), "profile": profile_name, "reason": str(error)}
            log.warning("A loop can't be prepared now", extra={"context": context})
        except Exception:
            self._postpone(key)
            log.exception("A loop could not be prepared", extra={"context": {"path": printable(path)}})
        else:
            self._later.pop(key, None)
        self._wake.set()

    def _postpone(self, key: tuple[str, str], first: float = _AGAIN_FIRST, last: float = _AGAIN_LAST) -> None:
        known = self._later.get(key)
        wait = first if known is None else min(last, known.wait * 2)
        self._later[key] = _Backoff(time.monotonic() + wait, wait)


def _key(item: Item) -> tuple[str, str]:
    return (str(item.path), f"{item.profile.name}/{item.profile.fade_in}")


def _needed(station: Any) -> list[str]:
    """The loops that a station falls back to."""
    return [station.default_loop, *(daypart.loop for daypart in station.dayparts)]


def main(argv: list[str] | None = None) -> int:
    """`radio-prepare`: run until SIGTERM or SIGINT."""
    from hook_service import config  # noqa: PLC0415 - pydantic, which nothing else here needs
    from hook_service.observe import log as logs  # noqa: PLC0415

    arguments = config.argument_parser("Prepare the loops of all stations.").parse_args(argv)
    try:
        host = config.load(arguments.config)
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    logs.setup("radio-prepare", host.paths.log)
    # They tell of every job and of every attempt to connect; what matters of that is logged here.
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    stopping = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    service = Service(host)
    service.start()
    notify.ready()
    interval = notify.watchdog_interval() or 10.0
    while not stopping.wait(interval):
        if service.is_alive:
            notify.watchdog()
    notify.stopping()
    service.stop()
    # A thread that hangs in a read of a dead disk must not keep the service from ending.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
