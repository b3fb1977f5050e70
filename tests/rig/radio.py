"""A real Liquidsoap that plays generated tracks into Icecast, configured as AzuraCast configures it.

The configuration is in `radio_script`. Liquidsoap runs as the account that its package made, in a private directory.
"""

import itertools
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig import child
from tests.rig.azuracast import Track
from tests.rig.child import Child
from tests.rig.icecast import Icecast
from tests.rig.media import Song
from tests.rig.net import LOOPBACK, RigError, free_port, release_port, tail, wait_until, write_private
from tests.rig.radio_script import BEGAN, Format, escaped, script


@dataclass(frozen=True, slots=True)
class Began:
    """A track, and the Unix time at which Liquidsoap began to play it."""

    track: Track
    at: float


class Radio:
    """One Liquidsoap and its mount. Without songs it is silent until something is played or queued.

    `on_begin` is called in a thread of its own each time a track begins, jingles too.
    """

    def __init__(
        self,
        run_dir: Path,
        icecast: Icecast,
        mount: str = "/radio.mp3",
        *,
        format: Format = "mp3",
        kbps: int = 128,
        titles: bool = True,
        songs: Sequence[tuple[Track, Path]] = (),
        on_begin: Callable[[Began], None] | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.icecast = icecast
        self.mount = mount
        self.on_begin = on_begin
        self.begun: list[Began] = []
        self.songs = [track for track, _ in songs]
        self._control = free_port()
        self._numbers = itertools.count()
        self._tracks: dict[int, Track] = {}
        self._user = child.unprivileged("liquidsoap")
        name = f"radio{mount.replace('/', '-')}"
        self.place = child.private_place(run_dir, name, self._user)
        playlist = None
        if songs:
            lines = [self._uri(track, path, jingle=False) for track, path in songs]
            playlist = self._give("rotation.m3u", "".join(f"{line}\n" for line in lines))
        text = script(icecast, mount, self._control, playlist, format=format, kbps=kbps, titles=titles)
        argv = [child.find_program("liquidsoap"), str(self._give("radio.liq", text))]
        self.process = Child(name, argv, run_dir=run_dir, user=self._user, cwd=self.place)
        self._end = threading.Event()
        self._reader: threading.Thread | None = None

    # --- start and end -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it and wait until its mount is there; the rotation begins with its first song."""
        log = self.process.log
        told = log.stat().st_size if log.exists() else 0
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, args=(told,), name="radio", daemon=True)
            self._reader.start()
        # It takes two seconds of CPU to compile its own library.
        self.process.start_until(lambda: self.mount in self.icecast.mounts(), 60)

    def stop(self) -> None:
        """End it in order: listeners are disconnected, the mount goes."""
        self.process.stop()
        self._gone()

    def kill(self) -> None:
        """End it as a crash would. `start()` brings it back."""
        self.process.kill()
        self._gone()

    def pause(self) -> None:
        """It hangs: the mount stays, nothing comes."""
        self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self.process.send(signal.SIGCONT)

    def forget(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        self._end.set()
        if self._reader is not None:
            self._reader.join(5)
        child.forget_place(self.run_dir, self.process.name)
        release_port(self._control)

    def _gone(self) -> None:
        if self.icecast.process.running:
            wait_until(lambda: self.mount not in self.icecast.mounts(), f"the end of {self.mount}", 15)

    # --- what it plays -----------------------------------------------------------------------------------------

    @property
    def current(self) -> Track | None:
        """What plays now, or played last."""
        return self.begun[-1].track if self.begun else None

    def after(self, track: Track) -> Track | None:
        """What the rotation plays after one of its songs; None for any other track."""
        if track not in self.songs:
            return None
        return self.songs[(self.songs.index(track) + 1) % len(self.songs)]

    def play(self, track: Track, path: Path, *, jingle: bool = False, seconds: float = 10.0) -> float:
        """Cut off what plays and play this; returns the Unix time at which it began.

        `jingle`: in "jingle mode", so the title before stays. What was cut off goes on afterwards, if it was of the
        rotation; a track that was played by this method or is waiting here does not.
        """
        count = len(self.begun)
        number = next(self._numbers)
        self._order(f"rig.cut {self._uri(track, path, jingle=jingle, number=number)}")
        return self.wait(track, count, seconds).at

    def queue(self, track: Track, path: Path, *, jingle: bool = False) -> None:
        """Play this after the song that plays now, and after what waits already."""
        self._order(f"rig.push {self._uri(track, path, jingle=jingle)}")

    def skip(self) -> None:
        """End what plays; what comes next begins."""
        self._order("rig.skip")

    def wait(self, track: Track, count: int = 0, seconds: float = 10.0) -> Began:
        """The first beginning of `track` after the first `count` of all; RigError when it doesn't begin in time."""
        found: list[Began] = []

        def begun() -> bool:
            found[:] = [one for one in self.begun[count:] if one.track == track]
            return bool(found)

        wait_until(begun, f"the beginning of {track.text}", seconds, every=0.01, log=self.process.log)
        return found[0]

    def _uri(self, track: Track, path: Path, *, jingle: bool, number: int | None = None) -> str:
        """What Liquidsoap is told to play, with what it shall say of it."""
        number = next(self._numbers) if number is None else number
        self._tracks[number] = track
        said = {"rig": str(number), "artist": track.artist, "title": track.title, "album": track.album}
        if jingle:
            said["jingle_mode"] = "true"
        annotations = ",".join(f'{key}="{escaped(value)}"' for key, value in said.items())
        return f"annotate:{annotations}:{self._copy(path)}"

    def _copy(self, path: Path) -> Path:
        """The file where Liquidsoap's account can read it: a checkout may be closed to it."""
        about = path.stat()
        copy = self.place / f"{about.st_ino:x}-{about.st_mtime_ns:x}{path.suffix}"
        if not copy.exists():
            part = copy.with_suffix(".part")
            shutil.copyfile(path, part)
            if self._user is not None:
                shutil.chown(part, self._user)
            part.replace(copy)
        return copy

    def _give(self, name: str, text: str) -> Path:
        path = self.place / name
        write_private(path, text)
        if self._user is not None:
            shutil.chown(path, self._user)
        return path

    def _order(self, command: str) -> str:
        """Give one command over Liquidsoap's server; its answer. RigError when it gives none."""
        answer = b""
        try:
            with socket.create_connection((LOOPBACK, self._control), timeout=10) as connection:
                connection.sendall(f"{command}\nquit\n".encode())
                while data := connection.recv(4096):
                    answer += data
        except OSError as error:
            raise RigError(f"Liquidsoap takes no commands: {error}{tail(self.process.log)}") from error
        said = answer.decode(errors="replace").partition("\r\nEND")[0]
        if said.startswith("ERROR"):
            raise RigError(f"Liquidsoap to {command!r}: {said}")
        return said

    # --- what it says ------------------------------------------------------------------------------------------

    def _read(self, place: int) -> None:
        """Follow its log from `place` on."""
        rest = b""
        while not self._end.wait(0.02):
            try:
                with self.process.log.open("rb") as log:
                    log.seek(place)
                    data = log.read()
            except FileNotFoundError:
                continue
            place += len(data)
            whole, newline, rest = (rest + data).rpartition(b"\n")
            for number, ms in BEGAN.findall(whole + newline):
                began = Began(self._tracks[int(number)], int(ms) / 1000)
                self.begun.append(began)
                if self.on_begin is not None:
                    self.on_begin(began)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()


def rotation(songs: Sequence[Song]) -> list[tuple[Track, Path]]:
    """Demo songs as a `Radio` takes them."""
    return [(Track(song.artist, song.title, song.album, round(song.seconds)), song.path) for song in songs]
