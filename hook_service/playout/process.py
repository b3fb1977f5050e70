"""A supervised child process on the reactor: started, watched, ended as a group, its words kept."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hook_service.playout.procfs import cpu_seconds
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Action, Policy, State, Supervision

_log = logging.getLogger("radio.process")
_LAST_WORDS = 5
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+\]")  # FFmpeg's "[rtmp @ 0x55c9187]"


@dataclass(slots=True)
class Pipes:
    """A child's pipes, as file descriptors of ours; those not asked for are None."""

    stdin: int | None
    stdout: int | None
    side: int | None = None
    """Where a child writes that has two things to tell: what its command calls `{side}`."""
    stderr: int = -1
    progress: int | None = None


class Process:
    """One process that is wanted to run, or not.

    `command()` gives the argument list for each start; it may write files first, and what it raises as OSError
    counts as a failed start. `excused()` is asked at its end: whether what it lives on was away. Secrets of its
    output are blanked by `redact`. The child is a process group of its own, and dies with us (PR_SET_PDEATHSIG). One
    that `outlives` us may be adopted by whoever comes after us.
    """

    def __init__(
        self,
        reactor: Reactor,
        name: str,
        policy: Policy,
        command: Callable[[], Sequence[str]],
        *,
        stdin: bool = False,
        stdout: bool = False,
        progress: bool = False,
        side: bool = False,
        on_spawn: Callable[[Pipes], None] | None = None,
        on_exit: Callable[[], None] | None = None,
        on_state: Callable[[Process], None] | None = None,
        excused: Callable[[], bool] = bool,
        redact: Callable[[str], str] = str,
        outlives: bool = False,
    ) -> None:
        self.name = name
        self.supervision = Supervision(policy)
        self.pid: int | None = None
        self.last_error: str | None = None
        self.last_exit: int | None = None
        self.progress: dict[str, int] = {}
        """From FFmpeg's own `-progress`: `bytes` written, `out_time_ms`, and `kbps` over its last interval."""
        self._reactor = reactor
        self._command = command
        self._pipe_wanted = (stdin, stdout, progress, side)
        self._on_spawn = on_spawn
        self._on_exit = on_exit
        self._on_state = on_state
        self._excused = excused
        self._redact = redact
        self._bound = [] if outlives else ["setpriv", "--pdeathsig", "KILL", "--"]
        # None for one that was adopted: nobody's child but that of process 1.
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._killed_because: str | None = None
        self._files: list[int] = []
        self._stdin: int | None = None
        self._stderr = -1
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._partial: dict[str, bytes] = {}
        self._telling: dict[str, str] = {}
        self.told_at = 0.0
        """When FFmpeg told of that last, in seconds of a monotonic clock."""
        self._since_unix = time.time()
        self._retired = False
        self._checks = reactor.every(0.25, self.check)

    @property
    def state(self) -> State:
        """What it is."""
        return self.supervision.state

    def want(self, wanted: bool) -> None:
        """Have it run, or not."""
        self.supervision.want(wanted, time.monotonic())
        self.check()

    def retire(self) -> None:
        """End it in good order, for good: from then on nothing looks after it."""
        self._retired = True
        self.want(False)
        if self.pid is None:
            self._checks.cancel()

    def restart(self) -> None:
        """End it in good order and start it again."""
        self.supervision.restart(time.monotonic())
        self.check()

    def moved(self) -> None:
        """Its progress moved (for those whose progress is not FFmpeg's `-progress`)."""
        before = self.state
        self.supervision.progressed(time.monotonic())
        self._tell(before)

    def kill(self, why: str) -> None:
        """End it at once: it has stopped doing its work."""
        if self.pid is not None:
            self._killed_because = why
            _log.warning("Killing %s: %s", self.name, why, extra={"context": {"process": self.name, "pid": self.pid}})
            self._signal(signal.SIGKILL)

    def check(self) -> None:
        """Do what the supervision decides."""
        action = self.supervision.decide(time.monotonic())
        if action is Action.SPAWN:
            self._spawn()
        elif action is Action.INTERRUPT:
            # FFmpeg notices a signal only between two reads: the end of its input ends a read that waits.
            if self._stdin is not None:
                os.close(self._stdin)
                self._files.remove(self._stdin)
                self._stdin = None
            self._signal(signal.SIGINT)
        elif action is Action.KILL:
            self.kill("did not end when asked to" if not self.supervision.wanted else "its progress stopped")

    def status(self) -> dict[str, object]:
        """Its state for the control socket."""
        return {
            "name": self.name,
            "state": self.state.value,
            "wanted": self.supervision.wanted,
            "pid": self.pid,
            "restarts": self.supervision.restarts,
            "since": self._since_unix,
            "last_error": self.last_error,
            "cpu_seconds": cpu_seconds(self.pid),
            "progress": dict(self.progress),
        }

    def _spawn(self) -> None:
        before = self.state
        stdin, stdout, progress, side = self._pipe_wanted
        ours: list[int] = []
        theirs: list[int] = []

        def pipe(child_reads: bool) -> tuple[int, int]:
            read, write = os.pipe2(os.O_CLOEXEC)
            own, other = (write, read) if child_reads else (read, write)
            os.set_blocking(own, False)
            ours.append(own)
            theirs.append(other)
            return own, other

        try:
            own_in, child_in = pipe(child_reads=True) if stdin else (None, subprocess.DEVNULL)
            own_out, child_out = pipe(child_reads=False) if stdout else (None, subprocess.DEVNULL)
            own_err, child_err = pipe(child_reads=False)
            arguments = [*self._bound, *self._command()]
            own: dict[str, int] = {}
            passed: list[int] = []
            for name in ("{progress}",) * progress + ("{side}",) * side:
                own[name], child = pipe(child_reads=False)
                passed.append(child)
                arguments = [argument.replace(name, f"pipe:{child}") for argument in arguments]
            self._child = subprocess.Popen(
                arguments,
                stdin=child_in,
                stdout=child_out,
                stderr=child_err,
                pass_fds=passed,
                start_new_session=True,
            )
        except OSError as error:
            for file in ours:
                os.close(file)
            self.last_error = f"could not be started: {error}"
            _log.error("%s could not be started: %s", self.name, error, extra={"context": {"process": self.name}})
            self.supervision.exited(time.monotonic())
            self._tell(before)
            return
        finally:
            for file in theirs:
                os.close(file)
        self._files = ours
        pipes = Pipes(own_in, own_out, own.get("{side}"), own_err, own.get("{progress}"))
        self._follow(self._child.pid, os.pidfd_open(self._child.pid), pipes)
        self._tell(before)
        if self._on_spawn is not None:
            self._on_spawn(pipes)

    def adopt(self, pid: int, pidfd: int, stderr: int, progress: int) -> None:
        """Go on with one that is at work, which somebody before us started; from now on these files are ours."""
        before = self.state
        # What it has told while nobody listened would all be of this moment.
        with contextlib.suppress(BlockingIOError):
            while os.read(progress, 65536):
                pass
        self._files = [stderr, progress]
        self._follow(pid, pidfd, Pipes(None, None, stderr=stderr, progress=progress))
        self.supervision.progressed(time.monotonic())
        self._tell(before)

    def _follow(self, pid: int, pidfd: int, pipes: Pipes) -> None:
        self.pid, self._pidfd = pid, pidfd
        self._stdin, self._stderr = pipes.stdin, pipes.stderr
        self._words.clear()
        self._killed_because = None
        self._partial.clear()
        self._telling = {}
        self.progress = {}
        self._reactor.on_readable(pidfd, self._exited)
        self._reactor.on_readable(pipes.stderr, partial(self._lines, pipes.stderr, "stderr", self._said))
        if pipes.progress is not None:
            self._reactor.on_readable(pipes.progress, partial(self._lines, pipes.progress, "progress", self._told))
        self.supervision.spawned(time.monotonic())

    def _lines(self, file: int, stream: str, take: Callable[[str], None]) -> bool:
        """Take the lines that are there; whether there may be more."""
        try:
            data = os.read(file, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._reactor.forget(file)
            return False
        *lines, rest = (self._partial.get(stream, b"") + data).replace(b"\r", b"\n").split(b"\n")
        self._partial[stream] = rest[-4096:]
        for line in lines:
            if line:
                take(line.decode("utf-8", "replace"))
        return True

    def _said(self, line: str) -> None:
        line = _ADDRESS.sub("]", self._redact(line))[:1000]
        self._words.append(line)
        # What has FAILED says the same at every try, for as long as a platform or a mount is away.
        level = logging.DEBUG if self.state is State.FAILED else logging.WARNING
        _log.log(level, "%s: %s", self.name, line, extra={"context": {"process": self.name, "pid": self.pid}})

    def _told(self, line: str) -> None:
        key, _, value = line.partition("=")
        self._telling[key.strip()] = value.strip()
        if key != "progress":
            return
        written = _whole(self._telling.get("total_size"))
        out_time = _whole(self._telling.get("out_time_us")) // 1000
        before, now = self.progress, time.monotonic()
        # Before the first packet FFmpeg tells N/A or 0: that is no progress yet.
        if written > 0 and (written, out_time) != (before.get("bytes"), before.get("out_time_ms")):
            elapsed = now - self.told_at
            kbps = round((written - before["bytes"]) * 8 / elapsed / 1000) if before and elapsed > 0 else 0
            self.progress = {"bytes": written, "out_time_ms": out_time, "kbps": kbps}
            self.told_at = now
            self.moved()

    def _exited(self) -> None:
        if self.pid is None:
            return
        code = self._child.wait() if self._child is not None else None
        before = self.state
        self._signal(signal.SIGKILL)  # what it may have left behind
        while self._lines(self._stderr, "stderr", self._said):
            pass
        if self._partial.get("stderr"):
            self._said(self._partial.pop("stderr").decode("utf-8", "replace"))
        for file in [self._pidfd, *self._files]:
            self._reactor.forget(file)
            os.close(file)
        self._files = []
        self._stdin = None
        self._child = None
        self.last_exit = code
        if self._on_exit is not None:
            self._on_exit()
        excused = self.supervision.wanted and self._excused()
        self.supervision.exited(time.monotonic(), excused)
        if self.state in (State.CRASHED, State.FAILED):
            reasons = [self._killed_because] if self._killed_because else []
            self.last_error = "; ".join([*reasons, _end(code), *self._words])[:2000]
        self._tell(before)
        self.pid = None
        self.check()
        if self._retired:
            self._checks.cancel()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._child is not None:
                os.killpg(self._child.pid, number)
            elif self.pid is not None:
                # Process 1 has collected it by the time we hear of its end: its number may be another's.
                signal.pidfd_send_signal(self._pidfd, number)

    def _tell(self, before: State) -> None:
        if self.state is not before:
            self._since_unix = time.time()
            level = logging.ERROR if self.state is State.FAILED else logging.INFO
            _log.log(
                level,
                "%s is %s",
                self.name,
                self.state.value,
                extra={"context": {"process": self.name, "pid": self.pid, "error": self.last_error}},
            )
            if self._on_state is not None:
                self._on_state(self)


def _end(code: int | None) -> str:
    if code is None:  # nobody tells us of one that was adopted
        return "ended"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


def _whole(text: str | None) -> int:
    """A number that FFmpeg tells; 0 for its N/A."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else 0
