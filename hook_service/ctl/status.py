"""`radioctl status`: what is on the air, and how all that helps is doing; once, or until it is interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import click

from hook_service.ctl import show
from hook_service.ctl.client import Api, Refused, Trouble
from hook_service.ctl.common import as_json
from hook_service.ctl.reach import Reach

EVERY = 1.0
"""Seconds between two looks of --watch."""


def commands(radioctl: click.Group) -> None:
    """Add it."""
    radioctl.add_command(_status)


@click.command("status", help="What is on the air now, and the state of every process and destination.")
@click.option("--watch", "-w", is_flag=True, help="Look every second, until Ctrl-C.")
@as_json
@click.pass_context
def _status(context: click.Context, watch: bool, as_json: bool) -> None:
    where: Reach = context.obj
    api = where.api()
    if watch:
        # Ctrl-C is how a watch ends, and no failure.
        with contextlib.suppress(KeyboardInterrupt):
            _watch(api, as_json, colours=context.color is not False)
        return
    found = fetch(api)
    click.echo(show.document(found) if as_json else "\n".join(page(found)))


def fetch(api: Api) -> dict[str, Any]:
    """`status`, `destinations` and `health` in one document. Raises Trouble."""
    return {
        **api.get("/status"),
        "destinations": api.get("/destinations")["items"],
        "health": health(api),
    }


def health(api: Api) -> dict[str, Any]:
    """`/health`, which says the same whether its status is 200 or 503."""
    try:
        found = api.raw("GET", "/health").json()
    except Refused as refused:
        # Off the air is no refusal: it is what was asked for.
        found = refused.problem
    if not isinstance(found, dict) or "stations" not in found:
        raise Trouble("The service does not tell its health.")
    return found


def _watch(api: Api, as_json: bool, colours: bool) -> None:
    screen = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    while True:
        began = time.monotonic()
        try:
            found = fetch(api)
            lines = [json.dumps(found, default=str)] if as_json else page(found)
        except Trouble as trouble:
            # It may be about to come back, and that is what is being watched for.
            lines = [json.dumps({"error": str(trouble)})] if as_json else [show.coloured(str(trouble), "bad")]
        if screen and not as_json:
            _draw(lines if colours else [click.unstyle(line) for line in lines])
        else:
            click.echo("\n".join(lines if as_json else [*lines, ""]))
        time.sleep(max(0.0, EVERY - (time.monotonic() - began)))


def _draw(lines: list[str]) -> None:
    """Line by line over what was there, so that nothing flickers. Not by click, which without colours draws none."""
    room = shutil.get_terminal_size().lines - 1
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines[:room]) + "\x1b[J")
    sys.stdout.flush()


def page(found: Mapping[str, Any]) -> list[str]:
    """The whole of it, as lines."""
    lines = [f"Steadycast {show.plain(found['version'])}: {show.state(found['status'])}"]
    wrong = [
        f"{show.plain(name)} {show.state(part['status'])}"
        for name, part in found["health"]["components"].items()
        if part["status"] != "up"
    ]
    if wrong:
        lines.append("  not well: " + ", ".join(wrong))
    for code, its in found["stations"].items():
        told = found["health"]["stations"].get(code, {})
        sent = [one for one in found["destinations"] if one["station"] == code]
        lines += ["", *_station(code, its, told, sent)]
    return lines


def _station(code: str, its: Mapping[str, Any], told: Mapping[str, Any], sent: list[dict[str, Any]]) -> Iterator[str]:
    name = show.plain(its["name"])
    yield (
        click.style(show.plain(code), bold=True)
        + (f"  {name}" if name != code else "")
        + f"  {show.state(told.get('status', 'unknown'))}"
    )
    facts = [*_picture(its), ("sound", _sound(its)), ("seen", _seen(its, told)), ("told by", _sources(its))]
    for what, text in facts:
        yield f"  {what:<8} {text}"
    rows = [
        (
            show.plain(process["name"]),
            show.state(process["state"]),
            show.since(process["since"]),
            _restarts(process),
            show.plain(process["last_error"]),
        )
        for process in its["processes"]
        if not process["name"].startswith("destination:")
    ]
    rows += [
        (
            show.plain(one["name"]),
            show.state(one["state"]),
            show.since(one["since"]),
            _restarts(one),
            _sending(one),
        )
        for one in sent
    ]
    for line in show.table(("process", "state", "for", "restarts", ""), rows):
        yield f"  {line}"


def _sending(one: Mapping[str, Any]) -> str:
    """Where a destination is, and how sending to it goes."""
    place = f"to {show.plain(one['ingest'])}"
    if not one.get("wanted", True):
        return f"{place}: stopped by hand"
    if one["state"] != "RUNNING" and one["last_error"]:
        return f"{place}: {show.plain(one['last_error'])}"
    kbps = (one.get("progress") or {}).get("kbps")
    return f"{kbps} kb/s {place}" if kbps else place


def _restarts(process: Mapping[str, Any]) -> str:
    count = process.get("restarts") or 0
    return show.coloured(str(count), "warn") if count else "0"


def loop_name(path: Any) -> str:
    """A loop as people call it: its file's name."""
    return show.plain(PurePosixPath(path).name if path else path)


def _picture(its: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    on_air, track = its.get("on_air"), its.get("track")
    yield "track", show.song(track) or "none that is known"
    if on_air is None:
        yield "loop", show.coloured("unknown: the playout does not answer", "bad")
        return
    why = (track or {}).get("rule") if on_air.get("play_id") == (track or {}).get("play_id") else on_air.get("reason")
    said = [f"for {show.since(on_air.get('since'))}" if on_air.get("since") else "", show.plain(why)]
    if on_air.get("preparing"):
        said.append("while it is being prepared")
    yield "loop", loop_name(on_air["loop"]) + "  " + show.coloured(", ".join(filter(None, said)), "faint")
    if its.get("override"):
        yield "by hand", show.coloured(_by_hand(its["override"]), "warn")
    if its.get("next"):
        yield "next", loop_name(its["next"]["loop"])


def _by_hand(override: Mapping[str, Any]) -> str:
    what = loop_name(override["loop"]) or "the slate"
    until = show.clock(override["until"])
    return f"{what}, by {show.plain(override['by'])}, until {until or 'it is released'}"


def _sound(its: Mapping[str, Any]) -> str:
    audio = its.get("audio") or {}
    mount = audio.get("mount") or {}
    text = show.state(audio.get("source") or "unknown")
    if mount and mount.get("state") != "connected":
        text += f"; the mount is {show.state(mount.get('state'))}"
        if mount.get("error"):
            text += f": {show.plain(mount['error'])}"
    return text


def _seen(its: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    onair = its.get("onair")
    if not onair or not onair.get("up"):
        return show.coloured("not known: the monitor sees nothing", "warn")
    wrong = [what for what in ("black", "frozen", "silent") if onair.get(what)]
    text = ", ".join(map(show.state, wrong)) if wrong else show.coloured("picture moves, sound is heard", "good")
    figures = []
    if (onair.get("bitrate_bps") or {}).get("video"):
        figures.append(f"{sum(onair['bitrate_bps'].values()) / 1e6:.1f} Mb/s")
    elif told.get("relay"):
        figures.append(f"{told['relay'].get('kbps')} kb/s")
    if onair.get("loudness_lufs") is not None:
        figures.append(f"{onair['loudness_lufs']:.1f} LUFS")
    return f"{text}  {show.coloured(', '.join(figures), 'faint')}" if figures else text


def _sources(its: Mapping[str, Any]) -> str:
    sources = its["sources"]
    at = sources["webhook"]["last_at"]
    said = [f"webhook {show.since(at)} ago" if at else "no webhook yet"]
    said += [
        f"{name} {show.state(sources[name]['state'])}" for name in ("sse", "poll") if sources[name]["state"] != "off"
    ]
    titles = sources["icy"]
    if titles["titles"]:
        said.append(f"titles in the sound ({'trusted' if titles['trusted'] else 'not trusted yet'})")
    return ", ".join(said)
