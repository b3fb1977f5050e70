"""A stand-in for systemd: starts services, waits for READY=1, watches their pings, restarts what ends.

What it has in common with the units on a host: a session per service, all of which is killed when its main process
ends (KillMode=mixed), Restart=always, RestartSec=100ms, WatchdogSec, NOTIFY_SOCKET; for a service that is `outlived`
by its children KillMode=process, and a store that hands the files it kept to its next life.
"""

import fcntl
import os
import selectors
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig import procfs
from tests.rig.child import Child, become_subreaper
from tests.rig.net import RigError, tail

RESTART_SECONDS = 0.1
_SNAPSHOT_SECONDS = 2.0
_TICK_SECONDS = 0.5


class Service(Child):
    """A supervised process. `watchdog` is WatchdogSec in seconds; without `notify` it is ready once started."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        run_dir: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        notify: bool = True,
        watchdog: float | None = None,
        outlived: bool = False,
        start_seconds: float = 30.0,
    ) -> None:
        super().__init__(name, argv, run_dir=run_dir, env=env, cwd=cwd, user=user)
        self.watchdog = watchdog
        self.outlived = outlived
        self.kept: dict[str, int] = {}
        self._program = self.argv
        self.start_seconds = start_seconds
        self.wanted = False
        self.restarts = 0
        self.status = ""
        self.watchdog_kills = 0
        self.ready = threading.Event()
        self.changed_at = time.time()
        self.lock = threading.RLock()
        self.due: float | None = None
        self.last_sign = time.monotonic()
        self.notify_socket: socket.socket | None = None
        self._notify_path = run_dir.resolve() / "notify" / f"{name}.sock"
        if notify:
            self.env["NOTIFY_SOCKET"] = str(self._notify_path)
            if watchdog is not None:
                self.env["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
        self._notify = notify

    @property
    def state(self) -> str:
        """In the words of the processes' own states: STOPPED, SPAWNING, RUNNING, CRASHED."""
        if self.running:
            return "RUNNING" if self.ready.is_set() else "SPAWNING"
        return "CRASHED" if self.wanted else "STOPPED"

    def open(self) -> None:
        """Listen for its notifications."""
        if not self._notify or self.notify_socket is not None:
            return
        if len(str(self._notify_path)) > 107:
            raise RigError(f"the run directory's path is too long for a Unix socket: {self._notify_path}")
        self._notify_path.parent.mkdir(parents=True, exist_ok=True)
        self._notify_path.unlink(missing_ok=True)
        self.notify_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify_socket.bind(str(self._notify_path))
        self._notify_path.chmod(0o666)

    def close(self) -> None:
        """Listen no more."""
        if self.notify_socket is not None:
            self.notify_socket.close()
            self.notify_socket = None
            self._notify_path.unlink(missing_ok=True)
        self.forget()

    def heard(self, message: str, files: Sequence[int] = ()) -> None:
        """One datagram of the sd_notify protocol."""
        self.last_sign = time.monotonic()
        told = dict(line.partition("=")[::2] for line in message.splitlines())
        if told.get("READY") == "1":
            self.ready.set()
            self.changed_at = time.time()
        self.status = told.get("STATUS", self.status)
        if "FDSTORE" in told and self.outlived:
            # Out of the way of the numbers under which they are handed on.
            self.kept[told["FDNAME"]] = fcntl.fcntl(files[0], fcntl.F_DUPFD_CLOEXEC, 100)
        elif "FDSTOREREMOVE" in told and told["FDNAME"] in self.kept:
            os.close(self.kept.pop(told["FDNAME"]))
        for file in files:
            os.close(file)

    def forget(self) -> None:
        """Let go of what it has kept, as systemd does when a service is stopped."""
        while self.kept:
            os.close(self.kept.popitem()[1])

    def kill_as_configured(self) -> None:
        """What KillMode= says is to be killed, when its main process has ended or hangs."""
        if not self.outlived or self.popen is None:
            self.kill()
            return
        self.popen.kill()
        self.popen.wait()

    def overdue(self) -> bool:
        """Whether it has missed its time to be ready or, later, its watchdog."""
        limit = self.watchdog if self.ready.is_set() else self.start_seconds
        return self._notify and limit is not None and self.running and time.monotonic() - self.last_sign > limit

    def launch(self) -> None:
        """Start the process; readiness comes later."""
        self.ready.clear()
        self.last_sign = time.monotonic()
        self.due = None
        self.changed_at = time.time()
        self.argv = self._program
        if self.kept:
            passed = " ".join(f"{number}<&{file}-" for number, file in enumerate(self.kept.values(), 3))
            self.argv = ["bash", "-c", f'exec {passed}; export LISTEN_PID=$$; exec "$@"', "-", *self._program]
        self.env |= {"LISTEN_FDS": str(len(self.kept)), "LISTEN_FDNAMES": ":".join(self.kept)}
        self.start(tuple(self.kept.values()))
        if not self._notify:
            self.ready.set()


class Supervisor:
    """Runs services; one thread watches them all. Used as a context manager it ends them all, last started first."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self._selector = selectors.DefaultSelector()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._next_snapshot = 0.0
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def begin(self) -> None:
        """Become the subreaper and start watching."""
        become_subreaper()
        self._thread.start()

    def start(self, service: Service, *, wait: bool = True) -> Service:
        """Start a service and, with `wait`, return when it is ready; RigError with its log's end when it is not."""
        self.services[service.name] = service
        with service.lock:
            service.open()
            service.wanted = True
            self._launch(service)
        if service.notify_socket is not None:
            self._register(service.notify_socket, service)
        if wait:
            self.wait_ready(service)
        return service

    def wait_ready(self, service: Service) -> None:
        """Return when the service is ready; RigError when it ends before, or is not within its time."""
        deadline = time.monotonic() + service.start_seconds
        restarts = service.restarts
        while not service.ready.wait(0.05):
            if service.restarts > restarts + 2:
                raise RigError(f"{service.name} ends again and again{tail(service.log)}")
            if time.monotonic() > deadline:
                raise RigError(f"{service.name} was not ready within {service.start_seconds:g} s{tail(service.log)}")

    def stop(self, service: Service) -> None:
        """End a service and everything of it, and keep it so."""
        service.wanted = False
        with service.lock:
            service.due = None
            service.stop()
            service.forget()
            service.ready.clear()
            service.changed_at = time.time()

    def restart(self, service: Service) -> None:
        """Stop and start, as `systemctl restart`; returns when it is ready."""
        self.stop(service)
        with service.lock:
            service.wanted = True
            self._launch(service)
        self.wait_ready(service)

    def end(self) -> None:
        """Stop every service, last started first, and the watching."""
        services = list(self.services.values())
        for service in services:
            service.wanted = False
        failed = []
        for service in reversed(services):
            try:
                self.stop(service)
            except RigError as error:
                failed.append(str(error))
        self._end.set()
        self._waker.send(b"\0")
        if self._thread.is_alive():
            self._thread.join(10)
        for service in services:
            service.close()
        self._selector.close()
        self._wake.close()
        self._waker.close()
        if failed:
            raise RigError("\n".join(failed))

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _launch(self, service: Service) -> None:
        service.launch()
        try:
            watch = os.pidfd_open(service.pid)
        except (RigError, ProcessLookupError):
            watch = -1  # it has ended already: the tick finds it
        if watch >= 0:
            self._register(watch, service)

    def _register(self, source: socket.socket | int, service: Service) -> None:
        try:
            self._selector.register(source, selectors.EVENT_READ, service)
        except KeyError:
            return  # a socket that is listened to already
        if threading.current_thread() is not self._thread:
            self._waker.send(b"\0")

    def _watch(self) -> None:
        while not self._end.is_set():
            for key, _ in self._selector.select(self._timeout()):
                if key.data is None:
                    self._wake.recv(64)
                elif isinstance(key.fileobj, int):
                    self._selector.unregister(key.fileobj)
                    os.close(key.fileobj)
                else:
                    self._hear(key.data)
            for service in list(self.services.values()):
                if service.lock.acquire(blocking=False):
                    try:
                        self._look_after(service)
                    except (RigError, OSError) as error:
                        # One service that can't be ended or started must not leave the others unwatched.
                        service.status = str(error)
                        service.due = time.monotonic() + _TICK_SECONDS
                    finally:
                        service.lock.release()
            self._snapshot()

    def _timeout(self) -> float:
        due = [service.due - time.monotonic() for service in list(self.services.values()) if service.due is not None]
        return max(0.0, min([_TICK_SECONDS, *due]))

    @staticmethod
    def _hear(service: Service) -> None:
        listening = service.notify_socket
        while listening is not None:
            try:
                message, files, _, _ = socket.recv_fds(listening, 4096, 8)
            except OSError:
                return
            service.heard(message.decode(errors="replace"), files)

    def _look_after(self, service: Service) -> None:
        if not service.wanted:
            return
        if service.overdue():
            service.watchdog_kills += 1
            self._note(service, "missed its watchdog" if service.ready.is_set() else "was not ready in time")
            service.ready.clear()
            service.kill_as_configured()
        if service.running:
            return
        if service.due is None:
            code = service.popen.returncode if service.popen is not None else None
            self._note(service, f"ended with {code}; it is started again")
            service.ready.clear()
            service.kill_as_configured()
            service.changed_at = time.time()
            service.due = time.monotonic() + RESTART_SECONDS
        elif time.monotonic() >= service.due:
            service.restarts += 1
            self._launch(service)

    @staticmethod
    def _note(service: Service, text: str) -> None:
        with service.log.open("a") as log:
            log.write(f"[rig {time.strftime('%H:%M:%S')}] {service.name} {text}\n")

    def _snapshot(self) -> None:
        """Remember who belongs to whom, and collect what lost its parent and has ended."""
        if time.monotonic() < self._next_snapshot:
            return
        self._next_snapshot = time.monotonic() + _SNAPSHOT_SECONDS
        processes = procfs.table()
        own = {service.popen.pid for service in list(self.services.values()) if service.popen is not None}
        for service in list(self.services.values()):
            procfs.reap(
                pid
                for pid in service.remembered()
                if pid not in own and (now := processes.get(pid)) and not now.alive and now.parent == os.getpid()
            )
            service.remember(processes)
