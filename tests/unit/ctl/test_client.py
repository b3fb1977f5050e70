"""The client of the API, and where it takes address and token from."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.ctl.client import Api, Refused, Trouble, Unreachable
from hook_service.ctl.reach import Reach, local, read_token, usable
from tests.rig.net import free_port, release_port
from tests.unit.ctl.server import Asked, Reply, document, serving


def test_a_document_is_asked_for_with_the_token() -> None:
    with serving(lambda _: document({"items": []})) as said:
        assert Api(said.url, "secret-1").get("/history", q="a b&c", station=None) == {"items": []}
        (asked,) = said.asked
    assert asked.path == "/api/v1/history?q=a+b%26c"
    assert asked.headers["authorization"] == "Bearer secret-1"


def test_a_list_is_read_page_by_page_and_no_further_than_wanted() -> None:
    def answer(asked: Asked) -> Reply:
        second = "cursor=more" in asked.path
        return document({"items": [{"n": 3}] if second else [{"n": 1}, {"n": 2}], "next": None if second else "more"})

    with serving(answer) as said:
        assert [item["n"] for item in Api(said.url).items("/history")] == [1, 2, 3]
        assert [item["n"] for item in Api(said.url).items("/history", most=2)] == [1, 2]
        assert "limit=2" in said.asked[-1].path


def test_a_problem_is_told_in_the_services_words() -> None:
    problem = {
        "detail": "Something is wrong; see errors.",
        "errors": [{"field": "loop", "reason": "leaves the directory"}],
        "request_id": "abc",
    }
    with serving(lambda _: document(problem, 422)) as said, pytest.raises(Refused) as caught:
        Api(said.url).post("/stations/demo/switch", {"loop": "../x"})
    assert caught.value.status == 422
    assert str(caught.value).splitlines() == [
        "Something is wrong; see errors.",
        "  loop: leaves the directory",
        "  request abc",
    ]


def test_the_token_follows_no_redirect() -> None:
    reply = (301, {"Location": "https://elsewhere.example/"}, b"")
    with serving(lambda _: reply) as said, pytest.raises(Unreachable, match=r"sends on to https://elsewhere"):
        Api(said.url, "secret-1").get("/status")


def test_nobody_there_is_told_without_the_token() -> None:
    port = free_port()
    try:
        with pytest.raises(Unreachable, match="can't be asked: Connection refused"):
            Api(f"http://127.0.0.1:{port}", "secret-1").get("/status")
    finally:
        release_port(port)
    with pytest.raises(Unreachable) as caught:
        Api("http://127.0.0.1:1", "secret-1\r\nX: y").get("/status")
    assert "secret-1" not in str(caught.value)
    assert "secret-1" not in repr(Api("http://127.0.0.1:1", "secret-1"))


def test_something_else_than_the_service_is_no_answer() -> None:
    with (
        serving(lambda _: (200, {"Content-Type": "text/html"}, b"<html>")) as said,
        pytest.raises(Unreachable, match="is not the service's"),
    ):
        Api(said.url).get("/status")
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, pytest.raises(Unreachable, match="in time"):
        Api(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2).get("/status")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("radio.example.org", "https://radio.example.org"),
        ("https://radio.example.org/api/v1/", "https://radio.example.org"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
        ("http://localhost:9000/api/v1", "http://localhost:9000"),
        ("https://example.org/radio", "https://example.org/radio"),
    ],
)
def test_an_address_is_understood(said: str, meant: str) -> None:
    assert usable(said) == meant


@pytest.mark.parametrize(
    "said",
    [
        "http://radio.example.org",
        "http://10.0.0.2:9000",
        "ftp://x",
        "https://u:p@x",
        "https://x:99999",
        "",
        "https://",
    ],
)
def test_a_token_goes_over_no_address_that_others_could_read(said: str) -> None:
    with pytest.raises(Trouble):
        usable(said)


@given(st.text())
def test_whatever_is_given_is_an_address_or_a_trouble(said: str) -> None:
    with contextlib.suppress(Trouble):
        assert usable(said).startswith(("http://", "https://"))


def test_what_is_listened_on_is_asked_on_this_host() -> None:
    assert local("0.0.0.0:9000") == "http://127.0.0.1:9000"
    assert local("[::]:9000") == "http://[::1]:9000"
    assert local("127.0.0.1:9001") == "http://127.0.0.1:9001"


def test_a_token_is_one_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(Trouble, match="is not there"):
        read_token(file)
    file.write_text("abc\n")
    assert read_token(file) == "abc"
    for wrong in ("", "\n", "two\nlines", "\x1b[2J"):
        file.write_text(wrong)
        with pytest.raises(Trouble, match="holds no token"):
            read_token(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(Trouble, match="can't be read"):
        read_token(file)


def test_without_an_address_it_is_this_hosts(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="give --url"):
        Reach(tmp_path / "radio.yml").api()


def test_a_body_is_json() -> None:
    with serving(lambda _: (204, {}, b"")) as said:
        assert Api(said.url).ask("PUT", "/mappings", {"artist": "Sigur Rós"}) is None
    assert json.loads(said.asked[0].body) == {"artist": "Sigur Rós"}
    assert said.asked[0].headers["content-type"] == "application/json"
