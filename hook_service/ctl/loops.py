"""`radioctl loops`: the videos that are shown, and how far their preparation is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from hook_service.ctl import show, upload
from hook_service.ctl.client import Api, Refused, Trouble
from hook_service.ctl.common import as_json, ask_first, loops, say_lines
from hook_service.ctl.reach import Reach

STATES = ("pending", "encoding", "prepared", "refused")
_LOOK_EVERY = 1.0
_CONFLICT = 409
_files = click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


def commands(radioctl: click.Group) -> None:
    """Add them."""
    radioctl.add_command(_loops)


@click.group("loops", help="The videos that are shown, and how far their preparation is.")
def _loops() -> None:
    pass


@_loops.command("list", help="All of them, by name, with how far they are and what uses them.")
@click.option("--query", "-q", help="Only those with this in their name or tags.")
@click.option("--state", type=click.Choice(STATES), help="Only those that are so far.")
@as_json
@click.pass_obj
def _list(where: Reach, query: str | None, state: str | None, as_json: bool) -> None:
    items = list(_all(where.api(), q=query, state=state))
    if as_json:
        click.echo(show.document({"items": items}))
        return
    rows = [
        (
            show.plain(item["name"]),
            show.size(item["size"]),
            show.clock(item["modified_at"]),
            _how_far(item),
            _used(item["used"]),
            ", ".join(map(show.plain, item["tags"] or [])),
        )
        for item in items
    ]
    say_lines(show.table(("name", "size", "changed", "state", "used", "tags"), rows))


def _all(api: Api, **query: str | None) -> Iterator[dict[str, Any]]:
    return api.items("/loops", query, cursor="after")


def _how_far(item: Mapping[str, Any]) -> str:
    text = show.state(item["state"])
    if item["reason"]:
        return f"{text}: {show.plain(item['reason'])}"
    return text if item["percent"] is None else f"{text} {item['percent']} %"


def _used(uses: Mapping[str, Any]) -> str:
    said = [f"{uses['mappings']} mappings"] if uses["mappings"] else []
    said += [show.plain(place) for place in uses["defaults"]]
    said += [f"on the air on {show.plain(station)}" for station in uses["on_air"]]
    return ", ".join(said) or show.coloured("no", "faint")


@_loops.command("add", help="Upload videos. What breaks off goes on where it was; what is there already is told.")
@_files
@click.option("--name", help="What it is to be called there, for a single file.")
@click.option("--wait", is_flag=True, help="Return when they are prepared.")
@as_json
@click.pass_obj
def _add(where: Reach, files: tuple[Path, ...], name: str | None, wait: bool, as_json: bool) -> None:
    if name is not None and len(files) > 1:
        raise click.UsageError("--name is for a single file.")
    api = where.api()
    done: list[dict[str, Any]] = []
    for file in files:
        found = _upload(api, file, name or file.name, quiet=as_json)
        done.append(found)
        if not as_json:
            there = "is there already, as" if found["state"] == "duplicate" else "is now"
            click.echo(f"{show.plain(file.name)} {there} {show.plain(found['name'])}.")
    if wait:
        _until_prepared(api, [found["name"] for found in done], as_json)
    if as_json:
        click.echo(show.document({"items": done}))


def _upload(api: Api, file: Path, called: str, quiet: bool) -> dict[str, Any]:
    length = file.stat().st_size
    with click.progressbar(
        length=max(length, 1), label=show.plain(called), file=sys.stderr, hidden=quiet or not sys.stderr.isatty()
    ) as bar:
        return upload.send(api, file, called, lambda sent: bar.update(sent - bar.pos))


@_loops.command(
    "remove", help="Take videos out of the library. `radioctl loops restore` has them back for some days."
)
@loops
@click.option("--force", is_flag=True, help="Although something uses them: that falls back to the default loop.")
@as_json
@click.pass_obj
def _remove(where: Reach, loops: tuple[str, ...], force: bool, as_json: bool) -> None:
    api = where.api()
    done = []
    for loop in loops:
        found = _removed(api, loop, force)
        done.append(found)
        if not as_json:
            until = show.clock(found["until"])
            click.echo(f"{show.plain(loop)} is removed; until {until} it can be restored.")
    if as_json:
        click.echo(show.document({"items": done}))


def _removed(api: Api, loop: str, force: bool) -> Any:
    try:
        return api.ask("DELETE", "/loops", query={"name": loop, "force": "true" if force else None})
    except Refused as refused:
        if refused.status != _CONFLICT or not refused.problem.get("may_be_forced"):
            raise
        used = refused.problem.get("used")
        if not sys.stdin.isatty():
            raise Trouble(
                f"{loop} is used ({_used(used) if used else 'by something'}): --force removes it all the same."
            ) from None
        ask_first(f"{loop} is used ({_used(used) if used else 'by something'}). Remove it all the same?", yes=False)
        return api.ask("DELETE", "/loops", query={"name": loop, "force": "true"})


@_loops.command("restore", help="Have removed videos back. Without a name: what there is to restore.")
@click.argument("names", metavar="[LOOP...]", nargs=-1)
@as_json
@click.pass_obj
def _restore(where: Reach, names: tuple[str, ...], as_json: bool) -> None:
    api = where.api()
    trash = api.get("/loops/trash")["items"]
    if not names:
        rows = [
            (
                show.plain(item["name"]),
                show.size(item["size"]),
                f"{show.clock(item['deleted_at'])} by {show.plain(item['deleted_by'])}",
                show.clock(item["until"]),
            )
            for item in trash
        ]
        if as_json:
            click.echo(show.document({"items": trash}))
        else:
            say_lines(show.table(("name", "size", "removed", "until"), rows))
        return
    done = []
    for name in names:
        # The latest first: the one of several that is meant.
        found = next((item for item in trash if item["name"] == name), None)
        if found is None:
            raise Trouble(f"{name} is not among what was removed.")
        done.append(api.post("/loops/restore", {"id": found["id"]}))
        if not as_json:
            click.echo(f"{show.plain(name)} is back.")
    if as_json:
        click.echo(show.document({"items": done}))


@_loops.command("prepare", help="Try refused videos again, and return when all that are named are prepared.")
@loops
@as_json
@click.pass_obj
def _prepare(where: Reach, loops: tuple[str, ...], as_json: bool) -> None:
    api = where.api()
    for loop in loops:
        api.post("/loops/prepare", {"name": loop})
    items = _until_prepared(api, list(loops), as_json)
    if as_json:
        click.echo(show.document({"items": items}))


def _until_prepared(api: Api, names: list[str], quiet: bool) -> list[dict[str, Any]]:
    """Return when each of them is prepared. Raises Trouble for one that is refused, or is not there."""
    told: dict[str, str] = {}
    while True:
        items = []
        for name in names:
            item = next((item for item in _all(api, q=name) if item["name"] == name), None)
            if item is None:
                raise Trouble(f"{name} is not in the library.")
            if item["state"] == "refused":
                raise Trouble(f"{name} is refused: {item['reason']}")
            text = f"{show.plain(name)}: {_how_far(item)}"
            if not quiet and told.get(name) != text:
                click.echo(text)
            told[name] = text
            items.append(item)
        if all(item["state"] == "prepared" for item in items):
            return items
        time.sleep(_LOOK_EVERY)
