"""Asking AzuraCast itself what is playing: its event stream while that can be had, else its now-playing API.

A webhook that is lost is not sent again, and the first song after a start sends none at all. AzuraCast's own page
uses two other ways, and so does this: server-sent events, which come at every look that AzuraCast takes at a station
(10 to 16 s) and at once at a change, and the API, which it caches for 15 s.

Only plain HTTP of the standard library, one thread a station. What comes is limited in size and in time, so that
nothing that a server sends does more than end the attempt.
"""

from __future__ import annotations

import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from hook_service.tracks import nowplaying
from hook_service.tracks.nowplaying import TrackEvent
from hook_service.web import sse
from hook_service.web.httpget import Answer, Away, break_off, get

POLL_EVERY: Final = 15.0
"""Seconds, as long as AzuraCast's nginx answers from its cache anyway."""
POLL_LAST: Final = 120.0
"""Seconds between two polls that fail, in the end."""
RETRY_FIRST, RETRY_LAST = 1.0, 60.0
"""Seconds before the event stream is tried again."""
STEADY: Final = 30.0
"""Seconds after which a stream counts as one that works: a break of it is followed by a quick new attempt."""
QUIET: Final = 60.0
"""Seconds without a byte after which a stream is dead: Centrifugo pings every 25 s."""
SILENT: Final = 120.0
"""Seconds with nothing about the station. Centrifugo subscribes to any name; of one that does not exist nothing ever
comes. An AzuraCast that is busy takes up to 90 s."""
MAX_BODY: Final = 2 << 20
"""Bytes of an answer of the API, which has 3 to 100 KB."""

Offer = Callable[[TrackEvent, float, Literal["sse", "poll"]], object]
"""Takes an event, when it was received (Unix seconds), and the way it came. Repetitions are its to recognise."""

log = logging.getLogger("radio.web.azuracast")


@dataclass(frozen=True, slots=True)
class SourceState:
    """`connected`: the last attempt worked; `away`: it did not; `connecting`: not known yet; `idle` (the API alone):
    not asked, as the event stream is there. `error` says what AzuraCast does wrong. `since` and `last_at` (the last
    event told) are Unix seconds.
    """

    state: Literal["connecting", "connected", "away", "idle"]
    since: float
    error: str | None = None
    last_at: float | None = None


class Listener:
    """Follows one station of an AzuraCast and hands what it hears to `offer`, from its own thread.

    `url` is AzuraCast's address as in a browser, `shortcode` the station's short name there. `key` is sent to the API
    only: the event stream asks nobody who they are.
    """

    def __init__(self, station: str, url: str, shortcode: str, key: str | None, offer: Offer) -> None:
        self.station = station
        self._url = url.rstrip("/")
        self._shortcode = shortcode
        self._key = key
        self._offer = offer
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # guards the states and the socket
        self._socket: socket.socket | None = None
        now = time.time()
        self._states = {"sse": SourceState("connecting", now), "poll": SourceState("idle", now)}
        self._thread = threading.Thread(target=self._run, name=f"azuracast-{station}", daemon=True)

    def start(self) -> None:
        """Begin; goes on until stopped, whatever AzuraCast does."""
        self._thread.start()

    def stop(self) -> None:
        """End it. An attempt to connect is not waited for; nothing of it is handed on."""
        self._stopped.set()
        with self._lock:
            if self._socket is not None:
                break_off(self._socket)
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def state(self) -> dict[str, dict[str, Any]]:
        """`{"sse": …, "poll": …}`, each the fields of a SourceState."""
        with self._lock:
            return {source: asdict(state) for source, state in self._states.items()}

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        stream_wait, poll_wait = RETRY_FIRST, POLL_EVERY
        stream_due = poll_due = 0.0
        while not self._stopped.is_set():
            if time.monotonic() >= stream_due:
                began = time.monotonic()
                self._attempt("sse", self._follow)
                stream_wait = RETRY_FIRST if time.monotonic() - began > STEADY else stream_wait
                stream_due = time.monotonic() + _jittered(stream_wait)
                stream_wait = min(2 * stream_wait, RETRY_LAST)
            if time.monotonic() >= poll_due and not self._stopped.is_set():
                works = self._attempt("poll", self._poll)
                poll_wait = POLL_EVERY if works else min(2 * poll_wait, POLL_LAST)
                poll_due = time.monotonic() + _jittered(poll_wait)
            self._stopped.wait(max(0.0, min(stream_due, poll_due) - time.monotonic()))

    def _attempt(self, source: Literal["sse", "poll"], attempt: Callable[[], None]) -> bool:
        """Whether it ended well. What is wrong with a server's answer is never more than that source being away."""
        try:
            attempt()
        except (Away, sse.StreamError) as error:
            why = str(error)
        except Exception as error:
            log.exception("AzuraCast could not be asked", extra={"context": self._context(source)})
            why = type(error).__name__
        else:
            return True
        if not self._stopped.is_set():
            self._became(source, "away", why[:300])
        return False

    def _follow(self) -> None:
        """Read the event stream until it ends, which is always an error."""
        channel = f"station:{self._shortcode}"
        connect = json.dumps({"subs": {channel: {"recover": True}}}, separators=(",", ":"))
        query = urlencode({"cf_connect": connect})
        with self._get(f"/api/live/nowplaying/sse?{query}", {"Accept": "text/event-stream"}) as answer:
            if answer.status != 200:
                raise Away(f"answers with {answer.status}")
            if answer.kind != "text/event-stream":
                raise Away("answers with something that is no event stream; is this AzuraCast's address?")
            parser = sse.Parser()
            heard = time.monotonic()
            # Looked at each time: what `stop()` has broken off may have been a question to the API meanwhile.
            while not self._stopped.is_set() and (data := answer.read()):
                for event in parser.feed(data):
                    message = sse.message(event, channel)
                    if message.kind == "connect":
                        # Not sooner: a proxy that keeps everything back sends headers too.
                        answer.unending(QUIET)
                    if self._told(message):
                        heard = time.monotonic()
                if time.monotonic() - heard > SILENT:
                    short = self._shortcode
                    raise Away(f"says nothing of a station {short!r}: is that its short name, and is it started?")
        raise Away("has ended the event stream")

    def _told(self, message: sse.Message) -> bool:
        """Deal with one message; whether it was about the station."""
        if message.kind == "disconnect":
            raise Away(f"has closed the event stream: {message.reason}")
        if message.kind == "connect":
            self._became("sse", "connected")
            # Nothing is kept there for longer than 30 s. What plays now is to be known now.
            asked = bool(message.bodies) or self._attempt("poll", self._poll)
            self._became("poll", "idle", None if asked else self._states["poll"].error)
        for body in message.bodies:
            self._hand_on(body)
        if message.bodies:
            # A station that the API knew nothing of has been started meanwhile.
            self._became("poll", "idle")
        return bool(message.bodies)

    def _poll(self) -> None:
        """Ask the API once."""
        headers = {"Accept": "application/json"} | ({"X-API-Key": self._key} if self._key else {})
        with self._get(f"/api/nowplaying/{quote(self._shortcode, safe='')}", headers) as answer:
            if answer.status != 200:
                raise Away(self._explained(answer.status))
            body = answer.whole(MAX_BODY)
        try:
            event = nowplaying.parse_json(body)
        except nowplaying.ValidationError:
            raise Away("answers with something that is no NowPlaying; is this AzuraCast's address?") from None
        self._became("poll", "connected")
        self._give("poll", event)

    def _explained(self, status: int) -> str:
        if status in (401, 403):
            where = f"the credential {self.station}.azuracast-key"
            if self._key:
                return f"refuses the API key ({status}); put one that is valid into {where}"
            return f"has an API that is not public ({status}); put an API key into {where}"
        if status == 404:
            return f"knows nothing of a station {self._shortcode!r} (404): is that its short name, and is it started?"
        return f"answers with {status}"

    def _hand_on(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise sse.StreamError("sends a publication without AzuraCast's document")
        try:
            # As JSON again: what is a string there need not be one that can be written, and Python takes it.
            event = nowplaying.parse_json(json.dumps(body))
        except nowplaying.ValidationError as error:
            # One song's fields are wrong. The next may be right, and a new connection would not mend it.
            self._became("sse", "connected", f"sends what can't be used: {error}"[:300])
        else:
            self._became("sse", "connected")
            self._give("sse", event)

    def _give(self, source: Literal["sse", "poll"], event: TrackEvent) -> None:
        received = time.time()
        with self._lock:
            self._states[source] = replace(self._states[source], last_at=received)
        if self._stopped.is_set():
            return
        try:
            self._offer(replace(event, station=self.station), received, source)
        except Exception:
            log.exception("Event not dealt with", extra={"context": self._context(source)})

    def _became(
        self, source: Literal["sse", "poll"], state: Literal["connected", "away", "idle"], error: str | None = None
    ) -> None:
        with self._lock:
            before = self._states[source]
            since = before.since if before.state == state else time.time()
            self._states[source] = SourceState(state, since, error, before.last_at)
        if before.state == state and before.error == error:
            return
        context = self._context(source) | ({"why": error} if error else {})
        if state == "connected":
            log.log(logging.WARNING if error else logging.INFO, "AzuraCast is heard", extra={"context": context})
        elif state == "away":
            log.warning("AzuraCast is away", extra={"context": context})

    def _context(self, source: str) -> dict[str, Any]:
        return {"station": self.station, "source": source}

    @contextmanager
    def _get(self, path: str, headers: dict[str, str]) -> Iterator[Answer]:
        """A request that `stop()` can break off."""
        outer = self._socket  # the API may be asked while the event stream is open
        try:
            with get(self._url + path, headers, self._opened) as answer:
                yield answer
        finally:
            with self._lock:
                self._socket = outer

    def _opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._socket = connection
            if self._stopped.is_set():
                break_off(connection)


def _jittered(seconds: float) -> float:
    """Up to a fifth more or less, so that many who lost the same server do not come back all at once."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - nothing secret
