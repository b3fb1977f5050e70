"""A loop with a card in the place of the plain one, GOP by GOP, and whatever may be wrong with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hook_service.library import catalog
from hook_service.library.loopfile import PreparedLoop, open_loop
from hook_service.playout import state
from hook_service.playout.control import BadRequest
from hook_service.playout.picture import Cursor, Still
from hook_service.playout.programme import Programme
from hook_service.playout.reactor import Reactor
from hook_service.playout.reader import Reader
from hook_service.playout.wardrobe import card_of
from hook_service.settings import Station
from tests.unit.library.samples import SHA, write_loop
from tests.unit.playout.helpers import run_until
from tests.unit.playout.test_loop_reader import station

KEY = "cd" * 32
CARD = {"key": KEY, "title": "whatever"}


class Wearer:
    """A reader of a loop of four GOPs, the last one short, with the place of its card."""

    def __init__(self, place: Path) -> None:
        self.station: Station = station(place)
        profile = self.station.profile
        self.directory = catalog.dressed_dir(place, profile, SHA, KEY)
        self.plain: PreparedLoop = open_loop(write_loop(catalog.prepared_dir(place, profile, SHA), [3, 3, 3, 1]))
        self.reader = Reader(self.plain, self.station)
        self.cursor = Cursor(self.plain.avcc, self.plain.read_gop(0, entry=True), lambda _: None)

    def make(self, gops: list[int]) -> PreparedLoop:
        """The card's loop, whose frames can be told from the plain one's."""
        write_loop(self.directory, gops)
        body = (self.directory / "body.flv").read_bytes()
        index = json.loads((self.directory / "index.json").read_text())
        # The third byte of each frame's payload.
        body = body.replace(b"\x07\x00", b"\x08\x00")
        import zlib  # noqa: PLC0415

        spans = zip(index["gops"], index["gops"][1:], strict=False)
        index["crc"] = [zlib.crc32(body[start:end]) for start, end in spans]
        (self.directory / "body.flv").write_bytes(body)
        (self.directory / "index.json").write_text(json.dumps(index))
        return open_loop(self.directory)

    def read(self, count: int) -> list[bool]:
        """Whether the next GOPs carry the card; each must be the one that is due."""
        found = []
        for _ in range(count):
            number = self.cursor.next_gop % 4
            gop = self.reader.next(self.cursor)
            plain = self.plain.read_gop(number)
            assert len(gop) == len(plain)
            assert gop[0][0][10] == plain[0][0][10] == number
            assert self.cursor.dressed is (gop != plain)
            found.append(gop != plain)
        return found


def test_a_card_takes_over_when_it_is_there_and_leaves_when_it_is_taken_off(tmp_path: Path) -> None:
    wearer = Wearer(tmp_path)
    wearer.reader.dressed.wear(CARD)
    assert wearer.read(2) == [False, False]
    wearer.make([3, 3, 3, 1])
    assert wearer.read(5) == [True] * 5
    wearer.reader.dressed.wear(None)
    assert wearer.read(2) == [False, False]
    wearer.reader.close()


def test_of_a_long_loop_the_beginning_carries_it_in_every_pass(tmp_path: Path) -> None:
    wearer = Wearer(tmp_path)
    wearer.make([3, 3])
    wearer.reader.dressed.wear(CARD)
    assert wearer.read(8) == [True, False, False, True, True, False, False, True]


def test_a_card_plays_on_when_it_is_removed(tmp_path: Path) -> None:
    wearer = Wearer(tmp_path)
    wearer.make([3, 3, 3, 1])
    wearer.reader.dressed.wear(CARD)
    assert wearer.read(1) == [True]
    shutil.rmtree(wearer.directory)
    assert wearer.read(4) == [True] * 4


def another_loop(wearer: Wearer) -> None:
    wearer.make([3, 3, 3, 2])


def longer(wearer: Wearer) -> None:
    wearer.make([3, 3, 3, 3, 1])


def no_index(wearer: Wearer) -> None:
    wearer.make([3, 3, 3, 1])
    (wearer.directory / "index.json").unlink()


def altered(wearer: Wearer) -> None:
    wearer.make([3, 3, 3, 1])
    body = wearer.directory / "body.flv"
    body.write_bytes(body.read_bytes()[:-5] + b"xxxxx")
    data = bytearray(body.read_bytes())
    data[100:] = bytes(len(data) - 100)
    body.write_bytes(data)


def of_another_source(wearer: Wearer) -> None:
    write_loop(wearer.directory, [3, 3, 3, 1], sha256="0" * 64)


@pytest.mark.parametrize("harm", [another_loop, longer, no_index, altered, of_another_source])
def test_a_card_that_is_no_good_is_left_out_and_put_aside(tmp_path: Path, harm: Callable[[Wearer], None]) -> None:
    wearer = Wearer(tmp_path)
    try:
        harm(wearer)
    except Exception:
        assert wearer.directory.is_dir()
    wearer.reader.dressed.wear(CARD)
    assert wearer.read(6) == [False] * 6
    assert not wearer.directory.exists()


@pytest.mark.parametrize(
    "value", ["", 1, [], {}, {"key": 1}, {"key": "../" * 20}, {"key": KEY + "\n"}, {"key": "CD" * 32}]
)
def test_what_is_no_card(value: object) -> None:
    with pytest.raises(ValueError, match="card"):
        card_of(value)


def test_the_card_is_kept_with_what_is_on_the_air(tmp_path: Path) -> None:
    file = tmp_path / "on-air.json"
    state.save_on_air(file, state.OnAir("/a.mp4", "/d.mp4", "p", None, dict(CARD)))
    assert state.load_on_air(file) == state.OnAir("/a.mp4", "/d.mp4", "p", None, dict(CARD))
    file.write_text(json.dumps({"loop": "/a.mp4", "default": "/d.mp4", "play_id": None, "card": {"key": "no"}}))
    assert state.load_on_air(file) == state.OnAir("/a.mp4", "/d.mp4", None)


def programme_with_a_loop(place: Path) -> tuple[Reactor, Programme]:
    """A programme that can show `a.mp4` with its card and without."""
    wanted = station(place)
    (place / "a.mp4").write_bytes(b"pictures")
    sha256 = catalog.identify(place / "a.mp4", place, place).sha256
    write_loop(catalog.prepared_dir(place, wanted.profile, sha256), [3, 3], sha256=sha256)
    worn = write_loop(catalog.dressed_dir(place, wanted.profile, sha256, KEY), [3, 3], sha256=sha256)
    assert worn.is_dir()
    reactor, still = Reactor(), Still(b"avcc", [[(b"slate", True)]])
    return reactor, Programme(
        reactor, wanted, still, lambda *_, **__: None, lambda _: 0, lambda _: 0, lambda: 1, lambda: None
    )


def shown(reactor: Reactor, programme: Programme, play_id: str) -> Cursor:
    """The loop of a play, on the air."""
    run_until(reactor, lambda: (programme.status()["next"] or {}).get("play_id") == play_id)
    programme.picture.frame(1)
    assert isinstance(programme.picture.item.cursor, Cursor)
    return programme.picture.item.cursor


def test_a_switch_with_a_card_enters_with_it(tmp_path: Path) -> None:
    reactor, programme = programme_with_a_loop(tmp_path)
    programme.switch({"loop": "a.mp4", "play_id": "p", "card": CARD})
    assert shown(reactor, programme, "p").dressed
    assert programme.status()["on_air"]["card"] is True


def test_a_card_that_comes_while_its_loop_is_loaded(tmp_path: Path) -> None:
    reactor, programme = programme_with_a_loop(tmp_path)
    programme.switch({"loop": "a.mp4", "play_id": "p", "card": None})
    assert programme.card({"play_id": "p", "card": CARD})
    cursor = shown(reactor, programme, "p")
    assert not cursor.dressed
    run_until(reactor, lambda: cursor.dressed)


def test_a_card_for_another_play_changes_nothing(tmp_path: Path) -> None:
    reactor, programme = programme_with_a_loop(tmp_path)
    programme.switch({"loop": "a.mp4", "play_id": "p", "card": CARD})
    assert not programme.card({"play_id": "q", "card": None})
    assert shown(reactor, programme, "p").dressed
    with pytest.raises(BadRequest):
        programme.card({"play_id": "p", "card": {"key": "x"}})
