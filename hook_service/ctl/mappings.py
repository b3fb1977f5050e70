"""`radioctl map`: which loop is shown with which track."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hook_service.ctl import show
from hook_service.ctl.client import Api, Trouble
from hook_service.ctl.common import as_json, loop, say, say_lines, station
from hook_service.ctl.reach import Reach

_KINDS = ("track", "album", "artist", "playlist")


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


@_map.command("export", help="Write all mappings as CSV to a file, or to stdout.")
@click.argument("file", type=click.File("wb"), default="-")
@click.pass_obj
def _export(where: Reach, file: Any) -> None:
    answer = where.api().raw("GET", "/api/v1/mappings/export", {"Accept": "text/csv"})
    file.write(answer.body)


@_map.command("import", help="Read mappings from CSV. It is said what would change, and done with --apply.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", is_flag=True, help="Do it.")
@as_json
@click.pass_context
def _import(context: click.Context, file: Path, apply: bool, as_json: bool) -> None:
    api: Api = context.obj.api()
    found = _sent(api, file.read_bytes(), apply)
    bad = found.get("errors") or []
    if as_json:
        click.echo(show.document(found))
    else:
        for line in bad:
            click.echo(f"line {line['line']}: {show.plain(line['reason'])}", err=True)
    if bad:
        context.exit(1)


def _sent(api: Api, content: bytes, apply: bool) -> dict[str, Any]:
    query = {"dry_run": "false" if apply else "true"}
    found = api.raw("POST", "/api/v1/mappings/import", {"Content-Type": "text/csv"}, content, query).json()
    if not isinstance(found, dict):
        raise Trouble("The service does not say what would change.")
    return found
