"""Waitress, set up for this service: its own errors are problem documents too, and it tells nobody its name."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask

from hook_service.config import Web
from hook_service.web.problems import MEDIA_TYPE, SECURITY_HEADERS, Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

MAX_BODY = 256 * 1024
QUICK = "/webhook/"
_DETAILS = {
    400: "The request can't be parsed.",
    413: f"The body is larger than {MAX_BODY} bytes.",
    431: "The request's headers are too large.",
    500: "Something went wrong here; the log has it under this request id.",
    501: "The transfer encoding is not known here; send the body plain or chunked.",
}


class _ProblemTask(ErrorTask):
    """What is answered to a request that never reaches Flask: malformed, or too large."""

    def execute(self) -> None:
        fault = self.request.error  # type: ignore[attr-defined] # the stubs have the request wrong
        status = fault.code
        request_id = uuid4().hex
        problem = Problem(status, _DETAILS.get(status, "The request can't be served."))
        body = problem.document(request_id)
        self.status = f"{status} {fault.reason}"
        headers: list[tuple[str, str]] = self.response_headers  # type: ignore[assignment]
        headers.extend([("Content-Type", MEDIA_TYPE), ("X-Request-Id", request_id), *SECURITY_HEADERS])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Task(WSGITask):
    """Leaves the connection open after an answer without a body. Waitress closes it for want of a length, and who
    asks every second whether something is new would leave the host thousands of connections that are over.
    """

    def set_close_on_finish(self) -> None:
        asked: Any = self.request.headers.get("CONNECTION", "")  # type: ignore[attr-defined] # as above
        if self.has_body or self.version != "1.1" or asked.lower() == "close":
            super().set_close_on_finish()


class _Channel(HTTPChannel):
    task_class = _Task
    error_task_class = _ProblemTask


class _SelfCheck:
    """A task that only shows that tasks are taken."""

    def __init__(self) -> None:
        self.done = threading.Event()

    def service(self) -> None:
        self.done.set()

    def cancel(self) -> None:
        pass


class Server(TcpWSGIServer):
    """A Waitress server on one address that answers webhooks in its loop, and all else in its threads.

    A webhook waits for nothing: its answer takes a fraction of a millisecond, of which handing it to a thread and
    getting the interpreter's lock back would be the larger part. Measured at 1,000 a second: 0.5 ms of CPU for each
    with threads, 0.4 ms without, and a p99 that no longer depends on what else the machine does.
    """

    channel_class = _Channel
    _map: dict[int, Any]  # the stubs know neither this nor a task that is no WSGI task

    def __init__(self, app: WSGIApplication, **settings: Any) -> None:
        self._quick: deque[_Channel | _SelfCheck] = deque()
        self._loop: int | None = None
        self._stopping = False
        super().__init__(app, **settings)

    def add_task(self, task: Any) -> None:
        """Waitress has a request that is complete."""
        request: Any = task.requests[0] if isinstance(task, _Channel) else None
        if request is not None and not request.error and request.path.startswith(QUICK):
            # Not served here: the channel holds a lock of its own while it calls this.
            self._quick.append(task)
            self.pull_trigger()
        else:
            super().add_task(task)

    def pull_trigger(self) -> None:
        """Make the loop go round. From inside it there is no need to: it will."""
        if threading.get_ident() != self._loop:
            super().pull_trigger()

    def run(self) -> None:
        """Serve until `stop()`; what is being answered then is finished."""
        self._loop = threading.get_ident()
        while not self._stopping:
            wasyncore.loop(timeout=1.0, use_poll=True, map=self._map, count=1)
            for _ in range(len(self._quick)):
                task = self._quick.popleft()
                task.service()
                if isinstance(task, _Channel) and task.connected and task.writable():
                    task.handle_write()
        self.task_dispatcher.shutdown(timeout=2)
        wasyncore.close_all(self._map)

    def stop(self) -> None:
        """End `run()`. From any thread, and from a signal handler."""
        self._stopping = True
        super().pull_trigger()

    def alive(self, timeout: float) -> bool:
        """Whether both the loop and the threads take a task that is put there now within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        looped, threaded = _SelfCheck(), _SelfCheck()
        self._quick.append(looped)
        self.pull_trigger()
        super().add_task(threaded)  # type: ignore[arg-type]
        return all(check.done.wait(max(0.0, deadline - time.monotonic())) for check in (looped, threaded))


def build(app: WSGIApplication, web: Web) -> Server:
    """A server bound to `web.listen`; `run()` serves until `close()`. Raises OSError where it can't bind."""
    # Every request that waits a moment would be a warning; latency is measured, not logged.
    logging.getLogger("waitress.queue").setLevel(logging.CRITICAL)
    adjustments = Adjustments(
        listen=web.listen,
        threads=web.threads,
        ident=None,
        max_request_body_size=MAX_BODY,
        max_request_header_size=32 * 1024,
        inbuf_overflow=2 * MAX_BODY,
        recv_bytes=64 * 1024,  # a whole NowPlaying body in one read
        connection_limit=200,
        channel_timeout=60,
        cleanup_interval=10,
        asyncore_use_poll=True,
        # They are left in place: that a request came through a proxy is what /metrics refuses it for. Whose word
        # counts for the client's address is decided in app.py.
        clear_untrusted_proxy_headers=False,
    )
    # Head and body of an answer go out in one call, not in two. Not an argument: as such it is deprecated.
    adjustments.send_bytes = 16 * 1024
    return Server(app, adj=adjustments, sockinfo=adjustments.listen[0])
