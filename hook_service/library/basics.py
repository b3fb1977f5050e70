"""What must be there before a station goes on the air: the slate of its profile and the quiet floor."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from . import catalog
from .atomic import sync_directory
from .catalog import SLATE_PICTURE, Source
from .child import URGENT_NICE, Child, ChildFailed
from .encode import Job, is_whole, nvenc_works, prepare
from .errors import LibraryError, NotNow, Refused
from .probe import last_line, whitelisted
from .profiles import Profile

__all__ = ["FLOOR_SECONDS", "ensure_basics", "prepare_audio"]

FLOOR_SECONDS = 20


def ensure_basics(library: Path, profile: Profile) -> None:
    """Make the slate of `profile` and the floor of its audio bitrate unless they are there.

    Blocks for about a second the first time, then for a millisecond. May be called by several processes at once and
    be killed at any moment. Raises LibraryError, with the reason, when one of them can't be made.
    """
    try:
        _ensure_floor(library, profile.audio_kbps)
        if not is_whole(catalog.slate_dir(library, profile)):
            _make_slate(library, profile)
    except OSError as error:
        raise NotNow(f"{library} can't be written: {error}") from error


def _make_slate(library: Path, profile: Profile) -> None:
    """Encode the slate. The encoder that makes it is that of all loops of the profile from then on."""
    encoders = ["libx264"]
    if profile.encoder == "h264_nvenc" and nvenc_works():
        encoders.insert(0, "h264_nvenc")
    fd = catalog.open_source(SLATE_PICTURE)
    try:
        stat = os.fstat(fd)
        digest = catalog.slate_sha256()
        source = Source(SLATE_PICTURE, digest, stat.st_size, stat.st_mtime_ns, stat.st_ino)
        for encoder in encoders:
            job = Job(library, profile, source, fd, urgent=True, encoder=encoder, is_slate=True)
            try:
                prepare(job)
            except LibraryError:
                if encoder == encoders[-1]:
                    raise
            else:
                return
    finally:
        os.close(fd)


def _ensure_floor(library: Path, kbps: int) -> None:
    """Very quiet noise, since digital silence encodes to a few kb/s, which platforms take for a dead stream."""
    path = catalog.floor_path(library, kbps)
    if path.exists():
        return
    # Decorrelated channels with a fixed seed: the same floor on every host.
    noise = [f"anoisesrc=r=44100:c=pink:a=0.0006:s={seed}:d={FLOOR_SECONDS}" for seed in (20, 26)]
    command = [
        *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y"),
        *("-f", "lavfi", "-i", f"{noise[0]}[l];{noise[1]}[r];[l][r]join=inputs=2:channel_layout=stereo"),
        *audio_options(kbps),
    ]
    make_audio(path, command)


def prepare_audio(path: Path, library: Path, kbps: int = 192, within: Path | None = None) -> Path:
    """The fallback audio of a station as one ADTS AAC file; made once for its content and bitrate.

    Blocks: an hour of music takes about a minute. Raises SourceMissing, Refused (not remembered), NotNow.
    """
    fd = catalog.open_source(path, within)
    try:
        target = catalog.audio_path(library, catalog.identify_open(fd, path, library).sha256, kbps)
        if not target.exists():
            command = [
                *("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y", *whitelisted()),
                *("-i", f"file:/proc/self/fd/{fd}", "-map", "0:a:0", "-t", "86400", "-map_metadata", "-1"),
                *audio_options(kbps),
            ]
            make_audio(target, command, (fd,), limit=3600)
    except ChildFailed as error:
        raise Refused(f"no usable sound: {error.why or last_line(error.text)}") from error
    except OSError as error:
        raise NotNow(f"{library} can't be written: {error}") from error
    else:
        return target
    finally:
        os.close(fd)


def audio_options(kbps: int) -> list[str]:
    """AAC-LC as the timeline carries it: 44.1 kHz stereo in ADTS frames."""
    return ["-c:a", "aac", "-aac_coder", "fast", "-b:a", f"{kbps}k", "-ar", "44100", "-ac", "2", "-f", "adts"]


def make_audio(path: Path, command: list[str], fds: tuple[int, ...] = (), limit: float = 60) -> None:
    """Run an FFmpeg that writes one audio file; it gets its name when it is whole. Raises ChildFailed, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        child = Child([*command, f"file:{name}"], nice=URGENT_NICE, fds=fds, file_bytes=2 << 30)
        try:
            child.wait(limit=limit)
        except ChildFailed as error:
            if "No space left" in error.text:
                raise NotNow("no space left for prepared audio") from error
            raise
        if not temporary.stat().st_size:
            raise ChildFailed("FFmpeg wrote nothing")
        temporary.chmod(0o644)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
