"""The place of each sound: titles are told for where they are, and no end of anything moves, repeats or loses one."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.ticking import Ear, Mount, OggMount, byte_at, sound

MP3 = ["-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-f", "mp3"]
AAC = ["-c:a", "aac", "-b:a", "128k", "-f", "adts"]
Listen = Callable[[str], Ear]


@pytest.fixture
def listen() -> Iterator[Listen]:
    ears: list[Ear] = []

    def begin(url: str) -> Ear:
        ears.append(Ear(url))
        return ears[-1]

    yield begin
    for ear in ears:
        ear.end()


def assert_steady(ear: Ear) -> None:
    """A tick a second: nothing was lost, nothing came twice. Half a frame is what two encoders' frames may differ."""
    assert len(ear.gaps()) > 4
    assert [gap for gap in ear.gaps() if abs(gap - 1) > 0.03] == [], ear.gaps()


@pytest.mark.parametrize(("encoder", "kind", "rate"), [(MP3, "audio/mpeg", 44100), (AAC, "audio/aac", 48000)])
def test_a_title_is_told_before_its_sound_and_for_its_place(
    tmp_path: Path, listen: Listen, encoder: list[str], kind: str, rate: int
) -> None:
    # A second without a tick marks the song's begin: it begins with the tick after it.
    data = sound(tmp_path, 40, encoder, rate, odd=15)
    begin = byte_at(data, encoder[-1].replace("adts", "aac"), 16)
    with Mount(data, kind, len(data) / 40 / 125, {0: "A - One", begin: "B - Two"}) as mount:
        ear = listen(mount.url)
        ear.run(14)
    first, second = [event for event in ear.events if event["kind"] == "title"]
    assert (first["text"], first["change"]) == ("A - One", False)
    assert (second["text"], second["artist"], second["title"], second["change"]) == ("B - Two", "B", "Two", True)
    assert second["sound_at"] - second["at"] >= 0.3, "told before it is heard"
    heard = ear.heard()
    place = next(place for place, gap in enumerate(ear.gaps()) if gap > 1.5)
    off = second["sound_at"] - heard[place + 1]
    print("off by", off, "within", second["within"], "connections", mount.connections)
    assert abs(off) <= second["within"] + 0.06
    blocks = mount.icecast.interval / (len(data) / 40)
    assert second["within"] <= blocks / 5, "second looks have narrowed it down from half of that"


def test_connections_that_break_off(tmp_path: Path, listen: Listen) -> None:
    with Mount(sound(tmp_path, 40, MP3), "audio/mpeg", 128) as mount:
        ear = listen(mount.url)
        ear.run(4)
        mount.drop()
        ear.run(4)
        mount.refuse = True
        mount.drop()
        ear.run(1)
        mount.refuse = False
        ear.run(7)
    assert ear.source.reconnects == 2
    assert set(ear.sources[ear.sources.index("mount") :]) == {"mount"}
    assert_steady(ear)
    assert abs(ear.mixer.cushion.seconds - 3.0) < 0.6


@pytest.mark.parametrize("codec", ["libopus", "libvorbis"])
def test_ogg_that_breaks_off(tmp_path: Path, listen: Listen, codec: str) -> None:
    encoder = ["-c:a", codec, "-b:a", "128k", "-page_duration", "300000", "-f", "ogg"]
    data = sound(tmp_path, 40, encoder, 48000)
    with OggMount(data, len(data) / 40 / 125) as mount:
        ear = listen(mount.url)
        ear.run(5)
        mount.drop()
        ear.run(4)
        mount.drop()
        ear.run(5)
    assert ear.source.reconnects == 2
    assert set(ear.sources[ear.sources.index("mount") :]) == {"mount"}
    assert_steady(ear)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_ffmpeg_that_ends_or_stands_still(tmp_path: Path, listen: Listen, number: signal.Signals) -> None:
    with Mount(sound(tmp_path, 40, MP3), "audio/mpeg", 128) as mount:
        ear = listen(mount.url)
        ear.run(6)
        assert ear.source.process.pid is not None
        os.kill(ear.source.process.pid, number)
        ear.run(9)
    assert ear.source.reconnects == 1
    assert set(ear.sources[ear.sources.index("mount") :]) == {"mount"}
    assert_steady(ear)


def test_a_mount_that_is_away_for_longer_than_the_cushion(tmp_path: Path, listen: Listen) -> None:
    with Mount(sound(tmp_path, 40, MP3), "audio/mpeg", 128) as mount:
        ear = listen(mount.url)
        ear.run(5)
        mount.refuse = True
        mount.drop()
        ear.run(6)
        assert ear.source.state == "away"
        assert ear.source.error is not None
        assert ear.source.process.pid is None
        mount.refuse = False
        ear.run(8)
    assert ear.source.error is None
    assert ear.mixer.source == "mount"
    assert [gap for gap in ear.gaps() if gap < 0.9] == [], "old sound again"
