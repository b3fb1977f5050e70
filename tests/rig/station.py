"""A whole station on real servers, private to one directory: what `make station` runs and what the tests break."""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

from hook_service import ipc
from hook_service.tracks.track_key import track_key
from tests.rig import azuracast, child, media, nginx, procfs
from tests.rig.azuracast import AzuraCast, Track
from tests.rig.child import Child, left_behind
from tests.rig.icecast import Icecast, Playlist
from tests.rig.layout import MOUNT, WEBHOOK_USER, Layout, Options, service_environment
from tests.rig.net import RigError, bindable, http, release_port, wait_until, write_private
from tests.rig.platform import Capture, Platform
from tests.rig.postgres import PrivatePostgres
from tests.rig.processes import Service, Supervisor
from tests.rig.radio import Began, Radio, rotation

MEDIA_CACHE = nginx.ROOT / ".run/media"

# WatchdogSec of the units, so that a process that hangs is replaced within 15 s.
_WATCHDOG = {"relay": 8.0, "monitor": 10.0, "web": 10.0, "prepare": 10.0, "playout": 4.0, "output": 8.0}


class Station(Layout):
    """The rig's one handle. `start()` returns when every station's sound and picture reach the platform.

    With `Options.automation` the mount's engine is `radio`, and `azuracast` tells of it; else the mount's source is
    `source`. With `Options.audio_url` there is neither.
    """

    icecast: Icecast
    platform: Platform
    database: PrivatePostgres

    def __init__(
        self, run_dir: Path, options: Options | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(run_dir, options or Options())
        self.supervisor = Supervisor()
        self.services: dict[str, Service] = {}
        self.songs: list[media.Song] = []
        self.source: Playlist | None = None
        self.radio: Radio | None = None
        self.azuracast: AzuraCast | None = None
        self._say = say or (lambda _: None)
        self._lock: int | None = None
        # What ends what was started, in the order of starting.
        self._endings: list[Callable[[], None]] = []

    # --- start and end -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring everything up; on any failure end what was started and raise RigError."""
        began = time.monotonic()
        self._take_directory()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        self._say(f"on the air after {time.monotonic() - began:.1f} s")

    def _start(self) -> None:
        self.take_ports()
        self._make_servers()
        with ThreadPoolExecutor(3) as pool:
            jobs = (self._start_database, self._start_audio, self._start_platform)
            started = [pool.submit(job) for job in jobs]
        for one in started:
            one.result()
        self.write_configuration()
        self._migrate()
        self._map_songs()
        self._endings.append(self.supervisor.end)
        self.supervisor.begin()
        self._start_services()
        for name in self.names:
            self.platform.wait_for(self.key(name), 40)
        write_private(self.info, json.dumps(self.describe(), indent=2) + "\n")

    def stop(self) -> None:
        """End everything that was started; raises RigError naming what could not be ended."""
        self.info.unlink(missing_ok=True)
        failed = []
        while self._endings:
            try:
                self._endings.pop()()
            except (RigError, OSError) as error:
                failed.append(str(error))
        if self._lock is not None:
            failed += self._sweep()
            os.close(self._lock)
            self._lock = None
        for name, port in self.ports.items():
            if not bindable(port):
                failed.append(f"something still listens on port {port} ({name})")
            release_port(port)
        self.ports = {}
        if failed:
            raise RigError("\n".join(failed))

    def forget(self) -> None:
        """Remove what may lie outside the run directory; for a directory that is removed next."""
        child.forget_place(self.run_dir, "postgres")
        child.forget_place(self.run_dir, "icecast")

    def _take_directory(self) -> None:
        self.make_directories()
        lock = os.open(self.run_dir, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RigError(f"a station runs in {self.run_dir} already: end it, or name another RUN_DIR=") from None
        self._lock = lock
        self.info.unlink(missing_ok=True)
        if left := left_behind(self.run_dir):
            self._say(f"an earlier run here was not ended in order: ending its processes {sorted(left)}")
            if failed := self._sweep():
                raise RigError("\n".join(failed))

    def _sweep(self) -> list[str]:
        """End what carries this directory's mark; what can't be ended is returned, a line each."""
        stubborn = procfs.end(left_behind(self.run_dir).values(), 2.0)
        for file in (self.run_dir / "pid").glob("*"):
            file.unlink()
        return [f"process {process.pid} could not be ended" for process in stubborn]

    def _make_servers(self) -> None:
        place = child.private_place(self.run_dir, "postgres", child.unprivileged("postgres"))
        password = self.secret("database-password")
        self.database = PrivatePostgres(
            place, port=self.ports["postgres"], durable=True, password=password, run_dir=self.run_dir
        )
        self.icecast = Icecast(self.run_dir, self.ports["icecast"])
        self.platform = Platform(self.run_dir, self.ports["platform"], self.ports["platform_stat"])
        nginx.render_relay(self.relay_config, self.address("relay"), self.address("relay_stat"))
        if self.automated:
            webhook = (self.webhook_url, WEBHOOK_USER, self.secret("webhook-password"))
            log = self.run_dir / "log/azuracast.log"
            self.azuracast = AzuraCast(self.names, [webhook], port=self.ports["azuracast"], log=log)

    def _start_database(self) -> None:
        self.database.create()
        self._endings.append(self.database.stop)
        self.database.start()

    def _start_audio(self) -> None:
        self.songs = media.make_all(MEDIA_CACHE, self.loops)
        if self.options.audio_url is not None:
            return
        self._endings.append(self.icecast.stop)
        self.icecast.start()
        if self.azuracast is not None:
            self._endings.append(self.azuracast.stop)
            for library in self.azuracast.library.values():
                library += [track for track, _ in rotation(self.songs)]
            self.azuracast.start()
            # Whoever gives a delay wants webhooks to be followed by it, and not the titles in the sound.
            titles = self.options.switch_delay is None
            self.radio = Radio(
                self.run_dir, self.icecast, MOUNT, titles=titles, songs=rotation(self.songs), on_begin=self._announce
            )
            self._endings.append(self.radio.forget)
            self.radio.start()
        else:
            self.source = Playlist(self.icecast, self.songs, MOUNT)
            self._endings.append(self.source.process.stop)
            self.source.start()

    def _announce(self, began: Began) -> None:
        """Liquidsoap tells AzuraCast of each song, as it does when AzuraCast has started it."""
        if self.azuracast is not None and self.radio is not None:
            self.azuracast.begin(began.track, began.at, next=self.radio.after(began.track))

    def _start_platform(self) -> None:
        self._endings.append(self.platform.stop)
        self.platform.start()

    def _start_services(self) -> None:
        """The services as the units start them, side by side."""
        config = ["--config", self.config]
        relay = ["--nginx-config", self.relay_config, "--stat", self.address("relay_stat"), "--log", self.app_log]
        self._serve("relay", "hook_service.playout.relay", relay)
        self._serve("prepare", "hook_service.library.service", config)
        self._serve("web", "hook_service.web.main", config)
        self._serve("monitor", "hook_service.monitor.main", config)
        for name in self.names:
            self._serve(f"playout-{name}", "hook_service.playout.main", [*config, name])
            self._serve(f"output-{name}", "hook_service.playout.output", [*config, name])
        for service in self.services.values():
            self.supervisor.wait_ready(service)

    def _serve(self, name: str, module: str, arguments: Sequence[object]) -> None:
        service = Service(
            name,
            [sys.executable, "-m", module, *map(str, arguments)],
            run_dir=self.run_dir,
            env=service_environment(),
            cwd=nginx.ROOT,
            watchdog=_WATCHDOG[name.partition("-")[0]],
            outlived=name.startswith("output-"),
        )
        self.services[name] = service
        self.supervisor.start(service, wait=False)

    def _migrate(self) -> None:
        argv = [sys.executable, "-m", "hook_service.store.migrate", "--config", str(self.config)]
        migrate = Child("migrate", argv, run_dir=self.run_dir, env=service_environment(), cwd=nginx.ROOT)
        migrate.run(60)

    def _map_songs(self) -> None:
        """A mapping for each demo song, for all stations, as an operator would have made it."""
        for song in self.songs:
            self.sql(
                "INSERT INTO track_mappings (track_key, loop_file_path) VALUES (%s, %s)"
                " ON CONFLICT ON CONSTRAINT idx_track_key DO UPDATE SET loop_file_path = excluded.loop_file_path",
                [track_key(song.artist, song.title), song.loop],
            )

    # --- what tests and the status line ask ----------------------------------------------------------------------

    def webhook(self, track: Track, name: str = "demo", **fields: Any) -> int:
        """Send a track as AzuraCast would; the HTTP status. `fields` as in `azuracast.body`."""
        message = azuracast.body(name, track, **fields)
        return azuracast.send(self.webhook_url, WEBHOOK_USER, self.secret("webhook-password"), message)

    def api(self, path: str, **request: Any) -> Any:
        """An answer of the operator's API, decoded; RigError on an error status. `request` as in `net.http`."""
        headers = {"Authorization": f"Bearer {self.secret('api-token')}"}
        status, body = http(f"{self.base_url}/api/v1/{path.lstrip('/')}", headers=headers, **request)
        if status >= 400:
            raise RigError(f"the API answered {status} to {path}: {body[:500].decode(errors='replace')}")
        return json.loads(body) if body else None

    def metrics(self) -> str:
        """The text that Prometheus would scrape."""
        return http(f"{self.base_url}/metrics")[1].decode()

    def sql(self, query: LiteralString, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement on the service's database."""
        return self.database.sql(query, parameters)

    def status(self, what: str = "playout", name: str = "demo") -> dict[str, Any]:
        """A process's own status over its control socket: `what` is playout or output. Raises ipc.PeerDown."""
        return ipc.request(self.run_dir / f"run/{what}-{name}.sock", {"op": "status"})

    def processes(self, name: str = "demo") -> dict[str, dict[str, Any]]:
        """What playout and output supervise, by name: publisher, audio, destination:platform, …"""
        statuses = (self.status(what, name) for what in ("playout", "output"))
        return {process["name"]: process for status in statuses for process in status["processes"]}

    def pid(self, process: str, name: str = "demo") -> int:
        """The number of a service (web, prepare, relay, playout, output) or of what playout and output supervise."""
        for service in (process, f"{process}-{name}"):
            if service in self.services:
                return self.services[service].pid
        number = self.processes(name)[process]["pid"]
        if number is None:
            raise RigError(f"{process} of {name} does not run")
        return int(number)

    def relay_worker(self) -> int:
        """The number of the relay's nginx worker, the process that carries the streams."""
        processes = procfs.table()
        master = [p.pid for p in processes.values() if p.parent == self.services["relay"].pid and p.alive]
        workers = [p.pid for p in processes.values() if p.parent in master and p.alive]
        if len(workers) != 1:
            raise RigError(f"the relay has {len(workers)} workers")
        return workers[0]

    def send(self, process: str, number: signal.Signals, name: str = "demo") -> int:
        """Signal one process by its name; returns its number."""
        pid = self.pid(process, name)
        os.kill(pid, number)
        return pid

    def on_air(self, name: str = "demo") -> str:
        """The file name of the loop on the air."""
        return Path(self.status(name=name)["on_air"]["loop"]).name

    def wait_on_air(self, loop: str, name: str = "demo", seconds: float = 10.0) -> None:
        """Return when this loop (a file name) is on the air."""
        wait_until(lambda: self.on_air(name) == loop, f"{loop} on the air", seconds)

    def capture(self, path: Path | None = None, name: str = "demo") -> Capture:
        """A reader at the platform, not started yet; use it as a context manager."""
        return self.platform.capture(self.key(name), path or self.run_dir / f"capture-{time.time_ns()}.flv")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
