"""The page as the world has it: behind the host's nginx, by the role's own template, with TLS."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, StrictUndefined
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.rig import nginx
from tests.rig.child import Child
from tests.rig.layout import PAGE_USERS
from tests.rig.net import free_port, release_port, wait_until
from tests.rig.station import Station

ROLE = nginx.ROOT / "roles/nginx_rtmp"
NAME = "radio.localhost"


@pytest.fixture
def https(run_dir: Path, station: Station) -> Iterator[str]:
    """The address of nginx in front of the station."""
    port = free_port()
    made = run_dir / "tls/current"
    made.mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}",
         "-keyout", made / "key.pem", "-out", made / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    variables |= {
        "ansible_managed": "",
        "__nginx_rtmp_ipv6": {"stat": {"exists": False}},
        "__nginx_rtmp_tls_dir": run_dir / "tls",
        "nginx_rtmp_server_name": NAME,
        "nginx_rtmp_upstream": station.address("web"),
    }
    site = environment.from_string((ROLE / "templates/site.conf.j2").read_text()).render(defaults | variables)
    # It listens where nobody else does, and leaves its files here.
    plain = free_port()
    site = re.sub(r"listen 443 ", f"listen 127.0.0.1:{port} ", site)
    site = re.sub(r"listen 80\b", f"listen 127.0.0.1:{plain}", site).replace("/var/log/nginx/", f"{run_dir}/")
    config = run_dir / "nginx.conf"
    account = f"user {nginx.account()};" if nginx.account() else ""
    main = f"daemon off; {account} pid {run_dir}/nginx.pid; error_log {run_dir}/error.log; events {{}}"
    config.write_text(f"{main}\nhttp {{\n{site}\n}}\n")
    (run_dir / "log").mkdir()
    (run_dir / "pid").mkdir()
    server = Child("nginx", [nginx.program(), "-c", str(config)], run_dir=run_dir)
    server.start()
    try:
        wait_until(lambda: _listens(port), "nginx", 10)
        yield f"https://{NAME}:{port}"
    finally:
        server.stop()
        release_port(port)
        release_port(plain)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_page_behind_tls(https: str, opened: Open, station: Station) -> None:
    page = opened(base_url=https, ignore_https_errors=True)
    page.goto("/errors")
    page.get_by_label("Name").fill(PAGE_USERS["operator"])
    page.get_by_label("Password").fill(station.page_password())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Errors")).to_be_visible()
    [cookie] = page.context.cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-steadycast", True, True)
    with page.expect_response(re.compile("style.css")) as style:
        page.goto("/")
    assert style.value.headers.get("content-encoding") == "gzip"
    with page.expect_response(lambda answer: "/live" in answer.url and answer.status == 304):
        pass
    expect(page.get_by_role("region", name="On the air now")).to_be_visible()


def _ask(https: str, request: bytes) -> bytes:
    """What nginx answers until it closes the connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(https.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as client,
    ):
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def _request(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {NAME}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _status(answer: bytes) -> int:
    return int(answer.split()[1])


def test_a_body_that_is_too_large(https: str) -> None:
    """Refused by what it says of itself, before a byte of it is read."""
    answer = _ask(https, _request("/webhook/azuracast", "Content-Length: 300000", method="POST"))
    assert _status(answer) == 413
    assert b"256 KB are the most." in answer, "nginx's own words"


def test_more_requests_than_anybody_needs(https: str) -> None:
    """All at once on one connection: so many that a slow machine lets none of them wait for its turn."""
    rate = yaml.safe_load((ROLE / "defaults/main.yml").read_text())["nginx_rtmp_requests_per_second"]
    more = f"GET /health HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode() * (rate * 10)
    answers = _ask(https, more + _request("/health"))
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answers)]
    assert len(statuses) == rate * 10 + 1
    assert statuses[: rate * 5] == [200] * rate * 5, "a burst is let through"
    assert set(statuses) == {200, 429}
    refused = answers[answers.index(b"HTTP/1.1 429") :]
    assert b"Retry-After: 1" in refused
    assert b"Too often." in refused, "nginx's own words"


def test_a_request_that_does_not_end(https: str) -> None:
    begun = time.monotonic()
    answer = _ask(https, _request("/webhook/azuracast", "Content-Length: 1000", method="POST", body=b"{"))
    assert answer == b"" or _status(answer) == 408
    assert 8 < time.monotonic() - begun < 25
