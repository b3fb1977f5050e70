"""CSV in parts."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.ctl import csvparts
from hook_service.ctl.client import Trouble

# Everything but what Python takes for the end of a line, except the line feed that a spreadsheet writes.
_CELLS = st.text().map(lambda text: "\n".join(text.split()))


@given(st.lists(st.tuples(_CELLS, _CELLS), max_size=30), st.integers(50, 500), st.sampled_from(",;\t"))
def test_parts_hold_every_record_once_and_know_its_line(
    rows: list[tuple[str, str]], largest: int, delimiter: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["track_key", "loop_file_path"])
    writer.writerows(rows)
    lines = out.getvalue().splitlines(keepends=True)
    found: list[tuple[str, ...]] = []
    for first, part in csvparts.parts(out.getvalue(), largest):
        assert part.startswith(lines[0])
        body = part[len(lines[0]) :]
        assert "".join(lines[first:]).startswith(body)
        records = list(csv.reader(part.splitlines(keepends=True), delimiter=delimiter))
        assert len(records) == 2 or csvparts._sent(part) <= largest or not body
        found += [tuple(record) for record in records[1:]]
    assert found == rows


def test_what_is_no_csv_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="line 3 can't be read as CSV"):
        list(csvparts.parts('a,b\n"x",y\n"z"z,\n'))
    file = tmp_path / "latin.csv"
    file.write_bytes("Sigur Rós".encode("latin-1"))
    with pytest.raises(Trouble, match="is not UTF-8"):
        csvparts.read(file)
    assert list(csvparts.parts("")) == [(1, "")]


@pytest.mark.parametrize("sign", ["\u2028", "\x0b", "\x0c", "\x85", "\x1e"])
def test_only_the_end_of_a_line_ends_one(sign: str) -> None:
    """Signs that Python takes for the end of a line too come with words from a text processor, without quotes."""
    text = f"track_key,loop_file_path\na{sign}b,a.mp4\nc{sign}d,b.mp4\n"
    assert list(csvparts.parts(text, 1)) == [
        (1, f"track_key,loop_file_path\na{sign}b,a.mp4\n"),
        (2, f"track_key,loop_file_path\nc{sign}d,b.mp4\n"),
    ]


def test_a_head_of_several_lines_is_in_every_part() -> None:
    head = '"track_key\n",loop_file_path\n'
    found = list(csvparts.parts(f"{head}a,a.mp4\nb,b.mp4\nc,c.mp4\n", 1))
    # The line after the head's two is the third, and so on.
    assert found == [(1, f"{head}a,a.mp4\n"), (2, f"{head}b,b.mp4\n"), (3, f"{head}c,c.mp4\n")]
