"""Loops with a card as radio-prepare makes them: the plain loop's pictures with the card, and no other change."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from hook_service import ipc
from hook_service.library import catalog, dress
from hook_service.library.card import SHIPPED, SUFFIX, Card, clean, template_file, template_sha256
from hook_service.library.card_render import draw
from hook_service.library.dress import Dress, dressed, find, prune
from hook_service.library.errors import NotNow, Refused
from hook_service.library.loopfile import open_loop
from hook_service.library.preparer import Preparer
from hook_service.library.urgent import UrgentLane
from tests.integration.library.studio import P720, SMALL, Studio, leftovers, make, pixels
from tests.rig import media
from tests.rig.covers import jpeg
from tests.rig.nginx import ROOT

NOWHERE = Path("/nonexistent")


def a_card(template: str = "band", art: str | None = None, seconds: int = 16, title: str = "Фиалка") -> Card:
    file = template_file(template, NOWHERE)
    assert file is not None
    return Card(template, template_sha256(file), "Ида Ветрова", title, "Сумерки", art, seconds)


def test_a_loop_with_a_card_has_the_plain_ones_pictures(studio: Studio, tmp_path: Path) -> None:
    # The picture stands still, so that whatever differs is the card.
    source = make(studio.loops / "grey.mp4", "color=c=0x808080:s=320x180:r=30:d=5", "-c:v", "libx264")
    (tmp_path / "art").mkdir()
    (tmp_path / "art" / ("a" * 64)).write_bytes(jpeg("C", ("0xffffff", "0xffffff")))
    preparer = Preparer(studio.library, studio.loops, [SMALL])
    card = a_card(art="a" * 64)
    directory = preparer.dress(source, SMALL, find(card, NOWHERE, tmp_path / "art"))
    sha256 = catalog.identify(source, studio.library).sha256
    assert directory == catalog.dressed_dir(studio.library, SMALL, sha256, card.key())
    plain, worn = open_loop(catalog.prepared_dir(studio.library, SMALL, sha256)), open_loop(directory)
    assert (worn.frames, worn.gops, worn.avcc, worn.sha256) == (plain.frames, plain.gops, plain.avcc, plain.sha256)
    assert worn.has_entry
    assert sorted(path.name for path in directory.iterdir()) == ["body.flv", "entry.flv", "index.json"]
    for frame in (0, 149):
        without, with_card = pixels(plain, frame), pixels(worn, frame)
        changed = {
            n
            for n, (one, other) in enumerate(zip(without, with_card, strict=True))
            if max(map(abs_, one, other)) > 12
        }
        # The panel lies in rows 6 and 7 of nine, as far as the fourteenth of sixteen columns; its cover is white.
        assert {n // 16 for n in changed} <= {6, 7, 8}
        assert min(changed) >= 96
        assert len(changed) >= 20
        assert sum(with_card[7 * 16 + 1]) > 600
    # Covers make room for others; what has been made of one stays.
    (tmp_path / "art" / ("a" * 64)).unlink()
    assert preparer.dress(source, SMALL, find(card, NOWHERE, tmp_path / "art")) == directory
    with pytest.raises(NotNow, match="cover"):
        preparer.dress(source, SMALL, find(a_card(art="a" * 64, title="Another"), NOWHERE, tmp_path / "art"))
    assert leftovers(studio.library) == []


def abs_(one: int, other: int) -> int:
    return abs(one - other)


def test_of_a_long_loop_the_beginning_alone_is_made(studio: Studio) -> None:
    source = make(studio.loops / "long.mp4", "testsrc2=s=320x180:r=30:d=9", "-c:v", "libx264", "-preset", "ultrafast")
    preparer = Preparer(studio.library, studio.loops, [SMALL])
    card = a_card(seconds=4)
    worn = open_loop(preparer.dress(source, SMALL, find(card, NOWHERE, NOWHERE)))
    assert (worn.frames, worn.gops) == (120, 2)


def test_a_card_that_can_not_be_drawn_is_not_the_loops_fault(studio: Studio) -> None:
    source = make(studio.loops / "a.mp4", "color=s=320x180:r=30:d=2", "-c:v", "libx264")
    preparer = Preparer(studio.library, studio.loops, [SMALL])
    for template in ("no drawing", "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1280 720'/>", "{{ x }}"):
        with pytest.raises(Refused, match="template"):
            preparer.dress(source, SMALL, Dress(a_card(), template, None))
    sha256 = catalog.identify(source, studio.library).sha256
    assert catalog.refusal(studio.library, sha256, SMALL) is None
    assert dressed(studio.library) == []
    assert leftovers(studio.library) == []
    # A cover that is no picture is left out.
    rubbish = studio.library / "rubbish"
    rubbish.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    file = template_file("corner", NOWHERE)
    assert file is not None
    assert preparer.dress(source, SMALL, Dress(a_card("corner"), file.read_text(), rubbish)).is_dir()


def test_nothing_outside_of_the_drawing_is_read(studio: Studio, tmp_path: Path) -> None:
    """A design that refers to a file gets nothing of it."""
    (tmp_path / "white.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'
    )
    source = make(studio.loops / "a.mp4", "color=s=320x180:r=30:d=2", "-c:v", "libx264")
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xi="http://www.w3.org/2001/XInclude" viewBox="0 0 1280 720">'
    )
    for reference in (
        f'<image href="file://{tmp_path}/white.svg" width="900" height="500"/>',
        f'<image href="{tmp_path}/white.svg" width="900" height="500"/>',
        f'<xi:include href="file://{tmp_path}/white.svg"/>',
        f'<use href="file://{tmp_path}/white.svg#x"/>',
    ):
        preparer = Preparer(studio.library, studio.loops, [SMALL])
        with pytest.raises(Refused, match=r"draws nothing|can't be drawn"):
            preparer.dress(source, SMALL, Dress(a_card(), f"{head}{reference}</svg>", None))


def test_a_design_that_has_changed_is_not_taken_for_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "band.svg.j2").write_text("<svg/>")
    with pytest.raises(NotNow, match="changed"):
        find(a_card(), tmp_path, tmp_path)
    assert find(a_card(), NOWHERE, tmp_path).template == (SHIPPED / "band.svg.j2").read_text()


def test_those_that_were_wanted_longest_ago_go_first(studio: Studio) -> None:
    place = studio.library / SMALL.fingerprint()
    for number in range(4):
        directory = place / f"{'a' * 64}-{number:064x}"
        directory.mkdir()
        (directory / "body.flv").write_bytes(bytes(1000))
    for number in range(4):
        os.utime(place / f"{'a' * 64}-{number:064x}", (1000 + number, 1000 + number))
    dress.touch(place / f"{'a' * 64}-{0:064x}")
    assert prune(studio.library, 4000) == 0
    assert prune(studio.library, 2500) == 2
    assert [int(directory.name[65:], 16) for _, _, directory in dressed(studio.library)] == [3, 0]


def test_the_socket_takes_cards(studio: Studio, tmp_path: Path) -> None:
    source = make(studio.loops / "a.mp4", "color=s=320x180:r=30:d=2", "-c:v", "libx264")
    lane = UrgentLane(
        tmp_path / "p.sock",
        Preparer(studio.library, studio.loops, [SMALL]),
        dict,
        list,
        lambda card: find(card, NOWHERE, tmp_path),
    )
    lane.start()
    try:
        message = {"op": "card", "path": str(source), "profile": "small", "card": a_card().to_json(), "urgent": True}
        answers: list[ipc.Message] = []
        both = [
            threading.Thread(target=lambda: answers.append(ipc.request(lane.path, message, 60))) for _ in range(2)
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert [answer["state"] for answer in answers] == ["ready", "ready"]
        assert len({answer["dir"] for answer in answers}) == 1
        for wrong in ({"card": None}, {"card": {**a_card().to_json(), "title": "another"}}, {"path": "/etc/passwd"}):
            assert ipc.request(lane.path, message | wrong, 10)["state"] == "refused"
    finally:
        lane.stop()


# A song in each script that the fonts have, as (artist, title, album).
SONGS = (
    ("The Tidewaiters", "Coral Bloom", "Soundings"),
    ("Ида Ветрова", "Фиалка цветёт над рекой", "Сумерки"),
    ("宇多田ヒカル", "花束を君に", "Fantôme"),
    ("فيروز", "نسم علينا الهوا", "أيام فخر الدين"),
    ("DJ Ember 🔥", "Party Rock 🎵 & <Friends>", "봄날 · लग जा गले"),
)


@pytest.mark.parametrize("design", sorted(path.name.removesuffix(SUFFIX) for path in SHIPPED.glob(f"*{SUFFIX}")))
def test_every_design_shows_every_script(tmp_path: Path, design: str) -> None:
    file = template_file(design, NOWHERE)
    assert file is not None
    (tmp_path / "cover").write_bytes(jpeg("COVER"))
    drawn = []
    for number, (artist, title, album) in enumerate((("", "-", ""), *SONGS)):
        card = Card(design, "0" * 64, clean(artist), clean(title), clean(album), None, 16)
        place = tmp_path / str(number)
        place.mkdir()
        cover = tmp_path / "cover" if number % 2 else None
        found = draw(card, file.read_text(), cover, P720, place, 0, threading.Event())
        assert found.width * found.height < P720.width * P720.height
        drawn.append(ink(found.png))
    # Whatever the script, there are letters: far more light in it than where the title is a dash.
    assert min(drawn[1:]) > drawn[0] + 1000
    if os.environ.get("SCREENSHOTS"):
        keep(design, tmp_path)


def test_digits_are_no_emoji(tmp_path: Path) -> None:
    """Fonts of emoji have digits and spaces too, twice as wide."""
    file = template_file("words", NOWHERE)
    assert file is not None
    card = Card("words", "0" * 64, "", "1999 2024 10 歌", "", None, 16)
    assert draw(card, file.read_text(), None, P720, tmp_path, 0, threading.Event()).width < 450


def ink(png: Path) -> int:
    """How many pixels of a drawing are white, as the words are."""
    command = ["ffmpeg", "-v", "error", "-i", str(png), "-vf", "format=rgba,format=gray", "-f", "rawvideo", "-"]
    return sum(value > 240 for value in subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)


def keep(design: str, place: Path) -> None:
    """Three of a design's cards over the demo's loops, for the documents."""
    inputs: list[str] = []
    graph: list[str] = []
    for number, loop in zip((1, 3, 4), media.LOOPS[1:], strict=False):
        inputs += [
            "-f",
            "lavfi",
            "-i",
            media.loop_args(loop, seconds=0.1)[3],
            "-i",
            str(place / str(number) / "card.png"),
        ]
        at = len(graph)
        graph.append(f"[{2 * at}:v][{2 * at + 1}:v]overlay=format=rgb,scale=640:360:flags=area[c{at}]")
    joined = f"{';'.join(graph)};[c0][c1][c2]hstack=3"
    picture = ROOT / f"docs/pictures/card-{design}.png"
    picture.parent.mkdir(exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", joined, "-frames:v", "1", str(picture)]
    subprocess.run(command, check=True, timeout=60)
