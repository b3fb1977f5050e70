"""Memory, descriptors and threads of every process, all the time, and whether any of them grow."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import fmean, median

from hook_service.ipc import PeerDown
from tests.rig import procfs
from tests.rig.net import RigError
from tests.rig.station import Station

EVERY_SECONDS = 10.0
# Of a process's life, not judged: caches fill, and malloc finds its size. A leak goes on after that.
WARM_UP = 0.4
# What a process may grow without leaking: 2 MB in an hour, or 0.5 MB in all where less than a quarter was seen. What
# is bounded is not full in an hour: the playout's last thousand events, a megabyte, take that long at a soak's pace.
MB_PER_HOUR, MB_IN_ALL = 2.0, 0.5
# Requests that are being answered and connections to the database. A leak at each fault would be many more.
COME_AND_GO = 3


@dataclass(frozen=True, slots=True)
class Weight:
    """One look at a process: `at` in Unix seconds, its PSS and what of it is its own (anonymous), both in MB."""

    at: float
    pss: float
    own: float
    files: int
    threads: int


@dataclass(slots=True)
class Life:
    """One process from its first look to its last."""

    name: str
    pid: int
    weights: list[Weight] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it was looked at."""
        return self.weights[-1].at - self.weights[0].at


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of one process after its warm-up: slopes in MB an hour with their standard errors.

    `files` and `threads` are the medians of the first and of the last quarter; `own_by_minute` has the warm-up.
    """

    name: str
    pid: int
    hours: float
    pss: float
    slope: float
    error: float
    own_slope: float
    own_error: float
    files: tuple[float, float]
    threads: tuple[float, float]
    own_by_minute: list[float]

    @property
    def allowed(self) -> float:
        """The largest slope that is noise, in MB an hour."""
        return max(MB_PER_HOUR, MB_IN_ALL / self.hours)

    @property
    def grows(self) -> bool:
        """Whether its own memory grew by more than noise: beyond what is allowed by more than two standard errors.

        PSS is told, and not judged: it rises by megabytes when another process that shares a library ends.
        """
        return self.own_slope - 2 * self.own_error > self.allowed

    @property
    def leaks(self) -> bool:
        """Whether it ended with more descriptors or threads than it began with, beyond what comes and goes."""
        return any(last - first > COME_AND_GO for first, last in (self.files, self.threads))


def fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The slope of the straight line nearest to (x, y) points (least squares), and its standard error."""
    mx, my = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - mx) ** 2 for x, _ in points)
    if len(points) < 3 or spread == 0:
        return 0.0, 0.0
    slope = sum((x - mx) * (y - my) for x, y in points) / spread
    rest = sum((y - my - slope * (x - mx)) ** 2 for x, y in points)
    return slope, sqrt(rest / (len(points) - 2) / spread)


def growth(life: Life) -> Growth | None:
    """How a process grew after its warm-up; None when there is too little left to say."""
    since = life.weights[0].at + WARM_UP * life.seconds
    after = [weight for weight in life.weights if weight.at >= since]
    if len(after) < 12:
        return None
    begin = after[0].at
    slope, error = fit([((weight.at - begin) / 3600, weight.pss) for weight in after])
    own_slope, own_error = fit([((weight.at - begin) / 3600, weight.own) for weight in after])
    quarter = len(after) // 4
    first, last = after[:quarter], after[-quarter:]
    return Growth(
        life.name, life.pid, (after[-1].at - begin) / 3600, median(weight.pss for weight in after), slope, error,
        own_slope, own_error,
        (median(weight.files for weight in first), median(weight.files for weight in last)),
        (median(weight.threads for weight in first), median(weight.threads for weight in last)),
        [weight.own for weight in life.weights[::6]],
    )  # fmt: skip


class Scales:
    """Weighs all processes of a station every ten seconds, in a thread, while it is a context."""

    def __init__(self, members: Callable[[], Mapping[int, str]], every: float = EVERY_SECONDS) -> None:
        """`members()` gives each process's name; what it raises while something is down costs one weighing."""
        self.lives: dict[tuple[int, int], Life] = {}
        self._members = members
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scales", daemon=True)

    def weigh(self) -> None:
        """Once."""
        for pid, name in self._members().items():
            process = procfs.look(pid)
            weight = _weight(pid)
            if process is not None and weight is not None:
                self.lives.setdefault((pid, process.started), Life(name, pid)).weights.append(weight)

    def _run(self) -> None:
        while not self._end.wait(self._every):
            with contextlib.suppress(PeerDown, RigError, OSError, KeyError):
                self.weigh()

    def __enter__(self) -> "Scales":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(10)


def _weight(pid: int) -> Weight | None:
    place = Path(f"/proc/{pid}")
    try:
        rolled = dict(line.split(":", 1) for line in (place / "smaps_rollup").read_text().splitlines()[1:])
        files = sum(1 for _ in (place / "fd").iterdir())
        threads = sum(1 for _ in (place / "task").iterdir())
        pss, own = (int(rolled[name].split()[0]) / 1024 for name in ("Pss", "Pss_Anon"))
    except (OSError, KeyError):
        return None  # it has just ended
    return Weight(time.time(), pss, own, files, threads)


def members(station: Station) -> dict[int, str]:
    """Every process that serves the rig's only station, with its name; raises PeerDown while one does not answer."""
    names = {process["pid"]: name for name, process in station.processes().items()}
    table = procfs.table()
    found: dict[int, str] = {}
    for service in station.services.values():
        kind = service.name.partition("-")[0]
        for pid in procfs.tree([service.pid], table):
            found[pid] = kind if pid == service.pid else names.get(pid, f"{kind}'s child")
    return found
