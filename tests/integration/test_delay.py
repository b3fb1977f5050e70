"""Where a second of the mount's sound is heard in what FFmpeg makes of it: the delays that `feed` knows."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from hook_service.playout import commands, mount
from hook_service.playout.feed import Feed
from hook_service.playout.mountstream import MountStream
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS
from tests.integration import ticking

ENCODERS = {
    "mp3 44.1": ("mp3", 44100, ["-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-f", "mp3"]),
    "mp3 48": ("mp3", 48000, ["-c:a", "libmp3lame", "-b:a", "192k", "-write_xing", "0", "-f", "mp3"]),
    "mp3 22": ("mp3", 22050, ["-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", "0", "-f", "mp3"]),
    "aac 44.1": ("aac", 44100, ["-c:a", "aac", "-b:a", "128k", "-f", "adts"]),
    "aac 48": ("aac", 48000, ["-c:a", "aac", "-b:a", "96k", "-f", "adts"]),
    "opus": ("ogg", 48000, ["-c:a", "libopus", "-b:a", "96k", "-f", "ogg"]),
    "vorbis": ("ogg", 44100, ["-c:a", "libvorbis", "-q:a", "4", "-f", "ogg"]),
    "flac": ("ogg", 44100, ["-c:a", "flac", "-f", "ogg"]),
}
KINDS = {"mp3": "audio/mpeg", "aac": "audio/aac", "ogg": "audio/ogg"}
# A listener of Ogg gets whole pages, headers first; any other joins in the middle of a frame.
JOINED = [(name, begin) for name in ENCODERS for begin in (0, 20_011) if not begin or ENCODERS[name][0] != "ogg"]


@pytest.mark.parametrize(("name", "begin"), JOINED)
def test_where_a_second_of_the_mounts_sound_is_heard(name: str, begin: int, tmp_path: Path) -> None:
    demuxer, rate, encoder = ENCODERS[name]
    data = ticking.sound(tmp_path, 12, encoder, rate)
    whole = MountStream(0, demuxer)
    whole.feed(data[: begin + 5000])
    feed = Feed(mount.Stream(socket.socket(), {"content-type": KINDS[demuxer]}, b""), None)
    left_out = 0.0
    for byte in range(begin, len(data), 5000):
        feed._take(data[byte : byte + 5000])
        if byte == begin:
            left_out = (whole.seconds_at(begin + 4000) or 0.0) - (feed.sound.seconds_at(4000) or 0.0)
    done = subprocess.run(commands.audio(192, demuxer), input=bytes(feed._waiting), capture_output=True, check=True)
    feed.ended()
    heard = ticking.ticks(feed.encoded(done.stdout, 0.0))
    assert len(heard) >= 8
    for place in heard:
        second = round(place + left_out)
        expected = feed.frame_at(second - left_out) * AUDIO_FRAME_SECONDS
        assert abs(place - expected) < 0.03, (place, expected)
