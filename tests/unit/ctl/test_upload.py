"""Uploads over a line that breaks."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from hook_service.ctl import upload
from hook_service.ctl.client import Api, Refused, Trouble
from tests.unit.ctl.server import Asked, Reply, document, serving

PLACE = "/api/v1/uploads/0123"


class Tus:
    """A server that keeps what comes, and now and then breaks off."""

    def __init__(self, breaks: dict[int, Callable[[Tus, Asked], Reply]]) -> None:
        self.content = b""
        self.pieces = 0
        self.removed = False
        self.breaks = breaks

    def __call__(self, asked: Asked) -> Reply:
        assert asked.headers["authorization"] == "Bearer t"
        if asked.method == "POST":
            assert asked.headers["tus-resumable"] == "1.0.0"
            assert (
                base64.b64decode(asked.headers["upload-metadata"].removeprefix("filename ")).decode() == "Grüße.mp4"
            )
            # Wherever it says the place is, it is asked at the address that was given.
            return 201, {"Location": f"https://elsewhere.example{PLACE}"}, b""
        assert asked.path == PLACE
        if asked.method == "HEAD":
            return 200, {"Upload-Offset": str(len(self.content))}, b""
        if asked.method == "DELETE":
            self.removed = True
            return 204, {}, b""
        if asked.method == "GET":
            return document({"state": "done", "name": "Grüße.mp4"})
        self.pieces += 1
        if self.pieces in self.breaks:
            return self.breaks[self.pieces](self, asked)
        return self.take(asked)

    def take(self, asked: Asked) -> Reply:
        if int(asked.headers["upload-offset"]) != len(self.content):
            return document({"detail": "go on there"}, 409)
        self.content += asked.body
        return 204, {"Upload-Offset": str(len(self.content))}, b""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(upload, "PIECE", 1000)
    monkeypatch.setattr(upload, "PAUSE", 0.01)
    path = tmp_path / "x.mp4"
    path.write_bytes(bytes(range(256)) * 17)
    return path


def _half(tus: Tus, asked: Asked) -> Reply:
    """Half of it arrives, then the line is cut."""
    tus.content += asked.body[:500]
    return 0, {}, b""


def _arrives_unanswered(tus: Tus, asked: Asked) -> Reply:
    tus.take(asked)
    return document({"detail": "away"}, 503)


def _nothing(_tus: Tus, _asked: Asked) -> Reply:
    return 0, {}, b""


def test_what_breaks_off_goes_on_where_it_was(file: Path) -> None:
    tus = Tus({1: _nothing, 2: _half, 4: _arrives_unanswered})
    told: list[int] = []
    with serving(tus) as said:
        found = upload.send(Api(said.url, "t"), file, "Grüße.mp4", told.append)
    assert found["name"] == "Grüße.mp4"
    assert tus.content == file.read_bytes()
    assert told == sorted(told)
    assert told[-1] == len(tus.content)


def test_what_is_refused_is_not_tried_again(file: Path) -> None:
    tus = Tus({2: lambda _tus, _asked: document({"detail": "The disk is full."}, 413)})
    with serving(tus) as said, pytest.raises(Refused, match="disk is full"):
        upload.send(Api(said.url, "t"), file, "Grüße.mp4", lambda _: None)
    assert tus.pieces == 2


def test_an_upload_that_is_broken_off_by_hand_is_given_up(file: Path) -> None:
    def interrupt(sent: int) -> None:
        if sent >= 2000:
            raise KeyboardInterrupt

    tus = Tus({})
    with serving(tus) as said, pytest.raises(KeyboardInterrupt):
        upload.send(Api(said.url, "t"), file, "Grüße.mp4", interrupt)
    assert tus.removed


def test_a_service_that_stays_away_ends_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PATIENCE", 0.1)
    tus = Tus(dict.fromkeys(range(1, 1000), _nothing))
    with serving(tus) as said, pytest.raises(Trouble, match="can't be asked"):
        upload.send(Api(said.url, "t"), file, "Grüße.mp4", lambda _: None)
