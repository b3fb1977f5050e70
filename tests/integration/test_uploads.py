"""Uploads and tags with radio-web and radio-prepare as processes of their own, and a database."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hook_service import ipc
from tests.integration.library.studio import X264, make, until
from tests.integration.test_web import WebProcess, postgres  # noqa: F401 - a fixture
from tests.rig.postgres import PrivatePostgres
from tests.unit.web.doubles import API_TOKEN

TUS = {"Authorization": f"Bearer {API_TOKEN}", "Tus-Resumable": "1.0.0"}
MB = 1 << 20


@pytest.fixture
def web(run_dir: Path, postgres: PrivatePostgres) -> Iterator[WebProcess]:  # noqa: F811
    """Both processes, with a small profile."""
    postgres.sql("TRUNCATE loop_tags")
    station = {
        "profile": "small",
        "audio": {"url": "http://127.0.0.1:8000/x"},
        "destinations": {"tube": {"url": "rtmps://a.example.org:443/live2"}},
    }
    profiles = {"small": {"width": 320, "height": 180, "fps": "30", "video_kbps": 400}}
    process = WebProcess(run_dir, postgres.dsn, profiles=profiles, stations={"demo": station})
    command = [sys.executable, "-m", "hook_service.library.service", "--config", str(process.config)]
    with (run_dir / "prepare.output").open("ab") as output:
        prepare = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until((run_dir / "run/prepare.sock").exists, 20, "radio-prepare")
        process.start()
        yield process
    finally:
        process.end()
        prepare.send_signal(signal.SIGTERM)
        assert prepare.wait(15) == 0


def begin(web: WebProcess, name: str, length: int) -> str:
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata}
    status, found, text = web.ask("POST", "/api/v1/uploads", None, **headers)
    assert status == 201, text
    return found["location"]


def send(web: WebProcess, where: str, offset: int, data: bytes) -> int:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return web.ask("PATCH", where, data, **headers)[0]


def offset(web: WebProcess, where: str) -> int:
    return int(web.ask("HEAD", where, None, **TUS)[1]["upload-offset"])


def loop(web: WebProcess, name: str) -> dict[str, Any]:
    [found] = [each for each in web.api("GET", "loops")["items"] if each["name"] == name]
    return dict(found)


def test_an_upload_survives_the_death_of_the_service_and_becomes_a_loop(web: WebProcess, tmp_path: Path) -> None:
    video = make(tmp_path / "a.mp4", "testsrc2=s=320x180:r=30:d=4", *X264).read_bytes()
    data = video + (18 * MB).to_bytes(4, "big") + b"free" + os.urandom(18 * MB - 8)
    where = begin(web, "Größe.mp4", len(data))
    assert send(web, where, 0, data[: 8 * MB]) == 204
    # 8 MB are the most in a piece, and nowhere else may a body be so large.
    for method, path, size in (("PATCH", where, 8 * MB + 1), ("PUT", "/api/v1/mappings", MB), ("PATCH", "/api", MB)):
        # The answer comes before the body has been sent, and the connection is closed behind it.
        try:
            assert web.ask(method, path, bytes(size), **TUS)[0] == 413
        except ConnectionError:
            continue
    assert web.end(signal.SIGKILL) == -signal.SIGKILL
    web.start()
    assert offset(web, where) == 8 * MB
    assert send(web, where, 8 * MB, data[8 * MB : 16 * MB]) == 204
    assert send(web, where, 16 * MB, data[16 * MB :]) == 204
    told = json.loads(web.get(where, **TUS)[2])
    assert (told["state"], told["name"]) == ("done", "Größe.mp4")
    assert (web.directory / "loops/Größe.mp4").read_bytes() == data
    found = until(lambda: loop(web, "Größe.mp4") if loop(web, "Größe.mp4")["picture"] else None, 30, "its picture")
    assert found is not None
    assert found["state"] == "prepared"
    status, headers, text = web.get("/api/v1/loops/poster?name=Gr%C3%B6%C3%9Fe.mp4", **TUS)
    assert (status, headers["content-type"], text[:2]) == (200, "image/jpeg", b"\xff\xd8")
    # Deleted and restored it is ready at once: nothing is prepared again.
    deleted = web.api("DELETE", "loops?name=Gr%C3%B6%C3%9Fe.mp4")
    assert web.api("GET", "loops")["items"] == []
    web.api("POST", "loops/restore", {"id": deleted["id"]})
    assert loop(web, "Größe.mp4")["state"] == "prepared"
    refused = begin(web, "b.mp4", 20)
    assert send(web, refused, 0, b"#EXTM3U\nhttp://x/y.ts"[:20]) == 422
    status, _, text = web.get(refused, **TUS)
    assert "playlist" in json.loads(text)["reason"]


def test_tags_and_what_a_person_did(web: WebProcess, postgres: PrivatePostgres) -> None:  # noqa: F811
    for name in ("a.mp4", "b.mp4"):
        (web.directory / "loops" / name).write_bytes(b"no video")
    until(lambda: len(web.api("GET", "loops")["items"]) == 2, 5, "the loops")
    assert web.api("PUT", "loops/tags", {"name": "a.mp4", "tags": ["night", "Rain ", "night"]})["tags"] == [
        "Rain", "night"
    ]  # fmt: skip
    web.api("PUT", "loops/tags", {"name": "b.mp4", "tags": ["night"]})
    assert web.api("GET", "loops/tags")["items"] == [{"tag": "night", "loops": 2}, {"tag": "Rain", "loops": 1}]
    assert [each["name"] for each in web.api("GET", "loops?tag=Rain")["items"]] == ["a.mp4"]
    assert [each["name"] for each in web.api("GET", "loops?q=rain")["items"]] == ["a.mp4"]
    web.api("PUT", "loops/tags", {"name": "a.mp4", "tags": []})
    assert web.api("GET", "loops?tag=Rain")["items"] == []
    found = until(lambda: postgres.sql("SELECT action, actor FROM audit_log WHERE action = 'loop.tag'"), 10, "rows")
    assert set(found) == {("loop.tag", "api-token")}
    # A file that is no video is refused, and can be tried again by hand.
    until(lambda: loop(web, "a.mp4")["state"] == "refused", 15, "the refusal")
    assert "not a video" in loop(web, "a.mp4")["reason"]
    assert web.api("POST", "loops/prepare", {"name": "a.mp4"})["accepted"]
    assert ipc.request(web.directory / "run/prepare.sock", {"op": "status"})["ok"]
