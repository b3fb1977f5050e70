"""Logs as JSON lines: to standard output (the journal) and to a file that all services of a host share.

The shape is the original architecture's: timestamp (UTC, microseconds), level, service, message, context.
A thread of its own writes them, so that a disk or a terminal that hangs never holds up who logs; what it can't write
is dropped. Stdlib only, because the playout logs too.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import logging
import logging.handlers
import os
import queue
import sys
from datetime import UTC, datetime
from pathlib import Path

ROTATE_BYTES = 100 * 1024 * 1024
ROTATE_FILES = 10
# Lines that wait to be written; beyond that they are dropped.
WAITING_LINES = 10_000
_STOP_SECONDS = 2.0


class Writer(logging.handlers.QueueListener):
    """The thread that writes. What it hangs on never keeps the process from ending."""

    def stop(self) -> None:
        """Write what waits, for seconds at most. A second call does nothing."""
        thread = self._thread
        if thread is None:
            return
        with contextlib.suppress(queue.Full):
            self.queue.put(None, timeout=_STOP_SECONDS)  # type: ignore[attr-defined]  # a Queue, not only SimpleQueue's part
        thread.join(_STOP_SECONDS)
        self._thread = None
        self.hangs = thread.is_alive()

    hangs = False
    """Whether it was left behind in a write that does not return."""

    def at_exit(self) -> None:
        """The end of the process. A sink that hangs would hold the interpreter's own last flush for ever."""
        self.stop()
        if self.hangs:
            os._exit(0)


class JsonLines(logging.Formatter):
    """One record, one line of JSON. What is in `extra={"context": {…}}` becomes `context`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as a JSON object without line breaks."""
        context = dict(getattr(record, "context", None) or {})
        if record.exc_info:
            context["exception"] = self.formatException(record.exc_info)
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "service": self._service,
            "message": record.getMessage(),
            "context": context,
        }
        return json.dumps(line, ensure_ascii=False, default=str)


class _Dropping(logging.Handler):
    """What a full disk or a vanished directory keeps from being written is dropped; later lines are tried anew."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Write the record, or not."""
        try:
            return bool(super().handle(record))
        except Exception:  # whatever it is, the thread has more lines to write
            if "baseFilename" in self.__dict__:
                stream, self.__dict__["stream"] = self.__dict__.get("stream"), None  # the next line opens it again
                with contextlib.suppress(OSError, ValueError):
                    if stream is not None:
                        stream.close()
            return False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the stdlib's name
        """A line that can't be written is dropped."""


class _Output(_Dropping, logging.StreamHandler):  # type: ignore[type-arg]
    """Standard output."""


class _Rotated(_Dropping, logging.handlers.RotatingFileHandler):
    """The shared file, in the one service that rotates it."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - the stdlib's name
        """Whether it is full. A file that was taken away is begun anew."""
        stream = self.__dict__.get("stream")
        if stream is not None and not _is_at(stream.fileno(), self.baseFilename):
            self.__dict__["stream"] = None
            stream.close()
        return bool(super().shouldRollover(record))


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))  # noqa: PTH116 - a plain name, for each line
    except FileNotFoundError:
        return False


class _Followed(_Dropping, logging.handlers.WatchedFileHandler):
    """The shared file, in the services that only notice when it was rotated."""


class _Queue(logging.handlers.QueueHandler):
    """Hands records to the writing thread."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with its message as it is now; the rest is for the formatter."""
        record.msg, record.args = record.getMessage(), None
        return record

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the stdlib's name
        """The queue is full: the line is dropped."""


def setup(service: str, path: Path | None, level: str = "INFO", *, rotates: bool = False) -> Writer:
    """Send everything that is logged to standard output and, where `path` is given, to that file as well.

    One service of a host `rotates` the file; two that did would lose lines to each other. The writer that is given
    back writes what waits when it is stopped; it is when the process ends.
    """
    handlers: list[logging.Handler] = []
    if isinstance(sys.stdout, io.TextIOWrapper):  # None where a service is started without one
        sys.stdout.reconfigure(errors="backslashreplace")
        handlers.append(_Output(sys.stdout))
    problem = None
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f"No log file: {path.parent} can't be created ({error.strerror}); create it for this user"
        else:
            how = {"encoding": "utf-8", "errors": "backslashreplace", "delay": True}
            if rotates:
                handlers.append(_Rotated(path, maxBytes=ROTATE_BYTES, backupCount=ROTATE_FILES, **how))  # type: ignore[arg-type]
            else:
                handlers.append(_Followed(path, **how))  # type: ignore[arg-type]
    for handler in handlers:
        handler.setFormatter(JsonLines(service))
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_LINES)
    writer = Writer(waiting, *handlers)
    writer.start()
    atexit.register(writer.at_exit)
    logging.basicConfig(level=level, handlers=[_Queue(waiting)], force=True)
    logging.captureWarnings(True)
    if problem:
        logging.getLogger("radio").warning(problem)
    return writer
