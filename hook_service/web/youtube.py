"""The YouTube side of this host's destinations: which are watched, and what is told of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from hook_service.config import Host
from hook_service.youtube import credentials
from hook_service.youtube.client import Client
from hook_service.youtube.watcher import Found, Watcher

WATCH = "https://www.youtube.com/watch?v="
"""A broadcast's id is its video's."""


class YouTube:
    """All watchers of a host; none where no destination has `youtube`."""

    def __init__(self, host: Host) -> None:
        wanted = host.youtube()
        self._watchers = {}
        for key, settings in wanted:
            station, destination = key.split(".")
            client, unusable = _client(host, f"{key}.youtube")
            self._watchers[station, destination] = Watcher(
                station,
                destination,
                settings.stream,
                client,
                rebind=settings.rebind,
                memory=host.paths.state / "web" / f"{key}.youtube.json",
                sharing=len(wanted),
                unusable=unusable,
            )

    def start(self) -> None:
        """Begin to ask."""
        for watcher in self._watchers.values():
            watcher.start()

    def stop(self) -> None:
        """End it, all at once."""
        for watcher in self._watchers.values():
            watcher.end()
        deadline = time.monotonic() + 2.0  # for all of them: the service has fifteen seconds in all
        for watcher in self._watchers.values():
            watcher.stop(max(0.0, deadline - time.monotonic()))

    def found(self) -> dict[tuple[str, str], Found]:
        """What is known, by station and destination."""
        return {name: watcher.found() for name, watcher in self._watchers.items()}

    def states(self) -> dict[tuple[str, str], str]:
        """For `/health`: `up`, `degraded` where something is wrong at YouTube, `unknown` while it does not answer."""
        found = self.found()
        return {
            name: "unknown" if one.state != "connected" else "degraded" if one.trouble else "up"
            for name, one in found.items()
        }

    def statuses(self, station: str) -> dict[str, dict[str, Any] | None]:
        """The `youtube` of a station in the API: by destination, of those that have one."""
        return {name: self.status(of, name) for of, name in self._watchers if of == station}

    def status(self, station: str, destination: str) -> dict[str, Any] | None:
        """The `youtube` of a destination in the API; None where it has none."""
        watcher = self._watchers.get((station, destination))
        if watcher is None:
            return None
        found = watcher.found()
        stream, broadcast = found.stream, found.broadcast
        return {
            "state": found.state,
            "since": _moment(found.since),
            "checked_at": _moment(found.checked_at),
            "error": found.error,
            "trouble": found.trouble,
            "stream": None
            if stream is None
            else {
                "title": stream.title,
                "status": stream.status,
                "health": stream.health,
                "issues": [
                    {"type": issue.kind, "severity": issue.severity, "description": issue.description}
                    for issue in stream.issues
                ],
            },
            "broadcast": None
            if broadcast is None
            else {
                "title": broadcast.title,
                "life_cycle": broadcast.life_cycle,
                "watch": f"{WATCH}{broadcast.id}",
            },
            "rebind": watcher.rebind,
            "rebound_at": _moment(found.rebound_at),
        }


def secrets(host: Host) -> list[str]:
    """What must never be in an answer: the client's secret and the refresh token of every destination."""
    found = []
    for key, _ in host.youtube():
        try:
            its = credentials.parse(host.secret(f"{key}.youtube") or "")
        except (OSError, ValueError):  # said where it is to be used
            continue
        found += [its.client_secret, its.refresh_token]
    return found


def _client(host: Host, name: str) -> tuple[Client | None, str | None]:
    """A client with the credential `name`, or None and what is wrong with that."""
    try:
        text = host.secret(name)
        if text is None:
            return None, f"there is no credential {name}; make it with hook_service.youtube.authorise"
        return Client(credentials.parse(text)), None
    except OSError as error:
        return None, f"the credential {name} can't be read ({error.strerror}); mend or replace it"
    except ValueError as error:
        return None, f"the credential {name} {error}"


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
