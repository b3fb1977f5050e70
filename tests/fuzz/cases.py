"""What all fuzzing shares: how a target is fed and counted, and how good input is spoiled.

Random bytes seldom get past a parser's first check. So most targets are given what is right, with some of it
changed: bytes overwritten, cut out, repeated, or a value of a document put in another's place.
"""

from __future__ import annotations

import copy
import functools
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

CPU_SECONDS = 2.0
"""Of this thread, for one case: beyond, a parser hangs. The wall's clock would count what else the machine does."""
SHORT = 10
"""Cases of one share in `make test`; `make fuzz` gives each share a thousand."""


@dataclass
class Tally:
    """What one target got."""

    cases: int = 0
    slowest: float = 0.0
    """Seconds of CPU that its slowest case took."""


TALLY: dict[str, Tally] = {}


def fuzz(target: str, shares: float, **given_as: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """Feed a test with cases, so many for each share, and count them under the name of their target."""
    long = settings.get_current_profile_name() == "fuzz"
    cases = max(1, round(shares * (settings().max_examples if long else SHORT)))

    def decorate(test: Callable[..., None]) -> Any:
        @functools.wraps(test)
        def counted(*args: Any, **values: Any) -> None:
            tally = TALLY.setdefault(target, Tally())
            tally.cases += 1
            # The collector would look through all that Hypothesis remembers, and that is no parser's fault.
            gc.disable()
            began = time.thread_time()
            try:
                test(*args, **values)
            finally:
                gc.enable()
            took = time.thread_time() - began
            tally.slowest = max(tally.slowest, took)
            assert took < CPU_SECONDS, f"{took:.1f} s of CPU for one case"

        limits = settings(
            max_examples=cases,
            deadline=None,
            derandomize=not long,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        # That a failing case takes many lines to show must not hide what fails.
        shown = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
        return shown(limits(given(**given_as)(counted)))

    return decorate


@st.composite
def spoiled(draw: st.DrawFn, samples: Sequence[bytes], most: int = 6) -> bytes:
    """One of the samples with up to `most` changes; now and then bytes that have nothing to do with any."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=2000))
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from((1, 1, 2, 4, 16, 300, 5000))))
        match draw(st.integers(0, 5)):
            case 0:
                data[at:end] = draw(st.binary(min_size=1, max_size=8))
            case 1:
                data[at:end] = draw(st.sampled_from((b"\0", b"\xff", b"\x80", b"\x7f"))) * (end - at)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * draw(st.integers(1, 4))
            case 4:
                del data[at:]
            case _:
                other = draw(st.sampled_from(samples))
                begin = draw(st.integers(0, len(other)))
                data[at:end] = other[begin : begin + end - at]
    return bytes(data)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


LONG_TEXT = st.builds(
    lambda unit, count: unit * count,
    st.sampled_from(
        (" ", "a", "feat. ", " feat ", "([", " - ", "\u0301", "\ufb03", "\U0001f3b5", "ß", "\0", "%", "../")
    ),
    st.integers(1, 600),
)
TEXT = st.text(max_size=40) | LONG_TEXT | st.text(st.characters(), max_size=5)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from((0, -1, 2**31, 2**63, 2**64, 10**30, -(10**30), 1e308, 253_402_300_799, 253_402_300_800, 0.1))
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
) | st.sampled_from((3, 100, 180)).map(_nested)
"""Anything that JSON can say."""


def _places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found = [] if not path else [path]
    for key, value in inner:
        found += _places(value, (*path, key))
    return found


@st.composite
def changed(draw: st.DrawFn, document: Any, most: int = 4, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """The document with up to `most` of its values replaced, removed, or put where others were."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        places = _places(document)
        if not places:
            return draw(values)
        *path, last = draw(st.sampled_from(places))
        holder = functools.reduce(lambda value, key: value[key], path, document)
        match draw(st.integers(0, 4)):
            case 0:
                del holder[last]
            case 1:
                other = draw(st.sampled_from(places))
                holder[last] = copy.deepcopy(functools.reduce(lambda value, key: value[key], other, document))
            case 2 if isinstance(holder, dict):
                holder[draw(st.text(max_size=12))] = draw(values)
            case _:
                holder[last] = draw(values)
    return document
