"""The demo of `make demo`, with a second destination, as the place where faults happen."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.faults.watch import Watcher
from tests.hosts.demo import NAME, STATION, STUDIO, Demo
from tests.hosts.group import CHECKOUT
from tests.hosts.shell import HostsError
from tests.hosts.studio import SECOND_PORT
from tests.rig.layout import PLATFORM_APP, PORTS
from tests.rig.net import RigError, http, wait_until

FIRST, SECOND = "platform", "second"
_SSH_SECONDS = 90


class Stage(Demo):
    """One host with everything, a studio, and a reader for each destination."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        self.station = STATION
        self.watchers: dict[str, Watcher] = {}

    # --- making it -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the hosts and put the station on the air; take those that are there already."""
        if self.group.hosts():
            self._dig()
            # The studio may have been started anew.
            self._send_webhooks()
        else:
            self.up()
        for name in (FIRST, SECOND):
            key = self._secret(f"{STATION}.{name}")
            url = f"rtmp://{self._address(STUDIO)}:{PORTS['platform']}/{PLATFORM_APP}/{key}"
            self.watchers[name] = Watcher(url)
            self.watchers[name].start()

    def close(self) -> None:
        """Leave the hosts, end what is ours."""
        for watcher in self.watchers.values():
            watcher.stop()

    def _configure(self, station: dict[str, Any]) -> dict[str, Any]:
        destinations = station["destinations"]
        destinations[SECOND] = {"url": f"rtmp://{STUDIO}:{SECOND_PORT}/{PLATFORM_APP}"}
        secret = "test_hosts_dir ~ '/secrets/{}.{}', chars=['hexdigits'], length=32"
        lookup = "{{{{ lookup('ansible.builtin.password', " + secret + ") }}}}"
        return {"vault_stream_keys": {STATION: {name: lookup.format(STATION, name) for name in (FIRST, SECOND)}}}

    # --- asking ----------------------------------------------------------------------------------------------------

    def ask(self, path: str, *, body: object = None, method: str | None = None, timeout: float = 5.0) -> Any:
        """The operator's API: its JSON, None where that has none. OSError for no answer, RigError for a refusal."""
        url = f"http://127.0.0.1:{self._forwarded['web']}{path}"
        token = {"Authorization": f"Bearer {self._secret('api')}"}
        status, answer = http(url, body=body, method=method, headers=token, timeout=timeout)
        if status >= 400 and path != "/health":
            raise RigError(f"{path} answered {status}: {answer.decode(errors='replace')[:300]}")
        return json.loads(answer) if answer else None

    def metrics(self, path: str) -> Any:
        """Prometheus' API, below /api/v1."""
        status, answer = http(f"http://127.0.0.1:{self._forwarded['prometheus']}/api/v1{path}")
        if status != 200:
            raise RigError(f"Prometheus answered {status}: {answer.decode(errors='replace')[:300]}")
        return json.loads(answer)

    def studio_address(self) -> str:
        """Where the world outside is."""
        return self._address(STUDIO)

    def pid(self, process: str) -> int:
        """The process id, on the host, of one of the station's FFmpegs."""
        for one in self.ask("/api/v1/status")["stations"][STATION]["processes"]:
            if one["name"] == process and one["pid"]:
                return int(one["pid"])
        raise RigError(f"the process {process} does not run")

    def well(self) -> bool:
        """Whether nothing at all is wrong: every component, what is prepared, and pictures at both platforms."""
        try:
            return (
                self.ask("/health", timeout=2)["status"] == "up"
                and self.ask("/api/v1/loops?limit=1", timeout=2)["preparation"] is not None
                and all(watcher.age() < 0.5 for watcher in self.watchers.values())
            )
        except (OSError, RigError, ValueError):
            return False

    def wait_well(self, seconds: float = 120.0, for_seconds: float = 3.0) -> None:
        """Return when all has been well for a while; RigError after `seconds`."""
        since = time.monotonic()

        def steady() -> bool:
            nonlocal since
            if not self.well():
                since = time.monotonic()
            return time.monotonic() - since >= for_seconds

        wait_until(steady, "the station without a fault", seconds, every=0.3)

    def mend(self) -> None:
        """Begin anew after a fault from which the station, or what is around it, did not come back by itself."""
        self.studio("/platform", {"up": False})
        self.studio("/platform", {"up": True})
        self.studio("/sound", {"kind": "songs"})
        self.host("systemctl restart postgresql nginx radio.target")
        self.wait_well()

    # --- doing -----------------------------------------------------------------------------------------------------

    def host(self, script: str, *, check: bool = True, seconds: float = _SSH_SECONDS) -> str:
        """Run a script as root on the host; its output. HostsError with what it said when it fails."""
        ssh = ["ssh", "-F", str(self.group.place / "ssh_config"), "-S", str(self._control()), NAME]
        text = f"set -eu\n{script}\n"
        try:
            done = subprocess.run(
                [*ssh, "bash", "-s"], input=text, capture_output=True, text=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise HostsError(f"not done after {seconds:g} s: {script}") from None
        if check and done.returncode != 0:
            raise HostsError(f"{script}\nended with {done.returncode}: {(done.stderr or done.stdout)[-1000:]}")
        return done.stdout

    def put(self, source: Path, target: str, mode: str = "0755") -> None:
        """Copy a file to the host."""
        ssh = ["ssh", "-F", str(self.group.place / "ssh_config"), "-S", str(self._control()), NAME]
        with source.open("rb") as file:
            done = subprocess.run(
                [*ssh, f"cat >{target} && chmod {mode} {target}"],
                stdin=file, capture_output=True, check=False, timeout=_SSH_SECONDS,
            )  # fmt: skip
        if done.returncode != 0:
            raise HostsError(f"{target} could not be written: {done.stderr.decode(errors='replace')}")

    def playbook(self, name: str, *options: str) -> None:
        """Run one of the operator's playbooks against the host; HostsError with its last words when it fails."""
        inventories = ["-i", "inventories/demo", "-i", str(self.group.place / "inventory.yml")]
        program = str(CHECKOUT / ".venv/bin/ansible-playbook")
        done = subprocess.run(
            [program, *inventories, f"playbooks/{name}.yml", *options],
            cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if done.returncode != 0:
            raise HostsError(f"{name}.yml ended with {done.returncode}: {done.stdout[-2000:]}")

    def cut_power(self) -> None:
        """SIGKILL to everything on the host at once, and a boot. The tunnels end with it."""
        self.group.podman("kill", "--signal=KILL", NAME)
        self.group.podman("start", NAME)

    def connect_again(self) -> None:
        """After a boot: wait for it, and dig new tunnels."""
        self.group.wait(NAME)
        self._dig()

    def _dig(self) -> None:
        """Tunnels, instead of those of an earlier run or an earlier boot."""
        subprocess.run(
            ["ssh", "-o", f"ControlPath={self._control()}", "-O", "exit", NAME], capture_output=True, check=False
        )
        self._control().unlink(missing_ok=True)
        self._forward()

    def process_id(self, inner: int) -> int:
        """The id here of a process that has another one on the host."""
        init = self.group.podman.process(NAME)
        namespace = Path(f"/proc/{init}/ns/pid").readlink()
        for place in Path("/proc").glob("[0-9]*"):
            try:
                text = (place / "status").read_text()
                if Path(place / "ns/pid").readlink() != namespace:
                    continue
            except OSError:
                continue
            line = next(line for line in text.splitlines() if line.startswith("NSpid:"))
            if line.split()[-1] == str(inner):
                return int(place.name)
        raise RigError(f"no process {inner} on the host")
