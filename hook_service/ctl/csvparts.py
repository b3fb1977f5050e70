"""A CSV in parts that the service takes, each with the head, and cut where a record ends."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from hook_service.ctl.client import Trouble

LARGEST = 200_000
"""Bytes of a part as it is sent; the service takes 256 KB, and 250,000 characters of CSV."""


def read(file: Path) -> str:
    """The text of a file, which is UTF-8. Raises Trouble."""
    try:
        return file.read_text(encoding="utf-8-sig", errors="strict")
    except UnicodeDecodeError as error:
        raise Trouble(f"{file} is not UTF-8 (byte {error.start}): save it as that") from None
    except OSError as error:
        raise Trouble(f"{file} can't be read: {error.strerror}") from None


def parts(text: str, largest: int = LARGEST) -> Iterator[tuple[int, str]]:
    """Parts, each with the number that its first line, the head, has or would have in the file. Raises Trouble."""
    # Lines as the service and every spreadsheet count them: str.splitlines would also cut where a title has U+2028.
    lines = list(io.StringIO(text, newline=""))
    head = lines[0] if lines else ""
    # As the service tells it: some spreadsheets write semicolons.
    reader = csv.reader(lines, delimiter=max(",;\t", key=head.count), strict=True)
    part, size, first = [head], _sent(head), 1
    done = above = 0
    try:
        for _ in reader:
            record = "".join(lines[done : reader.line_num])
            if not done:
                # The name of a column may go over lines too.
                head, above = record, reader.line_num
                part, size = [head], _sent(head)
            else:
                if len(part) > 1 and size + _sent(record) > largest:
                    yield first, "".join(part)
                    part, size, first = [head], _sent(head), done + 1 - above
                part.append(record)
                size += _sent(record)
            done = reader.line_num
    except csv.Error as error:
        raise Trouble(f"line {reader.line_num} can't be read as CSV: {error}") from None
    yield first, "".join(part)


def _sent(text: str) -> int:
    """Bytes of it inside JSON."""
    return len(json.dumps(text)) - 2
