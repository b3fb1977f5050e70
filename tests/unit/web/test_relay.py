from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hook_service.web.relay import RelayDown, bytes_in, parse

STAT = b"""<?xml version="1.0" encoding="utf-8" ?>
<rtmp><nginx_version>1.22.1</nginx_version><bytes_in>999999</bytes_in><naccepted>3</naccepted>
<server><application><name>live</name><live>
<stream><name>demo</name><time>1000</time><bw_in>1</bw_in><bytes_in>3105</bytes_in><bw_out>2</bw_out>
<bytes_out>17</bytes_out><client><id>7</id><address>127.0.0.1</address><name>nobody</name><bytes_in>5</bytes_in>
</client><meta><video><width>1280</width></video></meta></stream>
<stream><name>other&amp;more</name><bytes_in>7</bytes_in></stream>
<stream><name>empty</name></stream>
<nclients>2</nclients></live></application></server></rtmp>"""


def test_bytes_by_stream() -> None:
    assert parse(STAT) == {"demo": 3105, "other&more": 7}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"OK",
        b"<rtmp>",
        b'<!DOCTYPE a [<!ENTITY b "bb">]><rtmp><server>&b;</server></rtmp>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><rtmp/>',
        b'<!DOCTYPE lolz [<!ENTITY a "' + b"x" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]><rtmp>&b;</rtmp>',
    ],
)
def test_what_the_relay_never_writes_is_refused(document: bytes) -> None:
    with pytest.raises(RelayDown):
        parse(document)


@pytest.fixture
def address() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/stat" else 404)
            self.end_headers()
            self.wfile.write(STAT)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_over_http(address: str) -> None:
    assert bytes_in(address)["demo"] == 3105


def test_nobody_there() -> None:
    with pytest.raises(RelayDown):
        bytes_in("127.0.0.1:1", timeout=0.5)
