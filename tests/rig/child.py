"""A server as a child process: in a session of its own, its output in a log file, ended with all it started."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.rig import procfs
from tests.rig.net import RigError, tail, wait_until

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """From now on what our descendants leave behind becomes our child, not that of process 1."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def unprivileged(*names: str) -> str | None:
    """The account for servers that refuse to run as root: the first of these that exists. None when not root."""
    if os.geteuid() != 0:
        return None
    for name in (*names, "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RigError(f"none of these accounts exist: {', '.join(names)}, nobody")


def private_place(run_dir: Path, name: str, user: str | None) -> Path:
    """A directory `name` that belongs to `user`, inside `run_dir` where that account can get there.

    A checkout below /root can't be entered by anyone else. Then the directory lies in the system's temporary
    directory and `run_dir/name` is a link to it; `forget_place` removes both.
    """
    place = run_dir / name
    if place.exists():
        return place.resolve()
    if user is None:
        place.mkdir(mode=0o700, parents=True)
        return place.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    reached = subprocess.run(
        ["test", "-x", str(run_dir)], user=user, group=group_of(user), extra_groups=[], check=False
    )
    place.unlink(missing_ok=True)
    if reached.returncode == 0:
        place.mkdir(mode=0o700)
    else:
        place.symlink_to(tempfile.mkdtemp(prefix=f"steadycast-{name}-"))
    shutil.chown(place, user, group_of(user))
    return place.resolve()


def forget_place(run_dir: Path, name: str) -> None:
    """Remove what `private_place` made."""
    place = run_dir / name
    if place.is_symlink():
        shutil.rmtree(place.resolve(), ignore_errors=True)
        place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)


def group_of(user: str | None) -> int | None:
    """The account's primary group; None for None."""
    return None if user is None else pwd.getpwnam(user).pw_gid


def find_program(name: str, *elsewhere: str) -> str:
    """The path of a program, also from Debian's places that are not on everyone's PATH."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", *elsewhere])
    found = shutil.which(name, path=path)
    if found is None:
        raise RigError(f"{name} is not installed: run `make setup`")
    return found


class Child:
    """One process and everything it starts. `mark` is the run directory: it finds them again after our own death."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        run_dir: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 5.0,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.mark = f"{run_dir.resolve()}/{name}"
        self.log = run_dir / "log" / f"{name}.log"
        self.pid_file = run_dir / "pid" / name
        self.env = dict(os.environ if env is None else env) | {procfs.MARK: self.mark}
        self.cwd = cwd
        self.user = user
        self.stop_signal = stop_signal
        self.stop_seconds = stop_seconds
        self.popen: subprocess.Popen[bytes] | None = None
        # Remembered while they live: some programs overwrite the environment that /proc shows.
        self._seen: dict[int, procfs.Proc] = {}

    @property
    def pid(self) -> int:
        """The number of the running process; RigError when it does not run."""
        if self.popen is None or self.popen.poll() is not None:
            raise RigError(f"{self.name} does not run{tail(self.log)}")
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether the main process lives."""
        return self.popen is not None and self.popen.poll() is None

    def start(self, files: Sequence[int] = ()) -> None:
        """Start it; its output is appended to the log. It inherits `files`."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                user=self.user,
                group=group_of(self.user),
                extra_groups=None if self.user is None else [],
                pass_fds=files,
                start_new_session=True,
            )
        # Also here: nginx and PostgreSQL overwrite the environment that would show the mark.
        self.pid_file.parent.mkdir(exist_ok=True)
        if (process := procfs.look(self.popen.pid)) is not None:
            self.pid_file.write_text(f"{process.pid} {process.started}")

    def run(self, seconds: float) -> None:
        """Run it to its end; RigError with the log's end when it fails or takes longer."""
        self.start()
        try:
            wait_until(lambda: not self.running, f"the end of {self.name}", seconds, log=self.log)
        finally:
            self.stop()
        if self.popen is not None and self.popen.returncode != 0:
            raise RigError(f"{self.name} ended with {self.popen.returncode}{tail(self.log)}")

    def start_until(self, ready: Callable[[], object], seconds: float) -> None:
        """Start, and wait until `ready()`; RigError with the log's end when it dies or takes longer."""
        self.start()

        def ready_or_dead() -> object:
            if not self.running:
                raise RigError(f"{self.name} ended while starting{tail(self.log)}")
            return ready()

        try:
            wait_until(ready_or_dead, self.name, seconds, log=self.log)
        except BaseException:
            self.stop()
            raise

    def remember(self, processes: dict[int, procfs.Proc]) -> None:
        """Note who belongs to it now, from a table of all processes, for when its main process is gone."""
        if self.popen is not None and self.popen.poll() is None:
            self._seen = procfs.tree([self.popen.pid, *self._seen], processes)

    def remembered(self) -> list[int]:
        """The numbers of those noted last."""
        return list(self._seen)

    def members(self) -> dict[int, procfs.Proc]:
        """Every process that belongs to it now: descendants, their sessions, and what carries its mark."""
        processes = procfs.table()
        roots = {process.pid for process in self._seen.values() if procfs.same(process)}
        roots |= procfs.marked(self.mark)
        if self.popen is not None:
            roots.add(self.popen.pid)
        found = {pid: process for pid, process in procfs.tree(roots, processes).items() if process.alive}
        self._seen = found
        return found

    def send(self, number: signal.Signals) -> None:
        """Signal the main process alone."""
        os.kill(self.pid, number)

    def send_all(self, number: signal.Signals) -> None:
        """Signal every process that belongs to it: SIGSTOP and SIGCONT as if the machine had hung."""
        for process in self.members().values():
            procfs.send(process, number)

    def kill(self) -> None:
        """SIGKILL everything of it, as a crash would, and wait until it is gone."""
        self._end_rest()

    def stop(self) -> None:
        """The stop signal, `stop_seconds` for an orderly end, then SIGKILL for all that is left."""
        self.members()
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(self.stop_signal)
            self.popen.send_signal(signal.SIGCONT)
            try:
                self.popen.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                self.send_all(signal.SIGCONT)
        self._end_rest()

    def _end_rest(self) -> None:
        for _ in range(20):  # what is being killed may be starting something
            left = self.members()
            if not left:
                break
            # All stand still before any is killed: an nginx that outlives its worker by a moment starts another one,
            # which nobody would know of.
            for process in left.values():
                procfs.send(process, signal.SIGSTOP)
            left = self.members()
            procfs.end(left.values())
            # What lost its parent is ours to collect, where we are the subreaper.
            procfs.reap(pid for pid in left if self.popen is None or pid != self.popen.pid)
        if self.popen is not None:
            self.popen.wait(5)
        if left := self.members():
            raise RigError(f"{self.name}: these processes could not be ended: {sorted(left)}")
        self._seen = {}
        self.pid_file.unlink(missing_ok=True)


def left_behind(run_dir: Path) -> dict[int, procfs.Proc]:
    """The processes that an earlier run in this directory left, found by mark and by recorded number and start."""
    roots = procfs.marked(str(run_dir.resolve()))
    for file in (run_dir / "pid").glob("*"):
        pid, started = map(int, file.read_text().split())
        process = procfs.look(pid)
        if process is not None and process.started == started:
            roots.add(pid)
    return {pid: process for pid, process in procfs.tree(roots).items() if process.alive and pid != os.getpid()}
