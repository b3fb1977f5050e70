"""Keeps a copy of each station's library: read over AzuraCast's API every hour, and when someone asks for it.

It is read page by page, so that ten thousand songs take no more memory than two hundred; only what has changed is
written, and a song that is in no page is removed. Where anything goes wrong the copy stays as it is.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

from hook_service.store.pool import DatabaseAway
from hook_service.tracks.nowplaying import ValidationError
from hook_service.web.httpget import Away, break_off, get

if TYPE_CHECKING:
    import socket

    from hook_service.config import Host
    from hook_service.store.songs import Songs
    from hook_service.tracks.library import LibraryPage

EVERY: Final = 3600.0
"""Seconds between two readings."""
AGAIN: Final = 300.0
"""Seconds after which a reading that failed is tried again."""
FIRST: Final = 20.0
"""Seconds after the start: a restart is over by then, and whoever looks does not wait long."""
ROWS: Final = 200
"""Songs of a page. AzuraCast looks up the fields of each one by one, and a page must not take it long."""
MAX_PAGE: Final = 16 << 20
"""Bytes of a page: songs come with their lyrics."""
MAX_SONGS: Final = 200_000

log = logging.getLogger("radio.web.songs")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the reading of a library goes. `off`: there is nothing to ask, `error` says why. `at` is when it was last
    read as a whole (Unix seconds), `songs` how many it had, `changed` and `removed` what that came to.
    """

    state: Literal["off", "waiting", "reading", "read", "away"]
    error: str | None = None
    at: float | None = None
    songs: int | None = None
    changed: int = 0
    removed: int = 0
    refused: int = 0


class Librarian:
    """Reads the libraries of all stations, one after the other, in a thread of its own."""

    def __init__(self, host: Host, songs: Callable[[], Songs]) -> None:
        self._host = host
        self._songs = songs
        self._lock = threading.Lock()  # guards the readings, what is due and the socket
        self._readings = {name: Reading("waiting") for name in host.stations}
        self._due: dict[str, float] = {}
        self._wake = threading.Event()
        self._stopped = False
        self._socket: socket.socket | None = None
        self._keys = {name: host.secret(f"{name}.azuracast-key") for name in host.stations}
        for name, station in host.stations.items():
            if station.azuracast is None:
                self._readings[name] = Reading("off", "this station has no azuracast.url")
            elif not self._keys[name]:
                why = f"put an API key of AzuraCast that may manage the station's media into {name}.azuracast-key"
                self._readings[name] = Reading("off", why)
            else:
                self._due[name] = time.monotonic() + FIRST
        self._thread = threading.Thread(target=self._run, name="songs", daemon=True)

    def start(self) -> None:
        """Begin, where there is anything to read."""
        if self._due:
            self._thread.start()

    def stop(self) -> None:
        """End it; a page that is being read is broken off."""
        with self._lock:
            self._stopped = True
            if self._socket is not None:
                break_off(self._socket)
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def ask(self, station: str) -> Reading:
        """Read a library as soon as can be; how it is now. Asked for twice it is read once."""
        with self._lock:
            found = self._readings[station]
            if found.state in ("off", "reading"):
                return found
            self._due[station] = 0.0
            self._readings[station] = found = replace(found, state="waiting", error=None)
        self._wake.set()
        return found

    def state(self, station: str) -> dict[str, Any]:
        """How the reading of a library goes: the fields of a Reading."""
        with self._lock:
            return asdict(self._readings[station])

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            with self._lock:
                station = min(self._due, key=lambda name: self._due[name])
                wait = self._due[station] - time.monotonic()
            if wait > 0:
                self._wake.wait(wait)
                self._wake.clear()
                continue
            self._read(station)

    def _read(self, station: str) -> None:
        self._became(station, state="reading", error=None)
        again = AGAIN
        try:
            found = self._copy(station)
        except (Away, ValidationError, DatabaseAway, ValueError) as error:
            why = {
                Away: f"AzuraCast {error}",
                ValidationError: f"AzuraCast answers with something that is no page of a library: {error}",
                DatabaseAway: "the database does not answer",
            }.get(type(error), str(error))[:300]
            self._became(station, state="away", error=why)
            if not self._stopped:
                log.warning("Library not read", extra={"context": {"station": station, "why": why}})
        except Exception as error:
            log.exception("Library not read", extra={"context": {"station": station}})
            self._became(station, state="away", error=type(error).__name__)
        else:
            again = EVERY
            self._became(station, **found, state="read", at=time.time())
            log.info("Library read", extra={"context": {"station": station, **found}})
        with self._lock:
            # Stations of one AzuraCast, and hosts that were started together, shall not all ask at once.
            self._due[station] = time.monotonic() + again * random.uniform(0.9, 1.1)  # noqa: S311 - nothing secret

    def _copy(self, station: str) -> dict[str, Any]:
        """Read it all and write what is different; what that came to."""
        songs = self._songs()
        seen: dict[str, None] = {}
        changed = refused = told = 0
        page, number = self._page(station, 1), 1
        while True:
            seen.update(dict.fromkeys(song.media_id for song in page.songs))
            refused += page.refused
            changed += songs.upsert(station, page.songs)
            # Not those that are new: one that gives the same page for ever would be asked for ever.
            told += len(page.songs) + page.refused
            if number >= page.pages or not (page.songs or page.refused):
                break
            if told > MAX_SONGS:
                raise Away(f"has more than {MAX_SONGS} songs")
            number += 1
            page = self._page(station, number)
        if len(seen) + refused < page.total:
            # A song was removed or renamed meanwhile, and others moved up over the edge of a page.
            raise Away("has changed its library while it was read; it is read again soon")
        removed = songs.keep_only(station, list(seen))
        return {"songs": len(seen), "changed": changed, "removed": removed, "refused": refused}

    def _page(self, station: str, number: int) -> LibraryPage:
        from hook_service.tracks.library import parse_page  # noqa: PLC0415 - models that only a reading needs

        settings = self._host.stations[station].azuracast
        assert settings is not None  # noqa: S101 - or it would be off
        name = quote(settings.shortcode or station, safe="")
        path = f"/api/station/{name}/files?rowCount={ROWS}&current={number}"
        headers = {"Accept": "application/json", "X-API-Key": self._keys[station] or ""}
        with get(settings.url + path, headers, self._opened) as answer:
            if answer.status != 200:
                raise Away(self._explained(station, answer.status))
            return parse_page(answer.whole(MAX_PAGE), str(self._host.paths.loops))

    def _explained(self, station: str, status: int) -> str:
        if status in (401, 403):
            return (
                f"refuses the API key ({status}): the one in {station}.azuracast-key must be valid, and its user must"
                " be allowed to manage the station's media"
            )
        if status == 404:
            return "knows nothing of this station (404): is azuracast.shortcode its short name?"
        return f"answers with {status}"

    def _opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._socket = connection
            if self._stopped:
                break_off(connection)

    def _became(self, station: str, **values: Any) -> None:
        with self._lock:
            self._readings[station] = replace(self._readings[station], **values)
