"""`radioctl tokens`: who may ask the API for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from hook_service.ctl import show
from hook_service.ctl.common import as_json, say, say_lines
from hook_service.ctl.reach import Reach

SCOPES = ("read", "control", "library", "mappings", "admin")


def commands(radioctl: click.Group) -> None:
    """Add them."""
    radioctl.add_command(_tokens)


@click.group("tokens", invoke_without_command=True, help="The API's tokens: who may do what, and until when.")
@as_json
@click.pass_context
def _tokens(context: click.Context, as_json: bool) -> None:
    if context.invoked_subcommand is not None:
        return
    items = list(context.obj.api().items("/tokens"))
    if as_json:
        click.echo(show.document({"items": items}))
        return
    rows = [
        (
            str(item["id"]),
            show.plain(item["name"]),
            " ".join(map(show.plain, item["scopes"])),
            show.plain(item["created_by"]),
            show.clock(item["last_used_at"]) or "never",
            _ends(item["expires_at"], item["revoked_at"]),
        )
        for item in items
    ]
    say_lines(show.table(("number", "name", "may", "made by", "last used", "until"), rows))


def _ends(expires: str | None, revoked: str | None) -> str:
    if revoked:
        return show.coloured(f"revoked {show.clock(revoked)}", "bad")
    at = show.moment(expires)
    if at is not None and at < datetime.now(UTC):
        return show.coloured(f"expired {show.clock(expires)}", "bad")
    return show.clock(expires) or "for ever"


@_tokens.command("create", help="Make a token. It is shown once, here, and kept by nobody.")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), default=("read",), show_default=True,
    help="What it may do; can be given several times.",
)  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3650), help="For how many days it is good; for ever without.")
@as_json
@click.pass_obj
def _create(where: Reach, name: str, scopes: tuple[str, ...], days: int | None, as_json: bool) -> None:
    body: dict[str, object] = {"name": name, "scopes": list(scopes)}
    if days is not None:
        body["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    made = where.api().post("/tokens", body)
    # The token alone on stdout: it can go into a file without being seen.
    say(show.plain(made["token"]), made, as_json)
    if not as_json:
        click.echo(f"Token {show.plain(name)} is made. It is not shown again.", err=True)


@_tokens.command("revoke", help="Let a token open nothing any more, by its number.")
@click.argument("number", type=click.IntRange(min=1))
@as_json
@click.pass_obj
def _revoke(where: Reach, number: int, as_json: bool) -> None:
    done = where.api().ask("DELETE", f"/tokens/{number}")
    say(f"Token {number} opens nothing any more.", done, as_json)
