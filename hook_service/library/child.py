"""Running one FFmpeg under limits: priority, memory, file size and time; it never outlives its parent."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["Cancelled", "Child", "ChildFailed"]

# A decoder of the largest picture we accept with its reference frames stays below; CUDA maps far more than it uses.
_ADDRESS_SPACE = 6 << 30
_STDERR_KEPT = 16 << 10
BACKGROUND_NICE = 19
URGENT_NICE = 5


class ChildFailed(Exception):
    """FFmpeg ended with an error; `text` is the end of what it said, `why` our own reason or None."""

    def __init__(self, text: str, why: str | None = None) -> None:
        self.text = text
        self.why = why
        super().__init__(why or text)


class Cancelled(Exception):
    """The child was killed because the service is stopping."""


class Child:
    """One FFmpeg, ffprobe, rsvg-convert. Start it, then call `wait` from the same thread (it dies with that thread).

    `nice` is its priority; 19 also means idle I/O. `file_bytes` limits what it may write. `progress` is called
    with the number of frames done, several times a second. A child that makes no progress for `stall` seconds or
    runs longer than `limit` seconds is killed. `stdin` is a descriptor that it reads.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        nice: int,
        fds: Sequence[int] = (),
        cwd: Path | None = None,
        file_bytes: int = 0,
        bounded_memory: bool = True,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        io = ("-c", "3") if nice == BACKGROUND_NICE else ("-c", "2", "-n", "4")
        limits = [f"--fsize={file_bytes}", "--core=0"]
        if bounded_memory:
            limits.append(f"--as={_ADDRESS_SPACE}")
        self._process = subprocess.Popen(
            [
                *("nice", "-n", str(max(0, nice - os.nice(0))), "ionice", "-t", *io),
                # Killed with us, even when we are killed.
                *("setpriv", "--pdeathsig", "KILL", "--", "prlimit", *limits, "--", *command),
            ],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            cwd=cwd,
            # A group, for signals and renicing (priorities are per thread otherwise), but no session: on kernels that
            # group tasks by session, nice values only count inside one.
            process_group=0,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
        )
        self.pid = self._process.pid
        if nice < os.nice(0):
            self.hurry()

    def wait(
        self,
        *,
        limit: float,
        stall: float = 120.0,
        cancel: threading.Event | None = None,
        progress: Callable[[int], None] | None = None,
        stdout: bytearray | None = None,
    ) -> None:
        """Wait for the end. Raises ChildFailed or Cancelled; the child is gone in any case."""
        follow = _Output(progress, stdout)
        begun = time.monotonic()
        try:
            with selectors.DefaultSelector() as selector:
                for pipe in (self._process.stdout, self._process.stderr):
                    if pipe is not None:
                        os.set_blocking(pipe.fileno(), False)
                        selector.register(pipe, selectors.EVENT_READ)
                while selector.get_map():
                    for key, _ in selector.select(timeout=0.1):
                        data = os.read(key.fd, 65536)
                        if not data:
                            selector.unregister(key.fileobj)
                        elif key.fileobj is self._process.stderr:
                            follow.errors = (follow.errors + data)[-_STDERR_KEPT:]
                        else:
                            follow.take(data)
                    self._check(begun, follow.moved, limit, stall, cancel)
            while self._process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.1)
                self._check(begun, follow.moved, limit, stall, cancel)
        finally:
            self.kill()
        self._judge(follow.errors.decode("utf-8", "replace").strip())

    def _judge(self, text: str) -> None:
        code = self._process.returncode
        if code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
            # By an operator or by the kernel for want of memory: says nothing about the file.
            raise ChildFailed(text, f"FFmpeg was ended by signal {-code}")
        if code != 0:
            raise ChildFailed(text or (f"FFmpeg crashed on it (signal {-code})" if code < 0 else f"exit {code}"))

    def _check(self, begun: float, moved: float, limit: float, stall: float, cancel: threading.Event | None) -> None:
        now = time.monotonic()
        if cancel is not None and cancel.is_set():
            raise Cancelled
        if now - begun > limit:
            raise ChildFailed("", f"FFmpeg was not done after {limit:.0f} s")
        if now - moved > stall:
            raise ChildFailed("", f"FFmpeg made no progress for {stall:.0f} s")

    def kill(self) -> None:
        """End it at once, if it has not ended, and reap it."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def hurry(self) -> None:
        """Raise a background child to the priority of urgent ones, as far as this process is allowed to."""
        with contextlib.suppress(OSError):  # EPERM without RLIMIT_NICE
            os.setpriority(os.PRIO_PGRP, self.pid, URGENT_NICE)
        with contextlib.suppress(OSError):
            subprocess.run(["ionice", "-c", "2", "-n", "4", "-P", str(self.pid)], check=False, capture_output=True)


class _Output:
    """What a child says: its errors, and its progress or its answer."""

    def __init__(self, progress: Callable[[int], None] | None, stdout: bytearray | None) -> None:
        self.errors = b""
        self.moved = time.monotonic()
        self._progress = progress
        self._stdout = stdout
        self._pending = bytearray()
        self._frames = -1

    def take(self, data: bytes) -> None:
        """Something from its standard output."""
        if self._stdout is not None:
            self._stdout += data
            self.moved = time.monotonic()
            return
        self._pending += data
        latest = _frames(self._pending)
        if latest > self._frames:
            self._frames, self.moved = latest, time.monotonic()
            if self._progress is not None:
                self._progress(latest)


def _frames(pending: bytearray) -> int:
    """The last frame count in FFmpeg's -progress output; what has been read is removed from `pending`."""
    last = -1
    while (end := pending.find(b"\n")) >= 0:
        key, _, value = bytes(pending[:end]).partition(b"=")
        del pending[: end + 1]
        if key == b"frame" and value.strip().isdigit():
            last = int(value)
    return last
