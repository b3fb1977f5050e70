"""The command, and how its looks are shown."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hook_service.ctl import show
from hook_service.ctl.common import as_json
from hook_service.ctl.doctor.finding import Look
from hook_service.ctl.reach import Reach

_HELP = """Find what is wrong, and explain it: what, where, and how to mend it.

It looks at the configuration, the secrets, the units and what they say, the disks, the clock, the certificate, the
mount, the platforms, the sources, the loops and the alerts. It changes nothing. On the host use sudo; with --url it
looks at what can be seen from elsewhere. Exit status 1 where anything is found."""


def commands(radioctl: click.Group) -> None:
    """Add it."""
    radioctl.add_command(_doctor)


@click.command("doctor", help=_HELP)
@as_json
@click.pass_context
def _doctor(context: click.Context, as_json: bool) -> None:
    from hook_service.ctl.doctor import rounds  # noqa: PLC0415 - the rest of the program does without

    where: Reach = context.obj
    looks = []
    for one in rounds.take(where):
        looks.append(one)
        if not as_json:
            click.echo("\n".join(page(one)))
    count = sum(len(one.findings) for one in looks)
    if as_json:
        click.echo(show.document({"well": not count, "checks": [one.document() for one in looks]}))
    else:
        said = f"{count} found." if count else "Nothing is wrong, as far as could be seen."
        click.echo("\n" + show.coloured(said, "bad" if count else "good"))
    context.exit(1 if count else 0)


def page(one: Look) -> Iterator[str]:
    """A look, and what it found, as lines."""
    yield f"{show.filled(show.state(one.state), 8)} {one.check:<14} {show.plain(one.said)}".rstrip()
    for finding in one.findings:
        yield f"  {show.state(finding.severity)}: {show.plain(finding.where)} {show.plain(finding.what)}"
        yield f"    {show.plain(finding.mend)}"
