"""What a platform sees of track changes: ours, and those of the original's design."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

from tests.bench.original import KEY, Original
from tests.bench.outcome import Part, Table, quantile
from tests.bench.stage import TRACK_LOOPS, Stage, mount, show, source_loop
from tests.bench.viewer import Continuity, Viewer, continuity
from tests.rig import media
from tests.rig.flvread import Analysis, judge, read_file
from tests.rig.flvread import decode_errors as decode
from tests.rig.platform import Session
from tests.rig.station import Station

_SLOW_SECONDS = 1.3
_LIMITS = {"video": 34, "audio": 24}
# A platform's session that was cut and is back within this long after its switch counts as that switch's.
_PATIENCE = 25.0


def measure(stage: Stage) -> Part:
    """Sixty switches of ours by webhook, ten of them in ten seconds; six of the original's."""
    part = Part("Track changes, as the platform sees them")
    stage.say("onair: switches of Steadycast")
    with stage.station(switch_delay=0) as station:
        wanted = list(islice(cycle(TRACK_LOOPS), int(stage.length(60, 20))))
        path, sessions = _switch(station, wanted)
    stage.say("onair: decoding the capture")
    analysis, whole = _judge(path)
    runs = media.runs([picture for picture in media.read_pictures(path) if picture.loop is not None])
    seen = [loop for loop, _ in runs]
    path.unlink()
    stage.say("onair: switches of the original")
    theirs = _original(stage, int(stage.length(6, 2)))
    _check(part, wanted, seen, sessions, analysis, whole)
    if _in_order(wanted, seen) != len(wanted):
        stage.say(f"onair: the loops seen, with how many pictures of each: {runs}")
    _tabulate(part, wanted, seen, sessions, analysis, whole, theirs)
    return part


def _switch(station: Station, wanted: Sequence[str]) -> tuple[Path, list[Session]]:
    """Ten switches in ten seconds, then the rest; the capture's file and the platform's sessions meanwhile."""
    with station.capture() as capture:
        time.sleep(2.5)
        began = time.monotonic()
        for number, loop in enumerate(wanted):
            due = 0.95 * number if number < 10 else 10 + _SLOW_SECONDS * (number - 10)
            time.sleep(max(0.0, began + due - time.monotonic()))
            show(station, loop)
        time.sleep(2.5)
        sessions = station.platform.sessions(station.key())
        capture.stop()
        if capture.error:
            raise capture.error
    return capture.path, sessions


def _judge(path: Path) -> tuple[Analysis, Continuity]:
    tags = read_file(path)
    frames = [(tag.kind, tag.time) for tag in tags if tag.is_frame]
    return judge(tags, decode(path)), continuity(frames)


def _original(stage: Stage, switches: int) -> dict[str, Any]:
    """Seconds without a picture at the platform for each switch, and the platform's sessions."""
    loops = [source_loop(loop, "720p30") for loop in media.LOOPS if loop.number]
    gaps: list[float] = []
    with mount(stage) as url, Original(stage.place / "original", "720p30", url) as original:
        original.play(loops[-1])
        original.platform.wait_for(KEY, 40)
        with Viewer(f"{original.platform.url}/{KEY}", timeout=_PATIENCE) as reader:
            time.sleep(3)
            for number in range(switches):
                at = original.play(loops[number % len(loops)])
                gaps.append(_gap(reader, at))
                time.sleep(2)
        before, *new = original.platform.sessions(KEY)
    return {
        "switches": switches,
        "seconds_off_the_air": gaps,
        "seconds_off_the_air_median": quantile(gaps, 0.5),
        "seconds_off_the_air_max": max(gaps),
        "publishes": 1 + len(new),
        "disconnects": sum(session.end is not None for session in (before, *new)),
    }


def _gap(reader: Viewer, at: float) -> float:
    """The longest time without a picture in the time after a switch, once there is one again."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.25)
        times = [seen.at for seen in reader.video(at - 1)]
        longest = max((b - a for a, b in pairwise(times)), default=0.0)
        if longest > 0.5 and times[-1] - at > longest + 1:
            return longest
    return _PATIENCE


def _check(
    part: Part, wanted: Sequence[str], seen: Sequence[str | None], sessions: Sequence[Session], analysis: Analysis,
    whole: Continuity,
) -> None:  # fmt: skip
    count = f"{len(wanted)} switches"
    part.exactly(f"{count}: publishes at the platform", len(sessions), 1)
    part.exactly(f"{count}: disconnects", sum(one.end is not None for one in sessions), 0)
    part.exactly(f"{count}: missing frames", whole.missing, 0)
    part.at_most(f"{count}: largest step between video frames", analysis.max_video_step, _LIMITS["video"], " ms")
    part.at_most(f"{count}: largest step between audio frames", analysis.max_audio_step, _LIMITS["audio"], " ms")
    part.exactly(f"{count}: timestamps that do not advance", analysis.non_monotonic, 0)
    part.exactly(f"{count}: errors decoding the whole capture", len(analysis.decode_errors), 0)
    part.exactly(f"{count}: of them seen in the picture, in order", _in_order(wanted, seen), len(wanted))


def _in_order(wanted: Sequence[str], seen: Sequence[str | None]) -> int:
    """How many of the wanted loops the pictures show one after the other, nothing else between."""
    shown = list(seen[1:])
    return sum(a == b for a, b in zip(wanted, shown, strict=False)) if len(shown) == len(wanted) else 0


def _tabulate(
    part: Part, wanted: Sequence[str], seen: Sequence[str | None], sessions: Sequence[Session], analysis: Analysis,
    whole: Continuity, theirs: dict[str, Any],
) -> None:  # fmt: skip
    ended = sum(one.end is not None for one in sessions)
    part.figures = {
        "steadycast": {
            "switches": len(wanted), "seen_in_order": _in_order(wanted, seen), "publishes": len(sessions),
            "disconnects": ended, **asdict(whole), "sequence_header_changes": analysis.codec_changes,
            "non_monotonic": analysis.non_monotonic, "decode_errors": analysis.decode_errors[:20],
        },
        "original": theirs,
    }  # fmt: skip
    gaps = theirs["seconds_off_the_air"]
    part.tables.append(
        Table(
            ["At the platform", "Steadycast", "Original"],
            [
                ["switches", str(len(wanted)), str(theirs["switches"])],
                ["seconds off the air at a switch, median", "0", f"{theirs['seconds_off_the_air_median']:.1f}"],
                ["seconds off the air at a switch, most", "0", f"{max(gaps):.1f}"],
                ["publishes (sessions)", str(len(sessions)), str(theirs["publishes"])],
                ["disconnects", str(ended), str(theirs["disconnects"])],
                ["missing video frames", str(whole.missing_video), ""],
                ["missing audio frames", str(whole.missing_audio), ""],
                ["largest video step", f"{analysis.max_video_step} ms", ""],
                ["largest audio step", f"{analysis.max_audio_step} ms", ""],
                ["timestamps that do not advance", str(analysis.non_monotonic), ""],
                ["decode errors", str(len(analysis.decode_errors)), ""],
            ],
        )
    )
    frames = f"{whole.video} pictures and {whole.audio} frames of sound in {whole.seconds:.1f} s"
    part.notes.append(
        f"Steadycast: {frames}, captured by a reader of the platform and decoded whole; ten of the switches were "
        "asked for within ten seconds. Which loop a picture shows is read from the decoded picture itself."
    )
    part.notes.append(
        "The original's gap is the time without a picture at the same kind of reader, from the last one of the old "
        "FFmpeg to the first of the new one."
    )
