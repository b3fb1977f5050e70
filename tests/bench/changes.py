"""What the parts with forty track changes have in common: the original's CPU, the capture, what both are held to."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench.measure import Meter
from tests.bench.original import GROUPS, KEY, Original
from tests.bench.outcome import Part, Table
from tests.bench.stage import Stage, filled_loop
from tests.bench.viewer import Continuity, continuity
from tests.rig.flvread import Analysis, judge, read_file
from tests.rig.flvread import decode_errors as decode
from tests.rig.platform import Session

_TRACK_SECONDS = 240.0


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was seen of the changes: CPU in percent of a core on the air, in seconds to prepare for each change."""

    air: float = 0.0
    prepare_seconds: float = 0.0
    sessions: list[Session] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Captured:
    """What the platform received."""

    analysis: Analysis
    whole: Continuity

    def told(self) -> str:
        """How much it was, as a sentence for the notes."""
        return (
            f"Captured at the platform and decoded whole: {self.whole.video} pictures in {self.whole.seconds:.0f} s."
        )


def original_cpu(stage: Stage, url: str) -> float:
    """What the original's design costs with one track at 720p30, in percent of a core."""
    with Original(stage.place / "original", "720p30", url) as original:
        original.play(filled_loop("720p30"))
        original.platform.wait_for(KEY, 40)
        time.sleep(stage.length(8, 4))
        return Meter(original.groups).run(stage.length(30, 6)).cpu_of(GROUPS)


def decoded(path: Path) -> Captured:
    """Decode a capture, and remove it."""
    tags = read_file(path)
    analysis = judge(tags, decode(path))
    whole = continuity((tag.kind, tag.time) for tag in tags if tag.is_frame)
    path.unlink()
    return Captured(analysis, whole)


def hold_to_one_stream(part: Part, count: str, seen: Seen, captured: Captured) -> None:
    """Nothing may be missing, late or broken, in one session at the platform; `count` names the changes."""
    analysis, whole = captured.analysis, captured.whole
    part.exactly(f"{count}: publishes at the platform", len(seen.sessions), 1)
    part.exactly(f"{count}: missing frames", whole.missing, 0)
    part.at_most(f"{count}: largest step between video frames", analysis.max_video_step, 34, " ms")
    part.at_most(f"{count}: largest step between audio frames", analysis.max_audio_step, 24, " ms")
    part.exactly(f"{count}: errors decoding the whole capture", len(analysis.decode_errors), 0)
    part.figures |= {
        "publishes": len(seen.sessions), **asdict(whole), "decode_errors": analysis.decode_errors[:20],
    }  # fmt: skip


def compare_cost(
    part: Part, seen: Seen, original: float, *, thing: str, requirement: str, prepared: str, every: float
) -> None:
    """Against the original's CPU, over tracks of four minutes.

    `thing` is what each change has; `requirement` and `prepared` are the words for the share and for what is encoded.
    """
    average = seen.air + 100 * seen.prepare_seconds / _TRACK_SECONDS
    part.at_most(requirement, 100 * average / original, 20, " %", 1)
    part.figures |= {
        f"cpu_seconds_a_{thing}": seen.prepare_seconds,
        "cpu_percent_on_the_air": seen.air, "cpu_percent_over_four_minutes": average,
        "original_cpu_percent": original, "times_cheaper": original / average,
    }  # fmt: skip
    part.tables.append(
        Table(
            ["720p30", "CPU"],
            [
                [prepared, f"{seen.prepare_seconds:.2f} s"],
                [f"on the air, with a change every {every:g} s", f"{seen.air:.2f} %"],
                [f"on the air, with a {thing} every four minutes", f"{average:.2f} %"],
                ["the original", f"{original:.2f} %"],
            ],
        )
    )
