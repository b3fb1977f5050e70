"""Reading on in a loop that is still being encoded."""

from pathlib import Path

from hook_service.library.loopfile import GrowingLoop
from hook_service.library.profiles import BUILT_IN
from hook_service.playout.picture import Cursor
from hook_service.playout.reader import Reader
from hook_service.settings import Station
from tests.unit.library.samples import SHA, flv, write_plan


def station(place: Path) -> Station:
    return Station(
        shortcode="demo",
        profile=BUILT_IN["720p30"],
        audio_url="http://127.0.0.1:1/radio.mp3",
        audio_fallback=None,
        default_loop=place / "default.mp4",
        loops=place,
        library=place,
        state=place,
        run=place,
        log=place / "app.log",
        relay_rtmp="127.0.0.1:1",
        relay_stat="127.0.0.1:1",
        destinations=(),
    )


def test_an_encoder_that_is_behind_costs_no_picture(tmp_path: Path) -> None:
    directory = write_plan(tmp_path / f"{SHA}.partial", 3)
    (directory / "entry.flv").write_bytes(flv([3])[:-1])
    loop = GrowingLoop(directory)
    reader = Reader(loop, station(tmp_path))
    cursor = Cursor(loop.avcc or b"", loop.read_part(0, entry=True), lambda _: None, growing=True)
    # Of the body there is nothing: what there is of the fade is shown again.
    assert len(reader.next(cursor)) == 2
    (directory / "entry.flv").write_bytes(flv([3]))
    assert len(reader.next(cursor)) == 3
    # As soon as there is a body, it goes on.
    (directory / "body.flv").write_bytes(flv([3, 3, 1]))
    assert reader.next(cursor) == loop.read_gop(1)
    assert reader.next(cursor) == loop.read_gop(0)
    reader.close()
