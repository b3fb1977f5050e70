"""Writes docs/RADIOCTL.md from the commands themselves: `python -m tests.radioctl_docs`; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hook_service.ctl.main import radioctl

DOCUMENT = Path(__file__).parents[1] / "docs/RADIOCTL.md"
_HEAD = """# radioctl

The station from a terminal, over [the API](API.md). On the host it is installed, and finds the service and its token
by itself; the token is root's, so it is `sudo radioctl`:

```console
$ sudo radioctl status
$ sudo radioctl loops add party.mp4 --wait
$ sudo radioctl map set party.mp4 --artist "Daft Punk" --title "One More Time"
$ sudo radioctl doctor
```

Elsewhere it needs an address and a token of its own, in a file that is yours alone:

```console
$ sudo radioctl tokens create laptop --scope read --scope control >laptop.token    # on the host
$ export RADIOCTL_URL=https://radio.example.org RADIOCTL_TOKEN_FILE=~/.config/radioctl.token
$ radioctl status --watch
```

* A token is never part of a command line, where `ps` would show it. Over plain `http` it goes to this machine only. A
  certificate that you have signed yourself is trusted with `SSL_CERT_FILE=ca.pem`.
* `--json` is the API's own answer, for programs. Colours appear on a terminal only, and not with `NO_COLOR`.
* What viewers see is asked first; where nobody can be asked, it is done with `--yes` alone.
* With `--station` left out, the only station is meant.
* Exit status: 0 done, or well; 1 not done, or not well; 2 not understood.
* Bash completes commands, options, stations, loops and destinations, where Debian's `bash-completion` is installed.
  Elsewhere: `eval "$(_RADIOCTL_COMPLETE=bash_source radioctl)"`. From a checkout, `python -m hook_service.ctl` is the
  same program; `--config .run/radio.yml` leads it to the station of `make station`.

`radioctl doctor` looks, in this order, so that what is found first explains what follows, at: the configuration, the
modes of secrets, units, sockets, disks, the clock, the certificate, mounts, the platforms' names and ports, the
service and its token, `/health`, processes, what is sent, who told of tracks lately, loops and their preparation,
mappings that lead nowhere, and alerts. It changes nothing, and the platforms notice nothing of it.
"""
_FOOT = "\nMade by `make radioctl-docs` from the commands: change those, not this.\n"


def sections(command: click.Command, context: click.Context) -> Iterator[str]:
    """A command's section, then those of its subcommands."""
    yield f"\n## {context.command_path}\n\n```text\n{_help(command, context)}\n```\n"
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from sections(below, click.Context(below, parent=context, info_name=name))


def _help(command: click.Command, context: click.Context) -> str:
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def text() -> str:
    """The whole file."""
    # Its subcommands inherit what is said here.
    top = click.Context(
        radioctl,
        info_name="radioctl",
        help_option_names=["-h", "--help"],
        terminal_width=100,
        max_content_width=100,
    )
    return _HEAD + "".join(sections(radioctl, top)) + _FOOT


def main() -> int:
    """Write or compare; 1 where it differs."""
    parser = argparse.ArgumentParser(description="Make docs/RADIOCTL.md from the commands.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where it is out of date")
    arguments = parser.parse_args()
    wanted = text()
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == wanted:
        return 0
    if arguments.check:
        print("docs/RADIOCTL.md is out of date; run make radioctl-docs")
        return 1
    DOCUMENT.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
