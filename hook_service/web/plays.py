"""What a station's director knows of plays, kept on disk so that a restart of the web process loses nothing.

The playout's events carry a play's id and no more. What the id stands for (the song, the mapping, the webhook
it came from) is only known here, from the moment the switch is sent until the play is on the air.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hook_service.tracks.nowplaying import TrackEvent
from hook_service.tracks.resolver import Resolution
from hook_service.tracks.scenes import Plot, event_from_json

KEPT = 64  # plays; more than one is only pending while webhooks come faster than pictures change
ROWS = 32  # plays whose rows can still be added to

log = logging.getLogger("radio.web.plays")


@dataclass(frozen=True, slots=True)
class Play:
    """A track on its way to the screen, or on it; with an event that is offline, what is shown then.

    `received` is when the word came that decided it, and `at` when it is due, in Unix seconds.
    """

    play_id: str
    event: TrackEvent
    resolution: Resolution
    received: float
    request_id: str
    at: float
    decided_by: str = "webhook"
    scene: int = 0
    """The story's number of it."""
    before: tuple[str, ...] = ()
    """Loops that it was shown with before more was known."""

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes an equal play."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Play:
        """Raises KeyError or TypeError for what `to_json` did not write."""
        resolution = dict(document["resolution"])
        resolution["problems"] = tuple(resolution["problems"])
        received = float(document["received"])
        return cls(
            play_id=document["play_id"],
            event=event_from_json(document["event"]),
            resolution=Resolution(**resolution),
            received=received,
            request_id=document["request_id"],
            # What follows was not written by the first versions.
            at=float(document.get("at", received)),
            decided_by=document.get("decided_by", "webhook"),
            scene=document.get("scene", 0),
            before=tuple(document.get("before", ())),
        )


@dataclass(slots=True)
class Memory:
    """Everything of a station that outlives the process."""

    path: Path
    gate: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, tuple[str, int]] = field(default_factory=dict)
    """For each followed socket: the boot id and sequence number of the last event that was dealt with."""
    plays: OrderedDict[str, Play] = field(default_factory=OrderedDict)
    current: str | None = None
    """The id of the play on the air, while its history is open."""
    fault: str | None = None
    """What went wrong with the play on the air, for its row."""
    plot: str = ""
    """The story's plot, as a JSON document: a tenth of what it takes in memory otherwise."""
    rows: OrderedDict[int, str] = field(default_factory=OrderedDict)
    """The ids of plays that have a row, by the story's number."""
    switch: dict[str, Any] | None = None
    """The last switch: `at` (Unix seconds), `decided_by`, `scene`."""
    override: dict[str, Any] | None = None
    """What a person has on the air, as `override` writes it."""
    _complained: bool = False

    @classmethod
    def load(cls, path: Path) -> Memory:
        """What was kept; nothing where there is no file, or an unreadable one."""
        memory = cls(path)
        try:
            document = json.loads(path.read_bytes())
            plays = [Play.from_json(play) for play in document["plays"]]
            memory.gate = dict(document["gate"])
            memory.marks = {name: (str(boot), int(seq)) for name, (boot, seq) in document["marks"].items()}
            memory.plays = OrderedDict((play.play_id, play) for play in plays)
            memory.current, memory.fault = document["current"], document["fault"]
            if "plot" in document:  # not in what the first versions wrote
                memory.plot = str(document["plot"])
                memory.rows = OrderedDict((int(number), str(play_id)) for number, play_id in document["rows"])
                memory.switch = document["switch"]
            memory.override = document.get("override")
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("Kept plays are unreadable and start anew", extra={"context": {"error": str(error)}})
            return cls(path)
        return memory

    def story(self) -> Plot:
        """What the story knew; nothing where that can't be read."""
        try:
            return Plot.from_json(json.loads(self.plot)) if self.plot else Plot()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("The kept story is unreadable and starts anew", extra={"context": {"error": str(error)}})
            # Its scenes must not be taken for those of plays that are kept.
            return Plot(number=max([0, *self.rows, *(play.scene for play in self.plays.values())]))

    def add(self, play: Play) -> None:
        """Remember a play; the oldest is forgotten where there are too many, but never the one on the air."""
        self.plays[play.play_id] = play
        for old in list(self.plays):
            if len(self.plays) <= KEPT:
                break
            if old != self.current:
                del self.plays[old]

    def on_air(self, play_id: str) -> None:
        """A play came on the air: it is the current one, and those before it never will be."""
        for older in list(self.plays):
            if older == play_id:
                break
            del self.plays[older]
        self.current, self.fault = play_id, None
        play = self.plays.get(play_id)
        if play is not None and play.event.online:
            self.rows[play.scene] = play_id
            while len(self.rows) > ROWS:
                self.rows.popitem(last=False)

    def track(self) -> dict[str, Any] | None:
        """The track on the air, for the API; None where none is, or none is known."""
        play = self.plays.get(self.current or "")
        if play is None or not play.event.online:
            return None
        return {
            "artist": play.event.artist,
            "title": play.event.title,
            "album": play.event.album,
            "play_id": play.play_id,
            "rule": play.resolution.rule,
            "loop_path": play.resolution.loop,
        }

    def of_scene(self, scene: int) -> Play | None:
        """The play of a scene, until it has left the air."""
        return next((play for play in self.plays.values() if play.scene == scene), None)

    def save(self) -> None:
        """Write it all, so that a crash leaves the old file or the new one. A full disk costs only the memory."""
        document = {
            "gate": self.gate,
            "marks": self.marks,
            "plays": [play.to_json() for play in self.plays.values()],
            "current": self.current,
            "fault": self.fault,
            "plot": self.plot,
            "rows": list(self.rows.items()),
            "switch": self.switch,
            "override": self.override,
        }
        draft = self.path.with_suffix(".new")
        try:
            draft.write_bytes(json.dumps(document).encode())
            draft.replace(self.path)
            self._complained = False
        except OSError as error:
            if not self._complained:
                log.warning(
                    "Plays can't be kept; a restart now would lose the track on its way",
                    extra={"context": {"path": str(self.path), "error": error.strerror}},
                )
            self._complained = True
