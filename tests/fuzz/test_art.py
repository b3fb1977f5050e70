"""Cover art: whoever may send a webhook may name its address, and whoever is there may answer anything."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import strategies as st

from hook_service.library.card_render import art_demuxer
from hook_service.web import art, httpget
from hook_service.web.httpget import Away
from tests.fuzz.cases import TEXT, fuzz, spoiled
from tests.fuzz.test_http import Hostile, hostile  # noqa: F401 - a fixture

LARGEST = 3000
PICTURES = [
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(400),
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(400),
    b"RIFF\x00\x02\x00\x00WEBPVP8 " + bytes(400),
    b"GIF89a\x01\x00\x01\x00" + bytes(400),
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>",
    b"RIFF\x00\x02\x00\x00AVI LIST" + bytes(400),
]


def served(picture: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture


ANSWERS = [
    *map(served, PICTURES),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\xff\xd8\xff\xe0\r\n3\r\nabc\r\n0\r\n\r\n",
    # Without a length, and longer than may be.
    b"HTTP/1.0 200 OK\r\nContent-Type: image/png\r\n\r\n" + PICTURES[1] * 8,
    b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n\xff\xd8\xff",
]


@fuzz("covers, what is answered", 3, data=spoiled(ANSWERS))
def test_answers(hostile: Hostile, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:  # noqa: F811 - the fixture
    monkeypatch.setattr(art, "ART_BYTES", LARGEST)
    hostile.answer = data
    try:
        found = art.fetch(hostile.url, {"127.0.0.1"})
    except Away as away:
        # It is logged, and an address may hold a key.
        why = str(away)
        assert hostile.url not in why
        return
    assert len(found) <= LARGEST
    assert art_demuxer(found[:16]) is not None, "whoever draws it knows what it is"


@fuzz("covers, bytes", 4, data=spoiled(PICTURES))
def test_kinds(data: bytes) -> None:
    """What is kept is what the drawing takes for the same kind: nothing is left for FFmpeg to guess."""
    if art._is_picture(data[:16]):
        assert art_demuxer(data[:16]) in {"jpeg_pipe", "png_pipe", "webp_pipe", "gif"}


NAMES = {
    "public.example": ["93.184.215.14"],
    "private.example": ["10.0.0.7"],
    "both.example": ["93.184.215.14", "fd00::7"],
    "music.example": ["192.168.0.9"],
}
ALLOWED = {"music.example", "127.0.0.1:8080", "[fd00::1]:80"}
HOSTS = st.sampled_from((
    *NAMES, "127.0.0.1", "[::1]", "[fd00::1]", "0x7f.1", "2130706433", "017700000001", "[::ffff:10.0.0.1]",
    "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]", "8.8.8.8", "MUSIC.example", "music.example.", "100.64.0.1", "",
    "[fe80::1%25eth0]", "224.0.0.1", "\uff10.0.0.0", "a" * 300, "a..b",
))  # fmt: skip
URLS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(("http://", "https://", "HTTP://", "//", "file://", "ftp://", "http:/", "")),
    st.sampled_from(("", "", "", "a@", "a:b@", "music.example@", "public.example\\@")),
    HOSTS | TEXT,
    st.sampled_from(("", ":80", ":8080", ":0", ":99999", ":x", ":", ":\u0668\u0660")),
    st.sampled_from(("/a.jpg", "", "/../x?y=z#w", "/ b", "/\r\nX: y", "/" + "a" * 3000)) | TEXT,
)
WHOLE = spoiled([b"http://public.example/a.jpg", b"https://music.example:8443/a?b=c", b"http://[fd00::1]/a"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were asked. Of names only those above are known."""
    found: list[str] = []
    resolve = socket.getaddrinfo

    def local(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if str(host).lower() in NAMES:
            return [entry for each in NAMES[str(host).lower()] for entry in resolve(each, port, *rest, **more)]
        return resolve(host, port, *rest, **{**more, "flags": socket.AI_NUMERICHOST})

    @contextmanager
    def get(url: str, headers: Any, opened: Any) -> Iterator[httpget.Answer]:
        found.append(url)
        raise Away("is not asked")
        yield

    monkeypatch.setattr(socket, "getaddrinfo", local)
    monkeypatch.setattr(httpget, "get", get)
    return found


@fuzz("covers, addresses", 4, url=URLS | TEXT | WHOLE.map(lambda data: data.decode("utf-8", "replace")))
def test_addresses(asked: list[str], url: str) -> None:
    asked.clear()
    with pytest.raises(Away) as why:
        art.fetch(url, ALLOWED)
    assert len(str(why.value)) < 200
    with suppress(ValueError):  # who is asked for it says nothing where there is no host
        art._host(url).encode("utf-8", "replace")
    if not asked:
        return
    assert asked == [url]
    parts = urlsplit(url)
    assert parts.scheme in ("http", "https")
    assert parts.username is parts.password is None
    host = parts.hostname or ""
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    known = host == "music.example" or (host, port) in (("127.0.0.1", 8080), ("fd00::1", 80))
    addresses = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)] if not known else []
    assert all(ipaddress.ip_address(address).is_global for address in addresses), "only what is public is asked"
