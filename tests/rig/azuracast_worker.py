"""The simulated AzuraCast's worker: the one that tells what has been noticed."""

import random
import threading
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.rig.net import http
from tests.rig.nowplaying import Snapshot, document, encode, encode_for_file

TRIGGERS = frozenset({"song_changed", "live_connect", "live_disconnect", "station_offline", "station_online"})
"""What the webhook is set to, as `playbooks/azuracast.yml` does it."""
WEBHOOK_TIMEOUT = 5.0


class Switches(Protocol):
    """What the knobs say about this side; read at each use."""

    loss: bool
    duplicates: int
    shuffle: bool
    hold: bool


@dataclass(frozen=True, slots=True)
class Message:
    """What was noticed, when, and the triggers that it pulls."""

    snapshot: Snapshot
    noticed: float
    triggers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sent:
    """A webhook: when it was sent and what came of it. `status` is None when it was lost; `why` says how."""

    at: float
    station: str
    sh_id: int
    text: str
    status: int | None
    why: str = ""

    def __str__(self) -> str:
        outcome = f"answered {self.status}" if self.status is not None else f"lost ({self.why})"
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        return f"{clock} {self.station}: {self.text or 'offline'}: webhook {outcome}"


def send(url: str, user: str, password: str, message: object, timeout: float = WEBHOOK_TIMEOUT) -> int:
    """Post a webhook with Basic auth; the status. Raises OSError when nobody answers: AzuraCast never tries again."""
    login = b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    return http(url, body=encode(message), headers=headers, timeout=timeout)[0]


class Worker:
    """One thread for all stations: a webhook that is slow holds up everything behind it.

    `tell` takes a station, its static file and its publication; `keep` takes each webhook that was sent.
    """

    def __init__(
        self,
        switches: Switches,
        webhooks: Sequence[tuple[str, str, str]],
        tell: Callable[[str, bytes, bytes], None],
        keep: Callable[[Sent], None],
    ) -> None:
        self._switches = switches
        self._webhooks = webhooks
        self._tell = tell
        self._keep = keep
        self._random = random.Random(4)
        self._changed = threading.Condition()
        self._queue: deque[Message] = deque()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="azuracast-worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. What waits is lost."""
        with self._changed:
            self._running = False
            self._changed.notify_all()
        self._thread.join(WEBHOOK_TIMEOUT + 1)

    def put(self, message: Message) -> None:
        """To be told, in its turn."""
        with self._changed:
            self._queue.append(message)
            self._changed.notify_all()

    def _run(self) -> None:
        while messages := self._take():
            order = list(messages)
            if self._switches.shuffle:
                self._random.shuffle(order)
            for told, hooked in zip(messages, order, strict=True):
                self._publish(told)
                if hooked.triggers & TRIGGERS:
                    self._dispatch(hooked)

    def _take(self) -> list[Message]:
        """All that waits; nothing at the end. Nobody tells when the hold ends."""
        with self._changed:
            while self._running and (self._switches.hold or not self._queue):
                self._changed.wait(0.02 if self._queue else None)
            messages = list(self._queue) if self._running else []
            self._queue.clear()
            return messages

    def _publish(self, message: Message) -> None:
        """The static file and SSE, with every message, before any webhook."""
        entity = document(message.snapshot, message.noticed, "event")
        data = {"np": entity, "triggers": sorted(message.triggers), "current_time": int(message.noticed)}
        self._tell(message.snapshot.station, encode_for_file(entity), encode(data))

    def _dispatch(self, message: Message) -> None:
        now = message.snapshot
        entity = document(now, message.noticed, "event")
        text, number = (now.row.track.text, now.row.sh_id) if now.row is not None else ("", 0)
        for url, user, password in self._webhooks:
            for _ in range(1 + self._switches.duplicates):
                at = time.time()
                status, why = None, "on its way"
                if not self._switches.loss:
                    try:
                        status, why = send(url, user, password, entity), ""
                    except OSError as error:
                        why = str(error)
                self._keep(Sent(at, now.station, number, text, status, why))
