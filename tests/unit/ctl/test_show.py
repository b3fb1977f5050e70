"""How things look on a terminal, and that nothing from elsewhere steers it."""

from __future__ import annotations

import json
import time
import unicodedata

import click
from hypothesis import given
from hypothesis import strategies as st

from hook_service.ctl import show


@given(st.text())
def test_text_from_elsewhere_commands_no_terminal(text: str) -> None:
    for shown in (show.plain(text), show.document({"title": text}).replace("\n", "")):
        assert not any(unicodedata.category(sign) == "Cc" for sign in shown)
        assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.dictionaries(st.text(), st.text()))
def test_json_is_what_was_told(value: dict[str, str]) -> None:
    assert json.loads(show.document(value)) == value


def test_columns_stand_below_each_other_in_every_script() -> None:
    lines = show.table(
        ("artist", "loop"), [("宇多田ヒカル", "a.mp4"), ("Björk", "b.mp4"), (click.style("x", fg="red"), "c")]
    )
    ends = [show.width(click.unstyle(line).rsplit("  ", 1)[0]) for line in lines]
    assert show.width("宇多田ヒカル") == 12
    assert {show.width(click.unstyle(line)[: click.unstyle(line).rindex(last)]) for line, last in zip(
        lines, ("loop", "a.mp4", "b.mp4", "c"), strict=True
    )} == {14}, ends  # fmt: skip


def test_times_and_sizes_are_for_people() -> None:
    assert [show.span(seconds) for seconds in (0, 59.6, 60, 3599, 3600, 90000, -5)] == [
        "0 s", "1 min", "1 min", "59 min 59 s", "1 h", "1 d 1 h", "0 s",
    ]  # fmt: skip
    assert [show.size(count) for count in (None, 0, 999, 1500, 123_456_789, 5e12)] == [
        "", "0 B", "999 B", "1.5 kB", "123 MB", "5.0 TB",
    ]  # fmt: skip
    assert show.since(time.time() - 120) == "2 min"
    assert show.clock("nonsense") == ""
    assert show.clock(1e300) == ""


def test_a_state_says_itself_without_its_colour() -> None:
    assert click.unstyle(show.state("RUNNING")) == "RUNNING"
    assert click.unstyle(show.state("off_air")) == "off the air"
    assert show.state("\x1b[2Jnew") == "\N{REPLACEMENT CHARACTER}[2Jnew"
