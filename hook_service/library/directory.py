"""A directory that is read while others rename or remove it. Standard library only: the playout imports it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .flv import LoopDamaged

__all__ = ["Directory", "count"]

# The index of a two-hour loop with one-second GOPs is about 200 KB: a limit, so that a damaged one costs an error
# and not the host's memory.
_INDEX_LIMIT = 4 << 20


class Directory:
    """A directory held by descriptor, so that what is in it stays reachable when it is renamed under its reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, int] = {}
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise LoopDamaged(f"{path}: {error.strerror}") from error

    def file(self, name: str) -> int | None:
        """A descriptor of a file inside, opened once; None while there is none."""
        if name not in self._files:
            if self._fd < 0:
                raise LoopDamaged(f"{self.path}: already closed")
            try:
                self._files[name] = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise LoopDamaged(f"{self.path}/{name}: {error.strerror}") from error
        return self._files[name]

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer at the end of the file, none without it."""
        fd = self.file(name)
        try:
            return b"" if fd is None else os.pread(fd, length, offset)
        except OSError as error:
            raise LoopDamaged(f"{self.path}/{name}: {error.strerror}") from error

    def size(self, name: str) -> int:
        """How long a file is now; 0 without it."""
        fd = self.file(name)
        return 0 if fd is None else os.fstat(fd).st_size

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON object from a file inside; None when there is no such file."""
        data = self.read(name, 0, _INDEX_LIMIT)
        if not data and self.file(name) is None:
            return None
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise LoopDamaged(f"{self.path}/{name} is not JSON") from error
        if not isinstance(value, dict):
            raise LoopDamaged(f"{self.path}/{name} is not a JSON object")
        return value

    def is_at(self, path: Path) -> bool:
        """Whether this very directory is now found at `path`."""
        if self._fd < 0:
            return False
        try:
            return os.path.samestat(os.fstat(self._fd), path.stat())
        except OSError:
            return False

    def is_removed(self) -> bool:
        """Whether the directory is gone (or this is closed)."""
        return self._fd < 0 or os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        """Give the files back; may be called again."""
        for fd in [self._fd, *self._files.values()]:
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._fd = -1
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self.close()


def count(value: object) -> int:
    """A whole number that is not negative, else ValueError: JSON has room for much else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value
