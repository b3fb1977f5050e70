"""`python -m tests.hosts`: throwaway Debian hosts on this machine, reached over SSH as servers are."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.hosts import images, machine
from tests.hosts.group import Group
from tests.hosts.shell import HostsError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.hosts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("create", "make and boot hosts; kinds are bookworm, trixie and studio"),
        ("destroy", "remove a directory's hosts and the directory"),
        ("list", "say which hosts there are and where"),
        ("reboot", "boot one host anew"),
        ("keep-archives", "put the packages that hosts downloaded into the shared store now"),
        ("enter", "run a command in the namespace in which the hosts' podman runs"),
        ("images", "make the images of all kinds, so that no host waits for them"),
    ):
        command = commands.add_parser(name, help=text)
        if name == "images":
            continue
        command.add_argument("--dir", type=Path, required=True, help="the directory that is the group of hosts")
        if name == "create":
            command.add_argument("hosts", nargs="+", metavar="NAME:KIND")
        if name == "reboot":
            command.add_argument("host")
        if name == "enter":
            command.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser.parse_args()


def main() -> int:
    """Exit 0 when done, 1 with a message when not."""
    arguments = _arguments()
    began = time.monotonic()
    try:
        if arguments.command == "images":
            machine.need_root()
            for kind in images.KINDS:
                images.image(kind)
            return 0
        group = Group(arguments.dir)
        match arguments.command:
            case "create":
                wanted = {}
                for word in arguments.hosts:
                    name, _, kind = word.partition(":")
                    wanted[name] = kind or "bookworm"
                group.create(wanted)
                print(f"hosts: ready after {time.monotonic() - began:.1f} s; ssh -F {group.place}/ssh_config NAME")
            case "destroy":
                group.destroy()
            case "list":
                for host in group.hosts():
                    print(f"{host.name}\t{host.kind}\t{host.address}")
            case "reboot":
                group.reboot(arguments.host)
            case "keep-archives":
                group.keep_archives()
            case "enter":
                argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
                inside = group.podman.inside(["env", f"--chdir={Path.cwd()}", *(argv or [os.environ["SHELL"]])])
                return subprocess.run(inside, check=False).returncode
    except HostsError as error:
        print(f"hosts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
