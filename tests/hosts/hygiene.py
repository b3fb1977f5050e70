"""Run on a station's host by root: what an auditor would object to, as a JSON list of sentences."""

import json
import re
import stat
import subprocess
import urllib.request
from pathlib import Path

WORST_EXPOSURE = 2.5
OPEN = ("22", "80", "443")
# What runs at night, or only ran once.
OTHERS = ("radio-backup.service", "radio-backup-copy.service", "radio-firewall.service")
CREDENTIALS = Path("/etc/radio/credentials")
WEB = "http://127.0.0.1:9000"
ROUTES = ("status", "history?limit=500", "errors?limit=500", "mappings?limit=500", "loops?limit=500", "destinations")


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False).stdout


def units() -> list[str]:
    lines = said(
        "systemctl", "list-units", "--plain", "--no-legend", "--state=active", "radio-*.service"
    ).splitlines()
    return [line.split()[0] for line in lines]


def exposure() -> list[str]:
    """What systemd thinks of the sandboxes."""
    found = []
    for unit in units():
        text = said("systemd-analyze", "security", "--no-pager", unit)
        level = re.search(r"Overall exposure level for .*: ([\d.]+)", text)
        if level is None or float(level[1]) > WORST_EXPOSURE:
            found.append(f"{unit} is exposed at {level[1] if level else '?'}, {WORST_EXPOSURE} at most")
    return found or ([] if units() else ["no unit of ours runs"])


def roots() -> list[str]:
    """Processes of ours that are root's."""
    found = []
    for unit in units():
        group = said("systemctl", "show", "--value", "--property=ControlGroup", unit).strip()
        for pid in Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split():
            try:
                if Path(f"/proc/{pid}").stat().st_uid == 0:
                    found.append(f"process {pid} of {unit} runs as root")
            except FileNotFoundError:
                continue
    return found


def limits() -> list[str]:
    """Units that could take all of the machine's memory or time."""
    found = []
    for unit in sorted({*units(), *OTHERS}):
        shown = dict(
            line.partition("=")[::2]
            for line in said(
                "systemctl", "show", "--property=LoadState,MemoryMax,CPUQuotaPerSecUSec", unit
            ).splitlines()
        )
        if shown.pop("LoadState") == "loaded":
            found += [f"{unit} has no limit: {name}" for name, value in shown.items() if value == "infinity"]
    return found


def listeners() -> list[str]:
    """What listens on every address, and would be reached but for the firewall."""
    found = []
    for line in said("ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric", "--processes").splitlines():
        address, _, port = line.split()[4].rpartition(":")
        if address.strip("[]").partition("%")[0] in ("*", "0.0.0.0", "::") and port not in OPEN:
            found.append(f"port {port} is listened to on every address: {line.split()[-1]}")
    return found


def secrets() -> dict[str, bytes]:
    return {path.name: text for path in CREDENTIALS.iterdir() if len(text := path.read_bytes().strip()) > 7}


def files() -> list[str]:
    """Secrets that others could read."""
    found = []
    for path in [CREDENTIALS, *CREDENTIALS.iterdir()]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o027:
            found.append(f"{path} has mode {mode:04o}")
    everything = secrets()
    for path in Path("/etc").rglob("*"):
        if path.is_file() and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o007:
            text = path.read_bytes()
            held = [name for name, secret in everything.items() if secret in text]
            found += [f"{path} holds {name} and can be read by all" for name in held]
    return found


def places() -> dict[str, bytes]:
    """Where a secret would be seen."""
    found = {"the journal": said("journalctl", "--no-pager", "--output=cat").encode()}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            for what in ("cmdline", "environ"):
                try:
                    found[f"{what} of {entry.name}"] = (entry / what).read_bytes()
                except OSError:
                    continue
    for directory in ("/etc/systemd/system", "/run/systemd/transient", "/var/log"):
        for path in Path(directory).rglob("*"):
            # The journal was read above.
            if path.is_file() and "journal" not in path.parts:
                found[str(path)] = path.read_bytes()
    return found | answers()


def answers() -> dict[str, bytes]:
    """What the relay and radio-web tell those who may ask."""
    token = (CREDENTIALS / "api-token").read_text().strip()
    addresses = {"http://127.0.0.1:8080/stat": "", f"{WEB}/metrics": "", f"{WEB}/health": ""}
    addresses |= {f"{WEB}/api/v1/{route}": token for route in ROUTES}
    found = {}
    for address, bearer in addresses.items():
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {bearer}"} if bearer else {})
        with urllib.request.urlopen(request, timeout=5) as answer:
            found[address] = answer.read()
    return found


def leaks() -> list[str]:
    everything = places()
    return [
        f"{name} is in {where}"
        for name, secret in secrets().items()
        for where, text in everything.items()
        if secret in text
    ]


if __name__ == "__main__":
    print(json.dumps([*exposure(), *roots(), *limits(), *listeners(), *files(), *leaks()]))
