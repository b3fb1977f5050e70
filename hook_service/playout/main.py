"""`radio-playout STATION`: one station's timeline, audio, picture and publisher."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import time
from pathlib import Path
from typing import Any

from hook_service import __version__, settings
from hook_service.library import basics, catalog
from hook_service.observe import log, notify
from hook_service.playout import adts, state
from hook_service.playout.announce import Announcer
from hook_service.playout.audio import Mixer
from hook_service.playout.control import BadRequest, Control, Message
from hook_service.playout.fallback import Fallback
from hook_service.playout.lines import Line, Lines, other_key
from hook_service.playout.picture import Picture, Still
from hook_service.playout.process import Process
from hook_service.playout.programme import Programme
from hook_service.playout.reactor import Reactor, Timer
from hook_service.playout.source import Source
from hook_service.playout.supervise import State
from hook_service.playout.timeline import AUDIO_FRAME_SECONDS, NS, Clock, FrameRate, Timeline, audio_ns

_log = logging.getLogger("radio.playout")

# A host that stood still for longer than this (a paused VM) goes on in the present instead of pouring out the past.
_SKIP_NS = 2 * NS
_LATE_NS = NS // 10
# Frames are handed on in pairs unless a switch waits for the slot between: every process down to the platform wakes
# half as often, for 33 ms of delay that no viewer can see.
_SLOTS_A_TICK = 2


class Playout:
    """Everything that one station needs to be on the air, driven by the timeline's ticks."""

    def __init__(self, station: settings.Station) -> None:
        self._station = station
        self._reactor = reactor = Reactor()
        self._rate = FrameRate(station.profile.fps_num, station.profile.fps_den)
        self._started = time.time()
        self._counts = {"video": 0, "audio": 0, "late_ticks": 0, "skips": 0}
        self._anchor_file = station.run / f"timeline-{station.shortcode}.json"

        now = time.monotonic_ns()
        anchor = state.load_anchor(self._anchor_file)
        position = anchor.position_at(now) if anchor else 0
        self._clock = Clock(position, now)
        self._timeline = Timeline(self._rate, position)
        self._ticked = now
        self._planned = self._timeline.next_video_due
        self._next_tick: Timer | None = None

        self._control = Control(
            reactor,
            station.playout_socket,
            {
                "status": self._status,
                "switch": self._switch,
                "warm": self._warm,
                "card": self._card,
                "hold": lambda _message: {"loop": self._programme.hold()},
                "restart": self._restart,
                "lineup": self._lineup,
                "moved": self._moved,
            },
        )
        fallback = station.audio_fallback
        kbps = station.profile.audio_kbps
        take = Fallback(reactor, fallback, station.library, kbps, self._trouble).take if fallback else lambda: None
        self._mixer = Mixer(adts.split(catalog.floor(station.library, kbps)), take)
        slate = catalog.slate(station.library, station.profile)
        still = Still(slate.avcc, [slate.read_gop(n) for n in range(slate.gops)])
        slate.close()
        self._programme = Programme(
            reactor,
            station,
            still,
            self._control.publish,
            self._slot_at,
            self._slots_to,
            self._publisher_pid,
            self._plan,
        )
        self._picture: Picture = self._programme.picture
        cushion = self._mixer.cushion
        announcer = Announcer(reactor, station.audio_url, cushion, self._sound_at, self._control.publish)
        self._source = Source(
            reactor, station.audio_url, kbps, cushion, announcer, self._process_changed, self._mount_changed
        )
        key = anchor.relay_key if anchor else other_key(station.shortcode, None)
        self._lines = Lines(
            self._line(key, anchor.base if anchor else None),
            lambda key: self._line(key, None),
            self._lineup_changed,
        )

    def run(self) -> None:
        """Be on the air until asked to end."""
        reactor = self._reactor
        reactor.stop_on_signals(self._stop)
        interval = notify.watchdog_interval()
        if interval is not None:
            reactor.every(interval, notify.watchdog)
        reactor.every(1.0, self._second)
        self._tick()
        notify.ready()
        # What exists now lives for ever: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        reactor.run()

    def _tick(self) -> None:
        now = time.monotonic_ns()
        self._source.poll()
        position = self._clock.advance(now)
        self._clock.rate_ppm = self._mixer.rate_ppm((now - self._ticked) / NS)
        self._ticked = now
        behind = position - self._planned
        if behind > _LATE_NS:
            self._counts["late_ticks"] += 1
            if behind > _SKIP_NS:
                self._skip(position, behind)
        lines = self._lines.all()
        video = audio = 0
        for kind, index, ms in self._timeline.due(position):
            if kind == "video":
                body, keyframe, avcc = self._picture.frame(self._rate.ns(index))
                video += 1
                for line in lines:
                    line.video(ms, body, keyframe, avcc)
            else:
                frame = self._mixer.frame()
                audio += 1
                for line in lines:
                    line.audio(ms, frame)
        for line in lines:
            line.flush()
        self._counts["video"] += video
        self._counts["audio"] += audio
        self._plan()

    def _plan(self) -> None:
        """Set the time of the next tick: in two slots, or in the next one if a switch is due there."""
        if self._next_tick is not None:
            self._next_tick.cancel()
        due, following = self._timeline.next_video_due, self._picture.next
        if following is None or following.at > due:
            due = self._rate.ns(self._timeline.video_index + _SLOTS_A_TICK - 1)
        self._planned = due
        self._next_tick = self._reactor.call_at(self._clock.when(due) / NS, self._tick)

    def _skip(self, position: int, behind: int) -> None:
        self._counts["skips"] += 1
        self._timeline = Timeline(self._rate, position)
        self._picture.rewind()
        text = f"The host stood still for {behind / NS:.1f} s; the timeline goes on in the present"
        self._control.publish("error", severity="ERROR", message=text, context={"seconds": behind / NS})
        _log.error(text)

    def _second(self) -> None:
        line = self._lines.current
        self._lines.check(self._station.shortcode)
        if line.base is not None:
            now = time.monotonic_ns()
            state.save_anchor(self._anchor_file, state.Anchor(self._clock.advance(now), now, line.key, line.base))
        self._programme.watch()

    def _slot_at(self, unix: float | None) -> int:
        """The timeline's position at a time of day; now where there is none."""
        ahead = max(0.0, unix - time.time()) if unix is not None else 0.0
        return self._clock.advance(time.monotonic_ns()) + int(ahead * NS)

    def _slots_to(self, position: int) -> int:
        """How many pictures are due before the first one at or after a position of the timeline."""
        return max(0, self._rate.index_at(position) - self._timeline.video_index)

    def _sound_at(self, slots: float) -> float:
        """The Unix time at which the sound so many slots after the next one is due."""
        position = audio_ns(self._timeline.audio_index) + int(slots * AUDIO_FRAME_SECONDS * NS)
        return time.time() + (self._clock.when(position) - time.monotonic_ns()) / NS

    def _line(self, key: str, base: int | None) -> Line:
        station = self._station
        url = station.relay_url(key)
        return Line(self._reactor, key, url, station.profile, base, self._rewind, self._process_changed)

    def _rewind(self) -> None:
        self._picture.rewind()

    def _publisher_pid(self) -> int | None:
        return self._lines.current.process.pid

    def _process_changed(self, process: Process) -> None:
        self._control.publish(
            "process",
            process=process.name,
            state=process.state.value,
            pid=process.pid,
            exit=process.last_exit,
            error=process.last_error,
        )

    def _mount_changed(self) -> None:
        source = self._source
        self._control.publish("mount", state=source.state, titles=source.titles, error=source.error)

    def _trouble(self, text: str) -> None:
        _log.warning(text)
        self._control.publish("error", severity="WARNING", message=text, context={})

    def _lineup_changed(self) -> None:
        self._control.publish("lineup", **self._lineup({}))

    def _lineup(self, _message: Message) -> Message:
        slots = self._picture.slots_to_keyframe()
        due = self._rate.ns(self._timeline.video_index + slots)
        return {
            "current": self._lines.current.key,
            "next": self._lines.next_key,
            "publishing": self._lines.current.process.state is State.RUNNING,
            "keyframe_at": self._clock.when(due) / NS,
            "flv_ms": self._lines.current.flv_ms,
        }

    def _moved(self, message: Message) -> Message:
        if message.get("key") == self._lines.next_key:
            self._lines.turn_over()
        return self._lineup({})

    def _switch(self, message: Message) -> Message:
        self._programme.switch(message)
        return {}

    def _warm(self, message: Message) -> Message:
        self._programme.warm(message)
        return {}

    def _card(self, message: Message) -> Message:
        return {"shown": self._programme.card(message)}

    def _restart(self, message: Message) -> Message:
        restarts = {"audio": self._source.restart, "publisher": self._lines.current.restart}
        if message.get("name") not in restarts:
            raise BadRequest(f"there is no such process; there are: {', '.join(restarts)}")
        restarts[message["name"]]()
        return {}

    def _status(self, _message: Message) -> Message:
        line = self._lines.current
        cushion = self._mixer.cushion
        processes: list[dict[str, Any]] = [self._source.process.status()]
        for each in self._lines.all():
            processes.append({**each.process.status(), "name": "publisher" if each is line else "publisher:next"})
        return {
            "station": self._station.shortcode,
            "version": __version__,
            "pid": os.getpid(),
            "boot": self._control.boot,
            "started_at": self._started,
            **self._programme.status(),
            "audio": {
                "source": self._mixer.source,
                "level_seconds": round(cushion.seconds, 3),
                "rate_ppm": self._clock.rate_ppm,
                "trimmed_frames": cushion.trimmed,
                "mount": self._source.status(),
            },
            "timeline": {
                "position_ms": self._clock.advance(time.monotonic_ns()) // 1_000_000,
                "flv_ms": line.flv_ms,
                "relay_key": line.key,
                "next_relay_key": self._lines.next_key,
            },
            "frames": dict(self._counts),
            "processes": processes,
        }

    def _stop(self) -> None:
        notify.stopping()
        self._second()
        for line in self._lines.all():
            line.end()
        self._source.stop()

        def ended() -> None:
            if all(p.pid is None for p in [self._source.process, *(line.process for line in self._lines.all())]):
                self._control.close()
                self._reactor.stop()

        self._reactor.every(0.02, ended)


def main(argv: list[str] | None = None) -> int:
    """Entry point of the systemd unit `radio-playout@STATION`."""
    parser = argparse.ArgumentParser(description="Keep one station on the air.")
    parser.add_argument("--config", type=Path, default=Path("/etc/radio/radio.yml"))
    parser.add_argument("station", help="shortcode of a station in the configuration")
    arguments = parser.parse_args(argv)
    station = settings.load(arguments.config, arguments.station)
    log.setup("radio-playout", station.log)
    station.run.mkdir(parents=True, exist_ok=True)
    basics.ensure_basics(station.library, station.profile)
    Playout(station).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
