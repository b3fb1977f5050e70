"""What is done to the station, a fault a minute. Each is told what it costs: nothing, but for the last few."""

import secrets
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from tests.bench.stage import arrive, fresh_loop
from tests.rig.net import http, wait_until
from tests.rig.platform import Platform
from tests.rig.station import Station

EVERY_SECONDS = 60.0
# In the second part of a run nothing is done that ends a process: it takes time to see whether one grows.
RESTARTING_PART = 0.45
# One in so many of the first part's may be seen by viewers.
SEEN_EVERY = 5


@dataclass(slots=True)
class Ground:
    """What faults are done to. `second` is the platform of the station's other destination."""

    station: Station
    second: Platform
    undo: list[Callable[[], object]] = field(default_factory=list)

    def kill(self, process: str) -> None:
        """As a crash would."""
        self.station.send(process, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Fault:
    """`hit` does it, `mend` undoes it `hold` seconds later. `seen`: viewers may miss frames."""

    name: str
    hit: Callable[[Ground], None]
    mend: Callable[[Ground], None] | None = None
    hold: float = 0.0
    seen: bool = False


def _encode_and_kill(ground: Ground) -> None:
    loop = arrive(ground.station, fresh_loop(ground.station))
    ground.undo.append(loop.unlink)
    encoders = ground.station.services["prepare"]
    wait_until(lambda: len(encoders.members()) > 1, f"the encoding of {loop.name}", 20)
    ground.kill("prepare")


def _take_away(ground: Ground) -> None:
    loop = ground.station.loops / ground.station.on_air()
    away = ground.station.run_dir / f"away-{loop.name}"
    loop.rename(away)
    ground.undo.append(lambda: away.rename(loop))


def _upload_rubbish(ground: Ground) -> None:
    file = ground.station.run_dir / f"rubbish-{secrets.token_hex(4)}.mp4"
    file.write_bytes(secrets.token_bytes(200_000))
    ground.undo.append(arrive(ground.station, file).unlink)


def _guess(ground: Ground) -> None:
    """A stranger behind the proxy tries tokens, and webhook passwords."""
    stranger = {"X-Forwarded-For": "192.0.2.66"}
    for path in ("/api/v1/status", "/webhook/azuracast"):
        for _ in range(60):
            guess = {**stranger, "Authorization": f"Bearer {secrets.token_hex(16)}"}
            status, _ = http(f"{ground.station.base_url}{path}", headers=guess, body={} if "hook" in path else None)
            if status not in (401, 429):
                raise AssertionError(f"a guess at {path} was answered {status}")


def _undo(ground: Ground) -> None:
    while ground.undo:
        ground.undo.pop()()


def _engine(call: str) -> Callable[[Ground], None]:
    def do(ground: Ground) -> None:
        assert ground.station.radio is not None
        getattr(ground.station.radio, call)()

    return do


def _azuracast(call: str) -> Callable[[Ground], None]:
    def do(ground: Ground) -> None:
        assert ground.station.azuracast is not None
        getattr(ground.station.azuracast, call)()

    return do


def _signal(process: str, number: signal.Signals) -> Callable[[Ground], None]:
    def do(ground: Ground) -> None:
        ground.station.send(process, number)

    return do


RESTARTING = (
    Fault("radio-web killed", _signal("web", signal.SIGKILL)),
    Fault("FFmpeg of the sound killed", _signal("audio", signal.SIGKILL)),
    Fault("second platform away", lambda g: g.second.stop(), lambda g: g.second.start(), 20),
    Fault("radio-prepare killed while it encodes", _encode_and_kill, _undo, 10),
    Fault("radio-web hangs", _signal("web", signal.SIGSTOP), None, 14),
    Fault("FFmpeg of the second destination killed", _signal("destination:second", signal.SIGKILL)),
    Fault("radio-output killed", _signal("output", signal.SIGKILL)),
    Fault("programme monitor killed", _signal("monitor", signal.SIGKILL)),
)
GENTLE = (
    Fault(
        "database crashes", lambda g: g.station.database.stop("immediate"),
        lambda g: g.station.database.start(), 20,
    ),
    Fault("loop on the air deleted", _take_away, _undo, 15),
    Fault("mount hangs", _engine("pause"), _engine("resume"), 8),
    Fault("second platform away", lambda g: g.second.stop(), lambda g: g.second.start(), 20),
    Fault("a file that is no video is uploaded", _upload_rubbish, _undo, 10),
    Fault("tokens are guessed", _guess),
    Fault("database hangs", lambda g: g.station.database.pause(), lambda g: g.station.database.resume(), 15),
    Fault("AzuraCast away", _azuracast("stop"), _azuracast("start"), 15),
    Fault("station's engine crashes", _engine("kill"), _engine("start"), 5),
    Fault(
        "second platform hangs", lambda g: g.second.process.send_all(signal.SIGSTOP),
        lambda g: g.second.process.send_all(signal.SIGCONT), 15,
    ),
)  # fmt: skip
SEEN = (
    Fault("publisher killed", _signal("publisher", signal.SIGKILL), seen=True),
    Fault("radio-playout killed", _signal("playout", signal.SIGKILL), seen=True),
    Fault("FFmpeg of the watched destination killed", _signal("destination:platform", signal.SIGKILL), seen=True),
    Fault("radio-relay killed", _signal("relay", signal.SIGKILL), seen=True),
)


def plan(seconds: float, services: Sequence[str]) -> list[Fault]:
    """What is done in a run of this length, a fault a minute, on a station with these services.

    The last minute has none: it shows that all is as it was.
    """
    count = max(1, int(seconds / EVERY_SECONDS) - 1)
    first = round(count * RESTARTING_PART)
    restarting = [fault for fault in RESTARTING if "monitor" in services or "monitor" not in fault.name]
    mild, seen = cycle(restarting), cycle(SEEN)
    found = [next(seen) if place % SEEN_EVERY == SEEN_EVERY // 2 else next(mild) for place in range(first)]
    return [*found, *islice(cycle(GENTLE), count - first)]
