"""How the sources of each station's story are: for the API and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hook_service.tracks.scenes import CONNECTED, Plot, Via

if TYPE_CHECKING:
    from hook_service.web.azuracast import Listener
    from hook_service.web.director import Director

SONGS = 3
"""Webhooks count as working while they told of one of so many last songs."""
TELLERS = ("webhook", "sse", "poll")
_OFF = {"state": "off", "since": None, "error": None, "last_at": None}


@dataclass(frozen=True, slots=True)
class Known:
    """What a director knows of its sources. Times are Unix seconds."""

    mount: str | None
    via: Via | None
    title: str | None
    trusted: bool
    last_at: dict[str, float]
    """When each source last told anything."""
    webhooks: bool
    switch: dict[str, Any] | None
    """`at`, `decided_by`, and `offsets`: seconds by which each source told later than the sound; None: not known."""

    @classmethod
    def of(cls, plot: Plot, switch: dict[str, Any] | None) -> Known:
        """What can be told of a plot, and of the last switch."""
        last = None
        if switch is not None:
            scene = next((scene for scene in plot.scenes if scene.number == switch["scene"]), None)
            offsets = scene.offsets if scene is not None else {}
            found = {source: offsets.get(source) for source in TELLERS}
            found["icy"] = offsets.get("icy", offsets.get("ogg"))
            rounded = {source: None if value is None else round(value, 3) for source, value in found.items()}
            last = {"at": switch["at"], "decided_by": switch["decided_by"], "offsets": rounded}
        return cls(
            mount=plot.mount,
            via=plot.via,
            title=plot.title.text if plot.title is not None else None,
            trusted=plot.listens,
            last_at=dict(plot.last_told),
            webhooks=any("webhook" in scene.told for scene in plot.scenes[-SONGS:]),
            switch=last,
        )


class Sources:
    """The sources of all stations. `listeners` are of those that have an AzuraCast to ask."""

    def __init__(self, directors: Mapping[str, Director], listeners: Mapping[str, Listener]) -> None:
        self._directors = directors
        self._listeners = listeners

    def status(self, station: str) -> dict[str, Any]:
        """`sources` and `last_switch` of the status."""
        known = self._directors[station].known()
        listener = self._listeners.get(station)
        asked = listener.state() if listener is not None else {"sse": _OFF, "poll": _OFF}
        last = known.switch
        return {
            "sources": {
                "webhook": {"last_at": _moment(known.last_at.get("webhook"))},
                **{name: {**state, **_moments(state, "since", "last_at")} for name, state in asked.items()},
                "icy": {
                    "state": known.mount,
                    "titles": known.via,
                    "title": known.title,
                    "trusted": known.trusted,
                },
            },
            "last_switch": None if last is None else {**last, **_moments(last, "at")},
        }

    def up(self) -> dict[str, tuple[dict[str, bool], bool]]:
        """By station: which sources are there, without those that nobody asks, and whether titles are trusted."""
        found = {}
        for station, director in self._directors.items():
            known = director.known()
            listener = self._listeners.get(station)
            states = listener.state() if listener is not None else {}
            there = {name: state["state"] == CONNECTED for name, state in states.items() if state["state"] != "idle"}
            there |= {"webhook": known.webhooks, "icy": known.mount == CONNECTED and known.via is not None}
            found[station] = there, known.trusted
        return found


def _moments(document: Mapping[str, Any], *names: str) -> dict[str, datetime | None]:
    return {name: _moment(document[name]) for name in names}


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
