"""What is shown when the story is not a plain one: bursts, songs of which little is known, jingles, DJs, no station.

Two stations hear the same: one by a mount with titles, one by a mount without, steered by webhooks alone.
"""

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.onair import on_air
from tests.rig import alignment
from tests.rig.alignment import Heard, Seen
from tests.rig.azuracast import AzuraCast, Knobs, Track
from tests.rig.broadcast import Broadcast, Piece, loops_of, map_all, pieces
from tests.rig.layout import Options
from tests.rig.net import RigError, wait_until
from tests.rig.station import Station

MOUNT, PLAIN = "/radio.mp3", "/plain.mp3"
TITLED, UNTITLED = "demo", "demo2"
ALIGNED = 250.0
# After so long a track is heard and seen at the platform, by title or at the switch delay after its webhook.
PASSED = 5.5
# For so long a capture goes on after the last event, for what must not come any more; a busy machine's is late.
AFTERWARDS = PASSED + 2
KEYFRAMES_APART = 2.0
DJ_LOOP = "honey"

POLICIES = {
    "offline": "slate",
    "live": "hold",
    "djs": {"Ada": f"{DJ_LOOP}.mp4"},
    "jingles": {"playlists": ["Jingles"], "show": "hold"},
}


@dataclass
class Air:
    """Two stations on the air, and what feeds them."""

    station: Station
    broadcast: Broadcast
    known: list[Piece]

    def knob(self, **values: Any) -> None:
        """Turn a knob of both AzuraCasts."""
        for azuracast in self.broadcast.azuracasts.values():
            for name, value in values.items():
                setattr(azuracast.knobs, name, value)

    def tell(self, track: Track, at: float | None = None, **more: Any) -> None:
        """Tell both AzuraCasts, and play nothing."""
        for azuracast in self.broadcast.azuracasts.values():
            azuracast.begin(track, at, **more)

    def by_loop(self, loop: str, tone_after: int = 0) -> Piece:
        """A known piece with this loop."""
        return next(piece for piece in self.known if piece.loop == loop and piece.tone > tone_after)

    def settle(self, piece: Piece) -> None:
        """Begin with this piece at both stations, whatever was before."""
        self.broadcast.play(piece)
        for name in self.station.names:
            try:
                wait_until(partial(self._settled, name, piece), f"{piece.track.text} on {name}", 40)
            except RigError as error:
                told, on_air = self.station.api("status")["stations"][name], self.station.status(name=name)["on_air"]
                raise RigError(f"{error}; {told['track']}, {told['sources']}, {on_air}") from error

    def _settled(self, name: str, piece: Piece) -> bool:
        """Whether it is seen, and for as long as the platform needs to have a keyframe of it, and nothing more will
        be told of it. Where it was on already, all was told before.
        """
        told, on_air = self.station.api("status")["stations"][name], self.station.status(name=name)["on_air"]
        sent = self.broadcast.azuracasts[name].sent
        return (
            (told["track"] or {}).get("title") == piece.track.title
            and Path(on_air["loop"]).name == f"{piece.loop}.mp4"
            and time.time() - on_air["since"] > KEYFRAMES_APART
            and bool(sent)
            and (sent[-1].text, sent[-1].status) == (piece.track.text, 202)
        )


@dataclass
class Told:
    """What was heard and seen at the platform, by station."""

    sounds: dict[str, list[Heard]] = field(default_factory=dict)
    pictures: dict[str, list[Seen]] = field(default_factory=dict)

    def loops(self, name: str) -> list[str | None]:
        """The loops, one after the other."""
        return [run.loop for run in self.pictures[name]]

    def story(self, name: str) -> str:
        """For a message."""
        return name + alignment.told(self.sounds[name], self.pictures[name])


@pytest.fixture
def air(on_the_air: Air) -> Air:
    """Both stations, well."""
    for radio in on_the_air.broadcast.radios.values():
        if not radio.process.running:
            radio.start()
    on_the_air.knob(loss=False, hold=False, delay=0.3)
    return on_the_air


@pytest.fixture(scope="module")
def on_the_air(prepared: Path) -> Iterator[Air]:
    known = pieces()

    def configure(config: dict[str, Any]) -> None:
        config["stations"][UNTITLED]["audio"]["url"] = broadcast.icecast.url(PLAIN)
        for station in config["stations"].values():
            station["policies"] = POLICIES

    with tempfile.TemporaryDirectory(prefix="steadycast-air-") as directory:
        place = Path(directory)
        place.chmod(0o711)
        with Broadcast(place, {MOUNT: True, PLAIN: False}) as broadcast:
            broadcast.sound(known[0])
            options = Options(
                stations=2, audio_url=broadcast.icecast.url(MOUNT), automation=False, configure=configure
            )
            with on_air(prepared, options) as station:
                map_all(station, known)
                for name in station.names:
                    broadcast.azuracast(station, name, Knobs(delay=0.3))
                broadcast.run([known[1], known[0]], lambda: 6.0)
                yield Air(station, broadcast, known)


@contextmanager
def watched(air: Air) -> Iterator[Told]:
    """Capture both platforms meanwhile; what came is told afterwards."""
    told = Told()
    with ExitStack() as stack:
        captures = {name: stack.enter_context(air.station.capture(name=name)) for name in air.station.names}
        time.sleep(1)
        yield told
        time.sleep(AFTERWARDS)
    for name, capture in captures.items():
        told.sounds[name], told.pictures[name] = alignment.heard(capture.path), alignment.seen(capture.path)


def test_a_burst_of_stale_events(air: Air) -> None:
    """AzuraCast's worker stalls, and then tells of fifty songs at once: one switch, to the newest."""
    coral, newest = air.by_loop("coral"), air.by_loop("meadow")
    air.settle(coral)
    before = {name: air.station.status(name=name)["switches"] for name in air.station.names}
    asked = {name: len(made.sent) for name, made in air.broadcast.azuracasts.items()}
    with watched(air) as told:
        air.knob(hold=True)
        others = [piece for piece in air.known if piece is not newest]
        assert others[0] is coral  # which is no news at the beginning
        now = time.time()
        for number in range(49):
            # Long over, by what AzuraCast itself says of them.
            air.tell(others[(number + 1) % len(others)].track, now - (50 - number) * 40)
        air.broadcast.play(newest)
        time.sleep(1)
        air.knob(hold=False)
        wait_until(
            lambda: all(len(made.sent) >= asked[name] + 50 for name, made in air.broadcast.azuracasts.items()),
            "fifty webhooks sent", 20,
        )  # fmt: skip
    for name in air.station.names:
        assert told.loops(name) == ["coral", "meadow"], told.story(name)
        assert air.station.status(name=name)["switches"] == before[name] + 1
    changes, _ = alignment.match(told.sounds[TITLED], told.pictures[TITLED], loops_of(air.known))
    assert [abs(change.offset) <= ALIGNED for change in changes] == [True], told.story(TITLED)


def test_what_little_is_known_of_a_song(air: Air) -> None:
    """No mapping: the loop is in the song's custom field, which no title carries.

    Told before as what comes next, it is there in time. Told late, the picture waits 5 s for it; told later still,
    the default loop is shown until then.
    """
    # Songs that nobody has told of before, also when this is tried again.
    unmapped = pieces(f"Nobody's Favourites {secrets.token_hex(3)}", fields=True)
    by_loop = {piece.loop: piece for piece in unmapped}
    first, announced, late, later = (by_loop[name] for name in ("lagoon", "violet", "meadow", "coral"))
    air.settle(air.by_loop("honey"))
    with watched(air) as told:
        air.broadcast.play(first, announced)
        time.sleep(PASSED)
        air.knob(loss=True)
        air.broadcast.play(announced)
        time.sleep(PASSED)
        # Some 2 s after its sound is heard.
        air.knob(loss=False, delay=6.0)
        air.broadcast.play(late)
        time.sleep(8)
        air.knob(delay=11.0)
        air.broadcast.play(later)
        time.sleep(8)
    assert told.loops(TITLED) == ["honey", "lagoon", "violet", "meadow", "default", "coral"], told.story(TITLED)
    changes, extra = alignment.match(told.sounds[TITLED], told.pictures[TITLED], loops_of(unmapped))
    assert [run.loop for run in extra] == ["default"]
    by_next, waited, replaced = (change.offset for change in changes[1:])
    assert abs(by_next) <= ALIGNED, told.story(TITLED)
    assert 0 < waited < 5200, told.story(TITLED)
    shown = next(run for run in told.pictures[TITLED] if run.loop == "default")
    heard = next(change.sound for change in changes if change.loop == "coral")
    assert abs(shown.begin - heard - 5000) < 500, told.story(TITLED)
    assert replaced > 5000, told.story(TITLED)
    rows = air.station.sql(
        "SELECT title FROM play_history WHERE station = %s AND artist = %s ORDER BY started_at",
        [TITLED, first.track.artist],
    )
    assert [title for (title,) in rows] == [piece.track.title for piece in (first, announced, late, later)]


def test_policies(air: Air) -> None:
    """A jingle and a DJ hold the picture, another DJ has a loop of her own.

    A station that is offline shows the slate, and with its first song it is back.
    """
    air.settle(air.by_loop("coral"))
    jingle = air.by_loop("lagoon")
    jingle = replace(jingle, track=replace(jingle.track, playlist="Jingles"))
    shows = {"Bob": air.by_loop("violet"), "Ada": air.by_loop("lagoon", 1000)}
    with watched(air) as told:
        for piece in (jingle, air.by_loop("meadow")):
            air.broadcast.play(piece)
            time.sleep(PASSED)
        for dj, piece in shows.items():
            for azuracast in air.broadcast.azuracasts.values():
                azuracast.live(dj, piece.track)
            air.broadcast.sound(piece)
            time.sleep(PASSED)
        air.broadcast.play(air.by_loop("lagoon", 2000))
        time.sleep(PASSED)
        for radio in air.broadcast.radios.values():
            radio.stop()
        for azuracast in air.broadcast.azuracasts.values():
            azuracast.offline()
        time.sleep(PASSED)
        back = air.by_loop("violet", 1500)
        for radio in air.broadcast.radios.values():
            radio.start()
        air.broadcast.play(back)
        for name in air.station.names:
            air.station.wait_on_air("violet.mp4", name, 20)
    for name in air.station.names:
        assert told.loops(name) == ["coral", "meadow", DJ_LOOP, "lagoon", None, "violet"], told.story(name)


def test_a_restart_of_azuracast_is_no_end_of_the_station(air: Air) -> None:
    """It says "offline" first. The sound goes on, and where that has titles it knows better."""
    air.settle(air.by_loop("violet"))
    with watched(air) as told:
        azuracast: AzuraCast = air.broadcast.azuracasts[TITLED]
        azuracast.restart()
        time.sleep(2)
        air.broadcast.play(air.by_loop("coral"))
        time.sleep(PASSED)
    assert told.loops(TITLED) == ["violet", "coral"], told.story(TITLED)
