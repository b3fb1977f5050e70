"""Names for files that become loops, and how a file gets one."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hook_service.library.scanner import SUFFIXES
from hook_service.web.upload import UploadError

_UNSAFE: Final = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]+')
_BYTES: Final = 200


def safe_name(said: str) -> str:
    """The name of a loop that is as near as can be to what the file was called. Raises UploadError for no video."""
    text = unicodedata.normalize("NFC", said.encode("utf-8", "replace").decode("utf-8"))
    text = "".join(c if c.isprintable() else " " for c in text.replace("\\", "/").rpartition("/")[2])
    text = " ".join(_UNSAFE.sub(" ", text).split())
    stem, dot, suffix = text.rpartition(".")
    if not dot or f".{suffix}".lower() not in SUFFIXES:
        raise UploadError(422, f"{said[-80:]!r} has no ending of a video or picture, such as .mp4.")
    # A file system's names are counted in bytes; there must be room for a number.
    stem = stem.lstrip("-~. ").rstrip(". ").encode()[:_BYTES].decode("utf-8", "ignore").strip(". ") or "loop"
    return f"{stem}.{suffix.lower()}"


def names_like(name: str) -> Iterator[str]:
    """A name, then the same with numbers."""
    yield name
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(2, 10_000):
        yield f"{stem}-{number}{suffix}"


def move(source: Path, target: Path) -> None:
    """Give a file a name on the same file system that no other has. Raises FileExistsError, OSError."""
    # A place of its own first: a rename alone would replace what has just come there.
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    try:
        source.rename(target)
    except OSError:
        target.unlink(missing_ok=True)
        raise
