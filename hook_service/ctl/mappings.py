"""`radioctl map`: which loop is shown with which track."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import click

from hook_service.ctl import csvparts, show
from hook_service.ctl.client import Api
from hook_service.ctl.common import as_json, loop, say, say_lines, station
from hook_service.ctl.reach import Reach

_KINDS = ("track", "album", "artist", "playlist")
_COUNTED = ("lines", "blank", "bad", "created", "replaced", "unchanged")


def commands(radioctl: click.Group) -> None:
    """Add them."""
    radioctl.add_command(_map)


@click.group("map", help="Which loop is shown with which track.")
def _map() -> None:
    pass


@_map.command("list", help="The mappings, by key.")
@station
@click.option("--kind", type=click.Choice(_KINDS), help="Only of this kind.")
@click.option("--query", "-q", help="Only those with this in key or loop.")
@as_json
@click.pass_obj
def _list(where: Reach, station: str | None, kind: str | None, query: str | None, as_json: bool) -> None:
    items = list(where.api().items("/mappings", {"station": station, "kind": kind, "q": query}))
    if as_json:
        click.echo(show.document({"items": items}))
        return
    rows = [
        (
            str(item["id"]),
            show.plain(item["station"]),
            show.plain(item["kind"]),
            show.plain(item["track_key"]),
            show.plain(item["loop_file_path"]),
            str(item["play_count"]),
        )
        for item in items
    ]
    say_lines(show.table(("number", "station", "kind", "key", "loop", "plays"), rows))


@_map.command("set", help="Show LOOP with a track, album, artist or playlist. What was mapped before is replaced.")
@loop
@click.option("--artist", help="Of the track.")
@click.option("--title", help="Of the track.")
@click.option("--key", help="In place of artist and title: the track's key, or the album, artist or playlist.")
@click.option("--kind", type=click.Choice(_KINDS), default="track", show_default=True, help="What the key is of.")
@station
@as_json
@click.pass_obj
def _set(
    where: Reach,
    loop: str,
    artist: str | None,
    title: str | None,
    key: str | None,
    kind: str,
    station: str | None,
    as_json: bool,
) -> None:
    if key is None and (artist is None or title is None or kind != "track"):
        raise click.UsageError("Name a track by --artist and --title, anything else by --key.")
    body = {
        "loop_file_path": loop,
        "station": station or "*",
        "kind": kind,
        "artist": artist,
        "title": title,
        "track_key": key,
    }
    done = where.api().ask("PUT", "/mappings", {name: value for name, value in body.items() if value is not None})
    whose = "all stations" if done["station"] == "*" else show.plain(done["station"])
    say(f"{show.plain(done['track_key'])} shows {show.plain(loop)} on {whose}.", done, as_json)


@_map.command("remove", help="Remove mappings, by their numbers.")
@click.argument("numbers", metavar="NUMBER...", nargs=-1, required=True, type=click.IntRange(1, 2**31 - 1))
@as_json
@click.pass_obj
def _remove(where: Reach, numbers: tuple[int, ...], as_json: bool) -> None:
    api = where.api()
    for number in numbers:
        api.ask("DELETE", f"/mappings/{number}")
        if not as_json:
            click.echo(f"Mapping {number} is removed.")
    if as_json:
        click.echo(show.document({"removed": list(numbers)}))


@_map.command("export", help="Write mappings as CSV, to a file or to stdout. `radioctl map import` reads it again.")
@click.argument("file", type=click.File("wb"), default="-")
@click.option("--songs", is_flag=True, help="All songs of the library in place of the mappings, to be filled in.")
@click.option("--unmapped", is_flag=True, help="Only songs to which no mapping leads.")
@station
@click.pass_obj
def _export(where: Reach, file: BinaryIO, songs: bool, unmapped: bool, station: str | None) -> None:
    path = "/api/v1/songs/export" if songs or unmapped else "/api/v1/mappings/export"
    query = {"station": station, "mapped": "false" if unmapped else None}
    file.write(where.api().raw("GET", path, {"Accept": "text/csv"}, query=query).body)


@_map.command("import", help="Read mappings from CSV. It is said what would change, and done with --apply.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", is_flag=True, help="Do it. Bad lines are left out, and told.")
@as_json
@click.pass_context
def _import(context: click.Context, file: Path, apply: bool, as_json: bool) -> None:
    api: Api = context.obj.api()
    total: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    missing: dict[str, None] = {}
    for first_line, text in csvparts.parts(csvparts.read(file)):
        found = api.post("/mappings/import", {"csv": text, "dry_run": not apply, "first_line": first_line})
        total.update({name: found[name] for name in _COUNTED})
        bad += found["bad_lines"]
        missing |= dict.fromkeys(found["missing_loops"])
    if as_json:
        lists = {"bad_lines": bad, "missing_loops": list(missing), "dry_run": not apply}
        click.echo(show.document({**dict.fromkeys(_COUNTED, 0), **total, **lists}))
    else:
        for line in bad:
            click.echo(f"line {line['line']} {show.plain(line['reason'])}", err=True)
        if missing:
            click.echo(f"These loops are not there yet: {', '.join(map(show.plain, missing))}", err=True)
        said = [f"{total['created']} made", f"{total['replaced']} replaced", f"{total['unchanged']} unchanged"]
        said += [f"{total['bad']} bad lines left out"] if total["bad"] else []
        click.echo(("" if apply else "It would be: ") + ", ".join(said) + ".")
    if bad:
        context.exit(1)
