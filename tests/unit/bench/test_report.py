"""What a run of the benchmark leaves for a later run of one of its parts."""

import json
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.outcome import Part, Table
from tests.rig.nginx import ROOT

ABOUT = {"cores": "2", "FFmpeg": "5.1"}


def run(title: str, measured: str = "2026-01-01 00:00 UTC") -> report.Run:
    part = Part(title, {"seconds": 1.5}, [Table(["what", "time"], [["one", "1.5 s"]])], notes=["A note."])
    part.at_most("one", 1.5, 1.0, " s", 1)
    return report.Run(part, measured, 2.0, 3.0)


def test_a_part_can_be_measured_anew() -> None:
    before = report.saved(report.as_json({"a": run("First"), "b": run("Second")}, ABOUT), ABOUT)
    text = report.markdown(before | {"b": run("Second", "2026-02-02 00:00 UTC")}, ABOUT)
    assert report.markdown(before, ABOUT) == report.markdown({"a": run("First"), "b": run("Second")}, ABOUT)
    assert "| First  | 2026-01-01 00:00 UTC | 2.0 min |" in text
    assert "| Second | 2026-02-02 00:00 UTC | 2.0 min |" in text
    assert text.count("**no**") == 2


def test_figures_of_another_machine_are_not_mixed_in() -> None:
    text = report.as_json({"a": run("First")}, ABOUT)
    with pytest.raises(ValueError, match="another FFmpeg: measure all"):
        report.saved(text, ABOUT | {"FFmpeg": "7.1"})


def test_the_documents_in_the_repository_belong_together() -> None:
    text = Path(ROOT / "docs/benchmarks.json").read_text()
    about = json.loads(text)["machine"]
    assert report.markdown(report.saved(text, about), about) == Path(ROOT / "docs/benchmarks.md").read_text()
