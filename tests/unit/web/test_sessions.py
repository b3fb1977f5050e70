"""Who is let in to the page, for how long, and who is not."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from werkzeug.security import generate_password_hash

from hook_service import config
from hook_service.config.users import parse
from hook_service.web import sessions
from hook_service.web.auth import ALL, READ
from hook_service.web.sessions import Refused, Sessions
from tests.unit.web.doubles import write_host

PASSWORD = "correct horse battery"
HASH = generate_password_hash(PASSWORD)


class Door:
    """The users of a host, which can be changed, and a clock, which can be set."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = config.load(write_host(directory))
        self._credentials = directory / "credentials"
        (self._credentials / "session-key").write_text("a key that signs")
        self.users(ada=("operator", HASH), vera=("viewer", HASH))
        self._now = time.time()
        monkeypatch.setattr(time, "time", lambda: self._now)

    def users(self, **users: tuple[str, str]) -> None:
        document = {name: {"role": role, "password": password} for name, (role, password) in users.items()}
        (self._credentials / "page-users").write_text(yaml.safe_dump(document))

    def key(self, text: str) -> None:
        (self._credentials / "session-key").write_text(text)

    def later(self, seconds: float) -> None:
        self._now += seconds

    def open(self) -> Sessions:
        """As after a restart."""
        return Sessions(self.host, time.time)


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    return Door(tmp_path, monkeypatch)


def test_who_signs_in_may_do_what_the_role_says(door: Door) -> None:
    here = door.open()
    ada, vera = (here.session(here.sign_in(name, PASSWORD, "192.0.2.1")) for name in ("ada", "vera"))
    assert ada is not None
    assert vera is not None
    assert (ada.actor.name, ada.actor.scopes) == ("ada", ALL)
    assert (vera.actor.name, vera.actor.scopes) == ("vera", READ)


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("nobody", PASSWORD), ("Ada", PASSWORD), ("ada", "")],
)
def test_who_does_not_is_refused(door: Door, name: str, password: str) -> None:
    with pytest.raises(Refused) as refused:
        door.open().sign_in(name, password, "192.0.2.1")
    assert refused.value.wait == 0


def test_time_does_not_tell_whether_there_is_such_a_user(door: Door) -> None:
    here = door.open()

    def shortest(name: str) -> float:
        took = []
        for number in range(4):
            began = time.perf_counter()
            with pytest.raises(Refused):
                here.sign_in(name, "wrong", f"192.0.2.{number}")
            took.append(time.perf_counter() - began)
        return min(took)

    assert 0.5 < shortest("nobody") / shortest("ada") < 2


def test_guesses_lock_out_where_they_come_from_and_not_the_user(door: Door) -> None:
    here = door.open()
    for _ in range(5):
        with pytest.raises(Refused):
            here.sign_in("ada", "a guess", "192.0.2.66")
    with pytest.raises(Refused) as refused:
        here.sign_in("ada", PASSWORD, "192.0.2.66")
    assert 0 < refused.value.wait <= 60
    assert here.session(here.sign_in("ada", PASSWORD, "192.0.2.1")) is not None
    assert here.session(here.sign_in("vera", PASSWORD, "192.0.2.66")) is not None


def test_a_session_outlives_a_restart_but_not_idleness(door: Door) -> None:
    cookie = door.open().sign_in("ada", PASSWORD, "a")
    door.later(sessions.IDLE - 10)
    assert door.open().session(cookie) is not None
    door.later(20)
    assert door.open().session(cookie) is None


def test_a_session_that_is_used_goes_on_for_a_week(door: Door) -> None:
    here = door.open()
    cookie = here.sign_in("ada", PASSWORD, "a")
    for _ in range(14):
        session = here.session(cookie)
        assert session is not None
        cookie = here.renewed(session) or cookie
        door.later(sessions.LONGEST / 14 - 1)
    assert here.session(cookie) is not None
    door.later(60)
    assert here.session(cookie) is None


@pytest.mark.parametrize("change", ["password", "role", "user", "key"])
def test_a_session_ends_with_what_it_was_made_for(door: Door, change: str) -> None:
    here = door.open()
    cookie, other = here.sign_in("ada", PASSWORD, "a"), here.sign_in("vera", PASSWORD, "a")
    if change == "key":
        door.key("another key that signs")
    else:
        became = {"password": ("operator", generate_password_hash(PASSWORD)), "role": ("viewer", HASH)}.get(change)
        door.users(vera=("viewer", HASH), **({"ada": became} if became else {}))
    here = door.open()
    assert here.session(cookie) is None
    assert (here.session(other) is None) == (change == "key")


def test_who_has_signed_out_has_whatever_is_kept_of_the_cookie(door: Door) -> None:
    here = door.open()
    cookie, other = here.sign_in("ada", PASSWORD, "a"), here.sign_in("ada", PASSWORD, "a")
    session = here.session(cookie)
    assert session is not None
    here.end(session)
    for place in (here, door.open()):
        assert place.session(cookie) is None
        assert place.session(other) is not None


def test_a_token_is_of_one_session(door: Door) -> None:
    here = door.open()
    one, two = (here.session(here.sign_in("ada", PASSWORD, "a")) for _ in range(2))
    assert one is not None
    assert two is not None
    assert here.is_token(one, here.token(one))
    assert not any(here.is_token(one, given) for given in (here.token(two), "", None, "é\ud800"))


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "e30.aSBh.sig", "\0", "é" * 5000, "W10.Z.Z", "." * 100, "ada"])
def test_what_is_no_cookie_of_ours_is_none(door: Door, cookie: str) -> None:
    assert door.open().session(cookie) is None


def test_without_users_nobody_signs_in(door: Door) -> None:
    door.users()
    with pytest.raises(Refused):
        door.open().sign_in("ada", PASSWORD, "a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ada: {role: operator}", "ada.password: password is a hash that begins with scrypt:32768:8:1$"),
        (f"ada: {{role: admin, password: '{HASH}'}}", "ada.role: role is operator or viewer"),
        ("ada: {role: viewer, password: 'scrypt:9999999:8:1$salt$00'}", "ada.password: password is a hash"),
        ("[1, 2]", "as a whole: "),
        ("ada: [", "is not YAML"),
        ("'a da': {}", "a da"),
    ],
)
def test_a_fault_in_the_file_is_named_without_what_it_holds(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as fault:
        parse(text)
    assert HASH not in str(fault.value)


def test_a_file_that_can_not_be_used_is_said_and_costs_only_the_page(door: Door) -> None:
    (door.host.credentials / "page-users").write_text("ada: [")
    assert door.open().users == 0
    assert any("page-users is not YAML" in line for line in config.missing_credentials(door.host))
