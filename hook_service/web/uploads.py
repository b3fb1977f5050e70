"""Files on their way to become loops: received in pieces, looked at, then given a name among the loops.

Each upload is two files in `<loops>/.uploads/`: what came of it so far, whose length is how much came, and a note. So
an upload survives a restart of this service, and nothing of it is needed in memory. Both lie on the loops' own file
system, so that a name is given in one rename.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Final
from uuid import uuid4

from hook_service import ipc
from hook_service.library import catalog
from hook_service.web.naming import move, names_like, safe_name
from hook_service.web.shelf import Shelf
from hook_service.web.upload import State, Upload, UploadError, write_piece

LARGEST: Final = 16 << 30
"""Bytes: two hours, the longest loop, at 18 Mb/s."""
RESERVE: Final = 1 << 30
"""Bytes that an upload leaves free: logs, records and prepared loops need room."""
AT_ONCE: Final = 200
"""Uploads that are not finished."""
CHECKS: Final = 8
"""Uploads whose check has begun, or waits for its turn."""
KEPT_SECONDS: Final = 24 * 3600.0
"""Since anything last came. Then an upload that was left off is removed, and what is known of a finished one too."""
UPLOADS: Final = ".uploads"
_PART: Final = ".part"
_EXAMINE_SECONDS: Final = 900.0
_NUMBER: Final = re.compile(r"[0-9a-f]{32}")


class Uploads:
    """The uploads of one host, for all threads."""

    def __init__(self, loops: Path, library: Path, run: Path, shelf: Shelf) -> None:
        self._loops, self._library, self._socket = loops, library, run / "prepare.sock"
        self._place = loops / UPLOADS
        self._shelf = shelf
        self._lock = threading.Lock()
        # Held while a file gets its name: until its note says so, it is neither here nor there.
        self._moving = threading.Lock()
        # One check at a time: two uploads of the same content must see each other.
        self._turn = threading.Lock()
        self._checking: dict[str, threading.Thread] = {}

    def create(self, name: str, length: int, by: str) -> Upload:
        """Begin one. Raises UploadError where it is too large for this host, or its name is none of a video."""
        if length > LARGEST:
            raise UploadError(413, f"{LARGEST} bytes are the most.")
        if length == 0:
            raise UploadError(422, "The file is empty.")
        found = Upload(uuid4().hex, safe_name(name), length, time.time(), by)
        with self._lock, self._disk():
            self._place.mkdir(exist_ok=True)
            others = [other for other in self.all() if other.state in ("receiving", "checking")]
            if len(others) >= AT_ONCE:
                raise UploadError(429, f"{AT_ONCE} uploads are not finished; finish or remove some first.")
            awaited = sum(other.length - other.offset for other in others)
            free = shutil.disk_usage(self._place).free
            if free - awaited - RESERVE < length:
                room = max(0, free - awaited - RESERVE)
                raise UploadError(413, f"There is room for {room} bytes more on this host; delete loops first.")
            self._part(found.id).touch(mode=0o644, exist_ok=False)
            self._write(found)
        return found

    def find(self, number: str) -> Upload | None:
        """One, as it is now; its check begins here where it has not (this service may have been restarted)."""
        found = self._read(number)
        if found is not None and found.state == "checking":
            self._begin(number)
        return found

    def all(self) -> list[Upload]:
        """Every upload that is known, the latest first."""
        numbers = [path.stem for path in self._place.glob("*.json")]
        found = [upload for number in numbers if (upload := self._read(number)) is not None]
        return sorted(found, key=lambda upload: -upload.created_at)

    def append(self, number: str, offset: int, stream: IO[bytes]) -> Upload | None:
        """Add a piece that begins at `offset`; None for an unknown upload. With the last piece its check begins.

        Whatever of a piece arrived counts. Raises UploadError.
        """
        with self._held(number) as fd:
            found = self._read(number)
            if found is None:
                return None
            if found.state != "receiving":
                raise UploadError(409, "This upload is complete.")
            if offset != found.offset:
                raise UploadError(409, f"{found.offset} bytes have come: go on there.")
            with self._disk():
                came = write_piece(stream, fd, found.offset, found.length)
            if came == found.length:
                os.fsync(fd)
        if came == found.length:
            self._begin(number)
        return self._read(number)

    def wait(self, number: str, seconds: float) -> Upload | None:
        """The upload once its check is over, or as it is after `seconds`."""
        check = self._checking.get(number)
        if check is not None:
            check.join(seconds)
        return self._read(number)

    def remove(self, number: str) -> Upload | None:
        """Forget an upload and what came of it; None for an unknown one. A loop that it has become stays."""
        with self._held(number):
            found = self._read(number)
            self._forget(number)
        return found

    def _begin(self, number: str) -> None:
        with self._lock:
            self._checking = {key: check for key, check in self._checking.items() if check.is_alive()}
            # Whoever asks for one that has to wait begins it later.
            if number not in self._checking and len(self._checking) < CHECKS:
                # A daemon: the end of the service does not wait for it, and the next one begins it again.
                check = threading.Thread(target=self._check, args=(number,), name="upload", daemon=True)
                self._checking[number] = check
                check.start()

    def _check(self, number: str) -> None:
        """Ask radio-prepare about a file that is whole, then let it in, or not."""
        with self._turn:
            found = self._read(number)
            if found is None or found.state != "checking":
                return
            message = {"op": "examine", "path": str(self._part(number))}
            try:
                self._settle(found, ipc.request(self._socket, message, _EXAMINE_SECONDS))
            except ipc.PeerDown:
                self._conclude(replace(found, reason="The preparation does not answer; this goes on when it does."))
            except OSError as error:
                self._conclude(replace(found, reason=f"It can't be put among the loops: {error.strerror}"))

    def _settle(self, found: Upload, answer: ipc.Message) -> None:
        if answer.get("state") != "ready":
            reason = str(answer.get("reason"))
            if answer.get("again"):
                self._conclude(replace(found, reason=reason))
                return
            self._conclude(replace(found, state="refused", reason=reason))
            self._part(found.id).unlink(missing_ok=True)
            return
        sha256 = str(answer["sha256"])
        loops = self._shelf.all(fresh=True).values()
        twin = next((loop.name for loop in loops if loop.sha256 == sha256 and loop.size == found.length), None)
        if twin is not None:
            self._conclude(replace(found, state="duplicate", name=twin, sha256=sha256, reason=None))
            self._part(found.id).unlink(missing_ok=True)
            return
        with self._moving:
            path = self._admit(found)
            with suppress(OSError):  # then radio-prepare reads it once more
                stat = path.stat()
                source = catalog.Source(path, sha256, stat.st_size, stat.st_mtime_ns, stat.st_ino)
                catalog.remember(source, self._library)
            self._conclude(replace(found, state="done", name=path.name, sha256=sha256, reason=None))
        self._shelf.all(fresh=True)

    def _admit(self, found: Upload) -> Path:
        """Give the file the first name like its own that is free. Raises OSError."""
        part = self._part(found.id)
        part.chmod(0o644)
        for name in names_like(found.name):
            with suppress(FileExistsError):
                move(part, self._loops / name)
                return self._loops / name
        raise FileExistsError(errno.EEXIST, "every name like this one is taken")

    @contextmanager
    def _held(self, number: str) -> Iterator[int]:
        """The part of an upload, while nobody else writes to it; -1 where there is none (any more)."""
        if not _NUMBER.fullmatch(number):
            yield -1
            return
        try:
            fd = os.open(self._part(number), os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield -1
            return
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UploadError(423, "Another request writes to this upload.") from None
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """The disk's troubles as those of the upload."""
        try:
            yield
        except OSError as error:
            if catalog.is_full(error):
                raise UploadError(413, "The disk is full.") from error
            raise UploadError(403, f"The loops directory can't be written to: {error.strerror}.") from error

    def _read(self, number: str) -> Upload | None:
        if not _NUMBER.fullmatch(number):
            return None
        with self._moving:
            value = catalog.notes(self._note(number))
            try:
                found = Upload(**value) if value is not None else None
                if found is None or found.state != "receiving":
                    return found
                offset = self._part(number).stat().st_size
            except (OSError, TypeError):
                return None
        return replace(found, offset=offset, state="checking" if offset == found.length else "receiving")

    def _conclude(self, upload: Upload) -> None:
        """What came of the check, unless somebody has removed the upload meanwhile."""
        if self._note(upload.id).exists():
            self._write(upload)

    def _write(self, upload: Upload) -> None:
        state: State = "receiving" if upload.state == "checking" else upload.state
        note, new = self._note(upload.id), self._place / f".{upload.id}.new"
        new.write_text(json.dumps(asdict(replace(upload, state=state))), encoding="utf-8")
        new.replace(note)

    def _forget(self, number: str) -> None:
        if _NUMBER.fullmatch(number):
            self._note(number).unlink(missing_ok=True)
            self._part(number).unlink(missing_ok=True)

    def _part(self, number: str) -> Path:
        return self._place / f"{number}{_PART}"

    def _note(self, number: str) -> Path:
        return self._place / f"{number}.json"


def expire(loops: Path) -> None:
    """Remove what was left off, and what is known of uploads that ended long ago."""
    newest: dict[str, float] = {}
    for path in (loops / UPLOADS).glob("*"):
        number = path.name.lstrip(".")[:32]
        with suppress(OSError):
            if not _NUMBER.fullmatch(number):
                continue  # nothing of ours
            newest[number] = max(newest.get(number, 0.0), path.stat().st_mtime)
    for number, at in newest.items():
        if time.time() - at > KEPT_SECONDS:
            for path in (loops / UPLOADS).glob(f"*{number}*"):
                with suppress(OSError):
                    path.unlink()
