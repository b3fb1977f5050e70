"""Cuts what the relay sends into pieces of MP4, a GOP each. Pure: messages in, bytes out."""

from __future__ import annotations

from typing import NamedTuple

from hook_service.library.profiles import Profile
from hook_service.monitor import fmp4
from hook_service.monitor.flow import is_configuration, is_frame, is_keyframe
from hook_service.monitor.rtmp import AUDIO, VIDEO, Message

# No frame of ours is this far from the one before: what comes then is another stretch.
_GAP_MS = 1000
# Of keyframes that do not come no piece is made: neither so long ...
_LONGEST_MS = 10_000
# ... nor so large.
_LARGEST = 16 << 20
# FLV rounds to milliseconds; what is further off than two of them is no rounding.
_ROUNDING = 2 * fmp4.SOUND_SCALE // 1000
# Each stretch begins a second after its zero, for sound that is a little earlier than its first picture.
_FIRST_MS = 1000


class Piece(NamedTuple):
    """A GOP: its length, its bytes, and, where a new stretch begins with it, what goes before."""

    seconds: float
    data: bytes
    initialisation: bytes | None


class Cutter:
    """What it is given gathers until the keyframe that ends it. Sound goes with the pictures it came among."""

    def __init__(self, profile: Profile) -> None:
        self._size = (profile.width, profile.height)
        self._configuration: dict[int, bytes] = {}
        self.restart()

    def restart(self) -> None:
        """What comes next does not follow what came."""
        self._begun = False
        self._number = 0
        self._base = 0
        self._bytes = 0
        self._pictures: list[tuple[int, bool, bytes]] = []
        self._sounds: list[fmp4.Sound] = []
        self._sounds_at = 0
        self._sound_end: int | None = None

    def configure(self, message: Message) -> None:
        """How what comes is decoded. It is told once, at the beginning of a connection."""
        body = message.body[5:] if message.kind == VIDEO else message.body[2:]
        if self._configuration.get(message.kind) != body:
            self._configuration[message.kind] = body
            self.restart()

    def take(self, message: Message) -> Piece | None:
        """A message, and the piece that is whole with it."""
        if is_configuration(message):
            self.configure(message)
            return None
        if not is_frame(message) or len(self._configuration) < 2:
            return None
        if message.kind == VIDEO:
            return self._picture(message)
        if self._begun:
            self._sound(message)
        return None

    def still(self, keyframe: Message) -> bytes | None:
        """A file that shows this keyframe; None before it is known how it is decoded."""
        avcc = self._configuration.get(VIDEO)
        return fmp4.still(*self._size, avcc, fmp4.without_filler(keyframe.body[5:])) if avcc else None

    def _picture(self, message: Message) -> Piece | None:
        key = is_keyframe(message)
        if self._pictures and not 0 < message.ms - self._pictures[-1][0] <= _GAP_MS:
            self.restart()
        piece = None
        if key and self._pictures:
            piece = self._cut(message.ms)
        if key and not self._begun:
            self._begun = True
            self._base = message.ms - _FIRST_MS
        if self._begun:
            data = fmp4.without_filler(message.body[5:])
            self._pictures.append((message.ms, key, data))
            self._bytes += len(data)
            if message.ms - self._pictures[0][0] > _LONGEST_MS or self._bytes > _LARGEST:
                self.restart()
        return piece

    def _sound(self, message: Message) -> None:
        at = (message.ms - self._base) * fmp4.SOUND_SCALE // 1000
        end = self._sound_end
        if abs(message.ms - self._pictures[-1][0]) > _LONGEST_MS:
            return  # it belongs to no picture that is here
        if end is None or abs(at - end) > _ROUNDING:
            if at < (end or 0):
                return  # again what was there already
            if self._sounds and end is not None:
                last = self._sounds[-1]
                self._sounds[-1] = last._replace(duration=last.duration + at - end)
        else:
            at = end
        if not self._sounds:
            self._sounds_at = at
        data = message.body[2:]
        self._sounds.append(fmp4.Sound(fmp4.SOUND_FRAME, data))
        self._bytes += len(data)
        self._sound_end = at + fmp4.SOUND_FRAME

    def _cut(self, end_ms: int) -> Piece:
        first_ms = self._pictures[0][0]
        ends = [*(ms for ms, _, _ in self._pictures[1:]), end_ms]
        pictures = [
            fmp4.Picture(end - ms, key, data) for (ms, key, data), end in zip(self._pictures, ends, strict=True)
        ]
        self._number += 1
        data = fmp4.fragment(self._number, first_ms - self._base, pictures, self._sounds_at, self._sounds)
        before = None
        if self._number == 1:
            before = fmp4.initialisation(*self._size, *(self._configuration[kind] for kind in (VIDEO, AUDIO)))
        self._pictures, self._sounds, self._bytes = [], [], 0
        return Piece((end_ms - first_ms) / 1000, data, before)
