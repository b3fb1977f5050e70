"""Picture and sound at the platform, for every way a station can learn that its track has changed.

One broadcast of tones, heard by five stations at the same time. Each knows of the changes in another way; what came
of it is read from the decoded pictures and the decoded sound of what the platform received.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.onair import metric, on_air, wait_frames
from tests.rig import alignment
from tests.rig.alignment import Change, Seen
from tests.rig.azuracast import AzuraCast, Knobs
from tests.rig.broadcast import Broadcast, Piece, loops_of, map_all, pieces, shuffled
from tests.rig.layout import Options
from tests.rig.net import wait_until
from tests.rig.station import Station

MOUNT, PLAIN = "/radio.mp3", "/plain.mp3"
ALIGNED = 250.0

# The station, and how it learns of a change.
EARLY, LOST, WEBHOOK, SSE, POLL = "demo", "demo2", "demo3", "demo4", "demo5"
TITLED = (EARLY, LOST)
CHANGES = 6
# Polls come every 15 s: only the last track is sure to be seen by them.
LONG = 1
LONG_SECONDS = 20.0


@dataclass
class Outcome:
    """What came of it: by station, and the station's own account."""

    changes: dict[str, list[Change]]
    extra: dict[str, list[Seen]]
    last: dict[str, str | None]
    """The picture at the end."""
    stories: dict[str, str]
    status: dict[str, Any]
    station: Station
    began: float


@pytest.fixture(scope="module")
def broadcast() -> Iterator[Broadcast]:
    with tempfile.TemporaryDirectory(prefix="steadycast-air-") as name:
        place = Path(name)
        place.chmod(0o711)
        with Broadcast(place, {MOUNT: True, PLAIN: False}) as air:
            yield air


@pytest.fixture(scope="module")
def seen(prepared: Path, broadcast: Broadcast) -> Iterator[Outcome]:
    """The whole broadcast, once."""
    known = pieces()
    rhythm = random.Random(11)
    gaps = iter([*(rhythm.uniform(5.5, 7.0) for _ in range(CHANGES)), *[LONG_SECONDS] * LONG])
    programme = shuffled(known, 1 + CHANGES + LONG, seed=3)
    broadcast.sound(programme[0])
    for name, knobs in {SSE: Knobs(api=False, loss=True), POLL: Knobs(sse=False, loss=True, cache=1.0)}.items():
        broadcast.serve(name, AzuraCast([name], knobs=knobs))

    def configure(config: dict[str, Any]) -> None:
        for name in (WEBHOOK, SSE, POLL):
            config["stations"][name]["audio"]["url"] = broadcast.icecast.url(PLAIN)
        for name in (SSE, POLL):
            config["stations"][name]["azuracast"] = {"url": broadcast.azuracasts[name].url}

    options = Options(stations=5, audio_url=broadcast.icecast.url(MOUNT), automation=False, configure=configure)
    with on_air(prepared, options) as station:
        map_all(station, known)
        broadcast.azuracast(station, EARLY, Knobs(lead=4.0, delay=0.0))
        broadcast.azuracast(station, LOST, Knobs(loss=True))
        broadcast.azuracast(station, WEBHOOK, Knobs(delay=0.5))
        # Titles are trusted once one has changed; and a first song is told of by all.
        broadcast.run([programme[1], programme[0]], lambda: 6.0)
        wait_until(lambda: all_told(station, programme[0]), "a first song on every station, and titles trusted", 40)
        # Once more, for a song that ended while this was waited for would leave silence before the first change.
        broadcast.sound(programme[0])
        wait_until(lambda: heard_everywhere(station, programme[0]), "its sound on the mount without titles", 30)
        began = time.time()
        with ExitStack() as stack:
            captures = {name: stack.enter_context(station.capture(name=name)) for name in station.names}
            broadcast.run(programme[1:], lambda: next(gaps))
            # For so long the last piece is heard: a round of the polls, which is what sees it there.
            time.sleep(LONG_SECONDS)
            status = station.api("status")["stations"]
        changes, extra, last, stories = {}, {}, {}, {}
        for name, capture in captures.items():
            sounds, pictures = alignment.heard(capture.path), alignment.seen(capture.path)
            changes[name], extra[name] = alignment.match(sounds, pictures, loops_of(known))
            last[name] = pictures[-1].loop
            stories[name] = f"{name}{alignment.told(sounds, pictures)}"
        # One order, heard everywhere: what was measured on is what was meant.
        assert len({tuple(change.tone for change in one) for one in changes.values()}) == 1, "\n".join(
            stories.values()
        )
        yield Outcome(changes, extra, last, stories, status, station, began)


def all_told(station: Station, piece: Piece) -> bool:
    """Whether the piece is on the air where it was told of in time, and the polls have told of any."""
    found = station.api("status")["stations"]
    on_air = {name: (about["track"] or {}).get("title") for name, about in found.items()}
    return (
        all(on_air[name] == piece.track.title for name in (*TITLED, WEBHOOK, SSE))
        and on_air[POLL] is not None
        and all(found[name]["sources"]["icy"]["trusted"] for name in TITLED)
    )


def heard_everywhere(station: Station, piece: Piece) -> bool:
    """Whether the platform hears the piece where no title says so: there its picture may be the earlier one."""
    with ExitStack() as stack:
        captures = [stack.enter_context(station.capture(name=name)) for name in (WEBHOOK, SSE, POLL)]
        for capture in captures:
            wait_frames(capture, 30)
    stories = [alignment.heard(capture.path) for capture in captures]
    return all(sounds and sounds[-1].tone == piece.tone for sounds in stories)


def unix(moment: str) -> float:
    """The Unix time of a time in the API."""
    return datetime.fromisoformat(moment).timestamp()


def offsets(seen: Outcome, name: str) -> list[float]:
    found = [change.offset for change in seen.changes[name]]
    assert len(found) == CHANGES + LONG, seen.stories[name]
    return found


@pytest.mark.parametrize("name", TITLED, ids=["webhooks 4 s early", "webhooks lost"])
def test_the_picture_changes_when_the_sound_does(seen: Outcome, name: str) -> None:
    assert max(map(abs, offsets(seen, name))) <= ALIGNED, seen.stories[name]
    assert seen.extra[name] == [], seen.stories[name]


@pytest.mark.parametrize("name", [WEBHOOK, SSE], ids=["webhooks alone", "SSE alone"])
def test_every_change_is_made_without_titles(seen: Outcome, name: str) -> None:
    """At the switch delay after it was told of: not aligned, but never missed, and never twice."""
    assert max(map(abs, offsets(seen, name))) <= 4000, seen.stories[name]
    assert seen.extra[name] == [], seen.stories[name]


def test_polling_alone_comes_to_the_right_picture(seen: Outcome) -> None:
    """It misses tracks that are shorter than its rounds, and the loop of one that it saw may be that of the last."""
    assert seen.last[POLL] == seen.last[LOST] == seen.last[EARLY], seen.stories[POLL]


def test_the_status_says_who_decided(seen: Outcome) -> None:
    decided = {name: about["last_switch"]["decided_by"] for name, about in seen.status.items()}
    assert decided == {EARLY: "icy", LOST: "icy", WEBHOOK: "webhook", SSE: "sse", POLL: "poll"}
    for name, about in seen.status.items():
        last = about["last_switch"]
        assert seen.began < unix(last["at"]) < time.time()
        assert set(last["offsets"]) == {"webhook", "sse", "poll", "icy"}
        assert about["sources"]["icy"]["trusted"] is (name in TITLED)
    # Told 4 s before the engine played it, which is some seconds before it is heard here.
    assert -15 < seen.status[EARLY]["last_switch"]["offsets"]["webhook"] < -4
    assert seen.status[LOST]["last_switch"]["offsets"]["webhook"] is None
    sources = {name: about["sources"] for name, about in seen.status.items()}
    assert sources[SSE]["sse"]["state"] == "connected"
    assert sources[POLL]["sse"]["state"] != "connected"
    assert unix(sources[EARLY]["webhook"]["last_at"]) > seen.began
    assert sources[LOST]["webhook"]["last_at"] is None
    assert sources[EARLY]["icy"]["title"].startswith("The Tuning Forks - Study at ")


def test_the_metrics_say_who_decided_and_by_how_much_they_differed(seen: Outcome) -> None:
    decided = {
        name: {
            source: metric(seen.station, "radio_switches_total", {"station": name, "decided_by": source})
            for source in ("icy", "webhook", "sse", "poll")
        }
        for name in (EARLY, LOST, WEBHOOK, SSE, POLL)
    }
    for name, source in {EARLY: "icy", LOST: "icy", WEBHOOK: "webhook", SSE: "sse"}.items():
        assert decided[name][source] >= CHANGES + LONG, decided
    assert decided[POLL]["poll"] >= LONG, decided
    for name, absent in {LOST: "webhook", WEBHOOK: "icy", SSE: "webhook", POLL: "sse"}.items():
        assert decided[name][absent] == 0, decided
    labels = {"station": EARLY, "source": "webhook"}
    count = metric(seen.station, "radio_source_offset_seconds_count", labels)
    assert count >= CHANGES + LONG
    # A histogram of what may be negative has no sum. All were told at least 5 s early, but perhaps for the first,
    # which the engine begins with; and none by more than 15.
    early = metric(seen.station, "radio_source_offset_seconds_bucket", {**labels, "le": "-5.0"})
    long_before = metric(seen.station, "radio_source_offset_seconds_bucket", {**labels, "le": "-15.0"})
    assert early >= count - 1
    assert long_before == 0
    assert metric(seen.station, "radio_titles_trusted", {"station": LOST}) == 1
    assert metric(seen.station, "radio_titles_trusted", {"station": WEBHOOK}) == 0
