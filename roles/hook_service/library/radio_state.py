#!/usr/bin/python
"""What is installed on a host, and which units run something else."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: radio_state
short_description: What is installed on a host, and which units run something else
description:
  - Compares what runs with what lies on the disk, and not with what this run of Ansible has changed. A run that was
    broken off, or that left the broadcast alone on purpose, leaves nothing forgotten.
options:
  services:
    description: Unit names, each with the files besides its unit file that it reads at its start.
    type: dict
    required: true
  root:
    description: The directory with releases, and the links C(current) and C(previous).
    type: path
    default: /opt/radio
  units:
    description: The directory of unit files.
    type: path
    default: /etc/systemd/system
  credentials:
    description: The directory of secrets.
    type: path
    default: /etc/radio/credentials
attributes:
  check_mode: {support: full, description: It changes nothing.}
author: Steadycast
"""

EXAMPLES = """
- name: See what is there
  radio_state:
    services: {radio-web: [/etc/radio/radio.yml]}
"""

RETURN = """
services:
  description: For each unit C(active), C(enabled), C(release) (of its process, or null), and C(outdated), which lists
    what has changed since it started, of C(release), C(unit), C(settings).
  type: dict
  returned: always
current:
  description: The name of the release in use, or null.
  type: str
  returned: always
previous:
  description: The name of the release that was in use before, or null.
  type: str
  returned: always
releases:
  description: The names of all releases, the newest first.
  type: list
  returned: always
instances:
  description: The units of stations that have settings here.
  type: list
  returned: always
secrets:
  description: The names of the files in C(credentials).
  type: list
  returned: always
"""


def properties(unit: str) -> dict[str, str]:
    """What systemd says of a unit."""
    wanted = "ActiveState,UnitFileState,MainPID,ExecMainStartTimestamp,FragmentPath"
    command = ["systemctl", "show", "--timestamp=us+utc", f"--property={wanted}", "--", unit]
    environment = {**os.environ, "LC_ALL": "C"}
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    return dict(line.partition("=")[::2] for line in answer.stdout.splitlines())


def release_of(pid: int, releases: str) -> str | None:
    """The release that a process was started from: its interpreter is the release's own."""
    try:
        program = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0])
    except OSError:
        return None
    prefix = releases + "/"
    return program.removeprefix(prefix).partition("/")[0] if program.startswith(prefix) else None


def changed_since(paths: list[str], start: datetime) -> bool:
    """Whether one of the files is newer. One that is not there has not changed."""
    for path in paths:
        try:
            if datetime.fromtimestamp(Path(path).stat().st_mtime, UTC) > start:
                return True
        except FileNotFoundError:
            continue
    return False


def look(unit: str, settings: list[str], releases: str, release: str | None) -> dict[str, object]:
    """One unit."""
    shown = properties(unit)
    pid = int(shown.get("MainPID") or 0)
    runs = release_of(pid, releases) if pid else None
    outdated = []
    if pid and shown.get("ExecMainStartTimestamp"):
        began = datetime.strptime(shown["ExecMainStartTimestamp"], "%a %Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
        if runs is not None and runs != release:
            outdated.append("release")
        if changed_since([shown["FragmentPath"]], began):
            outdated.append("unit")
        if changed_since(settings, began):
            outdated.append("settings")
    active, enabled = shown.get("ActiveState") == "active", shown.get("UnitFileState") == "enabled"
    return {"active": active, "enabled": enabled, "release": runs, "outdated": outdated}


def target(link: Path) -> str | None:
    """The release that a link leads to, None where there is none."""
    return link.resolve().name if link.exists() else None


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "dict", "required": True},
            "root": {"type": "path", "default": "/opt/radio"},
            "units": {"type": "path", "default": "/etc/systemd/system"},
            "credentials": {"type": "path", "default": "/etc/radio/credentials"},
        },
        supports_check_mode=True,
    )
    root, units, credentials = (Path(module.params[name]) for name in ("root", "units", "credentials"))
    releases = root / "releases"
    current = target(root / "current")
    module.exit_json(
        changed=False,
        services={
            name: look(name, files, str(releases), current) for name, files in module.params["services"].items()
        },
        current=current,
        previous=target(root / "previous"),
        releases=[
            path.name for path in sorted(releases.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        ],
        instances=sorted(path.name.removesuffix(".service.d") for path in units.glob("radio-*@*.service.d")),
        secrets=sorted(path.name for path in credentials.glob("*")),
    )


if __name__ == "__main__":
    main()
