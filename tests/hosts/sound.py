"""What can be wrong with a station's sound, made on a real mount.

songs     nothing is: Liquidsoap plays its rotation
gone      the source has left, the mount is away
hung      the source hangs: the mount stays, nothing comes
silent    a song of digital silence
clipped   a song at thirty decibels too much: a square wave of noise
rubbish   bytes that are no sound
rate      another source: 48 kHz and one channel, where there were 44.1 kHz and two
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.rig import media
from tests.rig.azuracast import Track
from tests.rig.icecast import Icecast, Rubbish, tone
from tests.rig.net import RigError
from tests.rig.radio import Radio

_SONGS = {
    "silent": ["-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=300"],
    "clipped": [
        "-f", "lavfi", "-i", "anoisesrc=c=pink:r=44100:s=1:d=400", "-af", "volume=30dB", "-ac", "2",
    ],
}  # fmt: skip


class Sound:
    """One mount's. Every kind is left by the next order."""

    def __init__(self, icecast: Icecast, radio: Radio, cache: Path) -> None:
        self._icecast = icecast
        self._radio = radio
        self._cache = cache
        self._kind = "songs"
        self._other: AbstractContextManager[Any] | None = None

    def set(self, kind: str) -> None:
        """Make the sound so; RigError for an unknown kind, and when a source does not start."""
        if kind not in ("songs", "gone", "hung", "rubbish", "rate", *_SONGS):
            raise RigError(f"no such sound: {kind}")
        self.restore()
        self._kind = kind
        if kind in _SONGS:
            args = [*_SONGS[kind], "-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-f", "mp3"]
            path = media.make(self._cache, f"{kind}.mp3", args)
            self._radio.play(Track("Nobody", kind.capitalize()), path)
        elif kind == "hung":
            self._radio.pause()
        elif kind != "songs":
            self._radio.stop()
            if kind != "gone":
                mount = self._radio.mount
                other = Rubbish(self._icecast, mount) if kind == "rubbish" else tone(
                    self._icecast, mount, rate=48000, channels=1
                )  # fmt: skip
                self._other = other
                other.__enter__()

    def restore(self) -> None:
        """Songs again."""
        kind, self._kind = self._kind, "songs"
        if self._other is not None:
            self._other.__exit__(None, None, None)
            self._other = None
        if kind in _SONGS:
            self._radio.skip()
        elif kind == "hung":
            self._radio.resume()
        elif kind != "songs":
            self._radio.start()
