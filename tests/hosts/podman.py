"""podman for one group of hosts: a store, a network and, where it must be, a namespace of their own."""

import hashlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.hosts.shell import RUN, HostsError, run

_CGROUP = Path("/sys/fs/cgroup")
# Mounts are shared as on a server, or systemd's credentials reach no service. A host may do anything but set this
# machine's clock and load modules into its kernel.
_INIT = "mount --make-rshared / && exec setpriv --bounding-set=-sys_time,-sys_module /sbin/init"


def _plain_cgroup2() -> bool:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[4] == str(_CGROUP):
            return fields[fields.index("-") + 1] == "cgroup2"
    return False


def _limits() -> list[str]:
    """Well under what this machine permits: podman lowers its own, and raising a limit is refused on some."""
    found = []
    for name, number, usual in (("nofile", resource.RLIMIT_NOFILE, 65536), ("nproc", resource.RLIMIT_NPROC, 32768)):
        hard = resource.getrlimit(number)[1]
        value = usual if hard == resource.RLIM_INFINITY else min(usual, hard * 4 // 5)
        found += ["--ulimit", f"{name}={value}:{value}"]
    return found


class Podman:
    """podman with everything below `place`; sockets and mounts, whose paths must be short, below /run."""

    def __init__(self, place: Path, images: Path) -> None:
        self.place = place
        self.images = images
        self.id = hashlib.sha256(str(place).encode()).hexdigest()[:8]
        self.run_dir = RUN / self.id
        self._holder_file = self.run_dir / "namespace"

    # --- the namespace -----------------------------------------------------------------------------------------

    def _holder(self) -> int | None:
        """The process that keeps the namespace, None when there is none."""
        try:
            pid, started = self._holder_file.read_text().split()
            now = Path(f"/proc/{pid}/stat").read_text()
        except (OSError, ValueError):
            return None
        return int(pid) if now.rsplit(")", 1)[1].split()[19] == started else None

    def _make_namespace(self) -> None:
        """Where cgroups are v1 or hybrid crun refuses. A private mount of version 2 mends it for all run inside."""
        if _plain_cgroup2() or self._holder() is not None:
            return
        self.run_dir.mkdir(parents=True, exist_ok=True)
        ready = self.run_dir / "ready"
        ready.unlink(missing_ok=True)
        script = f"umount -R {_CGROUP} && mount -t cgroup2 none {_CGROUP} && : >{ready} && exec sleep infinity"
        process = subprocess.Popen(
            ["unshare", "--mount", "--cgroup", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/",
        )  # fmt: skip
        while not ready.exists():
            if process.poll() is not None:
                raise HostsError("this machine permits no mount of cgroup v2: containers can't boot systemd here")
            time.sleep(0.02)
        started = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        self._holder_file.write_text(f"{process.pid} {started}")

    def inside(self, argv: Sequence[object]) -> list[str]:
        """The command line that runs `argv` where the containers are."""
        self._make_namespace()
        holder = self._holder()
        words = [str(word) for word in argv]
        return words if holder is None else ["nsenter", f"--target={holder}", "--mount", "--cgroup", "--", *words]

    # --- podman ------------------------------------------------------------------------------------------------

    def __call__(self, *argv: object, check: bool = True, seconds: float = 300) -> str:
        """Run podman; its standard output."""
        settings, storage = self.place / "containers.conf", self.place / "storage.conf"
        if not storage.exists():
            # Locks in files: those in shared memory are one set for all stores of the machine.
            settings.write_text(
                '[engine]\nlock_type = "file"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
                f'runtime = "crun"\ntmp_dir = "{self.run_dir}/tmp"\n'
                f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{self.place}/networks"\n'
            )
            storage.write_text(
                f'[storage]\ndriver = "overlay"\nrunroot = "{self.run_dir}/run"\ngraphroot = "{self.place}/store"\n'
                f'[storage.options]\nadditionalimagestores = ["{self.images}"]\n'
            )
        ours = ["env", f"CONTAINERS_CONF={settings}", f"CONTAINERS_STORAGE_CONF={storage}"]
        return run(self.inside([*ours, "podman", "--log-level=error", *argv]), check=check, seconds=seconds)

    def create(self, name: str, image: str, address: str, options: Sequence[str]) -> None:
        """A container that will boot systemd; not started."""
        # An address of its own, or a reboot would change it and peers would not find the host for half a minute.
        mac = "02:" + ":".join(f"{byte:02x}" for byte in hashlib.sha256(f"{self.id} {name}".encode()).digest()[:5])
        self(
            "create", "--systemd=always", f"--name={name}", f"--hostname={name}", "--privileged",
            "--pids-limit=-1", "--shm-size=1g", *_limits(), "--no-hosts",
            "--dns=none", f"--network={self.id}", f"--ip={address}",
            f"--mac-address={mac}", "--stop-signal=SIGRTMIN+3", *options, image,
            "sh", "-c", _INIT,
        )  # fmt: skip

    def root(self, name: str) -> Path:
        """A container's file system before it is started, as seen from here."""
        path = self("mount", name).strip()
        holder = self._holder()
        return Path(path if holder is None else f"/proc/{holder}/root{path}")

    def process(self, name: str) -> int:
        """The number of a running container's first process; 0 when it doesn't run."""
        return int(self("inspect", "--format={{.State.Pid}}", name).strip() or 0)

    def end(self) -> None:
        """Remove the containers, then the namespace. The store is the caller's to remove."""
        if (self.place / "store").exists():
            self("rm", "--all", "--force", "--time=0", check=False)
            self("umount", "--all", check=False)
        holder = self._holder()
        if holder is not None:
            os.kill(holder, signal.SIGKILL)
        run(["rm", "-rf", "--one-file-system", self.run_dir])
