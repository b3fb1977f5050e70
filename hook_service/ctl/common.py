"""What the commands share: their options, what they complete, and how they ask first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from hook_service.ctl import show
from hook_service.ctl.client import Api, Trouble
from hook_service.ctl.reach import Reach

_PATIENCE = 2.0
"""Seconds that completion waits for the service: a person holds the key."""

Command = TypeVar("Command", bound=Callable[..., Any])
Names = Callable[[Api], Iterable[str]]

as_json = click.option("--json", "as_json", is_flag=True, help="Say it as JSON, for programs.")
sure = click.option("--yes", "-y", is_flag=True, help="Do not ask first, although viewers will see it.")


def _completed(names: Names) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            api = reach(context.find_root().params).api()
            found = names(Api(api.url, api.token, _PATIENCE))
            # Printed by the shell as it is: a name that a terminal would act on is not offered.
            return [CompletionItem(name) for name in found if name.startswith(begun) and show.plain(name) == name]
        except (Trouble, KeyError, TypeError):
            return []

    return complete


def reach(said: dict[str, Any]) -> Reach:
    """Of the options of the program itself."""
    return Reach(said["config"], said.get("url"), said.get("token_file"))


def _stations(api: Api) -> Iterable[str]:
    return list(api.get("/status")["stations"])


def _loops(api: Api) -> Iterable[str]:
    return [item["name"] for item in api.items("/loops", most=2000, cursor="after")]


def _destinations(api: Api) -> Iterable[str]:
    return sorted({item["name"] for item in api.get("/destinations")["items"]})


def _processes(api: Api) -> Iterable[str]:
    stations = api.get("/status")["stations"].values()
    return sorted({process["name"] for its in stations for process in its["processes"]})


def station(command: Command) -> Command:
    """The option --station, which may be left out where there is only one."""
    return click.option("--station", "-s", shell_complete=_completed(_stations), help="Shortcode of the station.")(
        command
    )


def loop(command: Command) -> Command:
    """The argument LOOP."""
    return click.argument("loop", shell_complete=_completed(_loops))(command)


def loops(command: Command) -> Command:
    """The argument LOOP, one or several."""
    return click.argument("loops", metavar="LOOP...", nargs=-1, required=True, shell_complete=_completed(_loops))(
        command
    )


def destination(command: Command) -> Command:
    """The argument DESTINATION."""
    return click.argument("destination", shell_complete=_completed(_destinations))(command)


def process(command: Command) -> Command:
    """The argument PROCESS."""
    return click.argument("process", shell_complete=_completed(_processes))(command)


def the_station(api: Api, said: str | None) -> str:
    """The station that is meant: the one that was named, or the only one there is."""
    if said is not None:
        return said
    found = list(_stations(api))
    if len(found) == 1:
        return found[0]
    raise click.UsageError(f"Say which station with --station: {', '.join(map(show.plain, found))}")


def ask_first(question: str, yes: bool) -> None:
    """Return once a person agrees. Where nobody can be asked, only --yes does."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Viewers will see this, and there is nobody to ask: say --yes to do it.")
    click.confirm(show.plain(question), abort=True, err=True)


def say(text: str, document: Any, machine: bool) -> None:
    """What came of an order: a sentence, or the answer itself as JSON."""
    click.echo(show.document(document) if machine else text)


def say_lines(lines: Iterable[str], empty: str = "None.") -> None:
    """Lines, or that there are none."""
    found = list(lines)
    click.echo("\n".join(found) if found else empty)
