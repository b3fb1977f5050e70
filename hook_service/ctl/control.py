"""What is done by hand and seen by viewers: switch, hold, slate, destinations and the like. Each asks first."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from hook_service.ctl import show
from hook_service.ctl.client import Api
from hook_service.ctl.common import (
    as_json,
    ask_first,
    destination,
    loop,
    process,
    say,
    station,
    sure,
    the_station,
)
from hook_service.ctl.reach import Reach

_seconds = click.option("--seconds", type=click.IntRange(1, 24 * 3600), help="Only for so long, then as before.")


def commands(radioctl: click.Group) -> None:
    """Add them."""
    for command in (_switch, _hold, _release, _next, _slate, _restart, _destinations):
        radioctl.add_command(command)


def _order(api: Api, code: str, what: str, body: dict[str, Any]) -> Any:
    return api.post(f"/stations/{quote(code, safe='')}/{what}", {k: v for k, v in body.items() if v is not None})


def _for(seconds: int | None, otherwise: str) -> str:
    return otherwise if seconds is None else f"for {show.span(seconds)}"


@click.command("switch", help="Show a loop now: until the next track, or for some seconds.")
@loop
@station
@_seconds
@sure
@as_json
@click.pass_obj
def _switch(where: Reach, loop: str, station: str | None, seconds: int | None, yes: bool, as_json: bool) -> None:
    api = where.api()
    code = the_station(api, station)
    how_long = _for(seconds, "until the next track")
    ask_first(f"Show {loop} on {code} now, {how_long}?", yes)
    done = _order(api, code, "switch", {"loop": loop, "seconds": seconds})
    say(f"{show.plain(loop)} is shown on {show.plain(code)} {how_long}.", done, as_json)


@click.command("hold", help="Keep a loop on the air whatever is played: this one, or the one that is shown now.")
@click.argument("loop", required=False)
@station
@_seconds
@sure
@as_json
@click.pass_obj
def _hold(where: Reach, loop: str | None, station: str | None, seconds: int | None, yes: bool, as_json: bool) -> None:
    api = where.api()
    code = the_station(api, station)
    how_long = _for(seconds, "until it is released")
    ask_first(f"Hold {loop or 'the loop that is shown'} on {code} {how_long}?", yes)
    done = _order(api, code, "hold", {"loop": loop, "seconds": seconds})
    say(f"{show.plain(loop) or 'What is shown'} is held on {show.plain(code)} {how_long}.", done, as_json)


@click.command("release", help="End what is held, and the slate: show again what belongs to the track.")
@station
@sure
@as_json
@click.pass_obj
def _release(where: Reach, station: str | None, yes: bool, as_json: bool) -> None:
    api = where.api()
    code = the_station(api, station)
    ask_first(f"Show what belongs to the track again on {code}?", yes)
    say(f"{show.plain(code)} follows its tracks again.", _order(api, code, "release", {}), as_json)


@click.command("next", help="Show the loop of what is played next, already now.")
@station
@sure
@as_json
@click.pass_obj
def _next(where: Reach, station: str | None, yes: bool, as_json: bool) -> None:
    api = where.api()
    code = the_station(api, station)
    ask_first(f"Show the next loop on {code} now?", yes)
    say(f"The next loop is shown on {show.plain(code)}.", _order(api, code, "next", {}), as_json)


@click.command("slate", help="Show the slate: until it is released, or for some seconds.")
@station
@_seconds
@sure
@as_json
@click.pass_obj
def _slate(where: Reach, station: str | None, seconds: int | None, yes: bool, as_json: bool) -> None:
    api = where.api()
    code = the_station(api, station)
    how_long = _for(seconds, "until it is released")
    ask_first(f"Show the slate on {code} {how_long}?", yes)
    say(
        f"The slate is shown on {show.plain(code)} {how_long}.",
        _order(api, code, "slate", {"seconds": seconds}),
        as_json,
    )


@click.command("restart", help="Begin a process of a station anew: publisher, audio, destination:NAME.")
@process
@station
@sure
@as_json
@click.pass_obj
def _restart(where: Reach, process: str, station: str | None, yes: bool, as_json: bool) -> None:
    api = where.api()
    code = the_station(api, station)
    ask_first(f"Begin {process} of {code} anew? Viewers may see a gap.", yes)
    done = _order(api, code, f"processes/{quote(process, safe='')}/restart", {})
    say(f"{show.plain(process)} of {show.plain(code)} is begun anew.", done, as_json)


@click.group("destinations", invoke_without_command=True, help="The platforms, and how sending to them goes.")
@as_json
@click.pass_context
def _destinations(context: click.Context, as_json: bool) -> None:
    if context.invoked_subcommand is not None:
        return
    found = context.obj.api().get("/destinations")
    if as_json:
        click.echo(show.document(found))
        return
    rows = [
        (
            show.plain(one["station"]),
            show.plain(one["name"]),
            show.state(one["state"]),
            show.since(one["since"]),
            str(one["restarts"]),
            f"{(one['progress'] or {}).get('kbps') or 0} kb/s",
            "" if one["lag_seconds"] is None else f"{one['lag_seconds']:.1f} s",
            show.plain(one["ingest"]) + (f": {show.plain(one['last_error'])}" if one["last_error"] else ""),
        )
        for one in found["items"]
    ]
    heads = ("station", "destination", "state", "for", "restarts", "rate", "behind", "to")
    click.echo("\n".join(show.table(heads, rows)) or "None is configured.")


def _verb(verb: str, help_text: str, question: str, done_text: str) -> None:
    """One order to a destination."""

    @_destinations.command(verb, help=help_text)
    @destination
    @station
    @sure
    @as_json
    @click.pass_obj
    def _(where: Reach, destination: str, station: str | None, yes: bool, as_json: bool) -> None:
        api = where.api()
        code = the_station(api, station)
        ask_first(question.format(destination, code), yes)
        done = api.post(f"/destinations/{quote(code, safe='')}/{quote(destination, safe='')}/{verb}")
        say(done_text.format(show.plain(destination), show.plain(code)), done, as_json)


_verb("start", "Send to a platform again.", "Send to {} of {}?", "{} of {} is being started.")
_verb(
    "stop",
    "Send nothing more to a platform, until it is started.",
    "Stop sending to {} of {}? Viewers there see nothing until it is started again.",
    "{} of {} is being stopped; it stays so until it is started.",
)
_verb(
    "restart",
    "Connect to a platform anew.",
    "Connect to {} of {} anew? Viewers there see a gap.",
    "{} of {} is being connected anew.",
)
