"""Where a connection is made to, for every way that an address may be written."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from hook_service.ctl.client import Api
from hook_service.web import httpget


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h.example/x", ("h.example", 80)),
        ("https://h.example/x", ("h.example", 443)),
        ("http://h.example:8080/x", ("h.example", 8080)),
        ("http://127.0.0.1", ("127.0.0.1", 80)),
        # Whose last group is not a port.
        ("http://[fd00::5]/x", ("fd00::5", 80)),
        ("https://[fd00::5]/x", ("fd00::5", 443)),
        ("http://[fd00::5]:8080/x", ("fd00::5", 8080)),
    ],
)
def test_host_and_port(url: str, expected: tuple[str, int]) -> None:
    for made in (httpget._connection(urlsplit(url)), Api(url, "token")._connection()):
        assert (made.host, made.port) == expected
