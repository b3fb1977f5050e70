"""Where a station of the rig keeps things, its ports, its secrets and its configuration."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.rig.azuracast import MEDIA_KEY
from tests.rig.net import LOOPBACK, free_port, write_private

WEBHOOK_USER = "azuracast"
PAGE_USERS = {"operator": "ada", "viewer": "vera"}
DESTINATION = "platform"
PLATFORM_APP = "live2"
MOUNT = "/radio.mp3"

# Where `make station` is found when nothing else is there; tests take what is free.
PORTS = {
    "web": 9000, "relay": 1935, "relay_stat": 8080, "platform": 1936, "platform_stat": 8081, "icecast": 8000,
    "azuracast": 8010, "postgres": 5432,
}  # fmt: skip


@dataclass(slots=True)
class Options:
    """What a station is started with. `configure` may change the configuration before it is written.

    `automation`: Liquidsoap plays the demo songs, and an AzuraCast tells of them. Without it the mount has a light
    source without titles, and nobody tells of anything.
    """

    stations: int = 1
    profile: str = "720p30"
    switch_delay: float | None = None
    fade_in: float | None = None
    audio_url: str | None = None
    automation: bool = True
    usual_ports: bool = False
    configure: Callable[[dict[str, Any]], None] | None = None
    credentials: dict[str, str] = field(default_factory=dict)


class Layout:
    """The paths, ports and secrets of one run directory. Ports are chosen at each start."""

    def __init__(self, run_dir: Path, options: Options) -> None:
        self.run_dir = run_dir.absolute()
        self.options = options
        self.names = ["demo" if n == 1 else f"demo{n}" for n in range(1, options.stations + 1)]
        self.ports: dict[str, int] = {}

    def make_directories(self) -> None:
        """All that is not some server's own."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        for name in ("log", "state", "library", "run"):
            (self.run_dir / name).mkdir(exist_ok=True)
        (self.run_dir / "credentials").mkdir(exist_ok=True, mode=0o700)

    def take_ports(self) -> None:
        """Choose a port for each server."""
        usual = self.options.usual_ports
        self.ports = {name: free_port(port if usual else None) for name, port in PORTS.items()}

    def address(self, name: str) -> str:
        """host:port of one of PORTS."""
        return f"{LOOPBACK}:{self.ports[name]}"

    @property
    def config(self) -> Path:
        """The host's configuration file."""
        return self.run_dir / "radio.yml"

    @property
    def info(self) -> Path:
        """The file that says where everything is; there only while the station is on the air."""
        return self.run_dir / "station.json"

    @property
    def loops(self) -> Path:
        """The operator's loops."""
        return self.run_dir / "loops"

    @property
    def app_log(self) -> Path:
        """What the services log, as JSON lines."""
        return self.run_dir / "log/app.log"

    @property
    def relay_config(self) -> Path:
        """The relay's nginx configuration."""
        return self.run_dir / "relay/relay.conf"

    @property
    def dsn(self) -> str:
        """The database as the configuration names it, without the password."""
        return f"host={LOOPBACK} port={self.ports['postgres']} dbname=radio user=radio"

    @property
    def ingest(self) -> str:
        """The platform's address, without a key."""
        return f"rtmp://{self.address('platform')}/{PLATFORM_APP}"

    @property
    def automated(self) -> bool:
        """Whether there is an AzuraCast: only for a mount of the rig's own."""
        return self.options.automation and self.options.audio_url is None

    @property
    def base_url(self) -> str:
        """The web process."""
        return f"http://{self.address('web')}"

    @property
    def webhook_url(self) -> str:
        """Where AzuraCast sends."""
        return f"{self.base_url}/webhook/azuracast"

    @property
    def audio_url(self) -> str:
        """The mount the stations listen to."""
        return self.options.audio_url or f"http://{self.address('icecast')}{MOUNT}"

    def secret(self, name: str) -> str:
        """A credential, made at first use and kept for later runs."""
        path = self.run_dir / "credentials" / name
        if not path.exists():
            write_private(path, secrets.token_hex(16))
        return path.read_text()

    def key(self, name: str = "demo") -> str:
        """The stream key of a station at the platform."""
        return self.secret(f"{name}.{DESTINATION}.key")

    def write_configuration(self) -> None:
        """radio.yml and every credential it needs."""
        options = self.options
        for name, value in options.credentials.items():
            write_private(self.run_dir / "credentials" / name, value)
        for name in ("webhook-password", "webhook-secret", "webhook-token", "api-token"):
            self.secret(name)
        self.make_users()
        stations: dict[str, Any] = {}
        for name in self.names:
            self.key(name)
            stations[name] = {
                "name": f"Demo FM{name.removeprefix('demo') and ' ' + name.removeprefix('demo')}",
                "profile": options.profile,
                "audio": {"url": self.audio_url, "fallback": "fallback.mp3"},
                "default_loop": "default.mp4",
                "destinations": {DESTINATION: {"url": self.ingest}},
            }
            if self.automated:
                stations[name]["azuracast"] = {"url": f"http://{self.address('azuracast')}"}
                key = f"{name}.azuracast-key"
                write_private(self.run_dir / "credentials" / key, options.credentials.get(key, MEDIA_KEY))
            if options.switch_delay is not None:
                stations[name]["switch_delay"] = options.switch_delay
            if options.fade_in is not None:
                stations[name]["fade_in"] = options.fade_in
        run = self.run_dir
        config: dict[str, Any] = {
            "paths": {
                "loops": str(self.loops), "library": str(run / "library"), "state": str(run / "state"),
                "run": str(run / "run"), "log": str(self.app_log), "credentials": str(run / "credentials"),
            },
            "database": {"dsn": self.dsn},
            "web": {"listen": self.address("web")},
            "webhook": {"user": WEBHOOK_USER},
            "relay": {
                "rtmp": self.address("relay"), "stat": self.address("relay_stat"), "config": str(self.relay_config),
            },
            "stations": stations,
        }  # fmt: skip
        if options.configure is not None:
            options.configure(config)
        write_private(self.config, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def make_users(self) -> None:
        """A user of the page for each role. Made once: who is signed in stays it when a station starts again."""
        # The studio of the hosts takes names from this module, and has nothing but Debian's Python.
        from werkzeug.security import generate_password_hash  # noqa: PLC0415

        self.secret("session-key")
        path = self.run_dir / "credentials/page-users"
        if not path.exists():
            users = {
                name: {"role": role, "password": generate_password_hash(self.page_password(role))}
                for role, name in PAGE_USERS.items()
            }
            write_private(path, yaml.safe_dump(users))

    def page_password(self, role: str = "operator") -> str:
        """The password of the user with this role."""
        return self.secret(f"page-password.{role}")

    def describe(self) -> dict[str, str]:
        """What station.json holds."""
        return {
            "webhook_url": self.webhook_url,
            "webhook_user": WEBHOOK_USER,
            "webhook_password": self.secret("webhook-password"),
            "api_url": f"{self.base_url}/api/v1",
            "api_token": self.secret("api-token"),
            "page_url": f"{self.base_url}/",
            "page_user": PAGE_USERS["operator"],
            "page_password": self.page_password(),
            "metrics_url": f"{self.base_url}/metrics",
            "platform_rtmp_url": f"{self.ingest}/{self.key()}",
            "platform_stat_url": f"http://{self.address('platform_stat')}/stat",
            "audio_url": self.audio_url,
            "loops_dir": str(self.loops),
            "database_dsn": f"{self.dsn} password={self.secret('database-password')}",
            "station": self.names[0],
        }


def service_environment() -> dict[str, str]:
    """What a service gets: our own environment without what would change its behaviour."""
    ours = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    env = {key: value for key, value in os.environ.items() if key not in ours and not key.startswith("PG")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    # As the units set them: without docstrings and with one arena a service holds 10 MB less.
    lean = {"PYTHONOPTIMIZE": "2", "MALLOC_ARENA_MAX": "1", "PYTHONUNBUFFERED": "1"}
    # nginx is in a place that is not on everyone's PATH.
    return env | lean | {"PATH": f"{env.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
