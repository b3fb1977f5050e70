"""Cover art: fetched in the background, looked at, and kept as files for whoever draws the cards.

An address comes with a track, so anyone who may send a webhook can name one. Nothing is asked of an address that is
not public, unless it is AzuraCast's own or one that the operator allows; what comes is limited in size and time, and
is a picture by its content, whatever it is called.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from hook_service.web import httpget

ART_BYTES: Final = 5 << 20
URL_CHARS: Final = 2048
_KEPT_FILES: Final = 300
_KEPT_URLS: Final = 512
_WAITING: Final = 16
FRESH_SECONDS: Final = 24 * 3600.0
AGAIN_SECONDS: Final = 300.0
PATIENCE: Final = 4.0
"""Seconds that a card waits for its cover; it gets it later where that takes longer."""
_PORTS: Final = {"http": 80, "https": 443}

log = logging.getLogger("radio.web")


@dataclass(frozen=True, slots=True)
class _Found:
    """What became of an address: the picture's hash, or None, until a time (monotonic seconds)."""

    sha256: str | None
    until: float


class Gallery:
    """The covers of all stations. `get` never blocks; the fetching is one thread's work, which begins with the first.

    `changed()` is called when an address has been dealt with, or is not to be waited for any longer.
    """

    def __init__(self, directory: Path, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._changed = changed
        self._known: OrderedDict[str, _Found] = OrderedDict()
        self._pending: dict[str, float] = {}
        self._lock = threading.Lock()
        self._jobs: queue.Queue[tuple[str, frozenset[str]]] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def get(self, url: str, allowed: Collection[str]) -> tuple[str | None, bool]:
        """The hash of an address's picture, and whether it is worth waiting for.

        `allowed` are the hosts (`name` or `name:port`, lower case) that may be private.
        """
        with self._lock:
            found = self._known.get(url)
            if found is not None and found.until > time.monotonic() and self._has(found.sha256):
                return found.sha256, False
            if url in self._pending:
                return None, time.monotonic() < self._pending[url]
            try:
                self._jobs.put_nowait((url, frozenset(allowed)))
            except queue.Full:
                return None, False
            self._pending[url] = time.monotonic() + PATIENCE
            impatient = threading.Timer(PATIENCE, self._hurry, (url,))
            impatient.daemon = True
            impatient.start()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="art", daemon=True)
                self._thread.start()
        return None, True

    def _has(self, sha256: str | None) -> bool:
        """Whether a picture is still there, and note that it is wanted; always, of one that can't be had."""
        if sha256 is None:
            return True
        try:
            os.utime(self._directory / sha256)  # the oldest go first
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def _hurry(self, url: str) -> None:
        with self._lock:
            waits = url in self._pending
        if waits:
            self._changed()

    def _work(self) -> None:
        while True:
            url, allowed = self._jobs.get()
            sha256 = None
            try:
                sha256 = self._keep(fetch(url, allowed))
            except httpget.Away as error:
                # Never the address itself: it may hold a key.
                context = {"host": _host(url), "why": str(error)}
                log.warning("A cover can't be had", extra={"context": context})
            except Exception:
                log.exception("A cover could not be fetched")
            lasts = FRESH_SECONDS if sha256 is not None else AGAIN_SECONDS
            with self._lock:
                self._pending.pop(url, None)
                self._known[url] = _Found(sha256, time.monotonic() + lasts)
                self._known.move_to_end(url)
                while len(self._known) > _KEPT_URLS:
                    self._known.popitem(last=False)
            self._changed()

    def _keep(self, data: bytes) -> str | None:
        """Write a picture under its hash; None where it can't be written."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._directory / sha256
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if path.exists():
                os.utime(path)  # the oldest go first
            else:
                draft = path.with_suffix(".new")
                draft.write_bytes(data)
                draft.replace(path)
                self._tidy()
        except OSError as error:
            log.warning("A cover can't be kept", extra={"context": {"error": error.strerror}})
            return None
        return sha256

    def _tidy(self) -> None:
        kept = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_KEPT_FILES]:
            with suppress(OSError):
                path.unlink()


def fetch(url: str, allowed: Collection[str]) -> bytes:
    """The picture at an address. Raises httpget.Away, saying why there is none; the address is not in it."""
    parts = _parts(url)
    free = _is_allowed(parts, allowed)
    if not free:
        # Looked up before anything is asked, and again once connected: a name may mean another address then.
        _refuse_private([info[4][0] for info in _look_up(parts)])

    def opened(connection: socket.socket) -> None:
        if not free:
            _refuse_private([connection.getpeername()[0]])

    with httpget.get(url, {"Accept": "image/*"}, opened) as answer:
        if answer.status != 200:
            raise httpget.Away(f"answers with status {answer.status}")
        data = answer.whole(ART_BYTES)
    if not _is_picture(data[:16]):
        raise httpget.Away("is not a JPEG, PNG, WebP or GIF picture")
    return data


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise httpget.Away("has no usable address") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or parts.username or parts.password:
        raise httpget.Away("has no usable address")
    if len(url) > URL_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise httpget.Away("has no usable address")
    return parts


def _host(url: str) -> str:
    with suppress(ValueError):
        return (urlsplit(url).hostname or "")[:253]
    return ""


def _is_allowed(parts: SplitResult, allowed: Collection[str]) -> bool:
    """Whether the operator knows the host: by its name alone, on any port, or by name and port."""
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    return host in allowed or f"{host}:{parts.port or _PORTS[parts.scheme]}" in allowed


def _look_up(parts: SplitResult) -> list[tuple[object, object, object, object, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or _PORTS[parts.scheme], type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpget.Away("has no known address") from None
    return found  # type: ignore[return-value]  # of families that have other addresses there is no stream


def _refuse_private(addresses: list[str]) -> None:
    for address in addresses:
        found = ipaddress.ip_address(address.partition("%")[0])
        inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None) or found
        if not (found.is_global and inner.is_global) or found.is_multicast:
            raise httpget.Away("is at an address that is not public; card.art_hosts can allow its host")


def _is_picture(head: bytes) -> bool:
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8"))
