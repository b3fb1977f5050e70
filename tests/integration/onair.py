"""What the survival tests have in common: a station on the air, and what is measured at its platform."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hook_service import ipc
from hook_service.playout.audio import CUSHION_SECONDS
from tests.rig import media
from tests.rig.azuracast import Track
from tests.rig.flvread import VIDEO, Analysis
from tests.rig.layout import Options
from tests.rig.net import wait_until
from tests.rig.platform import Capture
from tests.rig.station import MEDIA_CACHE, Station

BACKUP = "backup"
FALLBACK_HERTZ = 5000
LOOPS = [loop.name for loop in media.LOOPS]

# 30 pictures and 43.07 frames of sound a second, in whole milliseconds: no step is longer while nothing is missing.
VIDEO_STEP, AUDIO_STEP = 34, 24


# --- stations -----------------------------------------------------------------------------------------------


@contextmanager
def on_air(prepared: Path, options: Options) -> Iterator[Station]:
    """A station on the air in a directory of its own, its loops all prepared.

    `prepared` is a directory that outlives it: what one station has prepared the next one finds there.
    """
    run_dir = Path(tempfile.mkdtemp(prefix="steadycast-"))
    run_dir.chmod(0o711)
    station = Station(run_dir, options)
    shutil.copytree(prepared, run_dir / "library", dirs_exist_ok=True)
    try:
        with station:
            wait_until(lambda: _all_prepared(station), "every loop prepared", 150, every=0.2)
            shutil.copytree(run_dir / "library", prepared, dirs_exist_ok=True, ignore=_unfinished)
            yield station
    finally:
        station.forget()
        shutil.rmtree(run_dir, ignore_errors=True)


def _unfinished(_directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith((".partial", ".lock")) or name in ("sources", "refused")]


def _all_prepared(station: Station) -> bool:
    status = preparation(station)
    return int(status["prepared"]) >= len(LOOPS) and not status["encoding"] and not status["queued"]


def preparation(station: Station) -> dict[str, Any]:
    """What the library is doing."""
    return ipc.request(station.run_dir / "run/prepare.sock", {"op": "status"})


def with_backup(**options: Any) -> Options:
    """A station without automation or fades that switches at once; its fallback is a tone."""

    def configure(config: dict[str, Any]) -> None:
        demo = config["stations"]["demo"]
        ingest = demo["destinations"]["platform"]["url"]
        demo["destinations"][BACKUP] = {"url": f"{ingest}?backup=1", "backup_of": "platform"}
        tone = media.make(
            MEDIA_CACHE,
            "fallback-tone.mp3",
            ["-f", "lavfi", "-i", f"sine=frequency={FALLBACK_HERTZ}:duration=5", "-af", "volume=12dB",
             "-ac", "2", "-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3"],
        )  # fmt: skip
        shutil.copy(tone, Path(config["paths"]["loops"]) / tone.name)
        demo["audio"]["fallback"] = tone.name

    defaults: dict[str, Any] = {
        "automation": False,
        "switch_delay": 0.0,
        "fade_in": 0.0,
        "configure": configure,
        "credentials": {f"demo.{BACKUP}.key": BACKUP_KEY},
    }
    return Options(**defaults | options)


BACKUP_KEY = "backup-0f3b5d7c9e1a2846"


def running(station: Station) -> bool:
    """Whether everything runs, sound comes from the mount, and nothing is left of an earlier fault."""
    try:
        processes = station.processes()
        playout = station.status()
    except ipc.PeerDown:
        return False
    return (
        all(process["state"] == "RUNNING" for process in processes.values())
        and all(service.state == "RUNNING" for service in station.services.values())
        and playout["audio"]["source"] == "mount"
        and playout["audio"]["mount"]["state"] == "connected"
        # What is left of the connection before has been played.
        and time.time() - playout["audio"]["mount"]["since"] > CUSHION_SECONDS + 1
        and playout["timeline"]["next_relay_key"] is None
    )


def wait_healthy(station: Station, seconds: float = 30.0) -> None:
    """Return when the station has got over whatever was done to it; RigError after `seconds`."""
    wait_until(lambda: running(station), "the station as if nothing had been", seconds, every=0.1)


_tracks = 0


def show(station: Station, loop: str, **fields: Any) -> Track:
    """Send the webhook of a track never heard before that has this loop (a file name)."""
    global _tracks  # noqa: PLW0603 - no two tests may send the same song
    _tracks += 1
    track = Track("Survivors", f"Number {_tracks}", loop=loop)
    assert station.webhook(track, **fields) == 202
    return track


# --- pictures and their times -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame at the platform: when it came (Unix seconds) and its time in the stream (ms)."""

    at: float
    ms: int


def frames(capture: Capture, kind: int = VIDEO) -> list[Frame]:
    """The frames that came until now."""
    return [Frame(at, tag.time) for at, tag in list(capture.arrivals) if tag.kind == kind]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without frames: from which frame to which."""

    before: Frame
    after: Frame

    @property
    def seconds(self) -> float:
        """As the platform's readers wait."""
        return self.after.at - self.before.at

    @property
    def missing(self) -> float:
        """Seconds of the stream that never came."""
        return (self.after.ms - self.before.ms) / 1000


def widest(capture: Capture, kind: int = VIDEO, since: float = 0.0) -> Gap:
    """The longest wait between two frames after a Unix time."""
    came = [frame for frame in frames(capture, kind) if frame.at >= since]
    return max((Gap(a, b) for a, b in pairwise(came)), key=lambda gap: gap.seconds)


def first_after(capture: Capture, when: float, kind: int = VIDEO) -> Frame | None:
    """The first frame that came after a Unix time."""
    return next((frame for frame in frames(capture, kind) if frame.at > when), None)


@contextmanager
def captures(station: Station) -> Iterator[tuple[Capture, Capture]]:
    """What primary and backup receive, from a second before."""
    primary = station.capture()
    backup = station.platform.capture(BACKUP_KEY, primary.path.with_suffix(".backup"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Capture.start, (primary, backup)))
    try:
        wait_frames(primary, 30)
        yield primary, backup
    finally:
        primary.stop()
        backup.stop()


def wait_frames(capture: Capture, count: int) -> None:
    """Return when this many more pictures have come to the platform."""
    wanted = capture.frames + count
    wait_until(lambda: capture.frames >= wanted, f"{count} pictures at the platform", count / 30 + 10)


def assert_unbroken(capture: Capture, *, decode: bool = True) -> Analysis:
    """End a capture in which nothing may be missing."""
    analysis = capture.finish(decode=decode)
    assert analysis.max_video_step <= VIDEO_STEP
    assert analysis.max_audio_step <= AUDIO_STEP
    assert analysis.non_monotonic == 0
    assert analysis.decode_errors == []
    return analysis


@dataclass(frozen=True, slots=True)
class Shown:
    """A loop at the platform: when its first frame came (Unix seconds), and how many frames there were in a row."""

    loop: str | None
    at: float
    frames: int


def shown(capture: Capture) -> list[Shown]:
    """Which loops the platform saw, one after the other. The capture must be over."""
    pictures = media.read_pictures(capture.path)
    came = frames(capture)
    assert len(pictures) == len(came)
    found, place = [], 0
    for loop, count in media.runs(pictures):
        found.append(Shown(loop, came[place].at, count))
        place += count
    return found


# --- the history ----------------------------------------

# Between what the playout says of a switch and when the platform's reader saw it.
CLOSE = 0.75


def history(station: Station, tracks: list[Track]) -> list[dict[str, Any]]:
    """The rows of these tracks, in order of their start."""
    rows = station.sql(
        "SELECT title, loop_file_path, started_at, ended_at, duration_seconds, ffmpeg_pid, had_errors, error_message"
        " FROM play_history WHERE artist = ANY(%s) AND title = ANY(%s) ORDER BY started_at",
        [[track.artist for track in tracks], [track.title for track in tracks]],
    )
    names = ("title", "loop", "start", "end", "duration", "pid", "had_errors", "error")
    return [dict(zip(names, row, strict=True)) for row in rows]


def assert_history(rows: list[dict[str, Any]], tracks: list[Track], seen: list[Shown]) -> None:
    """Every track once, in order, with the times at which the platform saw it."""
    assert [row["title"] for row in rows] == [track.title for track in tracks]
    for row, one, following in zip(rows, seen, [*seen[1:], None], strict=True):
        assert abs(row["start"].timestamp() - one.at) < CLOSE
        assert Path(row["loop"]).stem == one.loop
        assert row["pid"]
        if following is not None:
            assert abs(row["end"].timestamp() - following.at) < CLOSE
            assert abs(float(row["duration"]) - (following.at - one.at)) < CLOSE
    assert all(one["end"] == two["start"] for one, two in pairwise(rows))


# --- the rest -----------------------------------------------------------------------------------------------


def metric(station: Station, name: str, labels: Mapping[str, str] | None = None) -> float:
    """The sum of a metric's values over all series that have these labels."""
    total = 0.0
    for line in station.metrics().splitlines():
        series, _, value = line.rpartition(" ")
        if series.partition("{")[0] == name and all(f'{k}="{v}"' in series for k, v in (labels or {}).items()):
            total += float(value)
    return total


def errors(station: Station, since: float) -> list[tuple[str, str, str]]:
    """The error log's service, severity and message from a Unix time on, in order."""
    rows = station.sql(
        "SELECT service, severity, message FROM error_log WHERE timestamp >= to_timestamp(%s) ORDER BY timestamp",
        [since],
    )
    return [(str(service), str(severity), str(message)) for service, severity, message in rows]
