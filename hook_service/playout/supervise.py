"""When a process is started, left alone, ended or given up on. Pure: `process` does what is decided here.

The states are STOPPED, SPAWNING, RUNNING, CRASHED and FAILED. What is wanted is kept apart from what is. A process
runs once its own progress has moved; it is stale only when that progress stops, and then it is killed, because
what does not move does not listen either. After a crash it is started again at once, then with exponentially
growing, jittered delays; after `attempts` in `window` seconds it is FAILED, which raises an alert, and is tried
slowly for ever: a station with nobody at the desk must come back by itself. While what it lives on is away, its
ends are not counted: it is to be there as soon as that is back.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """What a process is."""

    STOPPED = "STOPPED"
    SPAWNING = "SPAWNING"
    RUNNING = "RUNNING"
    CRASHED = "CRASHED"
    FAILED = "FAILED"


class Action(Enum):
    """What is to be done about it now."""

    SPAWN = "spawn"
    INTERRUPT = "interrupt"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be with one kind of process; all in seconds but `attempts`."""

    stale: float
    """Without progress for this long while RUNNING: killed."""
    spawning: float
    """Without its first progress for this long: killed."""
    backoff: float = 0.25
    backoff_limit: float = 16.0
    slow: float = 30.0
    """Between tries once FAILED."""
    healthy: float = 5.0
    """RUNNING for this long makes up for the crashes before."""
    attempts: int = 5
    """MAX_RESTART_ATTEMPTS of the original architecture …"""
    window: float = 60.0
    """… within so many seconds."""
    nudge: float = 0.5
    """From the first SIGINT to a second one, which an FFmpeg needs that waits for its input."""
    patience: float = 5.0
    """From SIGINT to SIGKILL."""


class Supervision:
    """The life of one process, driven by `now` in seconds of a monotonic clock."""

    def __init__(self, policy: Policy, jitter: random.Random | None = None) -> None:
        self.policy = policy
        self.state = State.STOPPED
        self.wanted = False
        self.restarts = 0
        """How often it was started again."""
        self.since = 0.0
        """When `state` was entered."""
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._alive = False
        self._moved = 0.0
        self._spawn_at = 0.0
        self._spawned = 0
        self._failures = 0
        self._crashes: deque[float] = deque()
        self._given_up = False
        self._kill_at: float | None = None
        self._interrupts = 0
        self._killed = False

    def want(self, wanted: bool, now: float) -> None:
        """Have it run, or not."""
        if wanted and not self.wanted:
            self._spawn_at = now
            self._failures = 0
            self._given_up = False
            self._crashes.clear()
        self.wanted = wanted
        if not wanted and self._alive:
            self.restart(now)
        elif not wanted:
            self._enter(State.STOPPED, now)

    def restart(self, now: float) -> None:
        """End it in good order. Where it is wanted it is then started again, with nothing held against it."""
        if self._alive and self._kill_at is None:
            self._kill_at = now

    def spawned(self, now: float) -> None:
        """It was started."""
        self.restarts += self._spawned > 0
        self._spawned += 1
        self._alive = True
        self._killed = False
        self._interrupts = 0
        self._kill_at = None
        self._moved = now
        if self.state is not State.FAILED:  # which it stays until it does something
            self._enter(State.SPAWNING, now)

    def progressed(self, now: float) -> None:
        """Its progress moved."""
        self._moved = now
        if self.state is not State.RUNNING:
            self._enter(State.RUNNING, now)
        elif self._failures and now - self.since >= self.policy.healthy:
            self._failures = 0
            self._given_up = False
            self._crashes.clear()

    def exited(self, now: float, excused: bool = False) -> None:
        """It ended, or could not be started; `excused`: what it lives on was away, so that is no crash of its own."""
        asked = self._kill_at is not None
        self._alive = False
        self._kill_at = None
        if not self.wanted:
            self._enter(State.STOPPED, now)
            return
        # Until it does something. One that a person has started again meanwhile has nothing held against it.
        stays_failed = self.state is State.FAILED and self._given_up
        if asked and not self._killed:
            self._spawn_at = now
            if not stays_failed:
                self._enter(State.CRASHED if self.state is State.SPAWNING else State.STOPPED, now)
            return
        if excused:
            self._spawn_at = now + self._spread(self.policy.backoff)
            if not stays_failed:
                self._enter(State.CRASHED, now)
            return
        self._failures += 1
        self._crashes.append(now)
        while self._crashes and self._crashes[0] < now - self.policy.window:
            self._crashes.popleft()
        if self._given_up or len(self._crashes) > self.policy.attempts:
            self._given_up = True
            self._spawn_at = now + self._spread(self.policy.slow)
            self._enter(State.FAILED, now)
        else:
            self._spawn_at = now + self._delay()
            self._enter(State.CRASHED, now)

    def decide(self, now: float) -> Action | None:
        """What is to be done now; to be asked often. SPAWN and KILL are given until they were carried out."""
        if not self._alive:
            return Action.SPAWN if self.wanted and now >= self._spawn_at else None
        if self._kill_at is not None:
            if now - self._kill_at >= self.policy.patience:
                self._killed = True
                return Action.KILL
            if self._interrupts < 2 and now - self._kill_at >= self._interrupts * self.policy.nudge:
                self._interrupts += 1
                return Action.INTERRUPT
            return None
        limit = self.policy.stale if self.state is State.RUNNING else self.policy.spawning
        if now - self._moved >= limit:
            self._killed = True
            return Action.KILL
        return None

    def _delay(self) -> float:
        if self._failures <= 1:
            return 0.0
        return self._spread(min(self.policy.backoff_limit, self.policy.backoff * 2 ** (self._failures - 2)))

    def _spread(self, delay: float) -> float:
        return delay * self._jitter.uniform(0.75, 1.25)

    def _enter(self, state: State, now: float) -> None:
        if state is not self.state:
            self.state = state
            self.since = now
