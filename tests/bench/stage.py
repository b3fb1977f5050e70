"""What the parts have in common: where they run, stations that are ready to be measured, webhooks, fresh loops."""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hook_service import ipc
from hook_service.ipc import PeerDown
from tests.bench.viewer import Viewer, fingerprint
from tests.rig import media, procfs
from tests.rig.azuracast import Track
from tests.rig.icecast import Icecast, Playlist
from tests.rig.layout import Options
from tests.rig.net import RigError, wait_until
from tests.rig.station import MEDIA_CACHE, Station

TRACK_LOOPS = tuple(loop.name for loop in media.LOOPS if loop.number)
SIZES = {"720p30": (1280, 720), "1080p30": (1920, 1080)}
FPS = 30.0

_track = count(1)
_fresh = count(1)

# All that serves stations. `prepare` stands apart: it has nothing to do while nothing new is in the library.
AIR = ("web", "playout", "output", "publisher", "audio", "destination", "relay", "relay watch")
PREPARE = "prepare"
# What looks at all that. It has a budget of its own.
MONITOR = ("monitor", "decoder")
DATABASE = "PostgreSQL"


@dataclass(slots=True)
class Stage:
    """Where a run takes place. Stations follow each other in one directory, so that loops are prepared once."""

    place: Path
    quick: bool
    say: Callable[[str], None] = field(default=lambda _: None)

    def length(self, full: float, quick: float) -> float:
        """Seconds, or how many: less in a quick run."""
        return quick if self.quick else full

    @contextmanager
    def station(self, **options: Any) -> Iterator[Station]:
        """A station on the air: default loop and mount, every loop prepared, nothing left to do."""
        options.setdefault("automation", False)
        place = self.place / "ours"
        # What the station before knew: one that trusted its mount's titles would wait for this one's, which has none.
        shutil.rmtree(place / "state", ignore_errors=True)
        with Station(place, Options(**options)) as station:
            settle(station)
            yield station


def settle(station: Station, seconds: float = 240.0, loops: int = len(media.LOOPS)) -> None:
    """Return when all loops are prepared and each station plays a loop and the mount."""
    socket = station.run_dir / "run/prepare.sock"

    def idle() -> bool:
        status = ipc.request(socket, {"op": "status"})
        return not status["queued"] and not status["encoding"] and status["prepared"] >= loops

    def on_air() -> bool:
        try:
            statuses = [station.status(name=name) for name in station.names]
        except PeerDown:
            return False
        return all(one["audio"]["source"] == "mount" and one["on_air"]["loop"].endswith(".mp4") for one in statuses)

    wait_until(idle, "every loop prepared", seconds, every=0.25)
    wait_until(on_air, "a loop and the mount on the air", 30, every=0.25)


def show(station: Station, loop: str, name: str = "demo") -> float:
    """Send the webhook of a new track whose loop this is; the Unix time right before it was sent."""
    number = next(_track)
    track = Track("Steadycast Bench", f"Track {number}", loop=f"{loop}.mp4")
    sent = time.time()
    status = station.webhook(track, name)
    if status != 202:
        raise RigError(f"the webhook for {loop} was answered {status}")
    return sent


def reader(station: Station, name: str = "demo") -> Viewer:
    """A light reader of a station at the platform, not started yet."""
    return Viewer(f"{station.platform.url}/{station.key(name)}")


def prepared(station: Station, file: Path) -> Path:
    """The prepared loop's directory of a source file that this station has shown."""
    for directory in (station.run_dir / "library").glob(f"*/{_sha256(file)}"):
        if (directory / "index.json").exists():
            return directory
    raise RigError(f"{file.name} is not prepared")


def is_prepared(station: Station, file: Path) -> bool:
    """Whether `prepared` would find it."""
    try:
        prepared(station, file)
    except RigError:
        return False
    return True


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def prints(station: Station) -> dict[str, tuple[int, ...]]:
    """The fingerprint of each demo loop's beginning, as the platform should receive it."""
    return {
        loop.name: fingerprint(prepared(station, station.loops / loop.file) / "entry.flv") for loop in media.LOOPS
    }


def filled_loop(profile: str) -> Path:
    """A loop with enough in its picture that an encoder uses all of the profile's bitrate; the cheapest such we know.

    The demo's loops are so flat that an encoder sends a quarter of it, which a platform calls starved.
    """
    width, height = SIZES[profile]
    picture = f"testsrc2=s={width}x{height}:r=30:d=10"
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p"]
    return media.make(
        MEDIA_CACHE,
        f"{height}-filled.mp4",
        ["-f", "lavfi", "-i", picture, *coded, "-movflags", "+faststart", "-f", "mp4"],
    )


def source_loop(loop: media.Loop, profile: str) -> Path:
    """A loop as an operator would upload it, 10 s, in the profile's size."""
    size = SIZES[profile]
    name = loop.file if size == (1280, 720) else f"{size[1]}-{loop.file}"
    return media.make(MEDIA_CACHE, name, media.loop_args(loop, size=size))


def fresh_loop(station: Station, profile: str = "720p30") -> Path:
    """A loop nobody has seen, beside the loops directory: move it in with `arrive`."""
    number = next(_fresh)
    look = media.LOOPS[1 + number % (len(media.LOOPS) - 1)]
    loop = media.Loop(f"fresh{number}", look.number, look.colour, look.glyph, look.x, look.y)
    place = station.run_dir / "uploads"
    place.mkdir(exist_ok=True)
    return Path(shutil.copyfile(source_loop(loop, profile), place / loop.file))


def arrive(station: Station, file: Path) -> Path:
    """Move a file into the loops directory, whole at once."""
    target = station.loops / file.name
    # As old as an upload that has ended: a file that was written to a moment ago might still be growing.
    os.utime(file, (time.time() - 60, time.time() - 60))
    return file.rename(target)


@contextmanager
def mount(stage: Stage) -> Iterator[str]:
    """An Icecast mount that plays one song over and over, so that whoever listens, and when, hears the same."""
    place = stage.place / "mount"
    song = next(song for song in media.make_all(MEDIA_CACHE, place / "loops") if song.loop == "meadow.mp4")
    icecast = Icecast(place)
    try:
        icecast.start()
        with Playlist(icecast, [song]) as source:
            yield icecast.url(source.mount)
    finally:
        icecast.forget()


class Groups:
    """Whose process is which, of all that serves the stations of a rig. Call it for a table of now."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._names: dict[int, str] = {}

    def __call__(self) -> dict[int, str]:
        processes = procfs.table()
        found: dict[int, str] = {}
        for name, service in self._station.services.items():
            kind = name.partition("-")[0]
            for pid in procfs.tree([service.pid], processes):
                if pid == service.pid:
                    found[pid] = "relay watch" if kind == "relay" else kind
                elif kind in ("playout", "output"):
                    found[pid] = self._child(pid, name.partition("-")[2], kind)
                elif kind == "monitor":
                    found[pid] = "decoder"
                else:
                    found[pid] = kind
        root = self._station.database.process.pid
        found |= dict.fromkeys(procfs.tree([root], processes), DATABASE)
        return found

    def _child(self, pid: int, station: str, kind: str) -> str:
        """What playout and output call this child of theirs; asked once."""
        if pid not in self._names:
            for name, process in self._station.processes(station).items():
                if process["pid"] is not None:
                    self._names[process["pid"]] = name.partition(":")[0]
        return self._names.get(pid, kind)


class Changes:
    """Tracks that change all the time: each station gets a new one every `every` seconds, not all at once."""

    def __init__(self, station: Station, every: float, loops: Sequence[str] = TRACK_LOOPS) -> None:
        self.sent: list[tuple[float, str, str]] = []
        self.errors: list[str] = []
        self._station = station
        self._every = every
        self._loops = loops
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def _run(self) -> None:
        names = self._station.names
        for number in count():
            if self._end.wait(self._every / len(names)):
                return
            name = names[number % len(names)]
            loop = self._loops[(number + number // len(names)) % len(self._loops)]
            try:
                self.sent.append((show(self._station, loop, name), name, loop))
            except (OSError, RigError) as error:
                self.errors.append(str(error))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(10)
