"""What the messages themselves tell, without decoding: frames, gaps, keyframes, bitrates. Pure.

FLV 10.1, annex E: a video body begins with 0x17 (keyframe) or 0x27 and 0 (configuration) or 1 (frame), an audio body
of AAC with 0xAF and the same. Distances come from the stream's own times, so that it does not matter when they are
looked at; rates come from the clock.
"""

from __future__ import annotations

from collections import deque

from hook_service.library.profiles import Profile
from hook_service.monitor.rtmp import VIDEO, Message

WINDOW_SECONDS = 10.0
UP_SECONDS = 5.0
"""Without a frame for so long, nothing comes."""

KINDS = ("video", "audio")
_AUDIO_FRAME_MS = 1024 / 44.1
_CONFIGURATION, _FRAME = 0, 1
_KEYFRAME = 0x17
# FLV's times are whole milliseconds.
_ROUNDING_MS = 2


def is_configuration(message: Message) -> bool:
    """Whether it tells decoders how to decode, and is no frame."""
    return len(message.body) > 2 and message.body[1] == _CONFIGURATION


def is_frame(message: Message) -> bool:
    """Whether it is sound or a picture."""
    return len(message.body) > 2 and message.body[1] == _FRAME


def is_keyframe(message: Message) -> bool:
    """Whether it is a picture that needs no other."""
    return message.kind == VIDEO and is_frame(message) and message.body[0] == _KEYFRAME


class Flow:
    """Counts and measures what comes. `now` is in seconds of a monotonic clock."""

    def __init__(self, profile: Profile) -> None:
        self.frames = dict.fromkeys(KINDS, 0)
        self.gaps = dict.fromkeys(KINDS, 0)
        """Frames that did not follow the one before at a frame's distance."""
        video_ms = 1000 * profile.fps_den / profile.fps_num
        self._step_ms = {"video": video_ms + _ROUNDING_MS, "audio": _AUDIO_FRAME_MS + _ROUNDING_MS}
        self._bytes = dict.fromkeys(KINDS, 0)
        self._last_ms: dict[str, int] = {}
        self._came_at: dict[str, float] = {}
        self._keyframe_ms: int | None = None
        self._intervals: deque[tuple[int, int]] = deque()  # the time at its end, and how long it was, in ms
        self._marks: deque[tuple[float, int, int]] = deque()  # when, and the bytes of each kind until then

    def restart(self) -> None:
        """What comes next does not follow what came: it is another connection."""
        self._last_ms.clear()
        self._keyframe_ms = None
        self._intervals.clear()
        self._marks.clear()

    def take(self, message: Message, now: float) -> None:
        """A message that has come. Configuration is no frame, but part of the bitrate."""
        kind = "video" if message.kind == VIDEO else "audio"
        self._bytes[kind] += len(message.body)
        if not is_frame(message):
            return
        self.frames[kind] += 1
        self._came_at[kind] = now
        last = self._last_ms.get(kind)
        self._last_ms[kind] = message.ms
        if last is not None and not 0 < message.ms - last <= self._step_ms[kind]:
            self.gaps[kind] += 1
        if kind == "video" and last is not None and message.ms < last:
            # Another timeline on the same connection: its keyframes follow none of the old.
            self._keyframe_ms = None
            self._intervals.clear()
        if is_keyframe(message):
            if self._keyframe_ms is not None:
                self._intervals.append((message.ms, max(0, message.ms - self._keyframe_ms)))
            self._keyframe_ms = message.ms

    def mark(self, now: float) -> None:
        """To be called now and then, after all that has come was taken: what the bitrates are measured between."""
        marks = self._marks
        marks.append((now, self._bytes["video"], self._bytes["audio"]))
        while len(marks) > 2 and now - marks[1][0] >= WINDOW_SECONDS:
            marks.popleft()
        newest = self._last_ms.get("video", 0)
        while self._intervals and newest - self._intervals[0][0] > WINDOW_SECONDS * 1000:
            self._intervals.popleft()

    def came(self, now: float, *kinds: str) -> bool:
        """Whether frames of one of these kinds (of any, where none is named) have come lately."""
        return any(now - at < UP_SECONDS for kind, at in self._came_at.items() if not kinds or kind in kinds)

    @property
    def keyframe_interval(self) -> float | None:
        """The largest of the last ten seconds, in seconds; the one that has not ended counts as far as it is."""
        if self._keyframe_ms is None:
            return None
        open_ms = max(self._last_ms["video"] - self._keyframe_ms, 0)
        return max([open_ms, *(length for _, length in self._intervals)]) / 1000

    @property
    def bitrates(self) -> dict[str, float]:
        """Bits a second of each kind in the last ten seconds; nothing before there were two marks."""
        if len(self._marks) < 2:
            return {}
        (then, video, audio), (now, *total) = self._marks[0], self._marks[-1]
        return {
            kind: (after - before) * 8 / (now - then)
            for kind, before, after in zip(KINDS, (video, audio), total, strict=True)
        }
