"""Supervision against every order of events: what it may and may not decide."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hook_service.playout.supervise import Action, Policy, State, Supervision

POLICY = Policy(
    stale=4.0, spawning=8.0, backoff=0.25, backoff_limit=2.0, slow=10.0, healthy=5.0, attempts=3, window=60.0
)
STEP = 0.25  # how often a process asks


class Life(RuleBasedStateMachine):
    """A process that does as it is told, or dies, hangs, or can't be started, under one supervision."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.it = Supervision(POLICY, random.Random(1))
        self.alive = False
        self.deaf = False
        self.broken = False
        self.killed = False
        self.interrupts = 0
        self.given_up = False
        """FAILED, and not seen healthy since."""
        self.begun_failed = False
        """Whether this life began so: until it does something the alert stands."""
        self.asked_at: float | None = None
        """When an end in good order was asked for in this life."""
        self.moved = self.now
        self.spawns = 0
        self.failures: list[float] = []
        """Ends in this window that were nobody's wish."""
        self.row = 0
        """How many of them followed each other without a healthy life between."""
        self.ended_at = self.now
        self.running_since: float | None = None
        self.held_against = False
        """Whether the last end was nobody's wish."""

    def exit(self) -> None:
        asked = self.asked_at is not None and not self.killed
        self.it.exited(self.now)
        self.alive = False
        self.held_against = self.it.wanted and not asked
        self.ended_at = self.now
        if self.held_against:
            self.row += 1
            self.failures = [at for at in self.failures if at >= self.now - POLICY.window] + [self.now]
            assert self.it.state in (State.CRASHED, State.FAILED)
            self.given_up = self.given_up or len(self.failures) > POLICY.attempts
            assert self.it.state is (State.FAILED if self.given_up else State.CRASHED)
        elif not self.it.wanted:
            assert self.it.state is State.STOPPED
        self.asked_at = self.running_since = None

    def look(self) -> None:
        """Ask for a decision and carry it out, as `process` does."""
        action = self.it.decide(self.now)
        if action is Action.SPAWN:
            assert not self.alive, "a second process"
            assert self.it.wanted, "spawned though it is not wanted"
            self.check_delay(spawned=True)
            if self.broken:
                self.exit()
                return
            self.it.spawned(self.now)
            assert self.it.state is State.SPAWNING or self.given_up
            self.alive, self.killed, self.interrupts = True, False, 0
            self.begun_failed = self.given_up
            self.asked_at = None
            self.spawns += 1
            self.moved = self.now
        elif action is Action.INTERRUPT:
            assert self.alive
            assert self.asked_at is not None, "interrupted though nobody asked"
            assert self.now - self.asked_at >= self.interrupts * POLICY.nudge
            self.interrupts += 1
            assert self.interrupts <= 2, "SIGINT once, and once more for an FFmpeg that waits for its input"
            if not self.deaf:
                self.exit()
        elif action is Action.KILL:
            assert self.alive
            if self.asked_at is not None:
                assert self.interrupts, "killed before it was asked"
                assert self.now - self.asked_at >= POLICY.patience
            else:
                limit = POLICY.stale if self.it.state is State.RUNNING else POLICY.spawning
                assert self.now - self.moved >= limit, "killed though it moved"
            self.killed = True
            self.exit()
        else:
            assert action is None
            self.check_delay(spawned=False)
            if self.alive:
                limit = POLICY.stale if self.it.state is State.RUNNING else POLICY.spawning
                if self.asked_at is None:
                    assert self.now - self.moved < limit, "stale and left alone"
                else:
                    assert self.interrupts
                    assert self.now - self.asked_at < POLICY.patience, "deaf and left alone"

    def check_delay(self, *, spawned: bool) -> None:
        """How long it waits before it starts again."""
        if not self.it.wanted or self.alive:
            return
        waited = self.now - self.ended_at
        if not self.held_against:
            assert spawned, "wanted, not running, nothing held against it, and not started"
            return
        if self.it.state is State.FAILED:
            low = high = POLICY.slow
        elif self.row <= 1:
            low = high = 0.0
        else:
            low = high = min(POLICY.backoff_limit, POLICY.backoff * 2 ** (self.row - 2))
        if spawned:
            assert waited >= low * 0.75 - 1e-9, "too soon"
        else:
            assert waited < high * 1.25 + 1e-9, "too late"

    @rule(seconds=st.sampled_from([STEP, 1.0, 3.0, 6.0, 15.0, 70.0]), moving=st.booleans())
    def time_passes(self, seconds: float, moving: bool) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            if moving:
                self.progress()
            self.look()

    def progress(self) -> None:
        if not self.alive:
            return
        self.it.progressed(self.now)
        self.moved = self.now
        assert self.it.state is State.RUNNING
        if self.running_since is None:
            self.running_since = self.now
        elif self.now - self.running_since >= POLICY.healthy:
            self.failures, self.row, self.given_up = [], 0, False

    @rule()
    def it_is_wanted(self) -> None:
        if not self.it.wanted:
            self.failures, self.row, self.held_against, self.given_up = [], 0, False, False
        self.it.want(True, self.now)
        self.look()

    @rule()
    def it_is_not_wanted(self) -> None:
        self.it.want(False, self.now)
        if self.alive and self.asked_at is None:
            self.asked_at = self.now
        self.look()

    @rule()
    def restart(self) -> None:
        self.it.restart(self.now)
        if self.alive and self.asked_at is None:
            self.asked_at = self.now
        self.look()

    @precondition(lambda self: self.alive)
    @rule()
    def it_dies(self) -> None:
        self.exit()
        self.look()

    @rule(deaf=st.booleans(), broken=st.booleans())
    def it_changes(self, deaf: bool, broken: bool) -> None:
        self.deaf, self.broken = deaf, broken

    @invariant()
    def states_agree(self) -> None:
        assert self.it.restarts == max(0, self.spawns - 1)
        if self.alive:
            if self.running_since is not None:
                assert self.it.state is State.RUNNING
            else:
                # RUNNING: see test_restarted_while_failed_it_says_what_it_is.
                given_up = {State.FAILED, State.RUNNING} if self.begun_failed else set()
                assert self.it.state in {State.SPAWNING} | given_up
        elif not self.it.wanted:
            assert self.it.state is State.STOPPED
        else:
            given_up = {State.RUNNING} if self.given_up else set()  # the same
            assert self.it.state in {State.STOPPED, State.CRASHED, State.FAILED} | given_up

    def teardown(self) -> None:
        """Whatever happened: wanted and no longer broken, it comes back by itself."""
        self.deaf = self.broken = False
        self.it_is_wanted()
        for _ in range(int((POLICY.patience + POLICY.slow * 1.25 + POLICY.spawning) / STEP) + 2):
            self.now += STEP
            self.progress()
            self.look()
        assert self.alive
        assert self.it.state is State.RUNNING


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestLife = Life.TestCase


def state(it: Supervision) -> State:
    """Its state, which mypy would otherwise take for unchanged."""
    return it.state


def running(it: Supervision, now: float) -> None:
    it.want(True, now)
    assert it.decide(now) is Action.SPAWN
    it.spawned(now)
    it.progressed(now)


def crash_until_failed(it: Supervision, now: float) -> tuple[float, list[float]]:
    """Let it crash right after each start until it is FAILED; the time then, and the waits between."""
    waits = []
    while True:
        it.exited(now)
        ended = now
        while it.decide(now) is not Action.SPAWN:
            now += 0.01
        waits.append(now - ended)
        if it.state is State.FAILED:
            return now, waits
        it.spawned(now)


def test_backoff_grows_is_bounded_and_ends_in_failed() -> None:
    it = Supervision(Policy(stale=4, spawning=4, backoff=0.5, backoff_limit=4, slow=30, attempts=8, window=600))
    running(it, 0.0)
    _, waits = crash_until_failed(it, 1.0)
    assert waits[0] < 0.02, "the first time at once"
    for wait, middle in zip(waits[1:-1], [0.5, 1, 2, 4, 4, 4, 4], strict=True):
        assert 0.75 * middle - 0.02 <= wait <= 1.25 * middle + 0.02
    assert 22 <= waits[-1] <= 38


def test_waits_are_jittered() -> None:
    waits = set()
    for seed in range(5):
        it = Supervision(POLICY, random.Random(seed))
        running(it, 0.0)
        waits.add(round(crash_until_failed(it, 1.0)[1][1], 2))
    assert len(waits) > 1


def test_started_by_hand_while_it_still_ends() -> None:
    it = Supervision(POLICY)
    running(it, 0.0)
    now, _ = crash_until_failed(it, 1.0)
    it.spawned(now)
    assert state(it) is State.FAILED
    it.want(False, now)
    it.want(True, now)
    it.exited(now + 1)
    assert it.decide(now + 1) is Action.SPAWN
    it.spawned(now + 1)
    assert state(it) is State.SPAWNING, "nothing is held against it any more"


def test_failed_is_tried_for_ever_and_comes_back() -> None:
    it = Supervision(POLICY)
    running(it, 0.0)
    now, _ = crash_until_failed(it, 1.0)
    for _ in range(20):
        it.spawned(now)
        assert it.state is State.FAILED, "until it does something the alert stands"
        it.exited(now)
        assert it.state is State.FAILED
        now += POLICY.slow * 1.26
        assert it.decide(now) is Action.SPAWN
    it.spawned(now)
    for _ in range(100):
        now += 1.0
        it.progressed(now)
        assert it.decide(now) is None
    assert state(it) is State.RUNNING
    it.exited(now)
    assert state(it) is State.CRASHED
    assert it.decide(now) is Action.SPAWN, "after a healthy life it is started again at once"


def test_ends_while_its_source_is_away_are_not_counted() -> None:
    it, now = Supervision(POLICY, random.Random(3)), 0.0
    it.want(True, now)
    for _ in range(100):
        assert it.decide(now) is Action.SPAWN
        it.spawned(now)
        it.exited(now, excused=True)
        assert state(it) is State.CRASHED
        assert it.decide(now) is None, "not without a pause"
        now += POLICY.backoff * 1.25
    crash_until_failed(it, now)


def test_crashes_outside_the_window_are_forgotten() -> None:
    it = Supervision(POLICY)
    running(it, 0.0)
    now = 0.0
    for _ in range(20):
        for _ in range(25):
            now += 1.0
            it.progressed(now)
        it.exited(now)
        assert it.state is State.CRASHED
        assert it.decide(now) is Action.SPAWN
        it.spawned(now)
        it.progressed(now)


def test_restart_in_good_order_holds_nothing_against_it() -> None:
    it = Supervision(POLICY)
    running(it, 0.0)
    for now in range(1, 50):
        it.restart(float(now))
        assert it.decide(now) is Action.INTERRUPT
        it.exited(float(now))
        assert it.state not in (State.CRASHED, State.FAILED)
        assert it.decide(now) is Action.SPAWN
        it.spawned(float(now))
        it.progressed(float(now))
    assert it.restarts == 49


def test_what_ignores_sigint_is_killed_after_the_patience() -> None:
    it = Supervision(POLICY)
    running(it, 0.0)
    it.want(False, 10.0)
    assert it.decide(10.0) is Action.INTERRUPT
    assert it.decide(10.2) is None
    assert it.decide(10.0 + POLICY.nudge) is Action.INTERRUPT
    assert it.decide(14.9) is None
    assert it.decide(15.0) is Action.KILL
    it.exited(15.0)
    assert it.state is State.STOPPED
    assert it.decide(1e9) is None


def test_wanted_again_while_it_ends_is_started_again_at_once() -> None:
    it = Supervision(POLICY)
    running(it, 0.0)
    it.want(False, 1.0)
    assert it.decide(1.0) is Action.INTERRUPT
    it.want(True, 1.1)
    it.exited(1.2)
    assert it.decide(1.2) is Action.SPAWN


@pytest.mark.parametrize("failed", [False, True])
def test_not_wanted_any_more_between_two_tries_is_stopped(failed: bool) -> None:
    it = Supervision(POLICY)
    running(it, 0.0)
    now = 1.0
    if failed:
        now, _ = crash_until_failed(it, now)
    else:
        it.exited(now)
    it.want(False, now)
    assert it.decide(now + 100) is None
    assert it.state is State.STOPPED


@pytest.mark.parametrize("moved", [False, True])
def test_restarted_while_failed_it_says_what_it_is(moved: bool) -> None:
    """A destination that has just come back is moved to the other relay key."""
    it = Supervision(POLICY)
    running(it, 0.0)
    now, _ = crash_until_failed(it, 1.0)
    it.spawned(now)
    if moved:
        it.progressed(now + 1)
    it.restart(now + 2)
    assert it.decide(now + 2) is Action.INTERRUPT
    it.exited(now + 2)
    assert it.decide(now + 2) is Action.SPAWN
    it.spawned(now + 2)
    assert it.state in (State.SPAWNING, State.FAILED)
