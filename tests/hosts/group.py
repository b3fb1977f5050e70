"""A group of throwaway hosts: systemd, an SSH server, a network of their own, and the files to reach them by."""

import contextlib
import json
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from tests.hosts import images, machine, pki
from tests.hosts.podman import Podman
from tests.hosts.shell import RUN, HostsError, cache, run, turn
from tests.rig.net import http

CHECKOUT = Path(__file__).resolve().parents[2]
ARCHIVES = Path("/var/cache/apt/archives")
_BOOT_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Host:
    """One host. `kind` is the image it was made from."""

    name: str
    kind: str
    address: str


class Group:
    """The hosts of one directory. Everything about them is in it; nobody else's hosts are seen from there."""

    def __init__(self, place: Path) -> None:
        self.place = place.absolute()
        self.podman = Podman(self.place, images.store())
        self._state = self.place / "hosts.json"

    # --- making ------------------------------------------------------------------------------------------------

    def create(self, wanted: dict[str, str], loops: str = "short-loops") -> list[Host]:
        """Make and boot hosts, given as name: kind; returns when SSH answers on all of them.

        `loops` are those of the studio's that the hosts are given: the short ones are prepared in less than half the
        time, the others, "loops", have no seam that a person would see.
        """
        machine.need_root()
        self.place.mkdir(parents=True, exist_ok=True)
        with self._turn():
            known = {host.name for host in self.hosts()}
            if twice := known & set(wanted):
                raise HostsError(f"{self.place} has these hosts already: {', '.join(sorted(twice))}")
            with ThreadPoolExecutor() as pool:
                made = dict(zip(kinds := set(wanted.values()), pool.map(images.image, kinds), strict=True))
            self._make_network()
            self._make_keys()
            pki.authority(self.place)
            first = 10 + len(self.hosts())
            new = [
                Host(name, kind, f"{self._subnet()}.{first + number}")
                for number, (name, kind) in enumerate(wanted.items())
            ]
            self._write([*self.hosts(), *new])
            for host in new:
                self._make(host, *made[host.kind])
                if host.kind == "studio":
                    self._link(loops)
                pki.certificate(self.place, host.name, host.address)
            self._write_files()
            self.podman("start", *(host.name for host in new))
            with ThreadPoolExecutor() as pool:
                list(pool.map(self._wait, new))
        return new

    def _link(self, loops: str) -> None:
        """The studio fills the directory when it starts."""
        filled = cache() / "media" / loops
        filled.mkdir(parents=True, exist_ok=True)
        (self.place / "loops").unlink(missing_ok=True)
        (self.place / "loops").symlink_to(filled)

    def _make(self, host: Host, release: str, image: str) -> None:
        options = [f"--volume={images.archives()}:{ARCHIVES}:O"]
        options += [f"--volume={path}:{path}:ro" for path in machine.pip_directories()]
        if host.kind == "studio":
            (cache() / "media").mkdir(exist_ok=True)
            options += [f"--volume={CHECKOUT}:/opt/steadycast:ro", f"--volume={cache() / 'media'}:/var/cache/studio"]
        self.podman.create(host.name, image, host.address, options)
        root = self.podman.root(host.name)
        machine.hand_down(root, release)
        authorities = root / "root/.ssh/authorized_keys"
        authorities.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.place / "key.pub", authorities)
        authorities.chmod(0o600)
        run(
            [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                host.name,
                "-f",
                root / "etc/ssh/ssh_host_ed25519_key",
            ]
        )
        shutil.copy(root / "etc/ssh/ssh_host_ed25519_key.pub", self.place / f"{host.name}.hostkey")
        if host.kind == "studio":
            machine.trust(root, [self.place / "ca.crt"])
            shutil.copy(CHECKOUT / "tests/hosts/studio.service", root / "etc/systemd/system")
            run(["chroot", root, "systemctl", "--quiet", "enable", "studio.service"])
            run(["chroot", root, "systemctl", "--quiet", "disable", "nginx.service", "icecast2.service"])
        self.podman("umount", host.name)

    def _make_keys(self) -> None:
        if not (self.place / "key").exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test hosts", "-f", self.place / "key"])

    def _subnet(self) -> str:
        return (self.place / "subnet").read_text().strip()

    def _make_network(self) -> None:
        """A bridge with an address range that nothing on this machine has."""
        if (self.place / "subnet").exists():
            return
        taken = RUN / "subnets"
        with turn(RUN / "subnets.lock"):
            taken.mkdir(exist_ok=True)
            routes = run(["ip", "-4", "route", "show", "table", "all"])
            for number in range(1, 255):
                subnet = f"10.213.{number}"
                mark = taken / str(number)
                # A group that is being made has no route yet, and may wait for its images: its file counts.
                holder = Path(mark.read_text(), "subnet") if mark.exists() else None
                if f"{subnet}." in routes or (holder and holder.exists() and holder.read_text().strip() == subnet):
                    continue
                mark.write_text(str(self.place))
                (self.place / "subnet").write_text(subnet)
                break
            else:
                raise HostsError("all of 10.213.0.0/16 is in use on this machine: `destroy` groups that nobody needs")
        networks = self.place / "networks"
        networks.mkdir(exist_ok=True)
        (networks / f"{self.podman.id}.json").write_text(
            json.dumps(
                {
                    "name": self.podman.id,
                    "id": self.podman.id * 8,
                    "driver": "bridge",
                    "network_interface": f"hosts{number}",
                    "created": "2026-01-01T00:00:00Z",
                    "subnets": [{"subnet": f"{subnet}.0/24", "gateway": f"{subnet}.1"}],
                    "ipv6_enabled": False,
                    "internal": False,
                    "dns_enabled": False,
                    "ipam_options": {"driver": "host-local"},
                }
            )
        )

    # --- what is there -----------------------------------------------------------------------------------------

    def hosts(self) -> list[Host]:
        """All hosts of the group."""
        return [Host(**host) for host in json.loads(self._state.read_text())] if self._state.exists() else []

    def host(self, name: str) -> Host:
        """One of them, by name."""
        for host in self.hosts():
            if host.name == name:
                return host
        raise HostsError(f"{self.place} has no host {name!r}")

    def _write(self, hosts: list[Host]) -> None:
        self._state.write_text(json.dumps([asdict(host) for host in hosts], indent=2) + "\n")

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with turn(RUN / f"{self.podman.id}.lock"):
            yield

    def _write_files(self) -> None:
        """The inventory, the SSH configuration, and who is who for the hosts themselves."""
        hosts = self.hosts()
        known, key = self.place / "known_hosts", self.place / "key"
        lines = [f"{host.address} {(self.place / f'{host.name}.hostkey').read_text().strip()}" for host in hosts]
        known.write_text("\n".join(lines) + "\n")
        common = f"-o UserKnownHostsFile={known} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes"
        inventory = {
            host.name: {
                "ansible_host": host.address,
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(key),
                "ansible_ssh_common_args": common,
            }
            for host in hosts
            if host.kind != "studio"
        }
        (self.place / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": inventory}}))
        about = {
            "test_hosts_dir": str(self.place),
            "test_hosts": {host.name: host.address for host in hosts},
            # For playbooks/verify.yml: no resolver knows these names, and nobody else trusts this authority.
            "verify_address": "{{ test_hosts[inventory_hostname] }}",
            "verify_ca_file": str(self.place / "ca.crt"),
        }
        (self.place / "group_vars").mkdir(exist_ok=True)
        (self.place / "group_vars/all.yml").write_text(yaml.safe_dump(about))
        (self.place / "ssh_config").write_text(
            "".join(
                f"Host {host.name}\n  HostName {host.address}\n  HostKeyAlias {host.address}\n  User root\n"
                f"  IdentityFile {key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n"
                "  StrictHostKeyChecking yes\n  LogLevel ERROR\n"
                for host in hosts
            )
        )
        # A certificate of an authority is not to be had for .test; .alt is nobody's either.
        names = "".join(f"{host.address} {host.name} {host.name}.test {host.name}.alt\n" for host in hosts)
        for host in hosts:
            text = f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{names}"
            if process := self.podman.process(host.name):
                Path(f"/proc/{process}/root/etc/hosts").write_text(text)
            else:
                (self.podman.root(host.name) / "etc/hosts").write_text(text)
                self.podman("umount", host.name)

    def _wait(self, host: Host) -> None:
        """Booted, and SSH answers. Debian 13 ends `degraded` in a container: some kernel modules are not loaded."""
        deadline = time.monotonic() + _BOOT_SECONDS
        while True:
            state = self.podman("exec", host.name, "systemctl", "is-system-running", check=False).strip()
            if state in ("running", "degraded"):
                with contextlib.suppress(OSError), socket.create_connection((host.address, 22), timeout=2) as ssh:
                    if ssh.recv(4) == b"SSH-":
                        break
            if time.monotonic() > deadline:
                units = self.podman("exec", host.name, "systemctl", "list-jobs", "--no-pager", check=False)
                raise HostsError(
                    f"{host.name} has not booted after {_BOOT_SECONDS} s: {state or 'no answer'}\n{units}"
                )
            time.sleep(0.3)
        while host.kind == "studio":
            with contextlib.suppress(OSError):
                http(f"http://{host.address}:8090/songs")
                return
            if time.monotonic() > deadline + _BOOT_SECONDS:
                log = self.podman("exec", host.name, "journalctl", "--no-pager", "--lines=20", "--unit=studio")
                raise HostsError(f"the studio in {host.name} has not come up:\n{log}")
            time.sleep(0.3)

    # --- using -------------------------------------------------------------------------------------------------

    def reboot(self, name: str) -> None:
        """Boot a host anew in order, as `reboot` on it would; returns when SSH answers."""
        host = self.host(name)
        self.podman("stop", "--time=60", name)
        self.podman("start", name)
        self._wait(host)

    def wait(self, name: str) -> None:
        """Return when a host has booted and SSH answers."""
        self._wait(self.host(name))

    def keep_archives(self) -> None:
        """Put the packages that the hosts downloaded into the shared store."""
        store = images.archives()
        with turn(cache() / ".archives.lock"):
            for host in self.hosts():
                process = self.podman.process(host.name) if self._exists(host) else 0
                for path in Path(f"/proc/{process}/root{ARCHIVES}").glob("*.deb") if process else ():
                    if not (store / path.name).exists():
                        part = store / f"partial/{path.name}"
                        shutil.copyfile(path, part)
                        part.replace(store / path.name)

    def _exists(self, host: Host) -> bool:
        return bool(self.podman("ps", "--all", "--quiet", f"--filter=name=^{host.name}$").strip())

    def destroy(self) -> None:
        """Remove all hosts and the directory."""
        if not self.place.exists():
            return
        machine.need_root()
        with self._turn():
            self.keep_archives()
            self.podman.end()
            for mark in (RUN / "subnets").glob("*"):
                if mark.read_text() == str(self.place):
                    mark.unlink()
            run(["rm", "-rf", "--one-file-system", self.place])
