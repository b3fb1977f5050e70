"""`radio-web`: webhooks, the operator's API, health and metrics of all stations on this host."""

from __future__ import annotations

import ctypes
import gc
import logging
import signal
import sys
import threading
from functools import partial
from types import FrameType
from urllib.parse import urlsplit
from uuid import uuid4

from hook_service import config
from hook_service.config import Host
from hook_service.observe import log as logs
from hook_service.observe import notify
from hook_service.observe.metrics import (
    GaugesCollector,
    Metrics,
    SourcesCollector,
    StationsCollector,
    preparations_failed,
)
from hook_service.observe.onair import DestinationsCollector, OnairCollector
from hook_service.observe.youtube import YouTubeCollector
from hook_service.tracks.nowplaying import Source, TrackEvent
from hook_service.tracks.policies import Policies
from hook_service.tracks.track_key import normalise
from hook_service.web.app import Services, create_app
from hook_service.web.art import Gallery
from hook_service.web.auth import Guard
from hook_service.web.azuracast import Listener
from hook_service.web.cards import Cards
from hook_service.web.director import Director
from hook_service.web.health import Health
from hook_service.web.housekeeping import keep_house
from hook_service.web.loops import preparation
from hook_service.web.plays import Memory
from hook_service.web.relay import bytes_in
from hook_service.web.server import Server, build
from hook_service.web.sessions import Sessions
from hook_service.web.songs import Librarian
from hook_service.web.sources import Sources
from hook_service.web.stations import Stations
from hook_service.web.store import Store
from hook_service.web.youtube import YouTube

SWITCH_INTERVAL = 0.001
"""Seconds after which a thread that computes lets another have its turn (Python's own 5 ms add up to the latency)."""
ALIVE_EVERY = 5.0

log = logging.getLogger("radio.web")


class Web:
    """The whole process, without its signals and its command line."""

    def __init__(self, host: Host) -> None:
        self._store = Store(host)
        self._loops = host.paths.loops
        self._metrics = Metrics(host.stations)
        stations = Stations(host.paths.run, host.stations)
        state = host.paths.state / "web"
        gallery = Gallery(host.paths.art, self._art_changed)
        self.directors = {
            name: Director(
                name,
                run=host.paths.run,
                memory=Memory.load(state / f"{name}.json"),
                resolver=self._store.resolver,
                recorder=self._store.outbox,
                metrics=self._metrics,
                switch_delay=station.switch_delay,
                policies=_policies(station.policies),
                names=(station.name,),
                alive_before=self._store.outbox.previous_alive,
                cards=_cards(host, station, gallery),
            )
            for name, station in host.stations.items()
        }
        self.listeners = {
            name: Listener(
                name,
                station.azuracast.url,
                station.azuracast.shortcode or name,
                host.secret(f"{name}.azuracast-key"),
                partial(_offer, self.directors[name]),
            )
            for name, station in host.stations.items()
            if station.azuracast is not None
        }
        sources = Sources(self.directors, self.listeners)
        self._youtube = YouTube(host)
        health = Health(
            stations,
            {name: list(station.destinations) for name, station in host.stations.items()},
            self._store.state,
            lambda: bytes_in(host.relay.stat),
            self._youtube.states,
        )
        destinations = {name: list(station.destinations) for name, station in host.stations.items()}
        self._metrics.registry.register(StationsCollector(stations.statuses, destinations))
        # Right behind it: of the same look at the processes, which may have taken seconds.
        self._metrics.registry.register(DestinationsCollector(stations.statuses))
        self._metrics.registry.register(SourcesCollector(sources.up))
        self._metrics.registry.register(YouTubeCollector(self._youtube.found))
        self._metrics.registry.register(OnairCollector(host.stations, stations.onair))
        self._metrics.registry.register(
            GaugesCollector(
                (
                    "radio_outbox_pending",
                    "Records that are not in the database yet",
                    lambda: float(self._store.outbox.pending),
                ),
                (
                    "radio_database_up",
                    "1 while the database answers",
                    lambda: float(self._store.state().database_up),
                ),
                (
                    "radio_snapshot_age_seconds",
                    "Seconds since the mappings in memory were known to be the database's",
                    lambda: self._store.keeper.age,
                ),
                (
                    "radio_preparations_failed",
                    "Loops that can't be prepared: refused, unreadable, or to be tried again later",
                    lambda: preparations_failed(preparation(host.paths.run)),
                ),
            )
        )
        self._librarian = Librarian(host, self._store.songs)
        services = Services(
            host,
            Guard(host, self._store.tokens.actor),
            self._metrics,
            self.directors,
            health,
            self._store,
            stations,
            sources,
            self._youtube,
            Sessions(host),
            self._librarian,
        )
        self.app = create_app(services)
        self.server: Server = build(self.app, host.web)
        self._ended = threading.Event()

    def run(self) -> None:
        """Serve until `end()`."""
        self._store.start()
        for director in self.directors.values():
            director.start()
        for listener in self.listeners.values():
            listener.start()
        self._youtube.start()
        self._librarian.start()
        threading.Thread(target=self._look_after, name="watchdog", daemon=True).start()
        chores = (self._store.purge, self._tidy)
        threading.Thread(target=keep_house, args=(self._ended, chores), name="housekeeping", daemon=True).start()
        # What exists now lives for ever: the collector need not look at it again. What starting took goes back.
        gc.collect()
        gc.freeze()
        ctypes.CDLL(None).malloc_trim(0)
        try:
            self.server.run()
        finally:
            self._ended.set()
            self._youtube.stop()
            self._librarian.stop()
            for listener in self.listeners.values():
                listener.stop()
            for director in self.directors.values():
                director.stop()
            self._store.close()

    def end(self) -> None:
        """Finish what is being answered, and return from `run()`. For signal handlers."""
        self._ended.set()
        self.server.stop()

    def _art_changed(self) -> None:
        for director in self.directors.values():
            director.nudge()

    def _look_after(self) -> None:
        """Ready once a request could be served, then alive as long as one could."""
        interval = min(notify.watchdog_interval() or ALIVE_EVERY, ALIVE_EVERY)
        said = False
        while not self._ended.is_set():
            if self.server.alive(timeout=interval):
                if not said:
                    notify.ready()
                    said = True
                    log.info("Serving", extra={"context": {"stations": sorted(self.directors)}})
                notify.watchdog()
            elif not self._ended.is_set():
                log.error("Requests are not being served")
            if self._ended.wait(interval):
                return

    def _tidy(self) -> None:
        """Remove loops that were deleted long ago, and uploads that were left off."""
        from hook_service.web import trash, uploads  # noqa: PLC0415 - a host on which nobody uploads needs neither

        trash.empty(self._loops, older_than=trash.KEEP_DAYS * 86400)
        uploads.expire(self._loops)


def _policies(found: config.policies.Policies) -> Policies:
    return Policies(
        offline=found.offline,
        live=found.live,
        djs={normalise(name): loop for name, loop in found.djs.items()},
        jingle_playlists=frozenset(normalise(name) for name in found.jingles.playlists),
        jingles=found.jingles.show,
    )


def _cards(host: Host, station: config.Station, gallery: Gallery) -> Cards | None:
    card = station.card
    if card is None:
        return None
    allowed = set(card.art_hosts)
    if station.azuracast is not None:
        parts = urlsplit(station.azuracast.url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        host_name = (parts.hostname or "").lower()
        allowed.add(f"[{host_name}]:{port}" if ":" in host_name else f"{host_name}:{port}")
    return Cards(card.template, card.seconds, host.paths.cards, gallery, frozenset(allowed))


def _offer(director: Director, event: TrackEvent, received: float, source: Source) -> None:
    director.offer(event, received, uuid4().hex, source)


def main(argv: list[str] | None = None) -> int:
    """Entry point of the systemd unit `radio-web`."""
    arguments = config.argument_parser("Serve webhooks, the operator's API, health and metrics.").parse_args(argv)
    try:
        host = config.load(arguments.config)
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    logs.setup("radio-web", host.paths.log, rotates=True)
    for line in config.missing_credentials(host, keys=False):
        log.warning(line)
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        web = Web(host)
    except OSError as error:
        print(f"{host.web.listen}: can't be served on ({error})", file=sys.stderr)
        return 1

    def stop(_signal: int, _frame: FrameType | None) -> None:
        notify.stopping()
        web.end()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    web.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
