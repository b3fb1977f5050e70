"""`python -m tests.hosts.demo up|down`: the demo station in a throwaway host, provisioned as a real one is."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from hook_service.tracks.track_key import track_key
from tests.hosts.group import CHECKOUT, Group
from tests.hosts.shell import HostsError, run
from tests.rig.azuracast import MEDIA_KEY
from tests.rig.layout import MOUNT, PLATFORM_APP, PORTS, WEBHOOK_USER
from tests.rig.net import RigError, free_port, http, wait_until, write_private

NAME, STUDIO, STATION = "demo", "studio", "demo"
# What listens on the host's loopback, and is wanted here.
FORWARDED = {"web": 9000, "prometheus": 9090, "alertmanager": 9093, "database": 5432}


class Demo:
    """The demo of one run directory: `demo/` holds the hosts, `demo.json` says where everything is."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir.absolute()
        self.group = Group(self.run_dir / "demo")
        self.info = self.run_dir / "demo.json"
        self._began = time.monotonic()
        self._forwarded: dict[str, int] = {}

    def up(self) -> None:
        """Make the hosts, run site.yml, put the station on the air; HostsError when that did not work."""
        if self.group.hosts():
            raise HostsError("there is a demo already: make demo-down removes it")
        self.say("two hosts: a bare Debian 12, and a studio that plays the world outside")
        self._run([CHECKOUT / "tests/hosts/install-packages.sh"])
        self.group.create({STUDIO: STUDIO, NAME: "bookworm"}, loops="loops")
        self.studio("/automation", {"stations": [STATION], "webhooks": []})
        self._tell_of_azuracast()
        self.say("site.yml, as on any server")
        inventories = ["-i", "inventories/demo", "-i", self.group.place / "inventory.yml"]
        self._run([Path(sys.executable).with_name("ansible-playbook"), *inventories, "site.yml"])
        self.say("AzuraCast's part: a loop for each song, and a webhook whenever one begins")
        self._forward()
        self.map_songs()
        self._send_webhooks()
        self.say("waiting for picture and sound at the platform")
        self._wait()
        write_private(self.info, json.dumps(self.describe(), indent=2) + "\n")

    def down(self) -> None:
        """Remove all of it."""
        self.info.unlink(missing_ok=True)
        if (control := self._control()).exists():
            run(["ssh", "-o", f"ControlPath={control}", "-O", "exit", NAME], check=False)
        self.group.destroy()

    def describe(self) -> dict[str, str]:
        """What demo.json holds. Only HTTPS is open on the host; what else is said here comes through SSH."""
        web = f"http://127.0.0.1:{self._forwarded['web']}"
        studio = self._address(STUDIO)
        return {
            "webhook_url": f"{web}/webhook/azuracast",
            "webhook_user": WEBHOOK_USER,
            "webhook_password": self._secret("webhook"),
            # As the studio comes: curl --cacert CA_FILE --resolve demo.test:443:ADDRESS
            "https_url": self._webhook()[0],
            "address": self._address(NAME),
            "ca_file": str(self.group.place / "ca.crt"),
            "api_url": f"{web}/api/v1",
            "api_token": self._secret("api"),
            "page_url": f"{web}/",
            "page_user": "ada",
            "page_password": self._secret("page"),
            "metrics_url": f"{web}/metrics",
            "prometheus_url": f"http://127.0.0.1:{self._forwarded['prometheus']}/",
            "alertmanager_url": f"http://127.0.0.1:{self._forwarded['alertmanager']}/",
            "platform_rtmp_url": f"rtmp://{studio}:{PORTS['platform']}/{PLATFORM_APP}/{self._secret('demo.platform')}",
            "platform_stat_url": f"http://{studio}:{PORTS['platform_stat']}/stat",
            "audio_url": f"http://{studio}:{PORTS['icecast']}{MOUNT}",
            "loops_dir": "/srv/loops",
            "database_dsn": f"host=127.0.0.1 port={self._forwarded['database']} dbname=radio user=radio"
            f" password={self._secret('database')}",
            "station": STATION,
            "ssh": f"ssh -F {self.group.place}/ssh_config {NAME}",
        }

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"\ndemo [{time.monotonic() - self._began:3.0f} s]: {text}", flush=True)

    def _run(self, argv: list[Any]) -> None:
        """A program whose output is the progress."""
        done = subprocess.run([str(word) for word in argv], cwd=CHECKOUT, check=False)
        if done.returncode != 0:
            raise HostsError(
                f"{Path(argv[0]).name} ended with {done.returncode}; make demo-down removes what is there"
            )

    def _address(self, name: str) -> str:
        return self.group.host(name).address

    def _secret(self, name: str) -> str:
        return (self.group.place / "secrets" / name).read_text().strip()

    def _send_webhooks(self) -> None:
        """Let the studio's AzuraCast tell the host."""
        self.studio("/automation", {"stations": [STATION], "webhooks": [self._webhook()]})

    def _webhook(self) -> tuple[str, str, str]:
        """Where AzuraCast sends: URL, user, password. The name is one that only the hosts know."""
        return f"https://{NAME}.test/webhook/azuracast", WEBHOOK_USER, self._secret("webhook")

    def _tell_of_azuracast(self) -> None:
        """The station as in the inventory, with the address of the studio's AzuraCast; molecule does without."""
        shared = yaml.safe_load((CHECKOUT / "inventories/demo/group_vars/all/radio.yml").read_text())
        stations = shared["hook_service_stations"]
        stations[STATION]["azuracast"] = {"url": f"http://{STUDIO}:{PORTS['azuracast']}"}
        more = {"hook_service_azuracast_keys": {STATION: MEDIA_KEY}} | self._configure(stations[STATION])
        variables = self.group.place / f"host_vars/{NAME}.yml"
        variables.parent.mkdir(exist_ok=True)
        variables.write_text(yaml.safe_dump({"hook_service_stations": stations, **more}))

    def _configure(self, station: dict[str, Any]) -> dict[str, Any]:
        """For others than the demo: change the station, and give more of the host's variables."""
        return {}

    def _control(self) -> Path:
        return self.group.podman.run_dir / "tunnel"

    def _forward(self) -> None:
        """Bring the host's loopback ports here, through SSH."""
        self._forwarded = {name: free_port(port) for name, port in FORWARDED.items()}
        tunnels = [f"-L127.0.0.1:{self._forwarded[name]}:127.0.0.1:{port}" for name, port in FORWARDED.items()]
        self._control().parent.mkdir(parents=True, exist_ok=True)
        ssh = ["ssh", "-F", self.group.place / "ssh_config", "-o", "ExitOnForwardFailure=yes"]
        # Its output would keep whoever reads ours waiting until the demo is taken down.
        done = subprocess.run(
            [*map(str, ssh), "-f", "-N", "-M", "-S", str(self._control()), *tunnels, NAME],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise HostsError("the host's ports could not be brought here through SSH")

    def map_songs(self) -> None:
        """A mapping for each demo song, as an operator would make it."""
        url = f"http://127.0.0.1:{self._forwarded['web']}/api/v1/mappings"
        for song in self.studio("/songs"):
            mapping = {"track_key": track_key(song["artist"], song["title"]), "loop_file_path": song["loop"]}
            status, answer = http(
                url, body=mapping, method="PUT", headers={"Authorization": f"Bearer {self._secret('api')}"}
            )
            if status >= 300:
                raise HostsError(f"the service took no mapping: {status} {answer.decode(errors='replace')[:300]}")

    def studio(self, path: str, body: object = None) -> Any:
        """The world outside; see tests.hosts.studio."""
        status, answer = http(f"http://{self._address(STUDIO)}:8090{path}", body=body, timeout=60)
        if status != 200:
            raise HostsError(f"the studio answered {status}: {answer.decode(errors='replace')[:300]}")
        return json.loads(answer)

    def _wait(self) -> None:
        key = self._secret("demo.platform")
        wait_until(lambda: self.studio("/streams").get(key, {}).get("publishing"), "the stream", 60, every=0.5)
        loops = [song["loop"].removesuffix(".mp4") for song in self.studio("/songs")]

        def shown() -> bool:
            seen = [loop for loop, _ in self.studio(f"/picture?key={key}&seconds=1")["loops"]]
            return bool(seen) and seen[-1] in loops

        wait_until(shown, "a song's own loop at the platform", 90, every=0.5)


def _tell(about: dict[str, str], demo: Demo) -> None:
    for what, key in (
        ("watch  ", "platform_rtmp_url"), ("hear   ", "audio_url"), ("open   ", "page_url"),
        ("figures", "prometheus_url"), ("alerts ", "alertmanager_url"), ("log in ", "ssh"),
    ):  # fmt: skip
        print(f"  {what}  {about[key]}")
        if key == "page_url":
            print(f"           sign in as {about['page_user']}, password {about['page_password']}")
    print(f"  all      {demo.info}\n  remove   make demo-down", flush=True)


def main() -> int:
    """Exit 0 when the demo is up, or gone."""
    parser = argparse.ArgumentParser(prog="tests.hosts.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--run-dir", type=Path, default=Path(os.environ.get("RUN_DIR") or ".run"))
    arguments = parser.parse_args()
    demo = Demo(arguments.run_dir)
    try:
        if arguments.command == "down":
            demo.down()
        else:
            demo.up()
            demo.say("on the air")
            _tell(json.loads(demo.info.read_text()), demo)
    except (HostsError, RigError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
