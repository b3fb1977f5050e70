"""Writing files so that a crash or a power cut leaves the old one or the new one, never half of either."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["sync", "sync_directory", "write_bytes", "write_json"]


def sync(path: Path) -> None:
    """Bring a file's content, or a directory's entries, to the disk; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


sync_directory = sync


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` (mode 0644); its directory is created. Raises OSError, and then `path` is what it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace `path` by a JSON object, see `write_bytes`."""
    write_bytes(path, json.dumps(value, separators=(",", ":")).encode() + b"\n")
