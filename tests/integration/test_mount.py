"""The mount drops, hangs, serves rubbish or something else: the picture goes on, and some sound with it.

The sweep's pitch tells when it was made: what comes late, twice or in the wrong order is heard.
"""

import signal
import time
from itertools import groupby
from statistics import median

import pytest

from hook_service.playout.audio import CUSHION_SECONDS
from tests.integration.hearing import Heard, Sweep, lateness, listen, silences, steps_back, story
from tests.integration.onair import assert_unbroken, wait_frames, wait_healthy
from tests.rig.flvread import AUDIO, read_file
from tests.rig.icecast import Rubbish, Source
from tests.rig.net import wait_until
from tests.rig.platform import Capture
from tests.rig.station import Station

SILENT = 0.3
BACK = 0.2
LATER = 0.5
RETURN = 8.0


@pytest.fixture(autouse=True)
def punctual(station: Station, sweep: Sweep) -> None:
    """Begin with as much sound in store as is meant, whatever the test before has left."""
    if abs(station.status()["audio"]["level_seconds"] - CUSHION_SECONDS) > 0.6:
        sweep.stop()
        wait_source(station, "fallback", 20)
        sweep.start()
        wait_healthy(station)


def source(station: Station) -> str:
    return str(station.status()["audio"]["source"])


def wait_source(station: Station, wanted: str, seconds: float) -> None:
    wait_until(lambda: source(station) == wanted, f"sound from the {wanted}", seconds)


def judge(capture: Capture, *, sweeps_last: bool = True) -> list[Heard]:
    """What must hold whatever the mount does; gives back what was heard."""
    assert_unbroken(capture)
    heard = listen(capture)
    print(story(heard))
    assert {frame.source for frame in heard[:20]} == {"sweep"}
    assert not sweeps_last or sum(frame.source == "sweep" for frame in heard[-40:]) > 35, story(heard)
    assert max(silences(heard), default=0.0) <= SILENT, story(heard)
    assert steps_back(heard) <= BACK, story(heard)
    sweeps = [frame for frame in heard if frame.clock is not None]
    usual = median(lateness(frame) for frame in sweeps[:40])
    assert max(lateness(frame) for frame in sweeps) <= usual + LATER, story(heard)
    return heard


def returned(heard: list[Heard], since: float) -> float:
    """How long after a Unix time the station was heard again for good, in seconds."""
    other = [frame.at for frame in heard if frame.source != "sweep"]
    return max(other, default=since) - since


def test_mount_drops_for_a_second(station: Station, sweep: Sweep) -> None:
    """Nobody hears that nothing came: the cushion lasts until the mount is back."""
    with station.capture() as capture:
        wait_frames(capture, 30)
        sweep.stop()
        sweep.start()
        wait_frames(capture, 180)
    heard = judge(capture)
    assert "fallback" not in {frame.source for frame in heard}, story(heard)
    assert sum(frame.source != "sweep" for frame in heard) <= 4, "where two broadcasts meet"


def test_mount_drops_for_long(station: Station, sweep: Sweep) -> None:
    with station.capture() as capture:
        wait_frames(capture, 30)
        sweep.stop()
        wait_frames(capture, 600)
        sweep.start()
        begun = time.time()
        wait_source(station, "mount", 20)
        wait_frames(capture, 90)
    heard = judge(capture)
    assert any(frame.source == "fallback" for frame in heard)
    assert returned(heard, begun) <= RETURN


@pytest.mark.parametrize("seconds", [0.7, 8], ids=["a moment", "for long"])
def test_mount_is_there_and_nothing_comes(station: Station, sweep: Sweep, seconds: float) -> None:
    with station.capture() as capture:
        wait_frames(capture, 30)
        sweep.pause()
        wait_frames(capture, round(seconds * 30))
        sweep.resume()
        begun = time.time()
        wait_source(station, "mount", 20)
        wait_frames(capture, 90)
    heard = judge(capture)
    assert returned(heard, begun) <= RETURN
    if seconds < 1:
        assert {frame.source for frame in heard} == {"sweep"}, story(heard)


def test_icecast_stands_still(station: Station) -> None:
    icecast = station.icecast.process
    with station.capture() as capture:
        wait_frames(capture, 30)
        icecast.send(signal.SIGSTOP)
        try:
            wait_frames(capture, 210)
            assert source(station) == "fallback"
        finally:
            icecast.send(signal.SIGCONT)
        begun = time.time()
        wait_source(station, "mount", 20)
        wait_frames(capture, 90)
    heard = judge(capture)
    assert returned(heard, begun) <= RETURN


def test_rubbish(station: Station, sweep: Sweep) -> None:
    with station.capture() as capture:
        wait_frames(capture, 30)
        sweep.stop()
        with Rubbish(station.icecast):
            wait_frames(capture, 270)
        sweep.start()
        begun = time.time()
        wait_source(station, "mount", 20)
        wait_frames(capture, 90)
    heard = judge(capture)
    assert returned(heard, begun) <= RETURN


def test_other_kinds_of_sound(station: Station, sweep: Sweep) -> None:
    """Another sample rate, or mono: one after the other, as a station that changes its encoder."""
    kinds = [(48000, 2), (22050, 2), (44100, 1)]
    with station.capture() as capture:
        wait_frames(capture, 30)
        sweep.stop()
        for rate, channels in kinds:
            wait_source(station, "fallback", 10)
            with Sweep(station.icecast, rate, channels):
                wait_source(station, "mount", 20)
                wait_frames(capture, 60)
    heard = judge(capture, sweeps_last=False)
    runs = [len(list(group)) for source, group in groupby(heard, lambda frame: frame.source) if source == "sweep"]
    assert sum(run > 60 for run in runs) == 1 + len(kinds), story(heard)


def test_digital_silence_carries_bits(station: Station, sweep: Sweep) -> None:
    """A platform takes a few kb/s of sound for a dead stream: a minute's silence of the station must not be one."""
    sweep.stop()
    wait_source(station, "fallback", 10)
    encoded = ["-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0"]
    with Source(station.icecast, ["-re", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", *encoded]):
        wait_source(station, "mount", 20)
        with station.capture() as capture:
            wait_frames(capture, 90)
        assert source(station) == "mount"
    assert_unbroken(capture)
    sizes = [len(tag.body) for tag in read_file(capture.path) if tag.kind == AUDIO and tag.is_frame]
    kbps = sum(sizes) * 8 / (len(sizes) * 1024 / 44100) / 1000
    assert 150 < kbps < 220
    assert max(frame.level for frame in listen(capture)) < 0.001, "nobody is to hear it"
