"""Logs as JSON lines: to standard output (the journal) and to a rotated file.

The shape is the original architecture's: timestamp (UTC, microseconds), level, service, message, context.
Stdlib only, because the playout logs too.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

ROTATE_BYTES = 100 * 1024 * 1024
ROTATE_FILES = 10


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


class SharedRotatingFile(logging.handlers.RotatingFileHandler):
    """A rotated file that several processes write: each notices when another has rotated it.

    A full disk or a vanished directory costs log lines, never the broadcast: errors are dropped here and the
    lines still go to standard output.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record to the file that has the name now."""
        try:
            if self.stream is not None and not self._is_current(self.stream.fileno()):
                self.stream.close()
                self.stream = self._open()
            super().emit(record)
        except OSError:
            return

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the stdlib's name
        """A line that can't be written is dropped."""

    def _is_current(self, file: int) -> bool:
        try:
            there = Path(self.baseFilename).stat()
        except FileNotFoundError:
            return False
        here = os.fstat(file)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def setup(service: str, path: Path | None, level: str = "INFO") -> None:
    """Send everything that is logged to standard output and, where `path` is given, to that file as well."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    problem = None
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(SharedRotatingFile(path, maxBytes=ROTATE_BYTES, backupCount=ROTATE_FILES, delay=True))
        except OSError as error:
            problem = f"No log file: {path.parent} can't be created ({error.strerror}); create it for this user"
    for handler in handlers:
        handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.captureWarnings(True)
    if problem:
        logging.getLogger("radio").warning(problem)
