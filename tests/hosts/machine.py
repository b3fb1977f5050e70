"""What a host must know to reach packages as the machine it runs on does; read here, never committed."""

import configparser
import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlparse

from tests.hosts.shell import HostsError, run

_MIRROR = "http://deb.debian.org/debian"
_SECURITY = "http://deb.debian.org/debian-security"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_OWN_CERTIFICATES = Path("/usr/local/share/ca-certificates")
# How apt gets its files; what it does with them is the host's own business.
_ACQUIRE = re.compile(r"^Acquire::(Check-(Date|Valid-Until)|(http|https)::(?!User-Agent)|ForceIPv[46]|Retries)")


def _apt_uris() -> list[str]:
    """Every archive this machine's apt knows, in both formats."""
    found = []
    etc = Path("/etc/apt")
    for path in sorted(
        [etc / "sources.list", *etc.glob("sources.list.d/*.list"), *etc.glob("sources.list.d/*.sources")]
    ):
        if not path.exists():
            continue
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith(("deb ", "URIs:")):
                found += [word.rstrip("/") for word in line.split() if "://" in word]
    return found


def apt_sources(release: str) -> str:
    """deb822 sources for a Debian release, from the mirrors this machine uses where it uses Debian's."""
    uris = _apt_uris()
    mirror = next((uri for uri in uris if uri.endswith("/debian")), _MIRROR)
    security = next((uri for uri in uris if uri.endswith("/debian-security")), _SECURITY)
    blocks = ((mirror, f"{release} {release}-updates"), (security, f"{release}-security"))
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {_KEYRING}\n"
        for uri, suites in blocks
    )


def apt_settings() -> str:
    """Proxies and the like, as an apt.conf."""
    lines = run(["apt-config", "dump"]).splitlines()
    return "".join(f"{line}\n" for line in lines if _ACQUIRE.match(line) and not line.endswith('"";'))


def pip_settings() -> str:
    """A pip.conf with all that this machine's files and environment say in [global]."""
    merged = configparser.RawConfigParser()
    home = Path.home()
    merged.read(["/etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf"])
    if not merged.has_section("global"):
        merged.add_section("global")
    for name in ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "no-index", "timeout"):
        if value := os.environ.get(f"PIP_{name.replace('-', '_').upper()}"):
            merged.set("global", name, value)
    # The host's own bundle holds this machine's certificates too.
    for name in ("cert", "require-virtualenv", "cache-dir"):
        merged.remove_option("global", name)
    settings = dict(merged["global"])
    if not settings:
        return ""
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())


def pip_directories() -> list[Path]:
    """The directories on this machine that its pip settings name; a host gets them mounted, read-only."""
    found = set()
    for word in pip_settings().split():
        path = Path(urlparse(word).path if word.startswith("file://") else word)
        if path.is_absolute() and path.is_dir():
            # An index in a directory is next to the files it points at.
            found.add(path.parent if path.name == "simple" else path)
    return sorted(found)


def resolv_conf() -> str:
    """The name servers; systemd-resolved's own stub would not answer a host."""
    for path in (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf")):
        if path.exists():
            return path.read_text()
    return ""


def certificates() -> list[Path]:
    """The authorities the machine's owner added to Debian's."""
    return sorted(_OWN_CERTIFICATES.rglob("*.crt")) if _OWN_CERTIFICATES.is_dir() else []


def hand_down(root: Path, release: str) -> None:
    """Write all of it into a host's file system, before its first boot."""
    for old in (root / "etc/apt/sources.list.d").glob("*"):
        old.unlink()
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(apt_sources(release))
    if settings := apt_settings():
        (root / "etc/apt/apt.conf.d/90machine").write_text(settings)
    if settings := pip_settings():
        (root / "etc/pip.conf").write_text(settings)
    resolv = root / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.write_text(resolv_conf())
    trust(root, certificates())


def trust(root: Path, authorities: list[Path]) -> None:
    """Let a host's file system trust these certificates."""
    if not authorities:
        return
    place = root / "usr/local/share/ca-certificates"
    place.mkdir(parents=True, exist_ok=True)
    for path in authorities:
        shutil.copy(path, place / path.name)
    run(["chroot", root, "update-ca-certificates"])


def need_root() -> None:
    """Containers that boot systemd need root on this machine."""
    if os.geteuid() != 0:
        raise HostsError("test hosts are made by root: run this with sudo")
