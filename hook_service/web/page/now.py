"""What is on the air now: one station at a time, and the little document that keeps its page up to date."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from flask import Response, current_app, render_template, request

from hook_service import ipc
from hook_service.observe.metrics import processes
from hook_service.web.loops import preparation
from hook_service.web.page import words
from hook_service.web.page.common import the_services, the_station, when

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Blueprint

NAV: Final = (("/", "On the air", "read"),)
PARTS: Final = ("now", "state", "processes", "override")
FRESH: Final = 0.4
"""Seconds that a document is good for: it is made once for all who look."""
TIMEOUT: Final = 0.5
"""Seconds for a process to answer."""


def routes(blueprint: Blueprint) -> None:
    """Add them."""
    blueprint.get("/")(page)
    blueprint.get("/live")(live)


def page() -> str:
    """The page, as it would be without a script: of the moment."""
    return render_template("now.html", **view(the_station()))


def live() -> Response:
    """What changes on the page, for its script: the data, and the parts of the page that show it."""
    station = the_station()
    shared: dict[str, _Shared] = current_app.extensions.setdefault("live", {})
    body, tag = shared.setdefault(station, _Shared()).get(station)
    response = Response(body, mimetype="application/json")
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)  # type: ignore[return-value]


@dataclass(slots=True)
class _Shared:
    """A station's document, which fifty open pages cost no more than one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made: float = float("-inf")
    body: bytes = b""
    tag: str = ""

    def get(self, station: str) -> tuple[bytes, str]:
        with self.lock:
            if time.monotonic() - self.made > FRESH:
                found = view(station)
                parts = {name: render_template(f"_{name}.html", **found) for name in PARTS}
                self.body = json.dumps({**found, "parts": parts}).encode()
                # What the service says of itself is the same for all, but no secret may be in it: see api.common.
                for key in the_services().keys:
                    self.body = self.body.replace(key.encode(), b"***")
                self.tag = sha256(self.body).hexdigest()[:16]
                self.made = time.monotonic()
            return self.body, self.tag


def view(station: str) -> dict[str, Any]:
    """Everything that the page shows of a station; times are ISO 8601. Nothing in it changes by itself."""
    services = the_services()
    settings = services.host.stations[station]
    playout, outputs = services.stations.statuses()[station]
    director = services.directors[station]
    told = services.health.check()[1]
    health, components = told["stations"][station], told["components"]
    on_air = (playout or {}).get("on_air")
    switch = director.known().switch
    track = director.track()
    held = director.manual.override
    rule = "manual" if held else (track or {}).get("rule", "")
    following = director.following()
    loops, run = services.host.paths.loops, services.host.paths.run
    # Who is known not to answer is not waited for.
    decoder = _decoder(run, station) if components["monitor"]["status"] == "up" else None
    return {
        "station": station,
        "name": settings.name or station,
        "status": words.status(health),
        "track": track
        and {
            "artist": track["artist"],
            "title": track["title"],
            "album": track["album"],
            "play_id": track["play_id"],
            "rule": track["rule"],
            "because": words.RULES.get(rule, rule),
            "since": when(switch["at"]) if switch else None,
        },
        "loop": on_air
        and {
            "name": words.loop_name(on_air.get("loop"), loops),
            "since": when(on_air.get("since")),
            "preparing": bool(on_air.get("preparing")),
        },
        "next": following
        and {
            "artist": following["artist"],
            "title": following["title"],
            "loop": words.loop_name(following["loop_path"], loops),
        },
        "override": words.override(held, loops),
        "processes": words.processes(playout, outputs) + words.helpers(components, preparation(run), decoder),
        "destinations": [
            words.destination(name, its.url, its.backup_of, outputs, services.youtube.status(station, name))
            for name, its in settings.destinations.items()
        ],
    }


def _decoder(run: Path, station: str) -> dict[str, Any] | None:
    """What looks at the station's stream, as the monitor tells it; None where it tells nothing."""
    try:
        told = ipc.request(run / "monitor.sock", {"op": "status"}, timeout=TIMEOUT)
    except ipc.PeerDown:
        return None
    return next((process for process in processes(told) if process["name"] == f"decoder:{station}"), None)
