"""The device flow, with somebody at a browser who may be slow or say no."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hook_service.youtube import authorise, credentials
from hook_service.youtube.client import Client
from tests.rig.net import wait_until
from tests.rig.youtube import CHANGE, CLIENT_ID, CLIENT_SECRET, READ, REFRESH, Knobs, YouTube
from tests.rig.youtube_channel import STREAM


@pytest.fixture
def youtube(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[YouTube]:
    monkeypatch.chdir(tmp_path)
    downloaded = {"installed": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "project_id": "p"}}
    Path("client.json").write_text(json.dumps(downloaded))
    with YouTube(Knobs(), scope="") as site:
        yield site


@pytest.mark.parametrize(("arguments", "scope"), [([], READ), (["--rebind"], CHANGE)])
def test_it_writes_what_the_service_reads(
    arguments: list[str], scope: str, youtube: YouTube, capsys: pytest.CaptureFixture[str]
) -> None:
    youtube.knobs.allow = None
    status: list[int] = []
    command = threading.Thread(
        target=lambda: status.append(authorise.main(["client.json", *arguments], youtube.endpoints))
    )
    command.start()
    wait_until(lambda: any("/token" in asked for asked in youtube.asked), "a first question", 10)
    youtube.knobs.allow = "allowed"
    command.join(10)
    assert status == [0]
    assert youtube.scope == scope
    output = capsys.readouterr().out
    for said in (
        "https://www.google.com/device",
        "GQVQ-JKEC",
        "hook_service_youtube_credentials",
        f"{STREAM}  Radio",
    ):
        assert said in output
    for secret in (REFRESH, CLIENT_SECRET, "ya29.", "abcd-efgh"):
        assert secret not in output
    file = Path("youtube.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = Client(credentials.parse(file.read_text()), youtube.endpoints).stream(STREAM)
    assert found is not None


def test_no(youtube: YouTube, capsys: pytest.CaptureFixture[str]) -> None:
    youtube.knobs.allow = "denied"
    assert authorise.main(["client.json"], youtube.endpoints) == 1
    assert "not to allow it" in capsys.readouterr().err
    assert not Path("youtube.json").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "can't be read as JSON"),
        ("{}", "has no client_id"),
        ('{"installed": 5}', "has no client_id"),
        ('{"client_id": "other", "client_secret": "s"}', "Google refuses (401 invalid_client): client_id or"),
    ],
)
def test_a_client_that_is_none(text: str, said: str, youtube: YouTube, capsys: pytest.CaptureFixture[str]) -> None:
    Path("client.json").write_text(text)
    assert authorise.main(["client.json"], youtube.endpoints) == 1
    assert said in capsys.readouterr().err
