"""Cards in a director's orders: with the switch where they are known, afterwards where more becomes known."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hook_service.library.card import card_from
from hook_service.tracks.nowplaying import parse
from hook_service.tracks.policies import Policies
from hook_service.web.cards import Cards
from hook_service.web.director import Director
from tests.unit.web.conftest import MakeRig
from tests.unit.web.doubles import body, eventually, make_director
from tests.unit.web.peers import FakePeer

ART, SHA = "http://covers.example/one.jpg", "a" * 64


class Album:
    """A gallery whose one cover comes when it is told to."""

    def __init__(self) -> None:
        self.there = False

    def get(self, url: str, allowed: Collection[str]) -> tuple[str | None, bool]:
        assert (url, allowed) == (ART, {"h:80"})
        return (SHA, False) if self.there else (None, True)


@contextmanager
def directing(make_rig: MakeRig, tmp_path: Path, **changes: Any) -> Iterator[tuple[Director, Album]]:
    album = Album()
    cards = Cards("band", 16, tmp_path / "own", album, {"h:80"})  # type: ignore[arg-type]
    rig = make_rig()
    director = make_director(rig.host, "demo", rig.ledger, rig.metrics, cards=cards, **changes)
    director.start()
    try:
        yield director, album
    finally:
        director.stop()


def offer(director: Director, title: str, number: int, art: str | None = None, **changes: Any) -> None:
    message = body(title, number, **changes)
    message["now_playing"]["song"]["art"] = art
    director.offer(parse(message), time.time(), f"request-{number}")


def cards_told(playout: FakePeer) -> list[Any]:
    return [message["card"] for message in playout.told if message["op"] == "card"]


def test_the_switch_carries_the_card(make_rig: MakeRig, playout: FakePeer, tmp_path: Path) -> None:
    with directing(make_rig, tmp_path) as (director, _):
        offer(director, "One", 1)
        [switch] = eventually(lambda: playout.switches)
        card = card_from(switch["card"])
        assert (card.artist, card.title, card.art, card.seconds) == ("Artist", "One", None, 16)
        assert cards_told(playout) == []


def test_a_cover_that_comes_later_brings_the_card(make_rig: MakeRig, playout: FakePeer, tmp_path: Path) -> None:
    with directing(make_rig, tmp_path) as (director, album):
        offer(director, "One", 1, ART)
        [switch] = eventually(lambda: playout.switches)
        assert switch["card"] is None
        album.there = True
        director.nudge()
        [told] = eventually(lambda: cards_told(playout))
        assert card_from(told).art == SHA
        assert [m["play_id"] for m in playout.told if m["op"] == "card"] == [switch["play_id"]]


def test_what_comes_next_is_made_ready_with_its_card(make_rig: MakeRig, playout: FakePeer, tmp_path: Path) -> None:
    song = {"id": "x", "artist": "Artist", "title": "Same", "album": "Later", "custom_fields": []}
    with directing(make_rig, tmp_path) as (director, _):
        # Its loop is the one that is shown; its card is another one.
        offer(director, "One", 1, playing_next={"song": song, "playlist": "x"})
        warm = eventually(lambda: [m for m in playout.told if m["op"] == "warm" and m["card"]["title"] == "Same"])[0]
        assert warm["loop"].endswith("one.mp4")
        assert card_from(warm["card"]).album == "Later"
        offer(director, "Same", 2, playing_next={"song": song, "playlist": "x"})
        first, second = eventually(lambda: playout.switches if len(playout.switches) == 2 else None)
        assert second["card"]["key"] != first["card"]["key"]
        # The same song with the same album: only what differs is another card.
        assert card_from(second["card"]).album == ""


@pytest.mark.parametrize("kind", ["offline", "live"])
def test_a_loop_that_is_held_loses_the_card_of_the_track_before(
    make_rig: MakeRig, playout: FakePeer, tmp_path: Path, kind: str
) -> None:
    with directing(make_rig, tmp_path, policies=Policies(live="hold")) as (director, _):
        offer(director, "One", 1)
        eventually(lambda: playout.switches)
        if kind == "offline":
            offer(director, "Station Offline", 0, is_online=False)
        else:
            offer(director, "Show", 2, live={"is_live": True, "streamer_name": "DJ"})
        assert eventually(lambda: cards_told(playout), 15) == [None]
        assert len(playout.switches) == 1


def test_a_design_that_is_missing_is_no_card(make_rig: MakeRig, playout: FakePeer, tmp_path: Path) -> None:
    with directing(make_rig, tmp_path) as (director, _):
        assert director._cards is not None
        director._cards.template = "nothing"
        offer(director, "One", 1)
        [switch] = eventually(lambda: playout.switches)
        assert switch["card"] is None
