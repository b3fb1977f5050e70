"""The mount, read here, its sound handed to an FFmpeg by pipe, and AAC frames for the mixer out.

A connection and an FFmpeg belong together: whichever ends, both are replaced, and the sound goes on at the very frame
where it was (see `feed`). Connecting blocks, so a thread does it; everything else is polled by the timeline and never
waits.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from hook_service.playout import commands, mount
from hook_service.playout.announce import Announcer
from hook_service.playout.audio import Cushion
from hook_service.playout.feed import Before, Feed
from hook_service.playout.process import Pipes, Process
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import Policy, State

_log = logging.getLogger("radio.mount")

# What FFmpeg was given it has encoded within milliseconds: one that gives nothing for so long stands still, and is
# replaced before the cushion is empty. It is tried again soon: the mount has done nothing.
POLICY = Policy(stale=2.0, spawning=8.0, backoff=0.25, backoff_limit=2.0, slow=3.0)
SILENT_SECONDS = 4.0
"""A mount that sends nothing for so long is connected to anew."""
HEALTHY_SECONDS = 5.0
"""A connection that lasted so long makes up for the failures before it."""
# A mount that is away is usually back within seconds, and asking costs it nothing: never wait for long.
_BACKOFF, _BACKOFF_LIMIT = 0.25, 2.0
_READ = 1 << 16

MountState = Literal["connecting", "connected", "away"]
TitleSource = Literal["icy", "ogg"]


class Source:
    """Keeps listening to the mount. Polled by the timeline: arrivals wake nobody."""

    def __init__(
        self,
        reactor: Reactor,
        url: str,
        kbps: int,
        cushion: Cushion,
        announcer: Announcer,
        on_process: Callable[[Process], None],
        on_mount: Callable[[], None],
    ) -> None:
        """`announcer` is told of the titles; `on_mount()` is called when `state`, `titles` or `error` has changed."""
        self.state: MountState = "connecting"
        self.error: str | None = None
        """Why the mount is away, and how to mend it."""
        self.titles: TitleSource | None = None
        """How the mount sends its titles, None where it doesn't."""
        self.format: str | None = None
        self.reconnects = 0
        self._since = time.time()
        self._reactor = reactor
        self._url = url
        self._cushion = cushion
        self._announcer = announcer
        self._on_mount = on_mount
        self._feed: Feed | None = None
        self._before: Before | None = None
        self._resumed = False
        """Whether the cushion knows where this connection's new sound begins."""
        self._attached = False
        """Whether the FFmpeg that runs is fed with this connection."""
        self._stdin: int | None = None
        self._stdout: int | None = None
        self._demuxer: str | None = None
        """What the FFmpeg that runs was told to expect."""
        self._connecting = False
        self._stopped = False
        self._failures = 0
        self._connected_at = self._arrived = self._moved = 0.0
        self.process = Process(
            reactor,
            "audio",
            POLICY,
            lambda: commands.audio(kbps, self._demuxer),
            stdin=True,
            stdout=True,
            on_spawn=self._spawned,
            on_exit=self._ended,
            on_state=on_process,
        )
        self._connect()

    def poll(self) -> None:
        """Take what has arrived, and hand it on."""
        now = time.monotonic()
        if (feed := self._feed) is not None:
            self._receive(feed, now)
        if (feed := self._feed) is not None and self._attached:
            self._hand_on(feed, now)
        feed = self._feed
        self._cushion.settle(now, other=feed is not None and feed.looks_for_its_begin)
        if feed is not None:
            if self._cushion.joined and feed.first is None:
                feed.begins_anew()
            self._announcer.poll(feed)

    def restart(self) -> None:
        """Have another FFmpeg in the place of this one."""
        self._stdin = self._stdout = None
        self.process.restart()

    def stop(self) -> None:
        """End it in good order."""
        self._stopped = True
        self._drop()
        self.process.want(False)

    def status(self) -> dict[str, Any]:
        """`audio.mount` of the control socket's status."""
        return {
            "state": self.state,
            "since": self._since,
            "error": self.error,
            "format": self.format,
            "titles": self.titles,
            "title": self._announcer.title,
            "reconnects": self.reconnects,
        }

    # --- the connection -----------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Ask the mount, beside everything else."""
        if self._connecting or self._stopped or self._feed is not None:
            return
        self._connecting = True

        def ask() -> None:
            try:
                stream = mount.connect(self._url)
                stream.settimeout(0)
            except (mount.NoMount, OSError, ValueError) as error:
                self._reactor.post(partial(self._refused, str(error)))
            else:
                self._reactor.post(partial(self._connected, stream))

        threading.Thread(target=ask, name="mount", daemon=True).start()

    def _connected(self, stream: mount.Stream) -> None:
        self._connecting = False
        if self._stopped:
            stream.close()
            return
        now = time.monotonic()
        self.reconnects += self._connected_at > 0.0
        self._connected_at = self._arrived = now
        self.format = stream.demuxer
        self._feed = Feed(stream, self._before)
        self._before = None
        self._resumed = False
        self._cushion.reconnect()
        self._announcer.connected(self._feed)
        titles: TitleSource | None = "icy" if stream.interval else "ogg" if stream.demuxer == "ogg" else None
        self._tell("connected", None, titles)
        _log.info(
            "Listening to the mount (%s, titles: %s)",
            stream.demuxer or "a format that FFmpeg has to find out",
            titles or "none",
            extra={"context": {"reconnects": self.reconnects}},
        )
        if not self.process.supervision.wanted:
            self._demuxer = stream.demuxer
            self.process.want(True)
        elif stream.demuxer != self._demuxer:
            self._demuxer = stream.demuxer
            self.restart()
        else:
            self._attach()

    def _refused(self, why: str) -> None:
        self._connecting = False
        if self._stopped:
            return
        self.process.want(False)
        if why != self.error:
            _log.warning("No sound from the mount: %s", why)
        self._tell("away", why, None)
        self._again()

    def _lost(self, why: str) -> None:
        """The mount broke off."""
        if time.monotonic() - self._connected_at > HEALTHY_SECONDS:
            self._failures = 0
        # One that hangs does so every few seconds.
        level = logging.WARNING if self._failures < 3 else logging.DEBUG
        _log.log(level, "The mount broke off: %s; connecting to it anew", why)
        self._drop()
        self.process.want(False)
        self._tell("connecting", why, self.titles)
        self._again()

    def _again(self) -> None:
        """Connect once more: at once to what was well, then less and less often."""
        delay = min(_BACKOFF_LIMIT, _BACKOFF * 2 ** (self._failures - 1)) if self._failures else 0.0
        self._failures = min(self._failures + 1, 10)
        # Spread, so that the listeners of a mount do not all come back in the same moment.
        self._reactor.call_later(delay * random.uniform(0.75, 1.25), self._connect)  # noqa: S311 - guards nothing

    def _drop(self) -> None:
        """The connection is over."""
        feed, self._feed = self._feed, None
        self._attached = False
        self._stdin = self._stdout = None
        if feed is not None:
            self._announcer.gone(feed)
            self._before = feed.ended()
            self._cushion.reconnect()

    def _tell(self, state: MountState, error: str | None, titles: TitleSource | None) -> None:
        # While it is away it is asked again and again: that is no other state.
        if state == "connecting" and self.state == "away":
            state = "away"
        if state != self.state:
            self._since = time.time()
        changed = (state, error, titles) != (self.state, self.error, self.titles)
        self.state, self.error, self.titles = state, error, titles
        if changed:
            self._on_mount()

    # --- its sound ----------------------------------------------------------------------------------------------

    def _receive(self, feed: Feed, now: float) -> None:
        try:
            came, marks = feed.receive()
        except OSError as error:
            self._lost(str(error) or type(error).__name__)
            return
        if came or feed.held_up:
            self._arrived = now
        elif now - self._arrived > SILENT_SECONDS:
            self._lost(f"it sent nothing for {SILENT_SECONDS:.0f} s")
            return
        if feed.first is not None and not self._resumed:
            self._resumed = True
            self._cushion.resume(feed.first, now)
        for mark in marks:
            self._announcer.saw(mark)

    def _hand_on(self, feed: Feed, now: float) -> None:
        """To FFmpeg, and what it has made of it to the cushion."""
        if self._stdin is not None:
            feed.give(self._stdin)
        frames: list[bytes] = []
        if self._stdout is not None and not self._cushion.full:
            try:
                frames = feed.encoded(os.read(self._stdout, _READ), now)
            except BlockingIOError:
                frames = []
            if frames:
                self._cushion.add(frames, now)
        # A full cushion is the mount's haste, and that nothing comes of nothing is not the process's fault.
        running = self.process.state is State.RUNNING
        idle = running and not feed.owed
        if (frames or self._cushion.full or idle) and (not running or now - self._moved > 0.25):
            self._moved = now
            self.process.moved()

    # --- its process --------------------------------------------------------------------------------------------

    def _spawned(self, pipes: Pipes) -> None:
        self._stdin, self._stdout = pipes.stdin, pipes.stdout
        if self._feed is not None:
            self._attach()
        else:
            self._connect()

    def _attach(self) -> None:
        """From now on FFmpeg is fed with this connection."""
        self._attached = self._stdin is not None

    def _ended(self) -> None:
        """FFmpeg ended. With half of what it was given lost, its connection is of no use: another brings it again."""
        attached = self._attached
        self._attached = False
        self._stdin = self._stdout = None
        if attached:
            self._drop()
            self._tell("connecting", None, self.titles)
