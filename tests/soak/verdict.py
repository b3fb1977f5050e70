"""What a run is worth: which frames were lost to which fault, what grew, how sound and picture stood at the end."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median

from tests.bench.outcome import Part, Table, quantile
from tests.rig.alignment import Change
from tests.rig.flvread import AUDIO, VIDEO
from tests.soak.course import RECOVERY_SECONDS, Done, Outcome
from tests.soak.watch import Hole, Wait
from tests.soak.weigh import COME_AND_GO, MB_IN_ALL, MB_PER_HOUR, WARM_UP, Growth, growth

SWITCHES_PER_HOUR = 300
APART_MS = 40.0
# As for every change of track: docs/TRANSITIONS.md.
ALIGNED_MS = 250.0
# A process is judged when it lived for so much of the run.
_LIVED = 0.4
# Around a fault: what was hurt a moment before, and what arrives late.
_AROUND_SECONDS = 3.0
# A change of the picture that is further from its sound was not decided by the sound: the mount was away just then.
_DECIDED_MS = 1000.0
_RECONNECTS = ("radio-relay killed", "FFmpeg of the watched destination killed")


def judge(outcome: Outcome) -> Part:
    """Every requirement of a soak, with the tables behind it."""
    part = Part("Soak")
    _faults(part, outcome)
    _frames(part, outcome)
    _traffic(part, outcome)
    _sizes(part, outcome)
    _alignment(part, outcome)
    return part


def during(done: Done) -> tuple[float, float]:
    """The time (Unix) in which what is lost is lost to this fault."""
    end = done.well if done.well is not None else done.mended + RECOVERY_SECONDS
    return done.begin - _AROUND_SECONDS, end + _AROUND_SECONDS


def lost_to(done: Done, holes: Sequence[Hole], kind: int) -> int:
    """How many frames of a kind were lost while a fault lasted."""
    begin, end = during(done)
    return sum(hole.missing for hole in holes if hole.kind == kind and begin <= hole.after <= end)


def outside(found: Sequence[Hole | Wait], done: Sequence[Done]) -> list[Hole | Wait]:
    """What was not lost to a fault that viewers may see."""
    allowed = [during(one) for one in done if one.fault.seen]

    def at(one: Hole | Wait) -> float:
        return one.after if isinstance(one, Hole) else one.end

    return [one for one in found if not any(begin <= at(one) <= end for begin, end in allowed)]


def _faults(part: Part, outcome: Outcome) -> None:
    done = outcome.done
    part.exactly("Faults that could not be done", sum(bool(one.trouble) and one.well is not None for one in done), 0)
    part.exactly(
        f"Faults after which the station was not well within {RECOVERY_SECONDS:.0f} s",
        sum(one.well is None for one in done), 0,
    )  # fmt: skip
    rows, figures = [], []
    for name in dict.fromkeys(one.fault.name for one in done):
        same = [one for one in done if one.fault.name == name]
        times = [one.well - one.mended for one in same if one.well is not None]
        lost = [sum(lost_to(one, outcome.ledger.holes, kind) for one in same) for kind in (VIDEO, AUDIO)]
        waits = [
            wait.end - wait.begin
            for one in same for wait in outcome.ledger.waits
            if during(one)[0] <= wait.end <= during(one)[1]
        ]  # fmt: skip
        worst = max(times, default=float("nan"))
        rows.append([
            name, str(len(same)), f"{worst:.0f} s", str(lost[0]), str(lost[1]), f"{max(waits, default=0):.1f} s",
        ])  # fmt: skip
        figures.append({
            "fault": name, "times": len(same), "may_be_seen": same[0].fault.seen, "well_after_seconds": times,
            "video_lost": lost[0], "audio_lost": lost[1], "longest_wait_seconds": max(waits, default=0.0),
            "trouble": [one.trouble for one in same if one.trouble],
        })  # fmt: skip
    part.figures["faults"] = figures
    head = ["Fault", "times", "well after", "pictures lost", "sound lost", "off the air"]
    part.tables.append(Table(head, rows))
    part.notes.append(
        "“Well after” is the longest time from the end of the fault until every process ran, the mount had been "
        "heard for four seconds and /health said 200. “Off the air” is the longest wait for a frame, where it was "
        "more than a second."
    )


def _frames(part: Part, outcome: Outcome) -> None:
    ledger = outcome.ledger
    holes = [one for one in outside(ledger.holes, outcome.done) if isinstance(one, Hole)]
    waits = outside(ledger.waits, outcome.done)
    for kind, name in ((VIDEO, "Pictures"), (AUDIO, "Frames of sound")):
        lost = sum(hole.missing for hole in holes if hole.kind == kind)
        part.exactly(f"{name} lost outside the publisher's, relay's and destination's own faults", lost, 0)
    part.exactly("Waits of more than a second for a frame, outside of those", len(waits), 0)
    part.exactly("Timestamps that do not advance", ledger.backwards, 0)
    part.exactly("Times the watching broke off", int(bool(outcome.broken_off)), 0)
    cuts = sum(one.fault.name in _RECONNECTS for one in outcome.done)
    part.at_most("Sessions at the watched platform", outcome.sessions, 1 + cuts)
    part.figures["frames"] = {
        "video": ledger.frames[VIDEO], "audio": ledger.frames[AUDIO], "holes": [asdict(one) for one in holes],
        "waits": [asdict(one) for one in waits],
        "sessions": outcome.sessions, "broken_off": outcome.broken_off,
    }  # fmt: skip


def _traffic(part: Part, outcome: Outcome) -> None:
    wanted = round(outcome.seconds * SWITCHES_PER_HOUR / 3600)
    part.at_least("Switches (plays in the history)", outcome.plays, wanted)
    part.exactly("Answers of the API that must not be", len(outcome.wrong), 0)
    part.exactly("Requests that failed by a fault of radio-web", outcome.failed_requests, 0)
    part.figures["traffic"] = {
        "plays": outcome.plays, "tracks_begun": outcome.tracks, "tracks_refused_by_the_engine": outcome.refused,
        "webhooks_answered": outcome.webhooks, "answers": outcome.answers, "wrong": outcome.wrong[:20],
    }  # fmt: skip
    answers = sum(outcome.answers.values())
    part.notes.append(
        f"{outcome.tracks} tracks began in the engine (it was away for {outcome.refused}), {outcome.plays} pictures "
        f"were switched, {outcome.webhooks} webhooks answered, {answers} requests made to the API."
    )


def _sizes(part: Part, outcome: Outcome) -> None:
    judged = [life for life in outcome.lives if life.weights and life.seconds >= _LIVED * outcome.seconds]
    grown = [found for life in judged if (found := growth(life)) is not None]
    part.at_least("Processes old enough to be judged", len(grown), 1)
    part.exactly("Processes whose memory grows by more than noise", sum(one.grows for one in grown), 0)
    part.exactly("Processes with more descriptors or threads at the end", sum(one.leaks for one in grown), 0)
    part.tables.append(Table(
        ["Process", "seen for", "PSS", "PSS an hour", "own memory an hour", "descriptors", "threads"],
        [_row(one) for one in sorted(grown, key=lambda one: one.name)],
    ))  # fmt: skip
    part.figures["processes"] = [asdict(one) | {"allowed": one.allowed, "grows": one.grows} for one in grown]
    part.notes.append(
        f"Processes that lived for {_LIVED:.0%} of the run at least, without the first {WARM_UP:.0%} of their life, "
        "weighed every ten seconds. Slopes are those of a straight line (least squares), with their standard errors. "
        f"A process grows when the slope of its own (anonymous) memory is more than {MB_PER_HOUR:g} MB an hour, or "
        f"{MB_IN_ALL:g} MB in all where that is more, by more than two standard errors. PSS is told and not judged: "
        "it rises when another process that shares a library ends. Descriptors and threads are medians of the first "
        f"and the last quarter; up to {COME_AND_GO} come and go."
    )


def _row(one: Growth) -> list[str]:
    return [
        one.name, f"{one.hours * 60:.0f} min", f"{one.pss:.1f} MB", f"{one.slope:+.2f} ± {one.error:.2f} MB",
        f"{one.own_slope:+.2f} ± {one.own_error:.2f} MB", f"{one.files[0]:g} → {one.files[1]:g}",
        f"{one.threads[0]:g} → {one.threads[1]:g}",
    ]  # fmt: skip


def thirds(changes: Sequence[Change]) -> tuple[list[float], list[float]]:
    """How far (ms) the picture was from its sound at the changes of the first and of the last third.

    Those that were not decided by the sound are left out.
    """
    offsets = [change.offset for change in changes if abs(change.offset) <= _DECIDED_MS]
    third = -(-len(offsets) // 3)
    return offsets[:third], offsets[len(offsets) - third :]


def _alignment(part: Part, outcome: Outcome) -> None:
    apart = max((ms for _, ms in outcome.ledger.apart[-2:]), default=0)
    part.at_most("Sound and picture apart in the stream, in the last two minutes", apart, APART_MS, " ms")
    first, last = thirds(outcome.changes)
    late = quantile([abs(offset) for offset in last], 0.95)
    part.at_most("Picture to sound at a change, in the last third: p95", late, ALIGNED_MS, " ms")
    medians = [median(third) if third else float("nan") for third in (first, last)]
    part.at_most("Picture to sound at a change, in the last third: median", abs(medians[1]), APART_MS, " ms")
    decided = sum(abs(change.offset) <= _DECIDED_MS for change in outcome.changes)
    part.figures["alignment"] = {
        "apart_ms_by_minute": [ms for _, ms in outcome.ledger.apart], "changes": len(outcome.changes),
        "changes_decided_by_the_sound": decided, "median_ms_first_third": medians[0],
        "median_ms_last_third": medians[1],
        "p95_ms_last_third": late, "offsets_ms": [change.offset for change in outcome.changes],
    }  # fmt: skip
    part.notes.append(
        "“Apart in the stream” is the distance of the timestamps of the frames of sound and of picture that came one "
        f"after the other. Every track is a tone with a loop of its own: of {len(outcome.changes)} changes {decided} "
        "were shown within a second of their sound (the mount or its titles were away for the others), in the median "
        f"{medians[0]:+.0f} ms after it in the first third and {medians[1]:+.0f} ms in the last. How exactly an MP3 "
        "mount's titles say where a track begins depends on where its metadata blocks lie, which every connection to "
        "the mount decides anew."
    )
