"""One destination: its FFmpeg from the relay to the platform, its secrets, and how far it is behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hook_service import settings
from hook_service.observe import notify
from hook_service.playout import commands, survivors
from hook_service.playout.control import Message
from hook_service.playout.process import Pipes, Process
from hook_service.playout.procfs import queued_bytes
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy, State
from hook_service.playout.survivors import Survivor

POLICY = Policy(stale=8.0, spawning=12.0, backoff=0.5, backoff_limit=8.0, slow=10.0)
# FFmpeg tells of its progress every second, unless it waits for its platform.
_PROGRESS_SECONDS = 1.5
_QUEUE_SECONDS = 2.0


class Lag:
    """How far what a destination's FFmpeg has sent is behind the timeline.

    Its `-progress` counts from the first frame that it was given, which came right from the timeline: the least that
    it was ever behind is what it is behind by nature.
    """

    def __init__(self) -> None:
        self._of: tuple[int | None, str] | None = None
        self._told_at = 0.0
        self._behind = self._least = 0.0

    def seconds(
        self, process: Process, key: str, timeline: tuple[str, float, float] | None, now: float
    ) -> float | None:
        """Seconds behind; None before anything was sent.

        `timeline` is a line's key, its time in seconds, and the `now` at which it was that.
        """
        if timeline is None or timeline[0] != key or process.state is not State.RUNNING or not process.progress:
            return None
        if self._of != (process.pid, key):
            self._of, self._told_at, self._least = (process.pid, key), 0.0, float("inf")
        if process.told_at != self._told_at:
            self._told_at = process.told_at
            line_seconds = timeline[1] + self._told_at - timeline[2]
            self._behind = line_seconds - process.progress["out_time_ms"] / 1000
            self._least = min(self._least, self._behind)
        waits = max(0.0, now - self._told_at - _PROGRESS_SECONDS)
        return round(self._behind - self._least + waits, 3)


class Destination:
    """One platform's process, and the relay key that it reads or will read at its next start."""

    def __init__(
        self,
        reactor: Reactor,
        station: settings.Station,
        target: settings.Destination,
        key: str,
        on_state: Callable[[Process], None],
        source_away: Callable[[], bool],
    ) -> None:
        self.target = target
        self.relay_key = key
        self.lag_seconds: float | None = None
        self._queue: tuple[int, float, int | None] | None = None
        self._lag = Lag()
        self._station = station
        self._secrets = survivors.secrets_file(station, target.name)
        self.process = Process(
            reactor,
            f"destination:{target.name}",
            POLICY,
            self._command,
            progress=True,
            on_state=on_state,
            on_spawn=self._spawned,
            on_exit=self._ended,
            excused=source_away,
            redact=self._redact,
            # Without a manager nobody would be there to adopt it.
            outlives=notify.managed(),
        )

    def adopt(self, survivor: Survivor) -> bool:
        """Go on with an FFmpeg that a `radio-output` before us has started, if it does what ours would do."""
        if self.process.pid is not None:
            return False  # one is enough
        self.relay_key, key = survivor.relay_key, self.relay_key
        try:
            same = self._secrets.read_text(encoding="utf-8") == commands.destination_secrets(self.target)
        except OSError:
            same = False
        if not same or not survivor.runs(self._arguments()) or survivor.stderr is None or survivor.progress is None:
            self.relay_key = key
            return False
        self.process.adopt(survivor.pid, survivor.pidfd, survivor.stderr, survivor.progress)
        return True

    def _spawned(self, pipes: Pipes) -> None:
        if self.process.pid is not None and pipes.progress is not None:
            names = survivors.names(self.target.name, self.process.pid)
            for name, file in zip(names, (pipes.stderr, pipes.progress), strict=True):
                notify.keep(name, file)

    def _ended(self) -> None:
        if self.process.pid is not None:
            for name in survivors.names(self.target.name, self.process.pid):
                notify.drop(name)

    def _arguments(self) -> list[str]:
        return commands.destination(self._station.relay_url(self.relay_key), self.target, self._secrets)

    def _command(self) -> list[str]:
        # Written at every start: the run directory may have been swept.
        self._secrets.unlink(missing_ok=True)
        file = os.open(self._secrets, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(commands.destination_secrets(self.target))
        return self._arguments()

    def _redact(self, text: str) -> str:
        return text.replace(self.target.key, "***") if self.target.key else text

    def look(self, timeline: tuple[str, float, float] | None) -> None:
        """To be called every second, with where the timeline is."""
        self.lag_seconds = self._lag.seconds(self.process, self.relay_key, timeline, time.monotonic())

    def status(self) -> Message:
        """For the control socket."""
        return {
            **self.process.status(),
            "relay_key": self.relay_key,
            "backup_of": self.target.backup_of,
            "queue_bytes": self._queued(),
            "lag_seconds": self.lag_seconds,
        }

    def _queued(self) -> int | None:
        """What waits in the sockets. It stands in tables of all connections of the host, which may be many: they are
        not read as often as somebody asks.
        """
        pid, now = self.process.pid, time.monotonic()
        if pid is None:
            return None
        if self._queue is None or self._queue[0] != pid or now - self._queue[1] > _QUEUE_SECONDS:
            self._queue = pid, now, queued_bytes(pid)
        return self._queue[2]

    def forget_secrets(self) -> None:
        """Take the option file away."""
        self._secrets.unlink(missing_ok=True)
