"""Tracks of one tone each, played by the real engine and told of by simulated AzuraCasts: what is measured on."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hook_service.tracks.track_key import track_key
from tests.rig import media
from tests.rig.alignment import TONES, make_tone
from tests.rig.azuracast import AzuraCast, Knobs, Track
from tests.rig.icecast import Icecast
from tests.rig.layout import WEBHOOK_USER
from tests.rig.radio import Radio
from tests.rig.station import MEDIA_CACHE, Station

SECONDS = 30
# AzuraCast is told so long before a track begins: an early webhook is earlier than its sound.
AHEAD = 4.5
_LOOPS = [loop.name for loop in media.LOOPS if loop.number]


@dataclass(frozen=True, slots=True)
class Piece:
    """A track that is one tone, and the loop that belongs to it."""

    track: Track
    tone: int
    loop: str

    @property
    def path(self) -> Path:
        """Its sound."""
        return make_tone(MEDIA_CACHE, self.tone, SECONDS)


def pieces(artist: str = "The Tuning Forks", *, fields: bool = False) -> list[Piece]:
    """A piece for every tone; the loops take turns. With `fields` the custom field of the song names its loop."""
    found = []
    for number, tone in enumerate(TONES):
        loop = _LOOPS[number % len(_LOOPS)]
        named = f"{loop}.mp4" if fields else None
        found.append(Piece(Track(artist, f"Study at {tone}", duration=SECONDS, loop=named), tone, loop))
    return found


def shuffled(of: Sequence[Piece], count: int, seed: int) -> list[Piece]:
    """So many of them in an order that does not repeat itself; two that follow each other differ in their loops."""
    choice, found = random.Random(seed), [of[0]]
    while len(found) < count:
        found.append(choice.choice([piece for piece in of if piece.loop != found[-1].loop]))
    return found


def loops_of(of: Sequence[Piece]) -> dict[int, str]:
    """Which loop belongs to which tone."""
    return {piece.tone: piece.loop for piece in of}


def map_all(station: Station, of: Sequence[Piece]) -> None:
    """A mapping for each piece, as an operator would have made it."""
    for piece in of:
        station.sql(
            "INSERT INTO track_mappings (track_key, loop_file_path) VALUES (%s, %s)"
            " ON CONFLICT ON CONSTRAINT idx_track_key DO UPDATE SET loop_file_path = excluded.loop_file_path",
            [track_key(piece.track.artist, piece.track.title), f"{piece.loop}.mp4"],
        )


class Broadcast:
    """An Icecast with a Liquidsoap for each mount (whether it sends titles), all of which play the same."""

    def __init__(self, place: Path, mounts: Mapping[str, bool]) -> None:
        self.icecast = Icecast(place)
        self.radios = {mount: Radio(place, self.icecast, mount, titles=titles) for mount, titles in mounts.items()}
        self.azuracasts: dict[str, AzuraCast] = {}
        # When each piece really began.
        self.played: list[tuple[float, Piece]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.icecast.forget)
            self.icecast.start()
            for radio in self.radios.values():
                stack.callback(radio.forget)
                radio.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def azuracast(self, station: Station, name: str, knobs: Knobs) -> AzuraCast:
        """An AzuraCast of its own for one station of the rig, with webhooks to it."""
        login = (WEBHOOK_USER, station.secret("webhook-password"))
        made = AzuraCast([name], [(station.webhook_url, *login)], knobs=knobs)
        self.serve(name, made)
        return made

    def serve(self, name: str, azuracast: AzuraCast) -> None:
        """Start it now, and end it with all the rest."""
        self._stack.callback(azuracast.stop)
        azuracast.start()
        self.azuracasts[name] = azuracast

    def play(self, piece: Piece, following: Piece | None = None, *, in_seconds: float = 0.0) -> float:
        """Let a piece begin everywhere, and tell every AzuraCast of it; returns the Unix time at which it began."""
        at = time.time() + in_seconds
        for azuracast in self.azuracasts.values():
            azuracast.begin(piece.track, at, next=following.track if following is not None else None)
        time.sleep(max(0.0, at - time.time()))
        return self.sound(piece)

    def sound(self, piece: Piece) -> float:
        """Let a piece begin everywhere, and tell nobody; returns when it began at the first mount."""

        path = piece.path

        def begin(radio: Radio) -> float:
            return radio.play(piece.track, path)

        with ThreadPoolExecutor(len(self.radios)) as pool:
            begun = list(pool.map(begin, self.radios.values()))
        self.played.append((begun[0], piece))
        return begun[0]

    def run(self, programme: Sequence[Piece], gaps: Callable[[], float]) -> None:
        """One piece after the other, each so many seconds (more than AHEAD) after the one before."""
        due = time.time() + AHEAD
        for number, piece in enumerate(programme):
            time.sleep(max(0.0, due - AHEAD - time.time()))
            following = programme[number + 1] if number + 1 < len(programme) else None
            self.play(piece, following, in_seconds=max(0.0, due - time.time()))
            due += gaps()
