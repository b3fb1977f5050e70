"""Following a loop while it is still being encoded. Standard library only: the playout imports it."""

from __future__ import annotations

from pathlib import Path

from .directory import Directory, count
from .flv import FILE_HEADER, Frame, LoopDamaged, Tag, as_frame, scan
from .names import BODY, ENTRY, PARTIAL, PLAN

__all__ = ["GrowingLoop"]

_CHUNK = 1 << 20


class _Track:
    """The frames of one growing file: where each tag of the GOP being read lies."""

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._name = name
        self.avcc: bytes | None = None
        self.gops: list[list[tuple[int, int]]] = []
        self._offset = len(FILE_HEADER)

    def advance(self) -> None:
        """Index every tag that has become complete since last time."""
        while True:
            if self._offset == len(FILE_HEADER):
                head = self._directory.read(self._name, 0, len(FILE_HEADER))
                if head != FILE_HEADER[: len(head)]:
                    raise LoopDamaged(f"{self._directory.path}/{self._name} is not FLV")
            data = self._directory.read(self._name, self._offset, _CHUNK)
            before = self._offset
            for tag in scan(data):
                self._take(tag, before)
                self._offset = before + tag.end
            if self._offset == before:
                if len(data) == _CHUNK:
                    raise LoopDamaged(f"{self._directory.path}/{self._name}: a frame of more than {_CHUNK} bytes")
                return

    def _take(self, tag: Tag, base: int) -> None:
        if self.avcc is None:
            if not tag.is_header:
                raise LoopDamaged(f"{self._directory.path}/{self._name} does not begin with a sequence header")
            self.avcc = tag.body[5:]
            return
        _, key = as_frame(tag)
        if key:
            self.gops.append([])
        if not self.gops:
            raise LoopDamaged(f"{self._directory.path}/{self._name} does not begin with a keyframe")
        self.gops[-1].append((base + tag.start, base + tag.end))

    def frames(self, gop: int, start: int) -> list[Frame]:
        """The frames of a GOP from its frame `start` on, as far as they are complete."""
        spans = self.gops[gop][start:] if gop < len(self.gops) else []
        if not spans:
            return []
        first, last = spans[0][0], spans[-1][1]
        data = self._directory.read(self._name, first, last - first)
        frames = [as_frame(tag) for tag in scan(data)]
        if len(frames) != len(spans):
            raise LoopDamaged(f"{self._directory.path}/{self._name}: frames vanished")
        return frames


class GrowingLoop(Directory):
    """A loop that is still being encoded (`<sha256>.partial`), followed while it grows.

    Keeps working on the same bytes after the directory has been renamed. `expected_frames` is an estimate from the
    source's duration (None when that is unknown), `gop_frames` is exact.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        plan = self.json(PLAN)
        if plan is None:
            self.close()
            raise LoopDamaged(f"{directory} has no {PLAN}")
        try:
            self.gop_frames = count(plan["gop_frames"])
            self.sha256 = str(plan["sha256"])
            self.source = str(plan["source"])
            self.has_entry = bool(plan["entry"])
            expected = plan.get("expected_frames")
            self.expected_frames = None if expected is None else count(expected)
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise LoopDamaged(f"{directory}/{PLAN} is incomplete: {error}") from error
        if self.gop_frames < 1:
            self.close()
            raise LoopDamaged(f"{directory}/{PLAN}: gop_frames is 0")
        self._body = _Track(self, BODY)
        self._faded = _Track(self, ENTRY)

    @property
    def final(self) -> Path:
        """Where the loop will be found when it is finished."""
        return self.path.with_name(self.path.name.removesuffix(PARTIAL))

    @property
    def finished(self) -> bool:
        """Whether the loop is whole: hand over to `open_loop(loop.final)` at the next GOP."""
        return self.is_at(self.final)

    @property
    def abandoned(self) -> bool:
        """Whether the encoder gave up (refused, failed or killed and cleaned): nothing more will come."""
        return self.is_removed()

    @property
    def avcc(self) -> bytes | None:
        """The AVCDecoderConfigurationRecord, None until the encoder has written it."""
        for track in (self._faded, self._body):
            if track.avcc is None:
                track.advance()
            if track.avcc is not None:
                return track.avcc
        return None

    def frames_ready(self, entry: bool = False) -> int:
        """How many whole frames of the body (or of the entry) can be read by now."""
        track = self._track(entry)
        track.advance()
        return sum(len(gop) for gop in track.gops)

    def read_part(self, n: int, entry: bool = False, start: int = 0) -> list[Frame]:
        """The frames of GOP `n` from its frame `start` on that are complete by now, perhaps none.

        For the first seconds of a loop, when waiting for a whole GOP would cost two of them.
        """
        track = self._track(entry and n == 0)
        if n >= len(track.gops) or len(track.gops[n]) < self.gop_frames:
            track.advance()
        return track.frames(n, start)

    def read_gop(self, n: int, entry: bool = False) -> list[Frame] | None:
        """GOP `n` as `PreparedLoop.read_gop` gives it, or None while it is not complete yet.

        A last GOP shorter than the others is known to be complete only when the loop is `finished`.
        """
        track = self._track(entry and n == 0)
        if n >= len(track.gops) or len(track.gops[n]) < self.gop_frames:
            track.advance()
        whole = n < len(track.gops) and (len(track.gops[n]) >= self.gop_frames or n + 1 < len(track.gops))
        if not whole and not (n < len(track.gops) and self.finished):
            return None
        return track.frames(n, 0)

    def _track(self, entry: bool) -> _Track:
        return self._faded if entry and self.has_entry else self._body
