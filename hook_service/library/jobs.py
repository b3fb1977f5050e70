"""The background queue in PostgreSQL (procrastinate): survives restarts, can be looked at with SQL.

The disk is the truth about what is prepared; the queue says what is to be done next. So nothing is lost when the
database is: what was queued is found again by the scanner, and a job that is done twice finds its loop ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import NoneType
from typing import Any

import procrastinate
import psycopg
from procrastinate.exceptions import AlreadyEnqueued, ProcrastinateException

from . import catalog
from .scanner import Item

__all__ = ["Queue"]

log = logging.getLogger("radio.library")

# Hosts that share a database have loops of their own: each has its own queue in it.
QUEUE = f"prepare@{socket.gethostname()}"
_TASK = "hook_service.library.prepare"
_RETRY_FIRST = 1.0
_RETRY_LAST = 30.0
Work = Callable[[Path, str, float], None]


class Queue:
    """A worker with one job at a time on its own event loop in its own thread; reconnects for ever.

    `work(path, profile name, fade-in)` does a job; it blocks and must not raise. `dsn` is called for every
    connection, so that a changed password is taken up.
    """

    def __init__(self, dsn: Callable[[], str], work: Work) -> None:
        self._dsn = dsn
        self._work = work
        self._thread = threading.Thread(target=self._run, name="queue")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._app: procrastinate.App | None = None
        self._stopping = threading.Event()

    @property
    def is_up(self) -> bool:
        """Whether the database takes and gives jobs at the moment."""
        return self._app is not None

    def start(self) -> None:
        """Connect in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop taking jobs. The job at work must have been told to end."""
        self._stopping.set()
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(task.cancel)

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout)

    def put(self, item: Item, priority: int) -> bool:
        """Queue a loop, once; False when that can't be done now."""
        return self._ask(lambda app: _defer(app, item, priority))

    def check(self) -> bool:
        """Ask the database whether it is there: the worker alone would notice late."""
        return self._ask(lambda app: app.job_manager.check_connection_async())

    def _ask(self, question: Callable[[procrastinate.App], Coroutine[Any, Any, object]]) -> bool:
        app, loop = self._app, self._loop
        if app is None or loop is None:
            return False
        try:
            asyncio.run_coroutine_threadsafe(question(app), loop).result(timeout=10)
        except psycopg.DataError:
            return False
        except (ProcrastinateException, psycopg.Error, TimeoutError, RuntimeError) as error:
            if not isinstance(error.__cause__, psycopg.DataError):
                self._drop(loop)
            return False
        return True

    def _drop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect anew."""
        self._app = None
        serving = self._serving
        if serving is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(serving.cancel)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._forever())

    async def _forever(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        wait, told = _RETRY_FIRST, False
        while not self._stopping.is_set():
            self._serving = asyncio.create_task(self._serve())
            begun = self._loop.time()
            why = await self._outcome(self._serving)
            if self._loop.time() - begun > _RETRY_LAST:
                wait, told = _RETRY_FIRST, False
            if not told:
                context = {"context": {"error": why}}
                log.warning("The database is away: loops are prepared without a queue", extra=context)
                told = True
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            wait = min(_RETRY_LAST, wait * 2)

    async def _outcome(self, serving: asyncio.Task[None]) -> str:
        """Wait for the end of a connection and say what ended it."""
        try:
            await asyncio.wait([serving])
        except asyncio.CancelledError:
            serving.cancel()
            await asyncio.wait([serving])
            raise
        finally:
            self._app = None
        if serving.cancelled():
            return "no answer"
        error = serving.exception()
        if not isinstance(error, (NoneType, ProcrastinateException, psycopg.Error, OSError, TimeoutError)):
            # A defect; but without this thread there would be no queue until somebody came.
            log.error("The queue broke off", exc_info=error)
        return type(error).__name__

    async def _serve(self) -> None:
        """Work until the connection breaks."""
        dsn = self._dsn()
        # Says at once what is wrong; a pool would try again by itself, silently, for half a minute.
        probe = await psycopg.AsyncConnection.connect(dsn, connect_timeout=3)
        await probe.close()
        connector = procrastinate.PsycopgConnector(
            conninfo=dsn,
            min_size=1,
            max_size=3,
            timeout=5,
            reconnect_timeout=5,
            kwargs={"connect_timeout": 3, "application_name": "radio-prepare"},
        )
        app = procrastinate.App(connector=connector)
        work = self._work

        @app.task(name=_TASK, queue=QUEUE)
        def job(path: str, profile: str, fade_in: float, path_hex: str | None = None) -> None:
            work(Path(os.fsdecode(bytes.fromhex(path_hex))) if path_hex else Path(path), profile, fade_in)

        async with app.open_async():
            await _take_over(app)
            self._app = app
            log.info("Taking jobs from the database")
            await app.run_worker_async(
                queues=[QUEUE],
                name="radio-prepare",
                concurrency=1,
                install_signal_handlers=False,
                delete_jobs="successful",
            )


async def _take_over(app: procrastinate.App) -> None:
    """Put back what a worker that died was doing, and drop what failed long ago."""
    manager = app.job_manager
    for job in await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=30):
        # The scanner asks again for whatever is still missing.
        await manager.finish_job(job, status=procrastinate.jobs.Status.FAILED, delete_job=True)
    await manager.delete_old_jobs(nb_hours=24 * 7, queue=QUEUE, include_failed=True)


async def _defer(app: procrastinate.App, item: Item, priority: int) -> None:
    name = hashlib.sha1(os.fsencode(item.path), usedforsecurity=False).hexdigest()
    job = app.configure_task(
        _TASK, queue=QUEUE, priority=priority, queueing_lock=f"{QUEUE}:{item.profile.fingerprint()}:{name}"
    )
    path = catalog.printable(item.path)
    # PostgreSQL's JSON is for people and for text; a name that is neither goes along as bytes.
    raw = None if path == str(item.path) else os.fsencode(item.path).hex()
    with contextlib.suppress(AlreadyEnqueued):
        await job.defer_async(path=path, path_hex=raw, profile=item.profile.name, fade_in=item.profile.fade_in)
