"""Profiles: what every prepared loop of a station looks like. Standard library only, since the playout imports it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

__all__ = ["BUILT_IN", "RECIPE", "Profile"]

# Raised whenever `ffmpeg.py` or `filters.py` changes in a way that changes the bytes of a loop: everything is then
# prepared again under new fingerprints, and loops of two recipes never meet on one timeline. A release that raises it
# has to restart the playout as well (`hook_service_restart_broadcast`): one of the release before asks for loops that
# nobody prepares any more, and after `scanner.KEEP_DAYS` its own are gone.
RECIPE = 1

ENCODERS = ("libx264", "h264_nvenc")

# H.264 table A-1: level -> (macroblocks a second, macroblocks a frame, kb/s in High profile).
_LEVELS: tuple[tuple[str, int, int, int], ...] = (
    ("3.0", 40_500, 1_620, 12_500),
    ("3.1", 108_000, 3_600, 17_500),
    ("3.2", 216_000, 5_120, 25_000),
    ("4.0", 245_760, 8_192, 25_000),
    ("4.2", 522_240, 8_704, 62_500),
    ("5.0", 589_824, 22_080, 168_750),
    ("5.1", 983_040, 36_864, 300_000),
    ("5.2", 2_073_600, 36_864, 300_000),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """One way of encoding loops; all loops of a profile carry the same SPS and PPS and can follow each other.

    `width` and `height` are in pixels (even), `fps_num`/`fps_den` frames a second, `video_kbps` and `audio_kbps` in
    1,000 bit/s, `gop_seconds` and `fade_in` in seconds. `encoder` is what is wanted: "h264_nvenc" falls back to
    "libx264" where no real test encode works (the slate of the profile then records what was used).
    Raises ValueError, naming the field, for values no loop can have.
    """

    name: str
    width: int
    height: int
    fps_num: int
    fps_den: int
    video_kbps: int
    encoder: str = "libx264"
    audio_kbps: int = 192
    gop_seconds: int = 2
    fade_in: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that FFmpeg would refuse much later, or that a platform would."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.name):
            raise ValueError(f"name: {self.name!r} is not a name (letters, digits, '.', '_' and '-')")
        for field, low, high in (("width", 64, 4096), ("height", 64, 4096)):
            value = getattr(self, field)
            if value % 2 or not low <= value <= high:
                raise ValueError(f"{field}: {value} is not an even number from {low} to {high}")
        if self.fps_num < 1 or self.fps_den < 1 or not 1 <= self.fps <= 120:
            raise ValueError(f"fps: {self.fps_num}/{self.fps_den} is not a rate from 1 to 120 frames a second")
        if not 100 <= self.video_kbps <= 100_000:
            raise ValueError(f"video_kbps: {self.video_kbps} is not from 100 to 100000")
        if not 32 <= self.audio_kbps <= 320:
            raise ValueError(f"audio_kbps: {self.audio_kbps} is not from 32 to 320")
        if not 1 <= self.gop_seconds <= 4:
            raise ValueError(f"gop_seconds: {self.gop_seconds} is not from 1 to 4 (platforms refuse more than 4 s)")
        if not 0 <= self.fade_in <= self.gop_seconds:
            raise ValueError(f"fade_in: {self.fade_in} is not from 0 to the {self.gop_seconds} s of a GOP")
        if self.encoder not in ENCODERS:
            raise ValueError(f"encoder: {self.encoder!r} is none of {', '.join(ENCODERS)}")

    @property
    def fps(self) -> Fraction:
        """Frames a second, exactly."""
        return Fraction(self.fps_num, self.fps_den)

    @property
    def gop_frames(self) -> int:
        """Frames from one keyframe to the next; at a rate such as 30000/1001 the nearest whole number."""
        return round(self.gop_seconds * self.fps)

    @property
    def fade_frames(self) -> int:
        """Frames the fade-in takes, never more than one GOP."""
        return min(self.gop_frames, round(Fraction(self.fade_in).limit_denominator(1000) * self.fps))

    @property
    def level(self) -> str:
        """The lowest H.264 level for this size, rate and bitrate: fixed, never the encoder's guess."""
        macroblocks = -(-self.width // 16) * -(-self.height // 16)
        for level, per_second, per_frame, kbps in _LEVELS:
            if macroblocks <= per_frame and macroblocks * self.fps <= per_second and self.video_kbps <= kbps:
                return level
        raise ValueError(
            f"profile {self.name}: no H.264 level carries {self.width}x{self.height} at {float(self.fps)}"
        )

    def with_fade(self, seconds: float) -> Profile:
        """The same profile with another fade-in (its loops are prepared apart)."""
        return replace(self, fade_in=seconds)

    def fingerprint(self) -> str:
        """16 hex digits over everything that changes the bytes of a loop; the name is not among them."""
        values = asdict(self)
        del values["name"], values["audio_kbps"]
        values["fade_in"] = self.fade_frames
        values["recipe"] = RECIPE
        text = ",".join(f"{key}={value}" for key, value in sorted(values.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


BUILT_IN: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("720p30", 1280, 720, 30, 1, 3000),
        Profile("1080p30", 1920, 1080, 30, 1, 4500),
    )
}
