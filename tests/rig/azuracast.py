"""A simulated AzuraCast: what it knows of each station, when it notices a change, and whom it tells.

It follows AzuraCast's own source (Sync/NowPlaying/Task/NowPlayingTask.php, Webhook/Dispatcher.php,
Webhook/LocalWebhookHandler.php, Service/Centrifugo.php). It knows nothing of the sound: whoever plays it says when
each song begins.
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.azuracast_http import Site
from tests.rig.azuracast_worker import Message, Sent, Worker, send
from tests.rig.nowplaying import HISTORY_ITEMS, Row, Snapshot, Track, body, next_row

__all__ = ["MEDIA_KEY", "AzuraCast", "Knobs", "Sent", "Track", "body", "next_row", "send"]


MEDIA_KEY = "6d0f4c2b1a9e8d7c:0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@dataclass(slots=True)
class Knobs:
    """How this AzuraCast behaves from now on; change them at any time. Times are in seconds.

    A change is noticed `delay` after the song has begun in AzuraCast, which is `lead` before its sound is heard.
    Noticed is noticed by all: webhook, SSE and API. The rest is about one of them.
    """

    lead: float = 0.0
    delay: float = 1.0
    loss: bool = False
    """No webhook arrives."""
    duplicates: int = 0
    """Each webhook is sent so many times more."""
    shuffle: bool = False
    """Webhooks that were held back come in any order."""
    hold: bool = False
    """The worker is busy: webhooks and SSE wait, and come in a burst when this ends, with the snapshots of then."""
    sse: bool = True
    """False: Centrifugo is away, its connections are broken and nginx answers 502."""
    api: bool = True
    """False: PHP is away, and nginx answers 502."""
    key: str | None = None
    """The API is not public: it wants this key."""
    media_key: str = MEDIA_KEY
    """The key of someone who may manage the stations' media."""
    tick: float = 15.0
    """Each station is looked at so often, whether or not something has changed."""
    cache: float = 15.0
    """nginx answers from its cache for so long."""
    ping: float = 25.0
    """Centrifugo's."""


@dataclass(slots=True)
class _Station:
    """A station's rows, newest first, and what of them is in AzuraCast's cache: `known`."""

    now: Snapshot
    rows: tuple[Row, ...] = ()
    current_id: str | None = None
    known: Snapshot | None = None
    looked: float = 0.0


class AzuraCast:
    """An AzuraCast on loopback with these stations. `webhooks` are (url, user, password), the same for all stations.

    `start()` serves, `stop()` goes away with all that it had in memory, and can start again on the same port.
    `begin`, `live`, `offline`, `crashed` and `restart` are for all stations, or for the one that is named.
    `custom_fields` are those that the operator has made: then every song has them, null where unset.
    """

    def __init__(
        self,
        stations: Sequence[str],
        webhooks: Sequence[tuple[str, str, str]] = (),
        *,
        port: int | None = None,
        knobs: Knobs | None = None,
        custom_fields: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        self.knobs = knobs or Knobs()
        self.sent: list[Sent] = []
        """Every webhook, in order."""
        self._webhooks = list(webhooks)
        self._log = log
        self._stations = {
            short: _Station(Snapshot(short, number, online=False, fields=tuple(custom_fields)))
            for number, short in enumerate(stations, 1)
        }
        self._changed = threading.Condition(threading.RLock())
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._running = False
        self._thread: threading.Thread | None = None
        self._worker: Worker | None = None
        self.site = Site(self.knobs, self._known, list(self._stations), port)
        self.url = self.site.url
        self.library = self.site.library
        """The songs of each station's library; change them at any time."""

    # --- start and end -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to serve, to look and to send."""
        for station in self._stations.values():
            # The cache is empty: the first song after this is no change.
            station.known, station.looked = None, time.time()
        self._running = True
        self.site.start()
        self._worker = Worker(self.knobs, self._webhooks, self.site.tell, self._keep)
        self._worker.start()
        self._thread = threading.Thread(target=self._look, name="azuracast-look", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it. What was not sent is lost."""
        with self._changed:
            self._running = False
            self._changed.notify_all()
        self.site.stop()
        if self._worker is not None:
            self._worker.stop()
        if self._thread is not None:
            self._thread.join(2)
        self._worker = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- what happens at the station ----------------------------------------------------------------------------

    def begin(
        self,
        track: Track,
        at: float | None = None,
        *,
        next: Track | None = None,
        jingle: bool = False,
        station: str | None = None,
    ) -> None:
        """A song's sound begins at `at` (Unix seconds, now if not given; in the future for a `lead` to be kept).

        A jingle is one whose playlist hides it: AzuraCast goes on showing the song before.
        """
        self._plan(Row(next_row(), time.time() if at is None else at, track), next, jingle, station)

    def live(self, streamer: str, track: Track, at: float | None = None, *, station: str | None = None) -> None:
        """A streamer is on, with this song; `begin` ends it."""
        self._plan(Row(next_row(), time.time() if at is None else at, track, streamer), None, False, station)

    def offline(self, *, station: str | None = None) -> None:
        """The station has been stopped: "Station Offline" instead of a song."""
        with self._changed:
            for one in self._some(station):
                one.current_id = None
                one.now = replace(one.now, row=None, online=False, streamer="", broadcast_start=None)
                self._notice(one)

    def crashed(self, *, station: str | None = None) -> None:
        """Liquidsoap is down: offline, but the song of before is still shown. A song that begins ends it."""
        with self._changed:
            for one in self._some(station):
                one.now = replace(one.now, online=False)
                self._notice(one)

    def restart(self, *, station: str | None = None) -> None:
        """The station is restarted: it is offline until a song begins, and that one is always news."""
        self.offline(station=station)

    def _plan(self, row: Row, following: Track | None, jingle: bool, station: str | None) -> None:
        mine = replace(row, start=row.start - self.knobs.lead)

        def begin() -> None:
            for one in self._some(station):
                self._begin(one, mine, following, jingle)

        with self._changed:
            self._due.append((mine.start + self.knobs.delay, next(self._order), begin))
            self._due.sort(key=lambda due: due[:2])
            self._changed.notify_all()

    def _begin(self, one: _Station, row: Row, following: Track | None, jingle: bool) -> None:
        if one.current_id == row.track.id and one.now.streamer == row.streamer:
            # FeedbackCommand: "Song is not different from current song", and no row is written.
            if not one.now.online:
                one.now = replace(one.now, online=True)
                self._notice(one)
            return
        one.current_id = row.track.id
        if not jingle:
            # Rows are shown by their number, so one that is written late does not take the place of a later one.
            one.rows = tuple(sorted([*one.rows, row], key=lambda each: -each.sh_id))[: HISTORY_ITEMS + 1]
        if not one.rows:
            return
        since = one.now.broadcast_start if row.streamer == one.now.streamer else int(row.start)
        one.now = replace(
            one.now,
            row=one.rows[0],
            next=following or one.now.next,  # an empty queue leaves the one before
            history=one.rows[1:],
            online=True,
            streamer=row.streamer,
            broadcast_start=since if row.streamer else None,
        )
        self._notice(one)

    # --- noticing it ---------------------------------------------------------------------------------------------

    def _some(self, station: str | None) -> list[_Station]:
        return list(self._stations.values()) if station is None else [self._stations[station]]

    def _known(self, station: str) -> Snapshot | None:
        """What the API's cache holds: None until the station was looked at."""
        with self._changed:
            return self._stations[station].known

    def _look(self) -> None:
        """What is due, in order, and each station once a tick."""
        with self._changed:
            while self._running:
                now = time.time()
                while self._due and self._due[0][0] <= now:
                    self._due.pop(0)[2]()
                for station in self._stations.values():
                    if now - station.looked >= self.knobs.tick:
                        self._notice(station)
                # A knob may be turned meanwhile, which nobody is told of.
                wake = min([now + 0.2, *(due[0] for due in self._due[:1])])
                self._changed.wait(max(0.001, wake - time.time()))

    def _notice(self, station: _Station) -> None:
        """NowPlayingTask: what is new against the cache, for the worker to tell."""
        if self._worker is None or not self._running:
            return
        before, now = station.known, station.now
        station.known, station.looked = now, time.time()
        self._worker.put(Message(now, station.looked, _triggers(before, now)))

    def _keep(self, sent: Sent) -> None:
        self.sent.append(sent)
        if self._log is not None:
            with self._log.open("a") as log:
                log.write(f"{sent}\n")


def _triggers(before: Snapshot | None, now: Snapshot) -> frozenset[str]:
    """NowPlayingTask::dispatchWebhooks, without the listeners. The first look has nothing to compare."""
    if before is None:
        return frozenset()
    found = set()
    if now.streamer and now.streamer != before.streamer:
        found.add("live_connect")
    elif before.streamer and not now.streamer:
        found.add("live_disconnect")
    if before.online != now.online:
        found.add("station_online" if now.online else "station_offline")
    if before.song_id != now.song_id:
        found.add("song_changed")
    return frozenset(found)
