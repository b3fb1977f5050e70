"""Forty track changes with crossfades, each with a card of its own: what the platform sees, and what they cost."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

from tests.bench.changes import Captured, Seen, compare_cost, decoded, hold_to_one_stream, original_cpu
from tests.bench.measure import Meter, cpu_with_children
from tests.bench.outcome import Part
from tests.bench.stage import AIR, TRACK_LOOPS, Groups, Stage, arrive, filled_loop, mount, settle
from tests.rig import media
from tests.rig.azuracast import Track
from tests.rig.covers import Covers, jpeg
from tests.rig.station import Station

_CHANGES = 40
# A card is ordered when its track is announced, one track ahead; this is what it has, not four minutes.
_EVERY = 9.0
_DELAY = 3.0


@dataclass(slots=True)
class _Seen(Seen):
    """What came of the changes: which entered with a card, how many with a crossfade."""

    entered: list[bool] = field(default_factory=list)
    crossed: int = 0


def measure(stage: Stage) -> Part:
    """Forty changes of ours with cards; the original's CPU, for the comparison."""
    part = Part("Now-playing cards")
    stage.say("cards: the original, for its CPU")
    with mount(stage) as url, Covers({"/cover.jpg": jpeg("COVER")}) as covers:
        original = original_cpu(stage, url)
        stage.say("cards: changes with cards")

        def configure(config: dict[str, Any]) -> None:
            for station in config["stations"].values():
                station["card"] = {"template": "band", "art_hosts": [covers.host]}
                station["transition"] = "crossfade"

        with stage.station(switch_delay=_DELAY, configure=configure, audio_url=url) as station:
            arrive(station, Path(shutil.copyfile(filled_loop("720p30"), station.run_dir / "filled.mp4")))
            settle(station, loops=len(media.LOOPS) + 1)
            # Every other loop uses its bitrate, which costs more to encode than the demo's flat graphics.
            loops = [name for loop in TRACK_LOOPS for name in ("filled", loop)]
            path, seen = _change(station, list(islice(cycle(loops), int(stage.length(_CHANGES, 6)))), covers)
            (station.loops / "filled.mp4").unlink()
    stage.say("cards: decoding the capture")
    _report(part, seen, decoded(path), original)
    return part


def _change(station: Station, loops: Sequence[str], covers: Covers) -> tuple[Path, _Seen]:
    tracks = [
        Track(
            "Steadycast Bench",
            f"Карта № {number} · 歌 {number}",
            "Cards",
            loop=f"{loop}.mp4",
            art=covers.url("/cover.jpg"),
        )
        for number, loop in enumerate([loops[-1], *loops])
    ]
    seen = _Seen()
    spent = cpu_with_children(station.pid("prepare"))
    with station.capture() as capture:
        # The first track is not counted: nothing tells of it ahead.
        station.webhook(tracks[0], next=tracks[1])
        time.sleep(_EVERY + 5)
        began, sent, before = time.monotonic(), 0, station.status()["switches"]
        pairs = list(pairwise([*tracks[1:], tracks[0]]))

        def meanwhile() -> None:
            nonlocal sent, before
            if sent < len(pairs) and time.monotonic() >= began + sent * _EVERY:
                station.webhook(pairs[sent][0], next=pairs[sent][1])
                sent += 1
            status = station.status()
            if status["switches"] != before:
                before = status["switches"]
                seen.entered.append(bool(status["on_air"]["card"]))
                seen.crossed += status["on_air"]["transition"] == "crossfade"

        seen.air = Meter(Groups(station)).run(len(pairs) * _EVERY, meanwhile).cpu_of(AIR)
        time.sleep(2.5)
        seen.sessions = station.platform.sessions(station.key())
    # One for each that was counted, and one for the track before them.
    seen.prepare_seconds = (cpu_with_children(station.pid("prepare")) - spent) / len(tracks)
    if capture.error:
        raise capture.error
    return capture.path, seen


def _report(part: Part, seen: _Seen, captured: Captured, original: float) -> None:
    changes, worn = len(seen.entered), sum(seen.entered)
    count = f"{changes} changes with cards"
    part.figures = {"changes": changes, "with_card": worn, "crossfades": seen.crossed}
    hold_to_one_stream(part, count, seen, captured)
    # Where the machine had no time for one the loop entered without, which is how it is meant.
    part.at_least(f"{count}: of them with the card from the first picture on", worn, changes * 0.9)
    compare_cost(
        part,
        seen,
        original,
        thing="card",
        requirement="CPU over tracks of four minutes, a card each, as a share of the original's",
        prepared="a loop of 10 s with a card, once for each track",
        every=_EVERY,
    )
    part.notes.append(
        f"{worn} of {changes} entered with their card, {seen.crossed} with a crossfade. Each was announced one track "
        f"({_EVERY:g} s) ahead; half of the loops use their bitrate. {captured.told()}"
    )
