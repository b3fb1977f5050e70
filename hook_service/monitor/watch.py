"""One station, watched: reads what the relay sends, has it decoded where that says more, and judges."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

from hook_service.monitor.decoder import Decoder
from hook_service.monitor.expected import Expectations
from hook_service.monitor.flow import Flow
from hook_service.monitor.follow import Follower
from hook_service.monitor.judge import PICTURE_SECONDS, Pictures, Sound, Still
from hook_service.monitor.rtmp import Player, RtmpError
from hook_service.playout import state
from hook_service.playout.lines import other_key
from hook_service.playout.picture import SLATE
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import State
from hook_service.settings import Station

_log = logging.getLogger("radio.monitor")

LOOK_SECONDS = 0.5
_CONNECT_SECONDS = 0.5
# The relay pings and keeps connections open while nothing is published; one that says nothing at all may be lost.
_HEARD_SECONDS = 15.0
_READ_BYTES = 1 << 18
# In a look; what is left is there at the next one.
_READS = 16
_VERDICTS = ("black", "frozen", "silent")


class Watch:
    """One station's picture and sound, as a player of the relay gets them."""

    def __init__(self, reactor: Reactor, station: Station, expectations: Expectations) -> None:
        self._station = station
        self._expectations = expectations
        self._flow = Flow(station.profile)
        self._pictures = Pictures()
        self._sound = Sound()
        self._decoder = Decoder(reactor, station.shortcode, self._picture, self._level)
        self._socket: socket.socket | None = None
        self._player: Player | None = None
        self._heard_at = 0.0
        anchor = state.load_anchor(station.run / f"timeline-{station.shortcode}.json")
        self._key = anchor.relay_key if anchor else other_key(station.shortcode, None)
        self._loop: str | None = None
        self._frozen = False
        self._asked: tuple[Still, float] | None = None
        """The still picture that was asked about, and from how many seconds on it is asked about again."""
        self._said = dict.fromkeys(_VERDICTS, False)
        self._follower = Follower(reactor, station.playout_socket, self._told)

    def look(self) -> None:
        """To be called twice a second: everything that has come since is taken, and judged."""
        now = time.monotonic()
        try:
            self._read(now)
        except (OSError, RtmpError) as reason:
            _log.debug("%s can't be read from the relay: %s", self._key, reason)
            self._hang_up()
        self._flow.mark(now)
        up = self._flow.came(now)
        if up != self._decoder.process.supervision.wanted:
            # While nothing comes there is nothing to decode, and what it said last means nothing any more.
            self._decoder.want(up)
            self._forget()
        self._decoder.look()
        self._judge_still()
        self._say(now)

    def status(self) -> dict[str, Any]:
        """For the control socket. What can't be known now is None."""
        now = time.monotonic()
        flow = self._flow
        up = flow.came(now)
        looks = up and self._looks
        return {
            "up": up,
            **self._verdicts(now),
            "loudness_lufs": self._sound.short_term if looks else None,
            "peak_dbfs": self._sound.peak if looks else None,
            "keyframe_interval_seconds": flow.keyframe_interval if up else None,
            "bitrate_bps": flow.bitrates if up else {},
            "expected_bitrate_bps": {
                "video": self._station.profile.video_kbps * 1000,
                "audio": self._station.profile.audio_kbps * 1000,
            },
            "frames": dict(flow.frames),
            "gaps": dict(flow.gaps),
            "relay_key": self._key,
        }

    def stop(self) -> None:
        """End its decoder in good order."""
        self._follower.stop()
        self._hang_up()
        self._decoder.want(False)

    def restart(self) -> None:
        """Begin its decoder anew."""
        self._decoder.restart()

    def process(self) -> dict[str, Any]:
        """Its decoder, for the control socket."""
        return self._decoder.process.status()

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._decoder.process.pid is None

    @property
    def _looks(self) -> bool:
        return self._decoder.process.state is State.RUNNING

    def _verdicts(self, now: float) -> dict[str, bool | None]:
        """What a viewer sees and hears; None where it isn't known."""
        came = self._flow.came
        if not came(now):
            return dict.fromkeys(_VERDICTS, None)
        looks = self._looks
        # Of a stream without pictures a viewer keeps the last one.
        return {
            "black": self._pictures.black if looks else None,
            "frozen": not came(now, "video") or (self._frozen if looks else None),
            "silent": not came(now, "audio") or (self._sound.silent if looks else None),
        }

    def _say(self, now: float) -> None:
        for name, value in self._verdicts(now).items():
            if value is not None and value != self._said[name]:
                self._said[name] = value
                level, text = (logging.WARNING, "is") if value else (logging.INFO, "is no longer")
                context = {"station": self._station.shortcode, "loop_path": self._loop}
                _log.log(level, "%s %s %s", self._station.shortcode, text, name, extra={"context": context})

    # --- reading ------------------------------------------------------------------------------------------------

    def _read(self, now: float) -> None:
        if self._socket is None or self._player is None:
            self._connect(now)
            return
        for _ in range(_READS):
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                raise RtmpError("the relay has hung up")
            self._heard_at = now
            for message in self._player.feed(data):
                self._flow.take(message, now)
                self._decoder.take(message)
        self._send()
        if now - self._heard_at > _HEARD_SECONDS:
            raise RtmpError("the relay says nothing")

    def _connect(self, now: float) -> None:
        host, _, port = self._station.relay_rtmp.rpartition(":")
        self._player = Player(self._station.relay_rtmp, "live", self._key)
        self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS)
        self._socket.setblocking(False)
        self._heard_at = now
        self._flow.restart()
        self._send()

    def _send(self) -> None:
        if self._socket is not None and self._player is not None and (out := self._player.take()):
            self._socket.sendall(out)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = self._player = None

    def _told(self, message: dict[str, Any]) -> None:
        """The playout says which key is on the air, and which loop."""
        key = message.get("current")
        if isinstance(key, str) and key != self._key:
            _log.info("%s is read from the relay key %s now", self._station.shortcode, key)
            self._key = key
            self._hang_up()
        loop = message.get("loop") if message.get("kind") == "on_air" else None
        with contextlib.suppress(KeyError, TypeError):
            loop = message["on_air"]["loop"]
        if isinstance(loop, str):
            self._loop = loop
            self._pictures.changed()

    # --- judging ------------------------------------------------------------------------------------------------

    def _picture(self, ms: int, keyframe: bytes, picture: bytes) -> None:
        self._pictures.take(ms, keyframe, picture)

    def _level(self, momentary: float, short_term: float, peak: float) -> None:
        self._sound.take(momentary, short_term, peak)

    def _forget(self) -> None:
        self._pictures.restart()
        self._sound = Sound()
        self._frozen = False

    def _judge_still(self) -> None:
        """Frozen is what should move. That is asked once something is still, then again whenever twice as long."""
        still = self._pictures.still
        if self._asked is not None and self._asked[0] is not still:
            self._asked, self._frozen = None, False
        due = PICTURE_SECONDS if self._asked is None else self._asked[1]
        if still is None or self._frozen or self._loop in (None, SLATE) or still.seconds < due:
            return
        self._asked = still, still.seconds * 2
        answer = partial(self._answered, still)
        self._expectations.ask(self._station, Path(str(self._loop)), still.keyframe, still.seconds, answer)

    def _answered(self, still: Still, moves: bool | None) -> None:
        if self._asked is None or self._asked[0] is not still:
            return
        self._frozen = bool(moves)
        if moves is None:  # not known yet, as of a loop that is still being prepared
            self._asked = still, still.seconds + PICTURE_SECONDS
