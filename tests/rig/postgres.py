"""A private PostgreSQL: the real server on a directory of its own, on loopback and a Unix socket, gone afterwards.

PostgreSQL refuses to run as root, so that under root it runs as `postgres` (or `nobody`). The directory must
therefore be one that such a user can reach: pytest's own temporary directories are not.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.rig import child
from tests.rig.child import Child
from tests.rig.net import LOOPBACK, RigError, free_port, wait_until

_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PrivatePostgres:
    """A cluster in `directory` (made if need be) with the database `radio` of the role `radio`.

    Without a `password` the role is the superuser and trusted on loopback. With one it is an ordinary role and must
    give it (scram), as on a host. `dsn` never holds it and stays the same over `stop` and `start`. With
    `durable=False` nothing is forced to the disk: what is committed survives any end of the server, not of the host.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        durable: bool = False,
        password: str | None = None,
        run_dir: Path | None = None,
    ) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = port or free_port()
        self.dsn = f"host={LOOPBACK} port={self.port} dbname=radio user=radio"
        self.password = password
        self._bin = _newest_bin()
        self._user = child.unprivileged("postgres")
        force = "on" if durable else "off"
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            # The path of a Unix socket has at most 107 bytes.
            "unix_socket_directories": str(self.directory) if len(str(self.directory)) < 80 else "",
            "shared_buffers": "32MB",
            "max_connections": "60",
            "max_wal_size": "256MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "fsync": force,
            "full_page_writes": force,
        }
        arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.process = Child(
            "postgres",
            [str(self._bin / "postgres"), "-D", str(self.data), *arguments],
            run_dir=run_dir or directory,
            user=self._user,
            cwd=directory,
            env={key: value for key, value in os.environ.items() if not key.startswith("PG")},
            stop_signal=signal.SIGINT,
            stop_seconds=10,
        )
        self.log = self.process.log

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self.process.pid if self.process.running else None

    @property
    def full_dsn(self) -> str:
        """The dsn with the password, where there is one."""
        return make_conninfo(self.dsn, password=self.password)

    def create(self) -> None:
        """initdb, unless there is a cluster already."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if (self.data / "PG_VERSION").exists():
            return
        if self._user is not None:
            shutil.chown(self.directory, self._user, child.group_of(self._user))
        shutil.rmtree(self.data, ignore_errors=True)
        who = ["-U", "radio", "-A", "trust"]
        secret = self.directory / "superuser-password"
        if self.password is not None:
            secret.touch(mode=0o600)
            secret.write_text(self.password)
            if self._user is not None:
                shutil.chown(secret, self._user)
            who = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(secret)]
        done = subprocess.run(
            [str(self._bin / "initdb"), "-D", str(self.data), *who, "-E", "UTF8", "--locale=C.UTF-8", "-N"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.directory,
            check=False,
            user=self._user,
            group=child.group_of(self._user),
            extra_groups=None if self._user is None else [],
        )
        secret.unlink(missing_ok=True)
        if done.returncode:
            raise RigError(f"initdb failed (can its user reach {self.directory}?): {done.stderr.decode()}")

    def start(self, timeout: float = 30.0) -> None:
        """Start the server and wait, at most `timeout` seconds, until it answers; then see to the database."""
        self.process.start_until(self._answers, timeout)
        with self._admin() as admin:
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'radio'").fetchone() is None:
                statement = sql.SQL("CREATE ROLE radio LOGIN PASSWORD {}")
                admin.execute(statement.format(sql.Literal(self.password)))
            if admin.execute("SELECT 1 FROM pg_database WHERE datname = 'radio'").fetchone() is None:
                admin.execute("CREATE DATABASE radio OWNER radio")

    def _admin(self) -> "psycopg.Connection[tuple[Any, ...]]":
        superuser = "radio" if self.password is None else "postgres"
        return psycopg.connect(self.full_dsn, user=superuser, dbname="postgres", connect_timeout=2, autocommit=True)

    def _answers(self) -> bool:
        try:
            self._admin().close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise RigError(
                    f"the cluster in {self.directory} was made with another password: remove it"
                ) from error
            return False
        return True

    def sql(self, query: LiteralString, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement as `radio`, committed; its rows, none for a statement that has none."""
        with psycopg.connect(self.full_dsn, connect_timeout=5) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def stop(self, how: Literal["smart", "fast", "immediate"] = "fast", timeout: float = 15.0) -> None:
        """Stop the server. "immediate" is how it ends when it crashes: nothing is tidied up."""
        self.process.stop_signal, self.process.stop_seconds = _SIGNALS[how], timeout
        self.process.stop()

    def pause(self) -> None:
        """Every process of it stops answering; its connections stay open."""
        self.process.send_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `pause`."""
        self.process.send_all(signal.SIGCONT)
        wait_until(self._answers, "PostgreSQL after a pause", 10, log=self.log)

    def remove(self) -> None:
        """Stop it and delete the directory."""
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def private_postgres(directory: Path) -> Iterator[str]:
    """A running server for as long as the block lasts; the value is its dsn. The directory is kept."""
    server = PrivatePostgres(directory)
    server.create()
    server.start()
    try:
        yield server.dsn
    finally:
        server.stop("fast")


def _newest_bin() -> Path:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        raise RigError("PostgreSQL is not installed: no /usr/lib/postgresql/*/bin; run `make setup`")
    return max(found, key=lambda path: int(path.parent.name))
