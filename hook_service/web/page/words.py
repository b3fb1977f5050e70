"""What the page calls things: states, rules and faults in words that need no manual. Nothing here asks anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from hook_service.observe.metrics import is_wanted
from hook_service.observe.metrics import processes as listed
from hook_service.web.page.common import when

if TYPE_CHECKING:
    from hook_service.web.override import Override
    from hook_service.web.stations import Status

RULES: Final = {
    "video_loop": "the song's own field video_loop",
    "song_id": "a mapping of this song",
    "media_id": "a mapping of this recording",
    "track_key": "a mapping of artist and title",
    "album": "a mapping of the album",
    "artist": "a mapping of the artist",
    "playlist": "a mapping of the playlist",
    "time_of_day": "the time of day: nothing is mapped",
    "default": "the default loop: nothing is mapped",
    "policy": "a rule of the station, not the song",
    "manual": "a person: it is held by hand",
}
STATES: Final = {
    "RUNNING": ("good", "running"),
    "SPAWNING": ("fair", "starting"),
    "STOPPED": ("off", "stopped"),
    "CRASHED": ("bad", "crashed, about to be started again"),
    "FAILED": ("bad", "failed again and again, tried slowly"),
}
_PROCESSES: Final = {"publisher": "Publisher", "audio": "Sound"}
_HELPERS: Final = (
    ("relay", "Relay", "Nothing reaches the destinations until it is back."),
    ("monitor", "Monitor", "Nobody looks at what leaves this host until it is back."),
    ("prepare", "Preparation", "New loops wait until it is back; those that are ready are shown as ever."),
    ("web", "Web service", ""),
    ("database", "Database", "What happens is kept until it is back; no mapping can be changed meanwhile."),
)
"""What helps all stations of a host: its name, its label, and what is missing while it is away."""
_SOUND: Final = {
    "fallback": "The station's sound is away: the fallback is heard",
    "floor": "The station's sound is away: nothing is heard",
    "unknown": "Nobody knows which sound is heard",
}
_SEEN: Final = {
    "black": "The picture is black",
    "frozen": "The picture stands still",
    "silent": "Nothing is heard",
}


def status(health: dict[str, Any]) -> dict[str, Any]:
    """How a station is, of its part of the health document: `level` (good, fair, bad), `words`, and what is wrong."""
    wrong = []
    if health["playout"]["status"] != "up":
        wrong.append("The playout does not answer")
    elif health["relay"]["status"] != "receiving":
        wrong.append("Nothing reaches the relay")
    else:
        wrong += [_SOUND[found] for found in (health["audio"]["status"],) if found in _SOUND]
    wrong += [_SEEN[found] for found in (health["onair"]["status"],) if found in _SEEN]
    for name, its in health["destinations"].items():
        if its.get("wanted") is False:
            wrong.append(f"{name}: stopped by hand")
        elif its["status"] != "RUNNING":
            wrong.append(f"{name}: {STATES.get(its['status'], ('', its['status']))[1]}")
        elif its.get("youtube") == "degraded":
            wrong.append(f"{name}: YouTube says that something is wrong")
    level, words = {
        "up": ("good", "On the air"),
        "degraded": ("fair", "On the air, but not as it should be"),
        "off_air": ("bad", "Off the air"),
    }[health["status"]]
    seen = health["onair"]["status"]
    return {"level": level, "words": words, "wrong": wrong, "seen": _seen(seen)}


def _seen(what: str) -> str:
    return {
        "up": "Picture and sound leave this host as they should",
        "unknown": "Nobody looks at what leaves this host",
    }.get(what, _SEEN.get(what, what))


def loop_name(path: str | None, loops: Path) -> str | None:
    """A loop as the operator named it, below the directory of the loops; None for the slate."""
    if not path:
        return None
    return str(Path(path).relative_to(loops)) if Path(path).is_relative_to(loops) else Path(path).name


def override(held: Override | None, loops: Path) -> dict[str, Any] | None:
    """What a person has put on the air."""
    if held is None:
        return None
    return {
        "slate": held.loop is None,
        "loop": loop_name(held.loop, loops),
        "by": held.by.replace("token:", "the token "),
        "since": when(held.since),
        "until": when(held.until),
    }


def processes(playout: Status | None, outputs: Status | None) -> list[dict[str, Any]]:
    """What playout and outputs supervise, without the destinations; first of all themselves."""
    found = [_answers("playout", "Playout", playout), _answers("output", "Outputs", outputs)]
    for process in (*listed(playout), *listed(outputs)):
        name = str(process["name"])
        if not name.startswith("destination:"):
            found.append({"name": name, "label": _PROCESSES.get(name, name), **_process(process)})
    return found


def helpers(
    components: dict[str, Any], preparation: dict[str, Any] | None, decoder: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """What helps all stations of the host, by the health document's `components` and what the preparation tells of
    itself; below the monitor the station's own `decoder`, where it is known.
    """
    up = {name: its["status"] == "up" for name, its in components.items()}
    up["prepare"] = bool(preparation and preparation.get("ok"))
    found = []
    for name, label, missing in _HELPERS:
        its = _answers(name, label, {} if up[name] else None)
        found.append(its if up[name] else {**its, "error": missing})
        if name == "monitor" and decoder is not None:
            found.append(_decoder(decoder))
    return found


def destination(
    name: str, url: str, backup_of: str | None, outputs: Status | None, youtube: dict[str, Any] | None
) -> dict[str, Any]:
    """A destination; of its address only the host, as path and query may hold what amounts to a key."""
    told = {process["name"]: process for process in listed(outputs)}
    lag = told.get(f"destination:{name}", {}).get("lag_seconds") or 0
    return {
        "name": name,
        "label": name,
        "host": urlsplit(url).hostname or "",
        "backup_of": backup_of,
        **_process(told.get(f"destination:{name}", {"state": "STOPPED"})),
        # In steps: what changes all the time would be news all the time.
        "behind": None if lag < 5 else f"{5 * int(lag // 5)} s behind",
        "youtube": youtube and (youtube["trouble"] or youtube["error"]),
        "watch": youtube and youtube["broadcast"] and youtube["broadcast"]["watch"],
    }


def _process(process: dict[str, Any]) -> dict[str, Any]:
    state = str(process.get("state"))
    level, words = STATES.get(state, ("off", state))
    return {
        "state": state,
        "wanted": is_wanted(process),
        "level": level,
        "words": words if is_wanted(process) else f"{words} by hand",
        "since": when(process.get("since")),
        "restarts": process.get("restarts") or 0,
        # Of one that runs it is history, and in the log.
        "error": None if state == "RUNNING" else process.get("last_error"),
    }


def _decoder(process: dict[str, Any]) -> dict[str, Any]:
    found = {"name": str(process["name"]), "label": "Monitor's decoder", **_process(process)}
    # It was the monitor that stopped it, and no person.
    return found if found["wanted"] else {**found, "words": "waits for something to look at", "error": None}


def _answers(name: str, label: str, told: Status | None) -> dict[str, Any]:
    found = {"name": name, "label": label, **_process({"state": "STOPPED" if told is None else "RUNNING"})}
    return found if told is not None else {**found, "level": "bad", "words": "does not answer"}
