"""The line in the terminal that says what is on the air."""

import shutil
import sys
import time
from pathlib import Path
from typing import TextIO

from hook_service.ipc import PeerDown
from tests.rig.station import Station


class StatusLine:
    """Call `show()` once a second. On a terminal one line is rewritten; elsewhere a line is printed at changes."""

    def __init__(self, station: Station, out: TextIO = sys.stdout) -> None:
        self._station = station
        self._out = out
        self._tty = out.isatty()
        self._said: list[str] = []
        self._bytes: dict[str, tuple[float, int]] = {}
        self._began = time.monotonic()

    def show(self) -> None:
        """Ask everything and say it."""
        stable, moving = self._state()
        if self._tty:
            width = shutil.get_terminal_size((100, 24)).columns
            line = " · ".join([*stable, *moving])[: width - 1]
            self._out.write(f"\r{line}\033[K")
        elif stable != self._said:
            self._out.write(" · ".join([time.strftime("%H:%M:%S"), *stable]) + "\n")
        self._said = stable
        self._out.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._tty:
            self._out.write("\n")
            self._out.flush()

    def _state(self) -> tuple[list[str], list[str]]:
        """What is printed at changes, and what changes all the time."""
        station = self._station
        loops, audio, ill = [], [], []
        for name in station.names:
            try:
                status = station.status(name=name)
                loops.append(Path(status["on_air"]["loop"]).stem)
                audio.append(str(status["audio"]["source"]))
                processes = station.processes(name)
                ill += [f"{name}:{p['name']} {p['state']}" for p in processes.values() if p["state"] != "RUNNING"]
            except (PeerDown, KeyError, TypeError):
                loops.append("?")
                audio.append("?")
        ill += [
            f"{service.name} {service.state}" for service in station.services.values() if service.state != "RUNNING"
        ]
        track = station.radio.current if station.radio is not None else None
        stable = [
            f"on the air: {_few(loops)}",
            *([f"♪ {track.text}"] if track is not None else []),
            f"audio: {_few(audio)}",
            *([f"not running: {', '.join(ill)}"] if ill else []),
        ]
        seconds = int(time.monotonic() - self._began)
        clock = f"up {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return stable, [f"platform {self._kbps():.0f} kb/s", clock]

    def _kbps(self) -> float:
        """Of all stations together, from the bytes that came since the last call."""
        now, total = time.monotonic(), 0.0
        for key, stream in self._station.platform.streams().items():
            then, before = self._bytes.get(key, (now, stream["bytes_in"]))
            self._bytes[key] = (now, stream["bytes_in"])
            if now > then:
                total += max(0, stream["bytes_in"] - before) * 8 / 1000 / (now - then)
        return total


def _few(words: list[str]) -> str:
    """The words, each once with how often where it is there more than once."""
    counts = {word: words.count(word) for word in words}
    return ", ".join(word if count == 1 else f"{count} {word}" for word, count in counts.items())
