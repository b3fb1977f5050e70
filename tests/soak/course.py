"""A run from its first minute to its last: the station, what comes in, what is done to it, what is seen."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.stage import prints, settle
from tests.integration.onair import running
from tests.rig import alignment
from tests.rig.alignment import Change
from tests.rig.broadcast import loops_of, map_all, pieces, shuffled
from tests.rig.layout import Options
from tests.rig.net import RigError, http, wait_until
from tests.rig.platform import Platform
from tests.rig.station import Station
from tests.soak import faults
from tests.soak.faults import EVERY_SECONDS, Fault, Ground
from tests.soak.traffic import SWITCH_SECONDS, Operators, Programme
from tests.soak.watch import Ledger, Watcher
from tests.soak.weigh import Life, Scales, members

# A destination that was given up for long is tried every 30 s.
RECOVERY_SECONDS = 40.0
_SETTLED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that was done: Unix times of its beginning and of when all was well again; None: it never was."""

    fault: Fault
    begin: float
    mended: float
    well: float | None
    trouble: str = ""


@dataclass(slots=True)
class Outcome:
    """All there is to judge."""

    seconds: float
    done: list[Done]
    ledger: Ledger
    broken_off: str
    """Why the watching ended early; empty: it did not."""
    changes: list[Change]
    lives: list[Life]
    sessions: int
    tracks: int
    refused: int
    plays: int
    webhooks: int
    answers: dict[str, int]
    wrong: list[str]
    failed_requests: int
    """Requests that radio-web could not answer for a fault of its own."""


def run(place: Path, seconds: float, say: Callable[[str], None]) -> Outcome:
    """Everything, in a directory that is the run's own."""
    with _on_air(place) as ground:
        station = ground.station
        settle(station)
        known = pieces()
        map_all(station, known)
        programme = Programme(station, shuffled(known, int(seconds / SWITCH_SECONDS) + 1, seed=5))
        operators = Operators(station)
        url, sound = f"{station.platform.url}/{station.key()}", place / "sound.flv"
        with Scales(partial(members, station)) as scales, Watcher(url, prints(station), sound) as watcher:
            began = time.time()
            with _meanwhile(programme.run, operators.run):
                done = _harm(ground, seconds, say)
                time.sleep(max(0.0, began + seconds - time.time()))
            time.sleep(_SETTLED_SECONDS)
        say("listening to what was heard")
        seen = watcher.ledger.seen()
        changes, _ = alignment.match(alignment.heard(sound), seen, loops_of(known))
        assert station.azuracast is not None
        rows = station.sql("SELECT count(*) FROM play_history WHERE started_at >= to_timestamp(%s)", [began])
        return Outcome(
            seconds=time.time() - began, done=done, ledger=watcher.ledger, broken_off=str(watcher.error or ""),
            changes=changes, lives=list(scales.lives.values()),
            sessions=len(station.platform.sessions(station.key())), tracks=len(programme.begun),
            refused=programme.refused, plays=int(rows[0][0]),
            webhooks=sum(one.status is not None for one in station.azuracast.sent), answers=dict(operators.answers),
            wrong=operators.wrong, failed_requests=station.app_log.read_text().count('"Request failed"'),
        )  # fmt: skip


@contextmanager
def _on_air(place: Path) -> Iterator[Ground]:
    """A station with everything that `make station` has, a second destination, and a token that may only read."""
    with ExitStack() as stack:
        second = Platform(place / "second")
        stack.callback(second.forget)
        second.start()

        def configure(config: dict[str, Any]) -> None:
            config["stations"]["demo"]["destinations"]["second"] = {"url": second.url}
            # Whoever is refused must not be refused as this very machine.
            config["web"]["trusted_proxies"] = 1

        options = Options(configure=configure, credentials={"demo.second.key": "second-4c1f7a02be5d9936"})
        station = Station(place / "station", options)
        stack.callback(station.forget)
        station.make_directories()
        station.secret("api-read-token")
        stack.enter_context(station)
        assert station.azuracast is not None
        # AzuraCast repeats itself.
        station.azuracast.knobs.duplicates = 2
        ground = Ground(station, second)
        yield ground


@contextmanager
def _meanwhile(*works: Callable[[threading.Event], None]) -> Iterator[None]:
    """Each in a thread of its own until the context ends."""
    end = threading.Event()
    threads = [threading.Thread(target=work, args=(end,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join(20)


def _harm(ground: Ground, seconds: float, say: Callable[[str], None]) -> list[Done]:
    """A fault a minute, half a minute after the beginning for the first time."""
    began = time.time()
    done = []
    plan = faults.plan(seconds, list(ground.station.services))
    for number, fault in enumerate(plan):
        time.sleep(max(0.0, began + EVERY_SECONDS * (number + 0.5) - time.time()))
        done.append(_do(ground, fault))
        well = done[-1].well
        took = f"well after {well - done[-1].mended:.1f} s" if well is not None else "NOT WELL"
        say(f"{number + 1}/{len(plan)} {fault.name}: {took} {done[-1].trouble}")
    return done


def _do(ground: Ground, fault: Fault) -> Done:
    begin = time.time()
    trouble = ""
    for step in (fault.hit, fault.mend):
        try:
            if step is not None:
                step(ground)
        except (RigError, OSError, AssertionError) as error:
            trouble = f"it could not be done: {error}"
        if step is fault.hit:
            time.sleep(fault.hold)
    mended = time.time()
    # What was only just hurt has not noticed yet.
    time.sleep(1.0)
    try:
        wait_until(lambda: _well(ground.station), "the station as if nothing had been", RECOVERY_SECONDS, every=0.25)
    except RigError as error:
        return Done(fault, begin, mended, None, trouble or str(error).partition("\n")[0])
    return Done(fault, begin, mended, time.time(), trouble)


def _well(station: Station) -> bool:
    with contextlib.suppress(OSError, RigError):
        return running(station) and http(f"{station.base_url}/health", timeout=2)[0] == 200
    return False


def clear(place: Path) -> None:
    """Remove the directory of a run."""
    shutil.rmtree(place, ignore_errors=True)
