"""The design that this project set out from, as its own documents describe it: one encoding FFmpeg for each track.

The command, the filters and nginx's settings are the original's. What differs, differs in its favour or is needed to
run here: a GOP of two seconds (`-g 60`, it had 50) as a platform wants it, the old FFmpeg ended before the new one
begins (overlapping, the relay refuses the second), one nginx worker instead of `auto` with `rtmp_auto_push` (copying
between workers costs more), and its web service, which it needs as well, is left out.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.stage import SIZES
from tests.rig import child, nginx, procfs
from tests.rig.child import Child
from tests.rig.net import LOOPBACK, accepts, free_port, release_port
from tests.rig.platform import Platform

KEY = "original"
# What serves its station.
GROUPS = ("FFmpeg", "relay")
KBPS = {"720p30": 3000, "1080p30": 4500}

_RELAY = """worker_processes 1;
daemon off;
{user}
pid {place}/relay.pid;
error_log {place}/relay-error.log error;
load_module {module};
events {{ worker_connections 1024; }}
rtmp {{
    access_log off;
    server {{
        listen {host}:{rtmp};
        chunk_size 4096;
        application live {{
            live on;
            record off;
            interleave on;
            wait_key on;
            wait_video on;
            push {target}/{key};
        }}
    }}
}}
"""


class Original:
    """The relay and the platform; `play` puts a track on the air. A context manager."""

    def __init__(self, run_dir: Path, profile: str, audio_url: str) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self.run_dir = run_dir
        self.profile = profile
        self.audio_url = audio_url
        self.platform = Platform(run_dir)
        self.port = free_port()
        self._track: Child | None = None
        self._number = 0
        place = run_dir / "relay"
        place.mkdir(exist_ok=True)
        config = place / "relay.conf"
        user = f"user {account};" if (account := nginx.account()) else ""
        config.write_text(
            _RELAY.format(
                user=user, place=place.resolve(), module=nginx.module(), host=LOOPBACK, rtmp=self.port,
                target=self.platform.url, key=KEY,
            )
        )  # fmt: skip
        self.relay = Child("original-relay", [nginx.program(), "-c", str(config.resolve())], run_dir=run_dir)

    def command(self, loop: Path) -> list[str]:
        """FFmpeg's command line for one track."""
        (width, height), kbps = SIZES[self.profile], KBPS[self.profile]
        filters = f"fade=t=in:st=0:d=1,scale={width}:{height},format=yuv420p,fps=30"
        return [
            child.find_program("ffmpeg"), "-nostdin", "-nostats", "-loglevel", "warning", "-re",
            "-stream_loop", "-1", "-thread_queue_size", "512", "-i", str(loop),
            "-thread_queue_size", "512", "-i", self.audio_url,
            "-map", "0:v", "-map", "1:a", "-vf", filters,
            "-c:v", "libx264", "-preset", "veryfast",
            "-b:v", f"{kbps}k", "-maxrate", f"{kbps}k", "-bufsize", f"{2 * kbps}k",
            "-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
            "-af", "afade=t=in:ss=0:d=1", "-c:a", "aac", "-b:a", "192k", "-ar", "44100", "-ac", "2",
            "-f", "flv", f"rtmp://{LOOPBACK}:{self.port}/live/stream",
        ]  # fmt: skip

    def play(self, loop: Path) -> float:
        """End the track on the air and begin another; the Unix time right before."""
        began = time.time()
        if self._track is not None:
            self._track.stop()
        self._number += 1
        self._track = Child(f"track-{self._number}", self.command(loop), run_dir=self.run_dir)
        self._track.start()
        return began

    def groups(self) -> dict[int, str]:
        """Whose process is which."""
        processes = procfs.table()
        found = dict.fromkeys(procfs.tree([self.relay.pid], processes), "relay")
        if self._track is not None:
            found |= dict.fromkeys(procfs.tree([self._track.pid], processes), "FFmpeg")
        return found

    def __enter__(self) -> Self:
        try:
            self.platform.start()
            self.relay.start_until(lambda: accepts(self.port), 10)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._track is not None:
            self._track.stop()
        self.relay.stop()
        self.platform.forget()
        release_port(self.port)
