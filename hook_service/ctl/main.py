"""The program itself: its options, its commands, and how troubles end it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from hook_service import __version__
from hook_service.ctl import control, loops, mappings, records, show, status, tokens
from hook_service.ctl.client import Trouble
from hook_service.ctl.common import reach
from hook_service.ctl.doctor import command as doctor

CONFIG = Path("/etc/radio/radio.yml")

_HELP = """Runs the station from a terminal.

On the host it finds the service and its token by itself (with sudo: the token is root's). Elsewhere give --url and
--token-file, or set RADIOCTL_URL and RADIOCTL_TOKEN_FILE. A token is never part of a command line: `ps` would show
it.

Exit status: 0 done or well, 1 not done or not well, 2 not understood."""

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 118}
_file = click.Path(path_type=Path, dir_okay=False)


class _Program(click.Group):
    """A group that tells troubles as what they are."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a Trouble becomes its message and exit status 1."""
        try:
            return super().invoke(ctx)
        except Trouble as trouble:
            raise click.ClickException(_said(str(trouble))) from None
        except BrokenPipeError:
            # `radioctl history | head` has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


def _said(text: str) -> str:
    return "\n".join(map(show.plain, text.splitlines()))


@click.group("radioctl", cls=_Program, help=_HELP, context_settings=_SETTINGS)
@click.option(
    "--config",
    type=_file,
    default=CONFIG,
    show_default=True,
    envvar="RADIOCTL_CONFIG",
    help="The host's configuration.",
)
@click.option("--url", envvar="RADIOCTL_URL", help="The service elsewhere: https://radio.example.org")
@click.option("--token-file", type=_file, envvar="RADIOCTL_TOKEN_FILE", help="A file with the token to ask with.")
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def radioctl(context: click.Context, /, **_options: Any) -> None:
    """The group."""
    context.obj = reach(context.params)
    # click leaves colours out where there is no terminal; NO_COLOR is for where there is one.
    if os.environ.get("NO_COLOR"):
        context.color = False


for _part in (status, records, loops, mappings, control, doctor, tokens):
    _part.commands(radioctl)


def main() -> int:
    """Entry point."""
    radioctl(prog_name="radioctl")
    return 0


if __name__ == "__main__":
    sys.exit(main())
