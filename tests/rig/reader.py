"""Reads one key of a platform in a thread; what is done with what comes is the subclass's."""

import socket
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from tests.rig.flvread import Tag
from tests.rig.net import RigError
from tests.rig.rtmp import Player


class Reader(ABC):
    """From the first keyframe on, until it is stopped; headers are taken before that as well.

    `error` is set when the reading broke off.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        """`timeout`: seconds without anything at all after which it breaks off."""
        self.url = url
        self.error: Exception | None = None
        self._began = threading.Event()
        self._end = threading.Event()
        self._player = Player(url, timeout)
        self._thread = threading.Thread(target=self._run, name=f"reader of {url}", daemon=True)

    def start(self, seconds: float = 15.0) -> None:
        """Connect and wait for the first keyframe."""
        self._thread.start()
        if not self._began.wait(seconds) or self.error:
            self.stop()
            raise RigError(f"no keyframe from {self.url} within {seconds:g} s: {self.error or 'nothing came'}")

    @abstractmethod
    def take(self, at: float, tag: Tag) -> None:
        """A tag whose last byte came at `at` (Unix seconds)."""

    def read(self) -> None:
        """Take what comes until told to stop; the thread's whole work."""
        with self._player as player:
            for at, tag in player:
                if self._end.is_set():
                    return
                if tag.is_keyframe:
                    self._began.set()
                if tag.is_header or self._began.is_set():
                    self.take(at, tag)
        self._broke_off(RigError("the platform ended the stream"))

    def _run(self) -> None:
        try:
            self.read()
        except OSError as error:
            self._broke_off(error)

    def _broke_off(self, error: Exception) -> None:
        if not self._end.is_set():
            self.error = error
            self._began.set()

    def stop(self) -> None:
        """Hang up."""
        self._end.set()
        try:
            # Closing alone would not wake a thread that waits in recv.
            self._player.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._player.close()
        if self._thread.ident is not None:
            self._thread.join(15)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
