"""The FFmpegs of a `radio-output` that has died: they go on sending, and the next one adopts them.

systemd leaves them alone (`KillMode=process`) and holds their pipes meanwhile (`notify.keep`), so that they can go on
telling of their progress. Each is known by its own command line: the relay key that it reads, and the option file
with the secrets of its destination, `destination-STATION-NAME.ffpreset`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hook_service import settings
from hook_service.observe import notify
from hook_service.playout import procfs
from hook_service.playout.lines import relay_keys

_SECRETS = ".ffpreset"


def secrets_file(station: settings.Station, destination: str) -> Path:
    """The option file with the secrets of a destination, which is on its FFmpeg's command line."""
    return station.run / f"destination-{station.shortcode}-{destination}{_SECRETS}"


def names(destination: str, pid: int) -> list[str]:
    """The names under which systemd holds the two pipes of a destination's FFmpeg: its words and its progress."""
    return [f"{destination}/{pid}/stderr", f"{destination}/{pid}/progress"]


@dataclass(frozen=True, slots=True)
class Survivor:
    """One of them. The pipes are None where they were not kept."""

    name: str
    """Of its destination."""
    pid: int
    pidfd: int
    command: Sequence[str]
    relay_key: str
    stderr: int | None
    progress: int | None

    def runs(self, command: Sequence[str]) -> bool:
        """Whether that is its command, wherever it tells of its progress."""
        return len(command) == len(self.command) and all(
            ours == its or (ours == "{progress}" and its.startswith("pipe:"))
            for ours, its in zip(command, self.command, strict=True)
        )

    def end(self) -> None:
        """Kill it, and let go of what was kept of it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        for file in (self.pidfd, self.stderr, self.progress):
            if file is not None:
                os.close(file)
        for name in names(self.name, self.pid):
            notify.drop(name)


def find(station: settings.Station, kept: dict[str, int]) -> Iterator[Survivor]:
    """Those of a station. What was kept of others, which have ended, is let go in the end."""
    left = dict(kept)
    relays = {station.relay_url(key): key for key in relay_keys(station.shortcode)}
    prefix = str(secrets_file(station, "")).removesuffix(_SECRETS)
    for pid, command in list(procfs.commands()):
        key = next((relays[word] for word in command if word in relays), None)
        secrets = next((word for word in command if word.startswith(prefix) and word.endswith(_SECRETS)), None)
        if key is None or secrets is None or (pidfd := _open(pid, command)) is None:
            continue
        name = secrets[len(prefix) : -len(_SECRETS)]
        stderr, progress = (left.pop(one, None) for one in names(name, pid))
        yield Survivor(name, pid, pidfd, command, key, stderr, progress)
    for name, file in left.items():
        os.close(file)
        notify.drop(name)


def _open(pid: int, command: Sequence[str]) -> int | None:
    """A file that stands for the process; None when it has ended: the number may be another's."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    if procfs.command(pid) != command:
        os.close(pidfd)
        return None
    return pidfd
