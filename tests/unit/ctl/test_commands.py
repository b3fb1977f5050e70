"""The commands as a program gets them: what is asked of the service, what is said, how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from hook_service.ctl.main import radioctl
from tests import radioctl_docs
from tests.unit.ctl.server import Asked, Reply, document, serving

ROOT = Path(__file__).parents[3]


def run(url: str, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(radioctl, ["--url", url, *arguments], input=stdin)


def test_the_document_is_that_of_the_commands() -> None:
    assert radioctl_docs.DOCUMENT.read_text(encoding="utf-8") == radioctl_docs.text(), "run make radioctl-docs"


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, *path, name)
    return found


@pytest.mark.parametrize("path", commands(radioctl), ids=" ".join)
def test_every_command_has_help_and_says_json(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(radioctl, [*path, "--help"])
    assert done.exit_code == 0
    command: click.Command = radioctl
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert command.help
    if not isinstance(command, click.Group) and path != ("map", "export"):
        assert "--json" in done.output


def test_help_is_there_without_docstrings() -> None:
    """As a host runs it."""
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "hook_service.ctl", "loops", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert "The videos that are shown" in done.stdout
    assert "Upload videos." in done.stdout


def test_what_viewers_see_is_not_done_unasked() -> None:
    with serving(lambda _: document({"accepted": True}, 202)) as said:
        done = run(said.url, "switch", "party.mp4", "--station", "demo")
        assert done.exit_code == 2
        assert "say --yes" in done.stderr
        assert not said.asked
        done = run(said.url, "switch", "party.mp4", "--station", "demo", "--seconds", "60", "--yes")
    assert done.exit_code == 0, done.output
    assert done.stdout == "party.mp4 is shown on demo for 1 min.\n"
    assert said.asked[0].path == "/api/v1/stations/demo/switch"
    assert json.loads(said.asked[0].body) == {"loop": "party.mp4", "seconds": 60}


def test_the_only_station_is_meant_and_of_several_none() -> None:
    stations: dict[str, dict[str, str]] = {"demo": {}}

    def answer(asked: Asked) -> Reply:
        return document({"stations": stations} if asked.method == "GET" else {"accepted": True})

    with serving(answer) as said:
        assert run(said.url, "release", "--yes").exit_code == 0
        assert said.asked[-1].path == "/api/v1/stations/demo/release"
        stations["jazz"] = {}
        done = run(said.url, "release", "--yes")
    assert done.exit_code == 2
    assert "demo, jazz" in done.stderr


def test_troubles_end_it_with_one_and_no_traceback() -> None:
    with serving(lambda _: document({"detail": "The database does not answer.\x1b[2J"}, 503)) as said:
        done = run(said.url, "history")
    assert done.exit_code == 1
    assert done.stderr == "Error: The database does not answer.\N{REPLACEMENT CHARACTER}[2J\n"
    assert done.stdout == ""


def test_a_token_is_said_once_and_alone() -> None:
    with serving(lambda _: document({"id": 7, "token": "tok-1", "name": "laptop"}, 201)) as said:
        done = run(said.url, "tokens", "create", "laptop", "--scope", "read", "--scope", "control", "--days", "30")
    assert done.stdout == "tok-1\n"
    assert json.loads(said.asked[0].body)["scopes"] == ["read", "control"]


def test_no_option_takes_a_token() -> None:
    for path in [(), *commands(radioctl)]:
        done = CliRunner().invoke(radioctl, [*path, "--help"])
        assert "--token " not in done.output


def test_alerts_that_fire_are_an_exit_status() -> None:
    items = [
        {"name": "PictureBlack", "severity": "critical", "station": "demo", "summary": "black", "silenced": False}
    ]
    with serving(lambda _: document({"items": items})) as said:
        assert run(said.url, "alerts").exit_code == 1
        items.clear()
        done = run(said.url, "alerts")
    assert (done.exit_code, done.stdout) == (0, "Nothing is wrong.\n")


def complete(line: str, **environment: str) -> list[str]:
    """What bash would offer for the last word of a line."""
    done = subprocess.run(
        [sys.executable, "-m", "hook_service.ctl"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
        env={
            **os.environ, "_RADIOCTL_COMPLETE": "bash_complete", "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1), **environment,
        },
    )  # fmt: skip
    return [one.partition(",")[2] for one in done.stdout.splitlines() if one]


def test_the_shell_completes_what_the_service_knows(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/api/v1/loops"):
            return document(
                {"items": [{"name": name} for name in ("party.mp4", "pause.mp4", "p\x1b.mp4")], "next": None}
            )
        return document({"stations": {"demo": {}}})

    with serving(answer) as said:
        here = {"RADIOCTL_URL": said.url, "RADIOCTL_TOKEN_FILE": str(token)}
        assert complete("radioctl sw", **here) == ["switch"]
        assert complete("radioctl switch pa", **here) == ["party.mp4", "pause.mp4"]
        assert complete("radioctl switch party.mp4 --station ", **here) == ["demo"]
        assert said.asked[-1].headers["authorization"] == "Bearer t"
    # Nobody there: nothing is offered, and nothing is said into the line.
    assert complete("radioctl switch pa", **here) == []
