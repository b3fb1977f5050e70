"""What can be seen on the host itself: its configuration, units, secrets, sockets, disks and clock."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from hook_service import ipc
from hook_service.ctl.doctor.finding import Finding, Look, Severity, look, not_looked

if TYPE_CHECKING:
    from hook_service.config import Host

OTHERS = ("nginx.service", "postgresql.service", "prometheus.service", "prometheus-alertmanager.service")
"""Units of the distribution's that are looked at where they are enabled."""
FULL, NEARLY_FULL = 0.03, 0.10
"""As the alerts have it: parts of a disk that are still free."""
RESTARTS = 3
_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_SOCKET_SECONDS = 3.0


# --- configuration and secrets ------------------------------------------------------------------------------------


def configuration(file: Path, host: Host) -> Look:
    """A configuration that could be read: whether its secrets are there, and nobody else may change it."""
    from hook_service.config import missing_credentials  # noqa: PLC0415 - pydantic, which --url need not wait for

    findings = [_missing(line) for line in missing_credentials(host)]
    if file.stat().st_mode & 0o022:
        mend = f"chown root:radiouser {file}; chmod 0640 {file}"
        findings.append(Finding("fault", "can be changed by others than its owner", str(file), mend))
    return look("configuration", f"{file}; stations: {', '.join(host.stations)}", findings)


def _missing(line: str) -> Finding:
    what, _, mend = line.partition("; ")
    where, _, why = what.partition(": ")
    if not why or " " in where:
        where, why = "credentials", what
    return Finding("fault", why, where, mend or "put it there and run site.yml")


def broken(problems: Iterable[str], file: Path) -> Look:
    """A configuration that can't be used."""
    findings = []
    for problem in problems:
        what, _, mend = problem.partition("; ")
        findings.append(
            Finding("fault", what, str(file), mend or "mend that line; docs/CONFIGURATION.md has each key")
        )
    return look("configuration", str(file), findings)


def credentials(directory: Path) -> Look:
    """The files of secrets, which are nobody else's."""
    findings = []
    if directory.stat().st_mode & 0o022:
        findings.append(Finding("fault", "others may put files into it", str(directory), f"chmod 0700 {directory}"))
    files = sorted(path for path in directory.iterdir() if path.is_file())
    for path in files:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o027:
            what = f"mode {mode:04o}: " + ("everyone can read it" if mode & 0o004 else "others may change it")
            mend = f"chmod 0600 {path}; where it could be read by others, a new secret: playbooks/rotate_secrets.yml"
            findings.append(Finding("fault", what, str(path), mend))
        elif not path.stat().st_size:
            findings.append(Finding("fault", "is empty", str(path), "put the secret into it, or remove it"))
    return look("credentials", f"{len(files)} files in {directory}", findings)


# --- processes ----------------------------------------------------------------------------------------------------


def wanted_units(stations: Iterable[str]) -> list[str]:
    """The units of a host with these stations."""
    each = [f"radio-{kind}@{name}.service" for name in stations for kind in ("playout", "output")]
    return [f"radio-{name}.service" for name in ("web", "prepare", "monitor", "relay")] + each


def units(stations: Iterable[str]) -> Look:
    """What systemd says of them."""
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        return not_looked("units", "systemd does not run this machine")
    wanted = wanted_units(stations)
    properties = "Id,LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState"
    command = ["systemctl", "show", f"--property={properties}", "--", *wanted, *OTHERS]
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = parsed(said.stdout)
    if not any(unit.get("LoadState") == "loaded" for unit in found if unit.get("Id") in wanted):
        return not_looked("units", "none of ours is installed on this machine")
    return look("units", f"{len(wanted)} of ours, and what they stand on", judged(found, wanted))


def parsed(text: str) -> list[dict[str, str]]:
    """`systemctl show` of several units: a block of NAME=VALUE lines for each."""
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]


def judged(found: Iterable[Mapping[str, str]], wanted: Iterable[str]) -> Iterator[Finding]:
    """What is wrong with units. Those that are not ours count where they are enabled."""
    ours = set(wanted)
    for unit in found:
        name = unit.get("Id", "")
        mend = f"journalctl -u {name} -n 50 says why; docs/TROUBLESHOOTING.md#service-down"
        if unit.get("LoadState") != "loaded":
            if name in ours:
                yield Finding("fault", "is not installed", name, "run site.yml")
            continue
        enabled = unit.get("UnitFileState") in ("enabled", "enabled-runtime")
        if unit.get("ActiveState") != "active" and (name in ours or enabled):
            result = unit.get("Result", "")
            why = f" ({result})" if result not in ("", "success") else ""
            yield Finding("fault", f"is {unit.get('ActiveState')}, {unit.get('SubState')}{why}", name, mend)
        elif name in ours and int(unit.get("NRestarts") or 0) >= RESTARTS:
            yield Finding("warning", f"was started again {unit['NRestarts']} times by systemd", name, mend)
        if name in ours and not enabled:
            yield Finding("warning", "is not started at boot", name, f"systemctl enable {name}")


def sockets(run: Path, stations: Iterable[str]) -> Look:
    """Whether the processes answer, each at its socket."""
    paths = {"prepare.sock": "radio-prepare", "monitor.sock": "radio-monitor"}
    for name in stations:
        paths |= {f"playout-{name}.sock": f"radio-playout@{name}", f"output-{name}.sock": f"radio-output@{name}"}
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda item: _asked(run / item[0], item[1]), paths.items())
    return look("sockets", f"{len(paths)} in {run}", [finding for finding in found if finding is not None])


def _asked(path: Path, unit: str) -> Finding | None:
    try:
        answer = ipc.request(path, {"op": "status"}, timeout=_SOCKET_SECONDS)
    except ipc.PeerDown as down:
        what = "its process does not answer: " + ("it has no socket" if not path.exists() else down.why)
        return Finding("fault", what, str(path), f"systemctl status {unit}; journalctl -u {unit} -n 50")
    if answer.get("ok"):
        return None
    return Finding("fault", f"its process answers with {answer.get('error')}", str(path), f"systemctl restart {unit}")


# --- the machine --------------------------------------------------------------------------------------------------


def disks(host: Host) -> Look:
    """Room and inodes, where the service writes."""
    paths = host.paths
    seen: dict[int, tuple[Path, os.statvfs_result]] = {}
    findings = []
    for path in (paths.loops, paths.library, paths.state, paths.run, paths.log.parent):
        try:
            seen.setdefault(path.stat().st_dev, (path, os.statvfs(path)))
        except OSError as error:
            findings.append(Finding("fault", f"can't be looked at: {error.strerror}", str(path), "run site.yml"))
    for path, its in seen.values():
        findings += room(path, its)
    return look("disks", ", ".join(str(path) for path, _ in seen.values()), findings)


def room(path: Path, its: os.statvfs_result) -> Iterator[Finding]:
    """What is wrong with a file system."""
    mend = "remove loops that nobody uses, or take a larger disk: docs/TROUBLESHOOTING.md#disk-nearly-full"
    for what, free, total in (("room", its.f_bavail, its.f_blocks), ("inodes", its.f_favail, its.f_files)):
        # Some file systems count no inodes.
        part = free / total if total else 1.0
        if part < NEARLY_FULL:
            severity: Severity = "fault" if part < FULL else "warning"
            yield Finding(severity, f"{part:.1%} of its {what} is left", str(path), mend)
    if its.f_flag & os.ST_RDONLY:
        mend = "`dmesg --level err,warn | tail` says why; docs/TROUBLESHOOTING.md#disk-nearly-full"
        yield Finding("fault", "can't be written to", str(path), mend)


def clock() -> Look:
    """Whether somebody sets the clock."""
    # struct timex is 208 bytes where it is largest; with modes 0 nothing is changed.
    answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    if answer < 0:
        return not_looked("clock", f"the kernel does not tell: {os.strerror(ctypes.get_errno())}")
    findings = []
    if answer == _UNSYNCHRONISED:
        mend = "systemctl enable --now systemd-timesyncd, or chrony; docs/TROUBLESHOOTING.md#clock"
        findings.append(Finding("warning", "nobody sets it", "clock", mend))
    return look("clock", "set by the network's time" if not findings else "runs free", findings)
