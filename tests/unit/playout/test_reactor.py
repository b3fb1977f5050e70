"""The reactor: timers, files, other threads."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest

from hook_service.playout.reactor import Reactor
from tests.unit.playout.helpers import ROOT, run_for, run_until


def test_timers_fire_in_their_order_and_not_before_their_time() -> None:
    reactor, fired = Reactor(), []
    start = time.monotonic()
    for delay in (0.03, 0.01, 0.05, 0.02, 0.04, 0.0):
        reactor.call_later(delay, lambda delay=delay: fired.append((delay, time.monotonic() - start)))  # type: ignore[misc]
    run_until(reactor, lambda: len(fired) == 6)
    assert [delay for delay, _ in fired] == [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]
    assert all(at >= delay for delay, at in fired)


def test_a_cancelled_timer_does_not_fire() -> None:
    reactor, fired = Reactor(), []
    timers = [reactor.call_later(0.01, lambda n=n: fired.append(n)) for n in range(10)]  # type: ignore[misc]
    for timer in timers[::2]:
        timer.cancel()
    # One may be cancelled by another of the same moment.
    reactor.call_later(0.005, timers[9].cancel)
    run_for(reactor, 0.05)
    assert sorted(fired) == [1, 3, 5, 7]


def test_only_cancelled_timers_left_do_not_keep_it_busy() -> None:
    reactor = Reactor()
    for _ in range(1000):
        reactor.call_later(5.0, lambda: None).cancel()
    before = time.process_time()
    run_for(reactor, 0.1)
    assert time.process_time() - before < 0.08


def test_every_is_now_and_again() -> None:
    reactor, at = Reactor(), []
    reactor.every(0.02, lambda: at.append(time.monotonic()))
    start = time.monotonic()
    run_until(reactor, lambda: len(at) == 4)
    assert at[0] - start < 0.5
    assert all(b - a >= 0.02 for a, b in pairwise(at))


def test_every_ends_when_it_is_cancelled() -> None:
    reactor, calls = Reactor(), 0

    def call() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            timer.cancel()

    timer = reactor.every(0.01, call)
    run_until(reactor, lambda: calls == 3)
    run_for(reactor, 0.1)
    assert calls == 3


def test_posts_from_many_threads_arrive_once_and_in_each_threads_order() -> None:
    reactor = Reactor()
    got: list[tuple[int, int]] = []
    here = threading.get_ident()

    def work(who: int) -> None:
        for n in range(2_000):
            reactor.post(lambda n=n: got.append((who, n)) if threading.get_ident() == here else None)  # type: ignore[misc]

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    run_until(reactor, lambda: len(got) == 8_000)
    for thread in threads:
        thread.join()
    for who in range(4):
        assert [n for each, n in got if each == who] == list(range(2_000))


def test_more_posts_than_the_pipe_holds_are_all_carried_out() -> None:
    reactor = Reactor()
    got: list[None] = []
    for _ in range(70_000):
        reactor.post(lambda: got.append(None))
    run_until(reactor, lambda: len(got) == 70_000)


def test_a_post_wakes_a_sleeping_reactor() -> None:
    reactor = Reactor()
    begun = time.monotonic()
    timer = threading.Timer(0.05, lambda: reactor.post(reactor.stop))
    timer.start()
    reactor.run()
    timer.join()
    assert 0.04 < time.monotonic() - begun < 5.0


def test_a_callback_that_posts_itself_does_not_starve_timers() -> None:
    reactor, count = Reactor(), [0]

    def again() -> None:
        count[0] += 1
        reactor.post(again)

    again()
    run_for(reactor, 0.03)
    assert count[0] > 10


def test_many_files() -> None:
    reactor, got = Reactor(), set()
    pipes = [os.pipe() for _ in range(200)]

    def read(n: int) -> None:
        os.read(pipes[n][0], 10)
        got.add(n)

    for n, (reader, _) in enumerate(pipes):
        reactor.on_readable(reader, lambda n=n: read(n))  # type: ignore[misc]
    for _, writer in pipes:
        os.write(writer, b"x")
    run_until(reactor, lambda: len(got) == 200)
    for reader, writer in pipes:
        reactor.forget(reader)
        os.close(reader)
        os.close(writer)


def test_a_file_forgotten_in_the_same_round_is_not_called_back() -> None:
    reactor, called = Reactor(), []
    pipes = [os.pipe() for _ in range(2)]

    def first_come(own: int, other: int) -> None:
        called.append(own)
        for reader in (own, other):
            reactor.forget(reader)
            os.close(reader)

    (a, write_a), (b, write_b) = pipes
    reactor.on_readable(a, lambda: first_come(a, b))
    reactor.on_readable(b, lambda: first_come(b, a))
    os.write(write_a, b"x")
    os.write(write_b, b"x")
    run_for(reactor, 0.03)
    assert len(called) == 1
    os.close(write_a)
    os.close(write_b)


def test_reading_and_writing_the_same_file_come_and_go_apart() -> None:
    ours, theirs = socket.socketpair()
    reactor = Reactor()
    seen: list[bytes] = []

    def writable() -> None:
        seen.append(b"writable")
        reactor.on_writable(ours.fileno(), None)

    reactor.on_readable(ours.fileno(), lambda: seen.append(ours.recv(10)))
    reactor.on_writable(ours.fileno(), writable)
    run_until(reactor, lambda: b"writable" in seen)
    theirs.send(b"hello")
    run_until(reactor, lambda: b"hello" in seen)
    assert seen == [b"writable", b"hello"]
    reactor.forget(ours.fileno())
    reactor.forget(ours.fileno())  # forgetting twice is no fault
    ours.close()
    theirs.close()


def test_what_a_callback_raises_ends_it() -> None:
    reactor = Reactor()
    reactor.call_later(0.0, lambda: list[int]().remove(1))
    with pytest.raises(ValueError):
        reactor.run()


def test_stop_ends_after_the_present_callback() -> None:
    reactor, after = Reactor(), []
    when = time.monotonic()
    reactor.call_at(when, reactor.stop)
    reactor.call_at(when + 1e-6, lambda: after.append("ran"))
    time.sleep(0.001)
    reactor.run()
    assert after == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_heard_in_the_reactors_own_time(number: signal.Signals) -> None:
    program = (
        "from hook_service.playout.reactor import Reactor\n"
        "r = Reactor()\n"
        "r.stop_on_signals(lambda: (print('ended', flush=True), r.stop()))\n"
        "r.call_later(0.0, lambda: print('up', flush=True))\n"
        "r.call_later(20, r.stop)\n"
        "r.run()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(number)
        assert child.stdout.readline() == "ended\n"
        assert child.wait(5) == 0
