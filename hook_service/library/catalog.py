"""From a source's path to its content, and from content to its prepared loop. Standard library only.

In `<library>/sources/` one small file a path remembers the hash that was computed, keyed by size, time and inode,
so that a file is read once and not at every switch.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from . import atomic
from .errors import NotNow, SourceMissing
from .loopfile import LoopDamaged, PreparedLoop, open_loop
from .names import INDEX
from .profiles import RECIPE, Profile

__all__ = [
    "SLATE_PICTURE",
    "Source",
    "digest",
    "dressed_dir",
    "floor",
    "forget_refusal",
    "identify",
    "memory",
    "notes",
    "prepared_dir",
    "printable",
    "recall",
    "reference_avcc",
    "refusal",
    "refuse",
    "remember",
    "slate",
    "slate_dir",
]

SLATE_PICTURE = Path(__file__).parent / "assets" / "slate.png"
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A file's content: `sha256` in hex, `size` in bytes. The other fields tell whether it is still the same file."""

    path: Path
    sha256: str
    size: int
    mtime_ns: int
    inode: int


def open_source(path: Path, within: Path | None = None) -> int:
    """Open a media file for reading and return the descriptor; the caller closes it.

    Raises SourceMissing unless it is a readable regular file that lies, symbolic links followed, inside `within`.
    """
    try:
        # Looked at before it is opened: opening a device or a FIFO can already do something.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceMissing(f"{printable(path)} is not a regular file")
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceMissing(f"{printable(path)}: {why}") from error
    try:
        _check_open(fd, path, within)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_open(fd: int, path: Path, within: Path | None) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise SourceMissing(f"{printable(path)} is not a regular file")
    # What was opened, not what the name meant a moment ago.
    real = Path(f"/proc/self/fd/{fd}").readlink()
    if within is not None and not real.is_relative_to(within.resolve()):
        raise SourceMissing(f"{printable(path)} leads out of {printable(within)}")


def identify(path: Path, library: Path, within: Path | None = None) -> Source:
    """The content of a file; hashes it unless its hash is known already.

    Raises SourceMissing (see `open_source`) and NotNow when the file changes while it is read.
    """
    fd = open_source(path, within)
    try:
        return identify_open(fd, path, library)
    finally:
        os.close(fd)


def identify_open(fd: int, path: Path, library: Path) -> Source:
    """As `identify`, for a file that is open already."""
    before = os.fstat(fd)
    known = _remembered(path, library, before)
    if known is not None:
        return known
    source = Source(path, digest(fd, path), before.st_size, before.st_mtime_ns, before.st_ino)
    with contextlib.suppress(OSError):  # a full disk costs the next reader the hashing again, nothing else
        remember(source, library)
    return source


def digest(fd: int, path: Path) -> str:
    """The SHA-256 of an open file, in hex; `path` is for messages. Raises NotNow when it changes while it is read."""
    before = os.fstat(fd)
    found = hashlib.sha256()
    offset = 0
    try:
        while chunk := os.pread(fd, _READ, offset):
            found.update(chunk)
            offset += len(chunk)
    except OSError as error:
        raise NotNow(f"{printable(path)} can't be read: {error.strerror}") from error
    after = os.fstat(fd)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or offset != after.st_size:
        raise NotNow(f"{printable(path)} is being written to")
    return found.hexdigest()


def remember(source: Source, library: Path) -> None:
    """Keep a file's hash, so that nobody has to read the file for it again. Raises OSError."""
    atomic.write_json(
        memory(source.path, library),
        {
            "path": os.fsencode(source.path).decode("utf-8", "backslashreplace"),
            "sha256": source.sha256,
            "size": source.size,
            "mtime_ns": source.mtime_ns,
            "inode": source.inode,
        },
    )


def recall(path: Path, library: Path) -> Source | None:
    """The content of a file if it is known without reading it, else None. Never blocks for long, never raises."""
    try:
        return _remembered(path, library, path.stat())
    except (OSError, ValueError):
        return None


def memory(path: Path, library: Path) -> Path:
    """Where the hash of a file is kept."""
    name = hashlib.sha1(os.fsencode(path), usedforsecurity=False).hexdigest()
    return library / "sources" / f"{name}.json"


def _remembered(path: Path, library: Path, found: os.stat_result) -> Source | None:
    value = notes(memory(path, library))
    key = (found.st_size, found.st_mtime_ns, found.st_ino)
    if value is None or (value.get("size"), value.get("mtime_ns"), value.get("inode")) != key:
        return None
    digest = value.get("sha256")
    if not isinstance(digest, str) or len(digest) != 64:
        return None
    return Source(path, digest, *key)


def notes(path: Path) -> dict[str, Any] | None:
    """A small JSON object that was kept; None where there is none, or something else."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def printable(path: Path) -> str:
    """A file's name for a message: no control characters, and bytes that are no UTF-8 escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def profile_dir(library: Path, profile: Profile) -> Path:
    """Where the loops of a profile are."""
    return library / profile.fingerprint()


def prepared_dir(library: Path, profile: Profile, sha256: str) -> Path:
    """Where the prepared loop of some content is, or will be. It exists only when it is whole."""
    return profile_dir(library, profile) / sha256


def dressed_dir(library: Path, profile: Profile, sha256: str, key: str) -> Path:
    """Where the prepared loop of some content is that carries the card of this key, or will be.

    It lies beside the plain one, whose pictures it has, GOP by GOP; of a long loop it holds the beginning alone.
    """
    return profile_dir(library, profile) / f"{sha256}-{key}"


def _refusals(library: Path, sha256: str, profile: Profile | None) -> list[Path]:
    """Where it is remembered that content is no good: at all, and for one profile."""
    names = [sha256] if profile is None else [sha256, f"{sha256}-{profile.fingerprint()}"]
    return [library / "refused" / f"{name}.json" for name in names]


def refusal(library: Path, sha256: str, profile: Profile | None = None) -> str | None:
    """Why this content was refused, at all or for `profile`, or None."""
    for path in _refusals(library, sha256, profile):
        value = notes(path)
        # What another recipe could not make may well be made by this one.
        if value is not None and value.get("recipe") == RECIPE:
            return str(value.get("reason", "refused"))
    return None


def refuse(library: Path, source: Source, reason: str, profile: Profile | None = None) -> None:
    """Remember that this content is no good, at all or for `profile`. Raises OSError."""
    value = {"reason": reason, "source": printable(source.path), "recipe": RECIPE}
    atomic.write_json(_refusals(library, source.sha256, profile)[-1], value)


def forget_refusal(library: Path, sha256: str) -> None:
    """Let refused content be tried again."""
    for path in (library / "refused").glob(f"{sha256}*.json"):
        path.unlink(missing_ok=True)


@cache
def slate_sha256(picture: Path = SLATE_PICTURE) -> str:
    """The content of the slate's picture."""
    return hashlib.sha256(picture.read_bytes()).hexdigest()


def slate_dir(library: Path, profile: Profile) -> Path:
    """Where the prepared slate of a profile is; `basics.ensure_basics` makes it."""
    return prepared_dir(library, profile, slate_sha256())


def slate(library: Path, profile: Profile) -> PreparedLoop:
    """The slate of a profile; raises LoopDamaged where `basics.ensure_basics` has not made it yet."""
    return open_loop(slate_dir(library, profile))


def reference_avcc(directory: Path) -> bytes:
    """The AVCDecoderConfigurationRecord that all loops in a profile's directory share: that of its slate.

    Raises LoopDamaged where there is no slate, or a damaged one.
    """
    value = notes(directory / slate_sha256() / INDEX)
    try:
        avcc = bytes.fromhex(value["avcc"]) if value is not None else b""
    except (KeyError, TypeError, ValueError):
        avcc = b""
    if not avcc:
        raise LoopDamaged(f"{directory}: its slate is missing or damaged")
    return avcc


def floor_path(library: Path, kbps: int = 192) -> Path:
    """Where the quiet floor is."""
    return library / "audio" / f"floor-{kbps}k.aac"


def floor(library: Path, kbps: int = 192) -> bytes:
    """20 s of very quiet noise as ADTS AAC-LC, 44.1 kHz stereo; raises OSError before `ensure_basics` made it."""
    return floor_path(library, kbps).read_bytes()


def audio_path(library: Path, sha256: str, kbps: int = 192) -> Path:
    """Where a prepared fallback audio is; it exists only when it is whole."""
    return library / "audio" / f"{sha256}-{kbps}k.aac"


def is_full(error: OSError) -> bool:
    """Whether an error means that there is no room, rather than that something is wrong."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
