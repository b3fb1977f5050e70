"""What is on the air, to look at: hands out the files that radio-monitor makes of the stream while somebody asks."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Response, current_app, send_file

from hook_service import ipc
from hook_service.web.page.common import the_services
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from flask import Blueprint

NAV: Final = ()
_MADE: Final = {"live.m3u8": "preview", "still.mp4": "still"}
"""Files that are made because they are asked for, and how the monitor is asked."""
_PIECE: Final = re.compile(r"[0-9]{1,12}\.m4s|init-[0-9]{1,12}\.mp4")
_TIMEOUT: Final = 0.5
_FRESH: Final = 0.5
_OLD: Final = 5.0
_SOON: Final = {"Retry-After": "1"}


def routes(blueprint: Blueprint) -> None:
    """Add them."""
    blueprint.get("/preview/<station>/<name>")(file)


def file(station: str, name: str) -> Response:
    """A file of a station's preview: the list, a GOP, what goes before it, or the newest keyframe."""
    services = the_services()
    if station not in services.host.stations:
        raise Problem(404, "This station is not configured here.", stations=sorted(services.host.stations))
    made = _MADE.get(name)
    if made is None and not _PIECE.fullmatch(name):
        raise Problem(404, "There is nothing at this address.")
    if made is not None and not _asked().ready(services.host.paths.run, station, made):
        raise Problem(503, "Nothing can be seen: nothing leaves the host, or it takes a moment yet.", _SOON)
    kind = "application/vnd.apple.mpegurl" if name.endswith("m3u8") else "video/mp4"
    try:
        response = send_file(services.host.paths.run / "preview" / station / name, mimetype=kind, etag=False)
    except OSError:
        if made is None:
            raise Problem(404, "This part of it is over.") from None
        raise Problem(503, "There is no picture of it just now.", _SOON) from None
    response.headers["Cache-Control"] = "no-store"
    return response


class _Asked:
    """Asks the monitor on behalf of all who look, who otherwise would keep it, and our threads, busy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], tuple[float, bool]] = {}

    def ready(self, run: Path, station: str, op: str) -> bool:
        """Whether there is such a file. Raises Problem where the monitor does not answer."""
        age, ready = self._known(station, op)
        # Who would have to wait takes what was answered to the one before, if that is not long ago.
        if age < _FRESH or not self._lock.acquire(timeout=_TIMEOUT if age > _OLD else 0):
            return ready
        try:
            age, ready = self._known(station, op)
            if age < _FRESH:
                return ready
            told = ipc.request(run / "monitor.sock", {"op": op, "station": station}, timeout=_TIMEOUT)
            ready = told.get("ready") is True
            self._answers[station, op] = (time.monotonic(), ready)
        except ipc.PeerDown:
            self._answers[station, op] = (time.monotonic(), False)
            raise Problem(503, "The monitor does not answer.", {"Retry-After": "5"}) from None
        finally:
            self._lock.release()
        return ready

    def _known(self, station: str, op: str) -> tuple[float, bool]:
        """What was answered last, and how many seconds ago."""
        at, ready = self._answers.get((station, op), (float("-inf"), False))
        return time.monotonic() - at, ready


def _asked() -> _Asked:
    found: _Asked = current_app.extensions.setdefault("preview", _Asked())
    return found
