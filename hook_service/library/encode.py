"""Preparing one loop: probe, entry, body, check, index, rename. Blocking; one call is one thread's work."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from . import atomic, catalog, verify
from .child import URGENT_NICE, Cancelled, Child, ChildFailed
from .claim import claimed
from .errors import NotNow, Refused, RefusedForProfile
from .ffmpeg import body_command, entry_command
from .filters import STILL_SECONDS, Overlay
from .job import Job
from .loopfile import LoopDamaged, open_loop
from .media import MAX_SECONDS, MIN_SECONDS, Media
from .names import BODY, ENTRY, INDEX, PARTIAL, PLAN
from .probe import last_line, probe
from .profiles import Profile
from .verify import Checked, Unfit, check, deviation, threads
from .writer import survey

__all__ = ["Job", "is_whole", "nvenc_works", "prepare"]

_RETRY = "body.retry.flv"
_TRIES = 4


def prepare(job: Job) -> Path:
    """Prepare a loop and return its directory; does nothing when it is there already.

    Raises Refused (remembered), NotNow (no room, source changed, FFmpeg missing …) or Cancelled. Whatever happens,
    no directory that is not a whole, checked loop is left under the final name.
    """
    final = job.final
    growing = final.with_name(final.name + PARTIAL)
    while True:
        if is_whole(final):
            return final
        if job.cancel.is_set():
            raise Cancelled
        reason = catalog.refusal(job.library, job.source.sha256, job.profile) if job.judges else None
        if reason is not None:
            raise Refused(reason)
        try:
            with claimed(growing, job.cancel, lambda: job.started(growing)) as partial:
                if partial is None:
                    continue
                try:
                    _fill(job, partial)
                    _finish(partial, final)
                except BaseException:
                    shutil.rmtree(partial, ignore_errors=True)
                    raise
        except LoopDamaged as error:
            raise NotNow(str(error)) from error
        except OSError as error:
            why = "no space left for prepared loops" if catalog.is_full(error) else f"{error}"
            raise NotNow(why) from error
        except Refused as refused:
            if job.judges:
                profile = job.profile if isinstance(refused, RefusedForProfile) else None
                with contextlib.suppress(OSError):
                    catalog.refuse(job.library, job.source, str(refused), profile)
            raise


def is_whole(directory: Path) -> bool:
    """Whether a prepared loop is there and consistent."""
    try:
        open_loop(directory).close()
    except LoopDamaged:
        return False
    return True


def _fill(job: Job, partial: Path) -> None:
    """Encode and check a loop inside its partial directory; the index is the last file written."""
    profile = job.profile
    media = probe(job.fd, job.nice, job.cancel)
    reference = None if job.is_slate else catalog.reference_avcc(partial.parent)
    encoder = job.encoder or catalog.slate(job.library, profile).encoder
    seconds = job_seconds(job, media)
    expected = None if seconds is None else max(1, round(seconds * profile.fps))
    overlay = None
    if job.dress is not None:
        overlay = job.dress.overlay(partial, profile, expected, nice=job.nice, cancel=job.cancel)
        if expected is not None:
            expected = overlay.frames or expected
    atomic.write_json(
        partial / PLAN,
        {
            "source": os.fsencode(job.source.path).decode("utf-8", "backslashreplace"),
            "sha256": job.source.sha256,
            "gop_frames": profile.gop_frames,
            "entry": profile.fade_frames > 0,
            "expected_frames": expected,
        },
    )
    try:
        if profile.fade_frames:
            job.run(entry_command(job.fd, media, profile, encoder, ENTRY, threads(), overlay), partial, 10, None)
        checked = _encode_body(job, partial, media, encoder, expected, reference, overlay)
    except ChildFailed as error:
        raise _verdict(error, partial) from error
    except Unfit as error:
        raise RefusedForProfile(f"can't be made into a loop of {profile.name}: {error}") from error
    _accept(job, checked, expected)
    if overlay is not None:
        (partial / overlay.png).unlink()
    _write_index(job, partial, checked, encoder)


def job_seconds(job: Job, media: Media) -> float | None:
    """How long the loop will be, as far as that is known."""
    if media.still:
        return float(job.profile.gop_seconds if job.is_slate else STILL_SECONDS)
    return None if media.seconds is None else float(media.seconds)


def _encode_body(
    job: Job,
    partial: Path,
    media: Media,
    encoder: str,
    expected: int | None,
    reference: bytes | None,
    overlay: Overlay | None,
) -> Checked:
    """Encode the body and check it. A short loop of hard pictures can miss its bitrate, then the aim is corrected."""
    profile, kbps = job.profile, float(job.profile.video_kbps)
    seconds = expected / profile.fps if expected else MAX_SECONDS
    name = BODY
    for attempt in range(_TRIES):
        command = body_command(job.fd, media, profile, encoder, name, threads(), kbps, job.is_slate, overlay)
        job.run(command, partial, float(seconds), expected)
        if name != BODY:
            # Whoever follows the first try keeps reading it from the descriptor it has.
            (partial / name).replace(partial / BODY)
        off = _deviation(partial / BODY, profile)
        if abs(off) <= verify.BITRATE_TOLERANCE or attempt == _TRIES - 1:
            break
        kbps /= 1 + off
        name = _RETRY
    return check(partial, profile, reference, nice=job.nice, threads=threads(), cancel=job.cancel)


def _deviation(path: Path, profile: Profile) -> float:
    try:
        return deviation(survey(path), profile)
    except LoopDamaged as error:
        raise Unfit(str(error)) from error


def _accept(job: Job, checked: Checked, expected: int | None) -> None:
    """Refuse what turned out to be too short, too long, or much shorter than the file says."""
    frames, fps = checked.body.frames, job.profile.fps
    if frames + 1 < MIN_SECONDS * fps:
        raise Refused(f"too short: {float(frames / fps):.2f} s, a loop lasts at least {MIN_SECONDS} s")
    if frames > MAX_SECONDS * fps + 1:
        raise Refused(f"too long: more than {MAX_SECONDS} s")
    if expected is not None and frames + fps < expected * 0.95:
        found, said = float(frames / fps), float(expected / fps)
        raise Refused(f"damaged: it ends after {found:.1f} s of {said:.1f} s")
    stat = os.fstat(job.fd)
    if (stat.st_size, stat.st_mtime_ns) != (job.source.size, job.source.mtime_ns):
        raise NotNow("the file was written to while it was prepared")


def _verdict(error: ChildFailed, partial: Path) -> Exception:
    """What a failed encode means: the source's fault is remembered, the host's is not."""
    text = error.text
    usage = shutil.disk_usage(partial)
    if "No space left" in text or "Disk quota" in text or usage.free < 16 << 20:
        return NotNow("no space left for prepared loops")
    if any(sign in text for sign in ("Cannot allocate memory", "ENOMEM", "malloc of size", "OpenEncodeSessionEx")):
        return NotNow(f"FFmpeg can't work now: {last_line(text)}")
    if text.startswith(("nice:", "ionice:", "setpriv:", "prlimit:")):
        return NotNow(last_line(text))
    if error.why is not None:
        return NotNow(error.why)
    return Refused(f"damaged: {last_line(text)}")


def _write_index(job: Job, partial: Path, checked: Checked, encoder: str) -> None:
    body, entry = checked.body, checked.entry
    index: dict[str, object] = {
        "source": os.fsencode(job.source.path).decode("utf-8", "backslashreplace"),
        "sha256": job.source.sha256,
        "profile": job.profile.name,
        "encoder": encoder,
        "frames": body.frames,
        "avcc": body.avcc.hex(),
        "gops": body.gops,
        "crc": body.crc,
        "entry": [entry.gops[0], entry.gops[1]] if entry else None,
        "entry_crc": entry.crc[0] if entry else None,
        "deviation": round(checked.deviation, 4),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for name in (BODY, ENTRY) if entry else (BODY,):
        atomic.sync(partial / name)
    atomic.write_json(partial / INDEX, index)


def _finish(partial: Path, final: Path) -> None:
    """Give a complete partial directory its final name, replacing a damaged one."""
    (partial / PLAN).unlink()
    try:
        partial.rename(final)
    except OSError:
        # A directory can't be renamed over one that holds files. Readers of the old one keep what they have open.
        old = final.with_name(f"{final.name}.old-{time.time_ns()}")
        final.rename(old)
        partial.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    atomic.sync_directory(final.parent)


def nvenc_works() -> bool:
    """Whether this process can encode with NVENC here and now: a listed encoder proves nothing, an encode does."""
    command = [
        *(
            "ffmpeg",
            "-hide_banner",
            "-nostdin",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=640x360:r=30:d=1",
        ),
        *("-c:v", "h264_nvenc", "-preset", "p4", "-f", "null", "-"),
    ]
    try:
        Child(command, nice=URGENT_NICE, bounded_memory=False).wait(limit=20)
    except (ChildFailed, OSError):
        return False
    return True
