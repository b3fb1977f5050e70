"""The urgent lane: a Unix socket on which a loop is asked for that is wanted on the air now. Needs no database.

One JSON object a line:

- `{"op":"prepare","path":…,"profile":…}`, with `"fingerprint"` or `"fade_in"` where stations that share a profile
  differ in their fade. Answered by `{"state":"encoding","dir":…}` as soon as there is something to follow, then by
  `{"state":"ready","dir":…}` or `{"state":"refused","reason":…,"again":bool}`; `again`: asking later may help.
- `{"op":"examine","path":…}` is asked about a file that was uploaded and is no loop yet: answered by `ready` with its
  `sha256`, `width`, `height`, `seconds` (null where the file does not say) and `still`, or by `refused`.
- `{"op":"card","path":…,"profile":…,"card":…,"urgent":bool}` makes the loop with a card (see `card.py`): `ready` or
  `refused`.
- `{"op":"retry","path":…}` makes a refused file be tried again: `{"state":"ready"}`.
- `{"op":"audio","path":…,"kbps":…}` is answered by `{"state":"ready","file":…}` or `refused`.
- `{"op":"crossfade","profile":…,"fingerprint":…,"from":DIR,"frame":N,"to":DIR,"within":SECONDS}` is answered by
  `{"state":"encoding","file":…}` as soon as there is something to follow, then by `{"state":"ready","file":…}`, one
  GOP in which a prepared loop gives way to another from its frame N on, or by `refused`.
- `{"op":"status"}` and `{"op":"loops"}` are answered by what the service says about itself and about every file.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socketserver
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import catalog, intake
from .card import Card, card_from
from .child import BACKGROUND_NICE, Cancelled
from .crossfade import Change
from .dress import Dress
from .errors import LibraryError, Refused
from .preparer import Preparer
from .profiles import Profile

__all__ = ["UrgentLane"]

log = logging.getLogger("radio.library")
Message = dict[str, Any]
_LINE_LIMIT = 16 << 10
# A switch that is due later than that need not be asked for in a hurry.
_CROSSFADE_SECONDS = 60


class UrgentLane(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves the socket in threads of its own: `start`, then `stop`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        path: Path,
        preparer: Preparer,
        status: Callable[[], Message],
        loops: Callable[[], list[Message]],
        wardrobe: Callable[[Card], Dress],
    ) -> None:
        self.path = path
        self.preparer = preparer
        self.status = status
        self.loops = loops
        self.wardrobe = wardrobe
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Client)
        path.chmod(0o660)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, name="urgent")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and remove the socket."""
        self.shutdown()
        self.server_close()
        self.path.unlink(missing_ok=True)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the stdlib's signature
        """A client's thread ended with an error of ours."""
        log.exception("The urgent lane could not answer")


class _Client(socketserver.StreamRequestHandler):
    server: UrgentLane

    def handle(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while line := self.rfile.readline(_LINE_LIMIT):
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    message = None
                if not isinstance(message, dict):
                    self._say({"state": "refused", "reason": "not a JSON object", "again": False})
                    return
                self._answer(message)

    def _answer(self, message: Message) -> None:
        match message.get("op"):
            case "status":
                self._say(self.server.status())
            case "loops":
                self._say({"ok": True, "loops": self.server.loops()})
            case "prepare":
                self._attempt(lambda: {"dir": self._prepare(message)})
            case "examine":
                self._attempt(lambda: asdict(self._examine(message)))
            case "card":
                self._attempt(lambda: {"dir": self._card(message)})
            case "retry":
                self._attempt(lambda: self._retry(message))
            case "audio":
                self._attempt(lambda: {"file": self._audio(message)})
            case "crossfade":
                self._attempt(lambda: {"file": self._crossfade(message)})
            case other:
                self._say({"state": "refused", "reason": f"unknown op {other!r}", "again": False})

    def _attempt(self, work: Callable[[], Message]) -> None:
        try:
            self._say({"state": "ready", **work()})
        except LibraryError as error:
            reason = str(error)
            self._say({"state": "refused", "reason": reason, "again": not isinstance(error, Refused)})
        except Cancelled:
            self._say({"state": "refused", "reason": "the service is stopping", "again": True})

    def _profile(self, message: Message) -> Profile:
        fade_in = message.get("fade_in")
        if fade_in is not None and not isinstance(fade_in, int | float):
            raise LibraryError("fade_in is not a number of seconds")
        fingerprint = message.get("fingerprint")
        return self.server.preparer.profile(str(message.get("profile", "")), fade_in, fingerprint)

    def _card(self, message: Message) -> str:
        try:
            card = card_from(message.get("card"))
        except ValueError as error:
            raise LibraryError(str(error)) from error
        dress, urgent = self.server.wardrobe(card), message.get("urgent") is True
        return str(self.server.preparer.dress(_path(message), self._profile(message), dress, urgent=urgent))

    def _prepare(self, message: Message) -> str:
        profile = self._profile(message)

        def on_encoding(partial: Path) -> None:
            # Whoever asked may be gone; the loop will be wanted all the same.
            with contextlib.suppress(OSError):
                self._say({"state": "encoding", "dir": str(partial)})

        return str(self.server.preparer.prepare(_path(message), profile, urgent=True, on_encoding=on_encoding))

    def _examine(self, message: Message) -> intake.Found:
        # Reads a whole file, on a thread of this connection alone: not at the expense of what is on the air.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICE)
        return self.server.preparer.examine(_path(message))

    def _retry(self, message: Message) -> Message:
        self.server.preparer.retry(_path(message))
        return {}

    def _audio(self, message: Message) -> str:
        kbps = message.get("kbps", 192)
        if not isinstance(kbps, int) or not 32 <= kbps <= 320:
            raise LibraryError("kbps is not a number from 32 to 320")
        return str(self.server.preparer.prepare_audio(_path(message), kbps))

    def _crossfade(self, message: Message) -> str:
        preparer = self.server.preparer
        fingerprint = message.get("fingerprint")
        profile = preparer.profile(str(message.get("profile", "")), fingerprint=str(fingerprint))
        outgoing, incoming = (_prepared(message, key, preparer.library) for key in ("from", "to"))
        frame, within = message.get("frame"), message.get("within")
        if isinstance(frame, bool) or not isinstance(frame, int):
            raise LibraryError("frame is not a number")
        if isinstance(within, bool) or not isinstance(within, int | float) or not 0 < within <= _CROSSFADE_SECONDS:
            raise LibraryError(f"within is not a number of seconds up to {_CROSSFADE_SECONDS}")

        def on_encoding(file: Path) -> None:
            with contextlib.suppress(OSError):
                self._say({"state": "encoding", "file": str(file)})

        return str(preparer.crossfade(Change(profile, outgoing, frame, incoming), within, on_encoding))

    def _say(self, answer: Message) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def _prepared(message: Message, key: str, library: Path) -> Path:
    """A prepared loop's directory; only what lies in the library is one."""
    path = _path(message, key)
    if not path.resolve().is_relative_to(library.resolve()):
        raise LibraryError(f"{key} is not in the library")
    return path


def _path(message: Message, key: str = "path") -> Path:
    """The file asked for. Names that are no UTF-8 come as surrogate escapes, as Python's json writes them."""
    path = message.get(key)
    if not isinstance(path, str) or not path or "\0" in path:
        raise LibraryError(f"{key} is not the name of a file")
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise LibraryError(f"{key} is not a name: {catalog.printable(Path(repr(path)))}") from error
    return Path(path)
