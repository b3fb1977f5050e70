"""`radioctl history`, `errors` and `alerts`: what has been, and what is wrong now."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from hook_service.ctl import show
from hook_service.ctl.common import as_json, say_lines, station
from hook_service.ctl.reach import Reach
from hook_service.ctl.status import loop_name

_WHEN = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"])

_since = click.option("--since", type=_WHEN, help="Only from this time on, in this machine's zone.")
_until = click.option("--until", type=_WHEN, help="Only before this time.")
_limit = click.option(
    "--limit", "-n", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many at most."
)


def commands(radioctl: click.Group) -> None:
    """Add them."""
    for command in (_history, _errors, _alerts):
        radioctl.add_command(command)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone().isoformat()


@click.command("history", help="The tracks that were played, the latest first, with their loops.")
@station
@click.option("--query", "-q", help="Only those with this in artist, title, album or key, or of this request.")
@_since
@_until
@_limit
@as_json
@click.pass_obj
def _history(
    where: Reach,
    station: str | None,
    query: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    asked = {"station": station, "q": query, "since": _iso(since), "until": _iso(until)}
    items = list(where.api().items("/history", asked, most=limit))
    if as_json:
        click.echo(show.document({"items": items}))
        return
    rows = [
        (
            show.clock(item["started_at"]),
            show.span(item["duration_seconds"]) if item["duration_seconds"] is not None else "now",
            show.plain(item["station"]),
            show.song(item),
            loop_name(item["loop_file_path"]),
            show.plain(item["resolved_by"]) + (show.coloured(" with errors", "bad") if item["had_errors"] else ""),
        )
        for item in items
    ]
    say_lines(show.table(("began", "for", "station", "track", "loop", "by"), rows))


@click.command("errors", help="The error log, the latest first.")
@station
@click.option("--severity", type=click.Choice(["WARNING", "ERROR", "CRITICAL"]), help="Only of this severity.")
@_since
@_until
@_limit
@as_json
@click.pass_obj
def _errors(
    where: Reach,
    station: str | None,
    severity: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    asked = {"station": station, "severity": severity, "since": _iso(since), "until": _iso(until)}
    items = list(where.api().items("/errors", asked, most=limit))
    if as_json:
        click.echo(show.document({"items": items}))
        return
    rows = [
        (
            show.clock(item["timestamp"]),
            show.state(item["severity"]),
            show.plain(item["station"]),
            show.plain(item["service"]),
            show.plain(item["message"]) + _why(item["context"]),
        )
        for item in items
    ]
    say_lines(show.table(("time", "severity", "station", "service", "message"), rows))


def _why(context: Any) -> str:
    if not isinstance(context, dict):
        return ""
    why = context.get("why") or context.get("error") or context.get("last_error")
    return f": {show.plain(why if isinstance(why, str) else json.dumps(why))}" if why else ""


@click.command("alerts", help="What Prometheus says is wrong now. Exit status 1 while anything is.")
@as_json
@click.pass_context
def _alerts(context: click.Context, as_json: bool) -> None:
    found = context.obj.api().get("/alerts")
    items = found["items"]
    if as_json:
        click.echo(show.document(found))
    else:
        rows = [
            (
                show.state(item.get("severity")),
                show.plain(item.get("name")),
                show.plain(item.get("station")),
                show.since(item.get("since")),
                show.plain(item.get("summary")) + (" (silenced)" if item.get("silenced") else ""),
            )
            for item in items
        ]
        say_lines(show.table(("severity", "alert", "station", "for", ""), rows), "Nothing is wrong.")
    if not all(item.get("silenced") for item in items):
        context.exit(1)
