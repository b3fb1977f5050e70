"""Who uses the page: users with a password, and the signed cookie that their browser carries once it was right.

A session is in the cookie alone, so that a restart of this process ends none, and neither does a database that is
away. What has to be remembered here is only which of them were ended before their time.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.security import check_password_hash

from hook_service.config.users import METHOD, User, parse
from hook_service.library.atomic import write_json
from hook_service.web.auth import ALL, READ, Actor
from hook_service.web.limits import Buckets

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.wrappers import Response

    from hook_service.config import Host

IDLE: Final = 12 * 3600
"""Seconds after the last page that was opened. What a page asks for by itself does not count."""
LONGEST: Final = 7 * 24 * 3600.0
RENEWED: Final = 60
"""Seconds after which a cookie that is used is written anew."""
AT_ONCE: Final = 2
"""Passwords that are looked at at the same time: each takes 32 MB and a tenth of a second."""
WAITING: Final = 2
LONGEST_PASSWORD: Final = 256
_ENDED: Final = 2000
_NOBODY: Final = f"{METHOD}$nobodynobody$" + "0" * 128

log = logging.getLogger("radio.web")


class Refused(Exception):
    """No session. `wait` is the seconds until another try is looked at; 0 where it was looked at, and wrong."""

    def __init__(self, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__("wrong" if not wait else f"again in {wait:.0f} s")


@dataclass(frozen=True, slots=True)
class Session:
    """Someone who is signed in. `begun` and `seen` are Unix seconds."""

    name: str
    role: str
    id: str
    begun: float
    seen: float

    @property
    def actor(self) -> Actor:
        """What they may do, under their name."""
        return Actor(self.name, ALL if self.role == "operator" else READ)


class Sessions:
    """The users and their sessions. Credentials are read once, at start, like all others."""

    def __init__(self, host: Host, clock: Callable[[], float] = time.time) -> None:
        try:
            self._users: dict[str, User] = parse(host.secret("page-users"))
        except ValueError as error:
            # Said by `missing_credentials`; the rest of the process has nothing to do with it.
            log.error("Nobody can sign in to the page: page-users %s", error)  # noqa: TRY400 - it says it all
            self._users = {}
        key = host.secret("session-key")
        if key is None and self._users:
            log.warning("No session-key: whoever is signed in to the page won't be after a restart")
        self._key = (key or secrets.token_hex(32)).encode()
        self._cookies = URLSafeTimedSerializer(
            self._key, salt="session", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )
        self._clock = clock
        # A user is locked out where the guesses come from; everywhere only after very many, as anyone could do that
        # to them.
        self._guesses = Buckets(1 / 60, 5)
        self._guesses_at_all = Buckets(1 / 30, 100)
        self._room = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._looking = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._file = host.paths.state / "web" / "_signed-out.json"
        self._ended = _load(self._file, clock())

    @property
    def users(self) -> int:
        """How many there are."""
        return len(self._users)

    def sign_in(self, name: str, password: str, client: str) -> str:
        """The value of a new session's cookie. Raises Refused."""
        at = f"{name}\0{client}"
        wait = max(self._guesses.wait(at), self._guesses_at_all.wait(name))
        if wait:
            raise Refused(wait)
        user = self._users.get(name)
        if not self._is_right(user.password if user else _NOBODY, password) or user is None:
            self._guesses.take(at)
            self._guesses_at_all.take(name)
            # Not the name of someone unknown: it may be a password in the wrong field.
            context = {"user": name if user else None, "client": client}
            log.warning("Sign-in refused", extra={"context": context})
            raise Refused
        log.info("Signed in", extra={"context": {"user": name, "client": client}})
        return self._cookie(Session(name, user.role, secrets.token_urlsafe(12), self._clock(), 0.0))

    def session(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None for one that is not ours, or is over."""
        if not cookie:
            return None
        try:
            said, signed = self._cookies.loads(cookie, max_age=IDLE, return_timestamp=True)
            name, number, begun, fingerprint = said
        except (BadData, ValueError, TypeError):
            return None
        user = self._users.get(name)
        over = self._clock() - begun > LONGEST or number in self._ended
        if user is None or over or not hmac.compare_digest(fingerprint, self._fingerprint(user)):
            return None
        return Session(name, user.role, number, begun, signed.timestamp())

    def renewed(self, session: Session) -> str | None:
        """The cookie to give to who has just opened a page, where it is time for another."""
        return self._cookie(session) if self._clock() - session.seen > RENEWED else None

    def end(self, session: Session) -> None:
        """End a session: its cookie is good for nothing from here on, wherever it is kept."""
        with self._lock:
            now = self._clock()
            kept = {number: until for number, until in self._ended.items() if until > now}
            while len(kept) >= _ENDED:
                del kept[next(iter(kept))]
            self._ended = {**kept, session.id: session.begun + LONGEST}
            try:
                write_json(self._file, self._ended)
            except OSError as error:
                log.warning("A sign-out won't outlive this process", extra={"context": {"error": str(error)}})

    def token(self, session: Session) -> str:
        """What a session's own pages send along with whatever changes something; others can't know it."""
        return hmac.new(self._key, f"csrf {session.id}".encode(), sha256).hexdigest()

    def is_token(self, session: Session, given: str | None) -> bool:
        """Whether `given` is that token."""
        return hmac.compare_digest((given or "").encode("utf-8", "replace"), self.token(session).encode())

    def _cookie(self, session: Session) -> str:
        said = [session.name, session.id, session.begun, self._fingerprint(self._users[session.name])]
        value = self._cookies.dumps(said)
        return value if isinstance(value, str) else value.decode()

    def _fingerprint(self, user: User) -> str:
        """Of password and role: a session ends with a change of either."""
        return hmac.new(self._key, f"{user.role} {user.password}".encode(), sha256).hexdigest()[:16]

    def _is_right(self, wanted: str, password: str) -> bool:
        """Takes as long for a user who does not exist. Raises Refused where too many wait for an answer already."""
        if not self._room.acquire(blocking=False):
            raise Refused(1.0)
        try:
            with self._looking:
                return check_password_hash(wanted, password)
        finally:
            self._room.release()


def cookie_name(request: Request) -> str:
    """Behind TLS it has the prefix that no other host, path or plain connection can set."""
    return "__Host-steadycast" if request.is_secure else "steadycast"


def give(response: Response, request: Request, value: str) -> None:
    """Put a session's cookie into an answer. It goes when the browser does."""
    response.set_cookie(
        cookie_name(request), value, httponly=True, secure=request.is_secure, samesite="Lax", path="/"
    )


def take_back(response: Response, request: Request) -> None:
    """Remove it."""
    name = cookie_name(request)
    response.delete_cookie(name, httponly=True, secure=request.is_secure, samesite="Lax", path="/")


def _load(path: Path, now: float) -> dict[str, float]:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        document: dict[str, Any] = json.loads(path.read_bytes())
        return {str(number): float(until) for number, until in document.items() if float(until) > now}
    return {}
