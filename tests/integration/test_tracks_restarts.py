"""The mount, Icecast or Liquidsoap is restarted between songs: nothing old is heard again, no picture stays wrong.

Each song is one rising tone, in a range of its own: its pitch tells which song it is, and which moment of it.
Webhooks come only where nothing else could tell.
"""

import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from tests.integration.hearing import Heard, listen
from tests.integration.onair import assert_unbroken, on_air, wait_frames, with_backup
from tests.rig import alignment, media
from tests.rig.azuracast import Knobs, Track
from tests.rig.broadcast import Broadcast, Piece, loops_of, map_all
from tests.rig.net import LOOPBACK, http, wait_until
from tests.rig.platform import Capture
from tests.rig.station import MEDIA_CACHE, Station

MOUNT = "/radio.mp3"
BACK = 0.2
WRONG = 5000.0
SECONDS, SLOPE = 40, 25.0  # Hz a second
LOOPS = ("coral", "lagoon", "meadow")
LOWEST = (400, 1500, 2600)


@dataclass(frozen=True, slots=True)
class Rising(Piece):
    """A song whose pitch rises from `tone`."""

    @property
    def path(self) -> Path:
        sound = f"aevalsrc='0.4*sin(2*PI*({self.tone}*t+{SLOPE / 2}*t*t))':s=44100:d={SECONDS}"
        return media.make(
            MEDIA_CACHE, f"rising-{self.tone}.wav", ["-f", "lavfi", "-i", sound, "-ac", "2", "-f", "wav"]
        )


SONGS = [
    Rising(Track("The Risers", f"From {tone}", duration=SECONDS), tone, loop)
    for tone, loop in zip(LOWEST, LOOPS, strict=True)
]


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame of sound at the platform: where in the stream it is (ms), and when the engine played it (Unix time)."""

    ms: int
    tone: int
    played: float


@pytest.fixture(scope="module")
def broadcast() -> Iterator[Broadcast]:
    with tempfile.TemporaryDirectory(prefix="steadycast-air-") as name:
        place = Path(name)
        place.chmod(0o711)
        with Broadcast(place, {MOUNT: True}) as air:
            yield air


@pytest.fixture(scope="module")
def station(prepared: Path, broadcast: Broadcast) -> Iterator[Station]:
    broadcast.sound(SONGS[-1])
    with on_air(prepared, with_backup(audio_url=broadcast.icecast.url(MOUNT))) as station:
        map_all(station, SONGS)
        broadcast.azuracast(station, "demo", Knobs(loss=True))
        yield station


def mount_restarts(broadcast: Broadcast, following: Piece) -> None:
    """Icecast throws the source out, which comes back by itself; the song changes meanwhile."""
    icecast = broadcast.icecast
    login = b64encode(f"admin:{icecast.password}".encode()).decode()
    url = f"http://{LOOPBACK}:{icecast.port}/admin/killsource?mount={MOUNT}"
    assert http(url, headers={"Authorization": f"Basic {login}"})[0] == 200
    time.sleep(0.5)
    broadcast.play(following)


def icecast_restarts(broadcast: Broadcast, following: Piece) -> None:
    """A title that Liquidsoap could not send it does not send again: of this one song only the webhook tells."""
    broadcast.icecast.stop()
    broadcast.azuracasts["demo"].knobs.loss = False
    broadcast.play(following)
    wait_until(lambda: broadcast.azuracasts["demo"].sent[-1].status == 202, "the webhook", 10)
    broadcast.azuracasts["demo"].knobs.loss = True
    time.sleep(1)
    broadcast.icecast.start()


def liquidsoap_restarts(broadcast: Broadcast, following: Piece) -> None:
    radio = broadcast.radios[MOUNT]
    radio.kill()
    radio.start()
    broadcast.play(following)


@pytest.mark.parametrize("restart", [mount_restarts, icecast_restarts, liquidsoap_restarts])
def test_a_restart(station: Station, broadcast: Broadcast, restart: Callable[[Broadcast, Piece], None]) -> None:
    first, following, last = SONGS
    broadcast.play(first)  # a title that changed is a title that is trusted
    station.wait_on_air(f"{first.loop}.mp4", seconds=15)
    time.sleep(1)
    with station.capture() as capture:
        wait_frames(capture, 60)
        restart(broadcast, following)
        wait_until(lambda: station.status()["audio"]["source"] == "mount", "the mount's sound", 30)
        wait_frames(capture, 180)
        broadcast.play(last)
        wait_frames(capture, 180)
    judge(capture, broadcast)


def judge(capture: Capture, broadcast: Broadcast) -> None:
    assert_unbroken(capture)
    heard = listen(capture)
    found = moments(heard, broadcast)
    sounds, pictures = songs(heard, found), alignment.seen(capture.path)
    story = alignment.told(sounds, pictures)
    assert [tone for tone, _ in groupby(moment.tone for moment in found)] == list(LOWEST), story
    assert steps_back(found) <= BACK, story
    assert alignment.wrong(sounds, pictures, loops_of(SONGS)) <= WRONG, story
    assert pictures[-1].loop == LOOPS[-1], story


def moments(heard: Sequence[Heard], broadcast: Broadcast) -> list[Moment]:
    """The frames that are certainly of a song: their neighbours bear them out."""
    found = []
    for before, frame, after in zip(heard, heard[1:], heard[2:], strict=False):
        if frame.level < 0.05 or abs(after.hertz - before.hertz) > 10 or abs(frame.hertz - before.hertz) > 10:
            continue
        for tone in LOWEST:
            at = (frame.hertz - tone) / SLOPE
            if -0.5 < at < SECONDS:
                begun = next(began for began, piece in reversed(broadcast.played) if piece.tone == tone)
                found.append(Moment(frame.ms, tone, begun + at))
    return found


def songs(heard: Sequence[Heard], found: Sequence[Moment]) -> list[alignment.Heard]:
    """The songs one after the other, with what lies between them as nothing."""
    tones = {moment.ms: moment.tone for moment in found}
    runs: list[alignment.Heard] = []
    for frame, following in pairwise(heard):
        runs.append(alignment.Heard(tones.get(frame.ms), frame.ms, following.ms))
    joined = []
    for _, group in groupby(runs, lambda run: run.tone):
        members = list(group)
        joined.append(alignment.Heard(members[0].tone, members[0].begin, members[-1].end))
    return alignment.settle(joined)


def steps_back(found: Sequence[Moment]) -> float:
    """By how much the station's sound went back at most (seconds)."""
    worst, newest = 0.0, found[0].played
    for moment in found:
        worst = max(worst, newest - moment.played)
        newest = max(newest, moment.played)
    return worst
