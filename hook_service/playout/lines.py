"""Lines: the timeline on its way to the relay, one publisher and one relay key each.

Usually there is one. FLV's time ends at 2^31 ms (see `flv`): an hour before, a second line begins on the other relay
key with its time at zero, the destinations move over one at a time, and then the first one ends. Both carry the
same frames; a line only subtracts its own `base`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable

from hook_service.library.profiles import Profile
from hook_service.playout import commands, flv
from hook_service.playout.process import Pipes, Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy

TURN_OVER_MS = flv.LAST_MS - 3_600_000
POLICY = Policy(stale=4.0, spawning=5.0, backoff=0.1, backoff_limit=1.0, slow=1.0)
# The publisher's pipe: two to three seconds of the stream.
PIPE_BYTES = 1 << 20
# With the pipe full, a publisher that takes nothing for so long has stopped reading; nor may so much wait for it.
STALL_SECONDS = 2.0
BACKLOG_BYTES = 16 << 20
_F_SETPIPE_SZ = 1031
_IOV_MAX = 512


def relay_keys(shortcode: str) -> tuple[str, str]:
    """The two relay keys of a station."""
    return f"{shortcode}-a", f"{shortcode}-b"


def other_key(shortcode: str, key: str | None) -> str:
    """The relay key of the line after the one with `key`."""
    first, second = relay_keys(shortcode)
    return second if key == first else first


class Line:
    """One publisher and what it is given to read.

    `on_replaced()` is called when a new publisher waits for a keyframe in the place of one that died.
    """

    def __init__(
        self,
        reactor: Reactor,
        key: str,
        url: str,
        profile: Profile,
        base: int | None,
        on_replaced: Callable[[], None],
        on_state: Callable[[Process], None],
    ) -> None:
        """`base` is the timeline's time (ms) at which this line's time is 0; None: at its first frame."""
        self.key = key
        self.base = base
        self.flv_ms: int | None = None
        """The FLV time of the newest frame that was written."""
        self._profile = profile
        self._on_replaced = on_replaced
        self._file: int | None = None
        self._avcc: bytes | None = None
        self._out: list[bytes | memoryview] = []
        self._took_at = 0.0
        self._ever_joined = False
        self.process = Process(
            reactor,
            f"publisher:{key[-1]}",
            POLICY,
            lambda: commands.publisher(url),
            stdin=True,
            progress=True,
            on_spawn=self._spawned,
            on_exit=self._ended,
            on_state=on_state,
        )
        self.process.want(True)

    @property
    def joined(self) -> bool:
        """Whether its publisher has been given a keyframe and everything since."""
        return self._avcc is not None

    def video(self, ms: int, body: bytes, keyframe: bool, avcc: bytes) -> None:
        """One video frame (an FLV tag body) due at `ms` of the timeline."""
        if self._file is None:
            return
        if self._avcc is None:
            if not keyframe:
                return
            self._begin(ms, avcc)
        elif avcc is not self._avcc and avcc != self._avcc:
            self._put(flv.VIDEO, ms, flv.video_sequence_header(avcc))
            self._avcc = avcc
        self._put(flv.VIDEO, ms, body)

    def audio(self, ms: int, frame: bytes) -> None:
        """One audio frame (an AAC access unit) due at `ms` of the timeline."""
        if self._avcc is not None:
            self._put(flv.AUDIO, ms, flv.AUDIO_PREFIX + frame)

    def flush(self) -> None:
        """Hand what has gathered to the publisher, without ever waiting for it."""
        while self._out and self._file is not None:
            some = self._out[:_IOV_MAX]
            try:
                written = os.writev(self._file, some)
            except BlockingIOError:
                written = 0
            except OSError:  # it has just died; its exit is on its way
                self._out.clear()
                return
            if written:
                self._took_at = time.monotonic()
            total = 0
            for done, part in enumerate(some):
                total += len(part)
                if total > written:
                    self._out[: done + 1] = [memoryview(part)[len(part) - (total - written) :]]
                    break
            else:
                del self._out[: len(some)]
                continue
            self._wait()
            return
        self._took_at = time.monotonic()

    def restart(self) -> None:
        """Have another publisher in the place of this one."""
        self._ended()
        self.process.restart()

    def end(self) -> None:
        """End its publisher in good order, for good."""
        self._ended()
        self.process.retire()

    def _wait(self) -> None:
        waited = time.monotonic() - self._took_at
        if waited > STALL_SECONDS or sum(map(len, self._out)) > BACKLOG_BYTES:
            self._ended()
            self.process.kill("it has stopped reading the timeline")

    def _begin(self, ms: int, avcc: bytes) -> None:
        if self.base is None:
            self.base = ms
        profile = self._profile
        fps = profile.fps_num / profile.fps_den
        script = flv.metadata(profile.width, profile.height, fps, profile.video_kbps, profile.audio_kbps)
        self._out.append(flv.HEADER)
        self._put(flv.SCRIPT, ms, script)
        self._put(flv.VIDEO, ms, flv.video_sequence_header(avcc))
        self._put(flv.AUDIO, ms, flv.AUDIO_SEQUENCE_HEADER)
        self._avcc = avcc
        self._ever_joined = True

    def _put(self, kind: int, ms: int, body: bytes) -> None:
        now = ms - (self.base or 0)
        self.flv_ms = min(now, flv.LAST_MS)
        if now > flv.LAST_MS:
            return  # only after a playout was away while the time ended: the next line is about to begin
        self._out += (flv.tag_header(kind, len(body), self.flv_ms), body, flv.tag_trailer(len(body)))

    def _spawned(self, pipes: Pipes) -> None:
        if pipes.stdin is None:
            return
        self._file = pipes.stdin
        self._took_at = time.monotonic()
        # Where that is not permitted the pipe holds 64 KB, and a slow publisher is replaced sooner.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipes.stdin, _F_SETPIPE_SZ, PIPE_BYTES)
        if self._ever_joined:
            self._on_replaced()

    def _ended(self) -> None:
        self._file = None
        self._avcc = None
        self._out.clear()


class Lines:
    """The line on the air and, at a turn-over, the one after it."""

    def __init__(self, current: Line, begin: Callable[[str], Line], on_change: Callable[[], None]) -> None:
        """`begin(key)` starts a line whose time is zero at its first frame; `on_change()` is told of each change."""
        self.current = current
        self.next: Line | None = None
        self._begin = begin
        self._on_change = on_change
        self._announced = False

    def all(self) -> tuple[Line, ...]:
        """Every line that is given frames."""
        return (self.current,) if self.next is None else (self.current, self.next)

    def check(self, shortcode: str) -> None:
        """Begin the next line in time, and take it for the current one before the current one's time ends."""
        flv_ms = self.current.flv_ms
        if flv_ms is None:
            return
        if self.next is None and flv_ms >= TURN_OVER_MS:
            self.next = self._begin(other_key(shortcode, self.current.key))
        if self.next is not None and not self._announced and self.next.process.state.value == "RUNNING":
            self._announced = True
            self._on_change()
        if self.next is not None and flv_ms >= flv.LAST_MS - 2_000:
            self.turn_over()

    @property
    def next_key(self) -> str | None:
        """The relay key that the destinations are to move to, once it is on the air."""
        return self.next.key if self.next is not None and self._announced else None

    def turn_over(self) -> None:
        """Every destination has moved (or time is up): the next line is the current one."""
        if self.next is None:
            return
        self.current.end()
        self.current, self.next = self.next, None
        self._announced = False
        self._on_change()
