"""A destination's FFmpeg that has outlived its radio-output: found, adopted, or ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hook_service import settings
from hook_service.library.profiles import BUILT_IN
from hook_service.playout import commands, procfs, survivors
from hook_service.playout.destination import Destination
from hook_service.playout.reactor import Reactor
from hook_service.playout.supervise import State
from tests.rig.net import wait_until
from tests.unit.playout.helpers import is_alive, open_files, run_until

TARGET = settings.Destination(name="platform", url="rtmp://127.0.0.1:9/live", key="k1", backup_of=None)


@dataclass(slots=True)
class Left:
    """What a radio-output leaves that has died: an FFmpeg, and the pipes that systemd holds."""

    pid: int
    kept: dict[str, int]
    tells: int
    """Where it tells of its progress."""

    def tell(self, size: int) -> None:
        os.write(self.tells, f"total_size={size}\nout_time_us={size}000\nprogress=continue\n".encode())


@pytest.fixture
def station(tmp_path: Path) -> Iterator[settings.Station]:
    """Its relay accepts and says nothing: an FFmpeg that reads it waits."""
    with socket.create_server(("127.0.0.1", 0)) as relay:
        yield settings.Station(
            shortcode="demo",
            profile=BUILT_IN["720p30"],
            audio_url="http://127.0.0.1:9/radio.mp3",
            audio_fallback=None,
            relay_rtmp=f"127.0.0.1:{relay.getsockname()[1]}",
            relay_stat="127.0.0.1:9",
            destinations=(TARGET,),
            default_loop=tmp_path,
            loops=tmp_path,
            library=tmp_path,
            state=tmp_path,
            run=tmp_path,
            log=tmp_path,
        )


@pytest.fixture
def leave(station: settings.Station) -> Iterator[Callable[..., Left]]:
    """Leaves an FFmpeg as a radio-output would."""
    started: list[subprocess.Popen[bytes]] = []
    told: list[int] = []

    def begin(target: settings.Destination = TARGET, key: str = "demo-b") -> Left:
        secrets = survivors.secrets_file(station, target.name)
        secrets.write_text(commands.destination_secrets(target))
        words, words_in = os.pipe2(os.O_NONBLOCK)
        progress, tells = os.pipe2(os.O_NONBLOCK)
        relay = station.relay_url(key)
        command = [word.format(progress=f"pipe:{tells}") for word in commands.destination(relay, target, secrets)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=words_in, pass_fds=[tells], start_new_session=True
        )
        started.append(process)
        # Its files are closed a moment before its command line is there.
        wait_until(lambda: procfs.command(process.pid) == command, "its command line", 10)
        told.append(tells)
        os.close(words_in)
        names = survivors.names(target.name, process.pid)
        return Left(process.pid, dict(zip(names, (words, progress), strict=True)), tells)

    yield begin
    for process in started:
        process.kill()
        process.wait()
    for file in told:
        os.close(file)


def take_over(
    station: settings.Station, left: Left, target: settings.Destination = TARGET
) -> tuple[Reactor, Destination]:
    """What a new radio-output does."""
    reactor = Reactor()
    destination = Destination(reactor, station, target, "demo-a", lambda _process: None, lambda: False)
    for survivor in survivors.find(station, left.kept):
        if survivor.name != target.name or not destination.adopt(survivor):
            survivor.end()
    destination.process.want(True)
    return reactor, destination


def end(reactor: Reactor, destination: Destination) -> None:
    destination.process.want(False)
    run_until(reactor, lambda: destination.process.pid is None, 30)


def test_it_is_adopted_with_what_it_reads(station: settings.Station, leave: Callable[..., Left]) -> None:
    files = open_files()
    left = leave()
    left.tell(1_000_000)
    reactor, destination = take_over(station, left)
    process = destination.process
    assert (process.pid, process.state, destination.relay_key) == (left.pid, State.RUNNING, "demo-b")
    assert process.progress == {}, "what it told while nobody listened is of no moment that is known"
    left.tell(1_200_000)
    run_until(reactor, lambda: process.progress.get("bytes") == 1_200_000)
    end(reactor, destination)
    assert process.state is State.STOPPED
    # Its own end of the pipe for its progress, and what a reactor has open.
    assert open_files() - files == 1 + 3


def test_its_end_is_noticed_and_another_is_started(station: settings.Station, leave: Callable[..., Left]) -> None:
    left = leave()
    reactor, destination = take_over(station, left)
    os.kill(left.pid, signal.SIGKILL)
    run_until(reactor, lambda: destination.process.pid not in (left.pid, None), 30)
    assert destination.process.supervision.restarts == 1
    assert "ended" in (destination.process.last_error or "")
    end(reactor, destination)


@pytest.mark.parametrize(
    "now",
    [
        replace(TARGET, key="another"),
        replace(TARGET, url="rtmp://127.0.0.1:10/live"),
        replace(TARGET, name="second"),
    ],
    ids=["key", "address", "name"],
)
def test_one_that_sends_what_is_not_configured_is_ended(
    station: settings.Station, leave: Callable[..., Left], now: settings.Destination
) -> None:
    left = leave()
    reactor, destination = take_over(station, left, now)
    run_until(reactor, lambda: not is_alive(left.pid), 30)
    assert destination.process.pid not in (left.pid, None)
    assert destination.relay_key == "demo-a"
    end(reactor, destination)


def test_of_two_for_one_destination_one_is_ended(station: settings.Station, leave: Callable[..., Left]) -> None:
    left, other = leave(), leave()
    left.kept |= other.kept
    reactor, destination = take_over(station, left)
    run_until(reactor, lambda: is_alive(left.pid) != is_alive(other.pid))
    assert destination.process.pid == (left.pid if is_alive(left.pid) else other.pid)
    end(reactor, destination)


def test_one_whose_pipes_are_lost_is_ended(station: settings.Station, leave: Callable[..., Left]) -> None:
    left = leave()
    while left.kept:
        os.close(left.kept.popitem()[1])
    reactor, destination = take_over(station, left)
    run_until(reactor, lambda: not is_alive(left.pid), 30)
    assert destination.process.pid != left.pid
    end(reactor, destination)


def test_other_stations_are_left_alone(station: settings.Station, leave: Callable[..., Left]) -> None:
    left = leave()
    assert list(survivors.find(replace(station, shortcode="demo-b"), {})) == []
    assert list(survivors.find(replace(station, relay_rtmp="127.0.0.1:1"), {})) == []
    assert is_alive(left.pid)
    for file in left.kept.values():
        os.close(file)
