"""Bare Debian file systems, made by mmdebstrap once and kept."""

import hashlib
import tempfile
import time
from pathlib import Path

from tests.hosts import machine
from tests.hosts.shell import HostsError, cache, run, turn

# What every provider's image of Debian has, and nothing else: a bare host is what is tested.
BARE = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "python3", "python3-apt",
    "ca-certificates", "iproute2", "procps",
)  # fmt: skip
# The studio is the world outside: nobody tests how it came to be.
STUDIO = (
    "ffmpeg", "nginx-light", "libnginx-mod-rtmp", "icecast2", "liquidsoap", "fonts-dejavu-core",
    "python3-yaml", "python3-jinja2", "openssl", "curl", "nmap", "pebble",
)  # fmt: skip
# systemd asks them at each of its many reloads, for disks, terminals and kinds of boot that a container has not.
_NO_GENERATORS = (
    "cryptsetup", "debug", "fstab", "getty", "gpt-auto", "hibernate-resume", "integritysetup", "rc-local", "run",
    "ssh", "system-update", "tpm2", "veritysetup",
)  # fmt: skip
_HOOKS = (
    # Each host gets keys and an identity of its own.
    'rm -f "$1"/etc/ssh/ssh_host_*',
    ': >"$1/etc/machine-id"',
    # No host outlives its tests, nor a power cut.
    'echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/throwaway"',
    'mkdir -p "$1/etc/systemd/system-generators"',
    *(f'ln -s /dev/null "$1/etc/systemd/system-generators/systemd-{name}-generator"' for name in _NO_GENERATORS),
)
RELEASES = ("bookworm", "trixie")
KINDS = (*RELEASES, "studio")
_DAYS = 14


def image(kind: str) -> tuple[str, str]:
    """The release and the name of an image, made when there is none that is young enough.

    `kind` is a release's name, or `studio`.
    """
    release = "bookworm" if kind == "studio" else kind
    if kind not in KINDS:
        raise HostsError(f"no image {kind!r}: there are {', '.join(KINDS)}")
    packages = (*BARE, *STUDIO) if kind == "studio" else BARE
    # Where an image comes from is part of what it is.
    recipe = "\0".join((kind, *packages, *_HOOKS, machine.apt_sources(release)))
    version = f"{kind}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    name = f"localhost/steadycast:{version}"
    made = cache() / f".{version}.made"
    with turn(cache() / f".{kind}.lock"):
        if not made.exists() or time.time() - made.stat().st_mtime > _DAYS * 86400:
            _make(release, packages, name)
            made.touch()
    return release, name


def store() -> Path:
    """podman's store of these images; the hosts' own stores read from it."""
    place = cache() / "store"
    place.mkdir(exist_ok=True)
    return place


def archives() -> Path:
    """The shared store of downloaded packages."""
    place = cache() / "archives"
    (place / "partial").mkdir(parents=True, exist_ok=True)
    return place


def _make(release: str, packages: tuple[str, ...], name: str) -> None:
    print(f"hosts: making the image {name.partition(':')[2]}", flush=True)
    with tempfile.TemporaryDirectory(dir=cache()) as directory:
        place = Path(directory)
        (place / "sources").write_text(machine.apt_sources(release))
        (place / "apt.conf").write_text(machine.apt_settings())
        run(
            [
                "mmdebstrap", "--variant=minbase", "--format=tar", f"--include={','.join(packages)}",
                f"--aptopt={place / 'apt.conf'}",
                *(f"--customize-hook={hook}" for hook in _HOOKS),
                release, place / "image.tar", place / "sources",
            ],
            seconds=900,
        )  # fmt: skip
        (place / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{place}/run"\ngraphroot = "{store()}"\n'
        )
        (place / "containers.conf").write_text(f'[engine]\nlock_type = "file"\ntmp_dir = "{place}/tmp"\n')
        ours = ["env", f"CONTAINERS_CONF={place}/containers.conf", f"CONTAINERS_STORAGE_CONF={place}/storage.conf"]
        with turn(cache() / ".store.lock"):
            run([*ours, "podman", "--log-level=error", "import", "--quiet", place / "image.tar", name])
