"""Loops, uploads and the trash by the API, without a database; radio-prepare is a double that lets everything in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from hook_service.library import catalog, posters
from hook_service.library.scanner import SUFFIXES
from hook_service.tracks.loops import loop_path
from hook_service.web import trash, uploads
from hook_service.web.naming import safe_name
from hook_service.web.upload import UploadError
from tests.unit.library.samples import write_loop
from tests.unit.web.doubles import BEARER, READER, Rig, eventually
from tests.unit.web.peers import FakePeer

TUS = {**BEARER, "Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


class Prepare:
    """Answers `examine` with the content's hash, or with what it is told to answer."""

    def __init__(self, path: Path) -> None:
        self.answers: list[dict[str, Any]] = []
        self.held = threading.Event()
        self.held.set()
        prepare = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                message = json.loads(self.rfile.readline())
                if message["op"] != "examine":
                    answer: dict[str, Any] = {"ok": True, "state": "ready", "encoding": []}
                else:
                    prepare.held.wait(10)
                    digest = hashlib.sha256(Path(message["path"]).read_bytes()).hexdigest()
                    answer = prepare.answers.pop(0) if prepare.answers else {"state": "ready", "sha256": digest}
                self.wfile.write(json.dumps(answer).encode() + b"\n")

        self.server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    (tmp_path / "run").mkdir(exist_ok=True)
    found = Prepare(tmp_path / "run/prepare.sock")
    yield found
    found.held.set()
    found.server.shutdown()
    found.server.server_close()


def add(rig: Rig, name: str, content: bytes, *, prepared: bool = True) -> str:
    """A loop that radio-prepare has read; the hash of its content."""
    path = rig.host.paths.loops / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    source = catalog.identify(path, rig.host.paths.library)
    if prepared:
        write_loop(
            catalog.prepared_dir(rig.host.paths.library, rig.host.station_profile("demo"), source.sha256), [60]
        )
    return source.sha256


def loops(rig: Rig, **query: Any) -> list[dict[str, Any]]:
    answer = rig.client.get("/api/v1/loops", query_string=query, headers=BEARER)
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["items"])


def begin(rig: Rig, name: str, length: int) -> TestResponse:
    metadata = f"filename {base64.b64encode(name.encode()).decode()},filetype dmlkZW8="
    return rig.client.post(
        "/api/v1/uploads", headers={**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata}
    )


def send(rig: Rig, where: str, offset: int, data: bytes) -> TestResponse:
    return rig.client.patch(where, data=data, headers={**PIECE, "Upload-Offset": str(offset)})


def upload(rig: Rig, name: str, data: bytes) -> dict[str, Any]:
    where = begin(rig, name, len(data)).headers["Location"]
    send(rig, where, 0, data)
    found: dict[str, Any] = rig.client.get(where, headers=BEARER).get_json()
    return found


def test_loops_are_found_by_what_is_known_of_them(rig: Rig) -> None:
    sha256 = add(rig, "one.mp4", b"one")
    add(rig, "sub/Über.mov", b"two", prepared=False)
    (rig.host.paths.loops / "new.mp4").write_bytes(b"three")
    (rig.host.paths.loops / ".hidden.mp4").write_bytes(b"four")
    (rig.host.paths.loops / "notes.txt").write_bytes(b"five")
    assert [loop["name"] for loop in loops(rig)] == ["new.mp4", "one.mp4", "sub/Über.mov"]
    one = loops(rig, q="ONE")[0]
    assert (one["sha256"], one["state"], one["tags"], one["picture"]) == (sha256, "prepared", None, None)
    # Two of the mappings lead to it; see doubles.py.
    assert one["used"] == {"mappings": 2, "defaults": [], "on_air": []}
    assert [loop["name"] for loop in loops(rig, q="über")] == ["sub/Über.mov"]
    assert [loop["name"] for loop in loops(rig, state="pending")] == ["new.mp4", "sub/Über.mov"]
    assert [loop["name"] for loop in loops(rig, used="false")] == ["new.mp4", "sub/Über.mov"]
    assert [loop["name"] for loop in loops(rig, limit=1, after="new.mp4")] == ["one.mp4"]
    assert rig.client.get("/api/v1/loops?tag=x", headers=BEARER).status_code == 503
    assert rig.client.get("/api/v1/loops/tags", headers=BEARER).status_code == 503


def test_a_refusal_for_one_profile_says_why(rig: Rig) -> None:
    add(rig, "one.mp4", b"one", prepared=False)
    source = catalog.identify(rig.host.paths.loops / "one.mp4", rig.host.paths.library)
    catalog.refuse(rig.host.paths.library, source, "too hard", rig.host.station_profile("demo"))
    [one] = loops(rig)
    assert (one["state"], one["reason"]) == ("refused", "too hard")


def test_pictures(rig: Rig) -> None:
    sha256 = add(rig, "one.mp4", b"one")
    assert rig.client.get("/api/v1/loops/poster?name=one.mp4", headers=READER).status_code == 404
    for moving in (False, True):
        path = posters.path_of(rig.host.paths.library, sha256, moving)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"picture" * 100)
    version = eventually(lambda: loops(rig)[0]["picture"])
    assert version == sha256[:16]
    answer = rig.client.get(f"/api/v1/loops/poster?name=one.mp4&v={version}", headers=READER)
    assert (answer.status_code, answer.mimetype, answer.data[:7]) == (200, "image/jpeg", b"picture")
    assert "private" in answer.headers["Cache-Control"]
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    answer.close()
    again = {**READER, "If-None-Match": answer.headers["ETag"]}
    with rig.client.get(f"/api/v1/loops/poster?name=one.mp4&v={version}", headers=again) as unchanged:
        assert unchanged.status_code == 304
    part = {**READER, "Range": "bytes=0-6"}
    with rig.client.get("/api/v1/loops/preview?name=one.mp4", headers=part) as found:
        assert (found.status_code, found.mimetype, found.data) == (206, "video/mp4", b"picture")
    for name in ("../radio.yml", "/etc/passwd", "two.mp4", "."):
        assert rig.client.get("/api/v1/loops/poster", query_string={"name": name}, headers=READER).status_code == 404


def test_deleting_and_having_it_back(rig: Rig) -> None:
    sha256 = add(rig, "sub/free.mp4", b"free")
    path = rig.host.paths.loops / "sub/free.mp4"
    inode = path.stat().st_ino
    answer = rig.client.delete("/api/v1/loops?name=sub/free.mp4", headers=BEARER)
    assert answer.status_code == 200
    assert not path.exists()
    assert loops(rig) == []
    [item] = rig.client.get("/api/v1/loops/trash", headers=READER).get_json()["items"]
    assert (item["name"], item["deleted_by"]) == ("sub/free.mp4", "api-token")
    disk = rig.client.get("/api/v1/loops/disk", headers=READER).get_json()
    assert (disk["loops"], disk["trash"], disk["trash_bytes"]) == (0, 1, 4)
    path.write_bytes(b"another")
    body = {"id": item["id"]}
    assert rig.client.post("/api/v1/loops/restore", json=body, headers=BEARER).status_code == 409
    path.unlink()
    assert rig.client.post("/api/v1/loops/restore", json=body, headers=BEARER).status_code == 200
    # The same file, and what was prepared of it is known at once.
    assert path.stat().st_ino == inode
    assert [(loop["sha256"], loop["state"]) for loop in loops(rig)] == [(sha256, "prepared")]
    assert rig.client.post("/api/v1/loops/restore", json=body, headers=BEARER).status_code == 404
    assert [each["action"] for each in rig.ledger.audited] == ["loop.delete", "loop.restore"]


def test_what_is_used_is_not_deleted_by_mistake(rig: Rig, playout: FakePeer) -> None:
    for name in ("one.mp4", "default.mp4", "shown.mp4"):
        add(rig, name, name.encode())
    playout.on_air = {"loop": str(rig.host.paths.loops / "shown.mp4"), "reason": "switch"}

    def delete(name: str, **query: str) -> TestResponse:
        return rig.client.delete("/api/v1/loops", query_string={"name": name, **query}, headers=BEARER)

    answer = delete("one.mp4")
    assert answer.status_code == 409
    assert (answer.get_json()["used"]["mappings"], answer.get_json()["may_be_forced"]) == (2, True)
    assert delete("shown.mp4").get_json()["used"]["on_air"] == ["demo"]
    assert delete("default.mp4", force="true").status_code == 409
    assert delete("default.mp4").get_json()["used"]["defaults"] == ["demo: default loop", "other: default loop"]
    assert delete("one.mp4", force="true").status_code == 200
    assert delete("shown.mp4", force="true").status_code == 200
    assert delete("../radio.yml", force="true").status_code == 404
    assert rig.client.delete("/api/v1/loops?name=default.mp4", headers=READER).status_code == 403
    assert [loop["name"] for loop in loops(rig)] == ["default.mp4"]


def test_the_trash_goes_with_time_and_on_request(rig: Rig) -> None:
    for name in ("a.mp4", "b.mp4"):
        add(rig, name, name.encode())
        rig.client.delete(f"/api/v1/loops?name={name}", headers=BEARER)
    directory = rig.host.paths.loops
    assert trash.empty(directory, older_than=60) == 0
    note = directory / trash.TRASH / trash.listing(directory)[0].id / "note.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"deleted_at": 1.0}))
    assert trash.empty(directory, older_than=60) == 5
    assert rig.client.delete("/api/v1/loops/trash", headers=BEARER).status_code == 204
    assert list((directory / trash.TRASH).iterdir()) == []


def test_a_note_that_leads_elsewhere_restores_nothing(rig: Rig) -> None:
    place = rig.host.paths.loops / trash.TRASH / ("a" * 32)
    place.mkdir(parents=True)
    (place / "file").write_bytes(b"x")
    note = {"id": "a" * 32, "size": 1, "sha256": None, "deleted_at": 1.0, "deleted_by": "x"}
    for name in ("../out.mp4", "/tmp/out.mp4"):
        (place / "note.json").write_text(json.dumps({**note, "name": name}))
        assert rig.client.post("/api/v1/loops/restore", json={"id": "a" * 32}, headers=BEARER).status_code == 404


def test_an_upload_in_pieces(rig: Rig, prepare: Prepare) -> None:
    data = os.urandom(300_000)
    begun = begin(rig, "My  Loop: “1”.MP4", len(data))
    assert (begun.status_code, begun.headers["Tus-Resumable"]) == (201, "1.0.0")
    where = begun.headers["Location"]
    assert send(rig, where, 0, data[:100_000]).headers["Upload-Offset"] == "100000"
    # What is sent again, or too early, is told where to go on.
    assert send(rig, where, 0, data[:100_000]).status_code == 409
    assert send(rig, where, 200_000, data[200_000:]).status_code == 409
    head = rig.client.head(where, headers=TUS)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("100000", "300000")
    assert head.headers["Cache-Control"] == "no-store"
    assert send(rig, where, 100_000, data[100_000:] + b"more").status_code == 413
    now = int(rig.client.head(where, headers=TUS).headers["Upload-Offset"])
    assert send(rig, where, now, data[now:]).status_code == 204
    told = rig.client.get(where, headers=BEARER).get_json()
    assert (told["state"], told["name"], told["offset"]) == ("done", "My Loop “1”.mp4", 300_000)
    path = rig.host.paths.loops / told["name"]
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o644
    # Its hash is known: radio-prepare need not read it again.
    assert loops(rig)[0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert send(rig, where, 0, data[:1]).status_code == 409
    assert rig.client.delete(where, headers=TUS).status_code == 204
    assert path.exists()
    assert rig.client.head(where, headers=TUS).status_code == 404


def test_the_same_content_twice_is_one_loop(rig: Rig, prepare: Prepare) -> None:
    first = upload(rig, "a.mp4", b"content")
    second = upload(rig, "b.mp4", b"content")
    assert (first["state"], second["state"], second["name"]) == ("done", "duplicate", "a.mp4")
    other = upload(rig, "a.mp4", b"other content")
    assert (other["state"], other["name"]) == ("done", "a-2.mp4")
    assert [loop["name"] for loop in loops(rig)] == ["a-2.mp4", "a.mp4"]
    assert list((rig.host.paths.loops / uploads.UPLOADS).glob("*.part")) == []


def test_what_is_no_video_is_refused_with_the_reason(rig: Rig, prepare: Prepare) -> None:
    prepare.answers = [{"state": "refused", "reason": "not a video: this is text", "again": False}]
    where = begin(rig, "a.mp4", 3).headers["Location"]
    answer = send(rig, where, 0, b"abc")
    assert answer.status_code == 422
    assert "this is text" in answer.get_json()["detail"]
    assert rig.client.get(where, headers=BEARER).get_json()["state"] == "refused"
    assert loops(rig) == []


def test_an_upload_outlives_a_preparation_that_is_away(rig: Rig, tmp_path: Path) -> None:
    where = begin(rig, "a.mp4", 3).headers["Location"]
    assert send(rig, where, 0, b"abc").status_code == 204
    told = rig.client.get(where, headers=BEARER).get_json()
    assert (told["state"], told["offset"]) == ("checking", 3)
    assert "does not answer" in told["reason"]
    prepare = Prepare(tmp_path / "run/prepare.sock")
    eventually(lambda: rig.client.get(where, headers=BEARER).get_json()["state"] == "done")
    prepare.server.shutdown()
    prepare.server.server_close()


def test_two_at_once_write_to_no_upload_together(rig: Rig, prepare: Prepare) -> None:
    prepare.held.clear()
    where = begin(rig, "a.mp4", 3).headers["Location"]
    library = rig.app.test_client()  # the API exists from here on
    assert library.get(where, headers=BEARER).status_code == 200
    number = where.rpartition("/")[2]
    found = uploads.Uploads(
        rig.host.paths.loops,
        rig.host.paths.library,
        rig.host.paths.run,
        None,  # type: ignore[arg-type]
    )
    with found._held(number):
        assert send(rig, where, 0, b"abc").status_code == 423
        assert rig.client.delete(where, headers=TUS).status_code == 423
    prepare.held.set()


def test_there_must_be_room(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert begin(rig, "a.mp4", uploads.LARGEST + 1).status_code == 413
    usage = shutil.disk_usage(rig.host.paths.loops)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=uploads.RESERVE + 1000))
    assert begin(rig, "a.mp4", 600).status_code == 201
    # What others announced is no longer there to be had.
    answer = begin(rig, "b.mp4", 600)
    assert answer.status_code == 413
    assert "room for 400 bytes" in answer.get_json()["detail"]


def test_what_was_left_off_goes(rig: Rig) -> None:
    where = begin(rig, "a.mp4", 600).headers["Location"]
    directory = rig.host.paths.loops / uploads.UPLOADS
    uploads.expire(rig.host.paths.loops)
    assert rig.client.head(where, headers=TUS).status_code == 200
    (directory / ("." + "a" * 32 + ".new")).write_text("{")
    for path in directory.iterdir():
        os.utime(path, (1, 1))
    uploads.expire(rig.host.paths.loops)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "1"}, 422),
        ({"Upload-Metadata": "filename YS5tcDQ="}, 422),
        ({"Upload-Length": "-1", "Upload-Metadata": "filename YS5tcDQ="}, 422),
        ({"Upload-Length": "0", "Upload-Metadata": "filename YS5tcDQ="}, 422),
        ({"Upload-Length": "1", "Upload-Metadata": "filename YS5leGU="}, 422),
        ({"Upload-Length": "1", "Upload-Metadata": "filename %%%"}, 422),
        ({"Upload-Length": "1", "Upload-Metadata": "filename YS5tcDQ=", "Tus-Resumable": "0.2"}, 412),
    ],
)
def test_what_is_asked_wrongly(rig: Rig, headers: dict[str, str], status: int) -> None:
    assert rig.client.post("/api/v1/uploads", headers={**TUS, **headers}).status_code == status
    assert not list(rig.host.paths.loops.glob(".uploads/*"))


def test_who_may_only_look_uploads_nothing(rig: Rig) -> None:
    assert rig.client.post("/api/v1/uploads", headers={**TUS, **READER}).status_code == 403
    assert rig.client.options("/api/v1/uploads").status_code == 401
    found = rig.client.open("/api/v1/uploads", method="OPTIONS", headers=BEARER)
    assert found.headers["Tus-Extension"] == "creation,termination"


@given(st.text(max_size=300))
def test_any_name_becomes_a_safe_one(said: str) -> None:
    name = safe_name(f"{said}.mp4")
    assert "/" not in name
    assert not name.startswith((".", "-", "~"))
    assert Path(name).suffix in SUFFIXES
    assert len(name.encode()) <= 210
    assert loop_path("/srv/loops", name) == f"/srv/loops/{name}"


def test_names() -> None:
    assert safe_name("C:\\Videos\\-rf ~.MP4") == "rf ~.mp4"
    assert safe_name("../../.mp4") == "loop.mp4"
    assert safe_name("夜.に.webm") == "夜.に.webm"


@pytest.mark.parametrize("said", ["", ".mp4.exe", "a", "mp4", "../../etc/passwd", "a.mp4/"])
def test_what_is_called_no_video_is_none(said: str) -> None:
    with pytest.raises(UploadError):
        safe_name(said)
