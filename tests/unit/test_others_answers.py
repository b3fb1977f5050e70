"""Answers of other people's servers that once had no end, or were too deep to be told."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from hook_service.tracks.library import LibraryPage, parse_page
from hook_service.web import songs
from hook_service.web.httpget import Away
from hook_service.web.prometheus import alerts_of

SONG = {"unique_id": "0123456789abcdef01234567", "artist": "A", "title": "T"}


@pytest.mark.parametrize("rows", [[SONG], [{}]], ids=["the same song", "nothing that can be used"])
def test_a_library_that_repeats_itself_is_left(monkeypatch: pytest.MonkeyPatch, rows: list[Any]) -> None:
    asked: list[int] = []
    store = SimpleNamespace(upsert=lambda station, found: len(found))
    host: Any = SimpleNamespace(stations={})
    librarian = songs.Librarian(host, lambda: store)  # type: ignore[arg-type, return-value]

    def page(station: str, number: int) -> LibraryPage:
        asked.append(number)
        assert len(asked) < 1000, "it is asked for ever"
        return parse_page(json.dumps({"rows": rows, "total": 10**9, "total_pages": 10**9}).encode(), "/srv/loops")

    monkeypatch.setattr(librarian, "_page", page)
    monkeypatch.setattr(songs, "MAX_SONGS", 20)
    with pytest.raises(Away, match="more than 20 songs"):
        librarian._copy("demo")
    assert asked == list(range(1, 22))


def test_an_alert_too_deep_to_be_told_is_no_fault_of_ours() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(Away, match="no list of alerts"):
        alerts_of([{"labels": {"alertname": deep, "severity": "warning"}}])
