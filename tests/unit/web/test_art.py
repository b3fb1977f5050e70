"""Covers: what is fetched from where, and what is not."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from hook_service.web import art
from hook_service.web.art import Gallery, fetch
from hook_service.web.httpget import Away
from tests.rig.covers import Answer, Covers
from tests.unit.web.doubles import eventually

JPEG = b"\xff\xd8\xff\xe0" + b"x" * 1000


def redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path.removeprefix("/to/"))
    handler.end_headers()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"\xff\xd8\xff" + b"x" * 65536)
    except OSError:
        return


@pytest.fixture
def site() -> Iterator[Covers]:
    files: dict[str, bytes | Answer] = {"/a.jpg": JPEG, "/page": b"<svg onload=x>", "/endless": endless}
    with Covers({**files, "/to//a.jpg": redirect, "/to/http://169.254.169.254/latest": redirect}) as covers:
        yield covers


def test_a_cover_is_fetched_from_a_host_that_is_allowed(site: Covers) -> None:
    assert fetch(site.url("/a.jpg"), {site.host}) == JPEG
    assert fetch(site.url("/a.jpg"), {"127.0.0.1"}) == JPEG
    assert fetch(site.url("/to//a.jpg"), {site.host}) == JPEG


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/page", "is not a JPEG"),
        ("/missing", "404"),
        ("/endless", "more than"),
        ("/to/http://169.254.169.254/latest", "redirect"),
    ],
)
def test_what_is_no_cover(site: Covers, path: str, why: str) -> None:
    with pytest.raises(Away, match=why):
        fetch(site.url(path), {site.host})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0",
     "[fe80::1]", "[2002:7f00:1::]", "100.64.0.1", "2130706433", "0x7f.1"],
)  # fmt: skip
def test_private_addresses_are_not_asked(site: Covers, host: str) -> None:
    port = site.host.partition(":")[2]
    with pytest.raises(Away, match=r"not public|no known address"):
        fetch(f"http://{host}:{port}/a.jpg", {"radio.example.org", "127.0.0.1:1"})
    assert site.asked == []


def test_a_name_that_turns_private_after_it_was_looked_up(site: Covers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked up is public; where the connection leads is not."""
    monkeypatch.setattr(art, "_look_up", lambda _: [(0, 0, 0, "", ("203.0.114.1", 80))])
    with pytest.raises(Away, match="not public"):
        fetch(site.url("/a.jpg"), set())
    assert site.asked == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://h/x", "http://", "http://user:pass@h/x", "http://h:0/x", "http://h:99999/x",
     "//h/x", "http://h/\r\nX: y", "http://h/ö", "http://[::1/x", "http://h/" + "x" * 2048,
     "data:image/png;base64,AA"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(Away, match="no usable address"):
        fetch(url, {"h"})


def test_the_gallery_keeps_what_it_has(tmp_path: Path, site: Covers) -> None:
    told: list[float] = []
    gallery = Gallery(tmp_path / "art", lambda: told.append(time.monotonic()))
    url, bad = site.url("/a.jpg"), site.url("/page")
    assert gallery.get(url, {site.host}) == (None, True)
    assert gallery.get(url, {site.host})[1] in (True, False)
    eventually(lambda: told)
    sha256 = hashlib.sha256(JPEG).hexdigest()
    assert gallery.get(url, {site.host}) == (sha256, False)
    assert (tmp_path / "art" / sha256).read_bytes() == JPEG
    assert gallery.get(bad, {site.host}) == (None, True)
    eventually(lambda: len(told) == 2)
    # It is not asked again for a while.
    assert gallery.get(bad, {site.host}) == (None, False)
    assert site.asked == ["/a.jpg", "/page"]


def test_a_cover_that_made_room_for_others_is_fetched_again(tmp_path: Path, site: Covers) -> None:
    told: list[bool] = []
    gallery = Gallery(tmp_path / "art", lambda: told.append(True))
    url, file = site.url("/a.jpg"), tmp_path / "art" / hashlib.sha256(JPEG).hexdigest()
    gallery.get(url, {site.host})
    eventually(lambda: told)
    os.utime(file, (0, 0))
    assert gallery.get(url, {site.host}) == (file.name, False)
    assert file.stat().st_mtime > 0  # what is wanted is not the oldest
    file.unlink()
    assert gallery.get(url, {site.host}) == (None, True)
    eventually(lambda: len(told) == 2)
    assert gallery.get(url, {site.host}) == (file.name, False)
    assert file.read_bytes() == JPEG


def test_a_gallery_without_a_place_has_no_covers(tmp_path: Path, site: Covers) -> None:
    told: list[bool] = []
    (tmp_path / "art").write_text("in the way")
    gallery = Gallery(tmp_path / "art", lambda: told.append(True))
    gallery.get(site.url("/a.jpg"), {site.host})
    eventually(lambda: told)
    assert gallery.get(site.url("/a.jpg"), {site.host}) == (None, False)


def test_a_host_that_takes_its_time_is_not_waited_for(
    tmp_path: Path, site: Covers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(art, "PATIENCE", 0.1)
    held = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        held.wait(5)
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(JPEG)

    site.files["/slow"] = slow
    told: list[bool] = []
    gallery = Gallery(tmp_path / "art", lambda: told.append(True))
    url = site.url("/slow")
    assert gallery.get(url, {site.host}) == (None, True)
    eventually(lambda: told)
    assert gallery.get(url, {site.host}) == (None, False)
    held.set()
    eventually(lambda: len(told) == 2)
    assert gallery.get(url, {site.host}) == (hashlib.sha256(JPEG).hexdigest(), False)
