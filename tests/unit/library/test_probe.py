"""How long a file lasts, by what its maker wrote into it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from hook_service.library.errors import Refused
from hook_service.library.probe import _media


def probed(**changes: Any) -> Fraction | None:
    stream = {"index": 0, "codec_type": "video", "width": 64, "height": 64, **changes}
    return _media({"streams": [stream], "format": {"format_name": "matroska,webm"}}, -1, 0, None).seconds


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("00:00:10.500000000", Fraction(21, 2)),
        ("01:00:00", Fraction(3600)),
        ("00:00:1/0", None),
        ("00:00:1e999999999", None),
        ("0:0:-5", None),
        ("\u0661:\u0661:\u0661", None),
        ("later", None),
    ],
)
def test_the_tag_of_matroska(tag: str, seconds: Fraction | None) -> None:
    """What is no time counts as none: a fraction would be computed digit by digit."""
    assert probed(tags={"DURATION": tag}) == seconds


@pytest.mark.parametrize("text", ["1e999999999", "1/0", "N/A", "-1", "nan", "0", "0.000"])
def test_a_duration_that_is_none(text: str) -> None:
    assert probed(duration=text) is None


def test_too_long_and_too_short() -> None:
    assert probed(duration="10.25") == Fraction(41, 4)
    with pytest.raises(Refused, match="too long"):
        probed(duration="999999999999")
    with pytest.raises(Refused, match="too short"):
        probed(duration="0.25")
