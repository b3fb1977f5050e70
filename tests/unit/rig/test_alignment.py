"""The measure itself: what it says of captures whose changes are known."""

import math
import subprocess
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rig import alignment, child, media
from tests.rig.alignment import TONES, Change, Heard, Seen
from tests.rig.media import Picture
from tests.rig.net import RigError

LOOP_OF = dict(zip(TONES, ("coral", "lagoon", "meadow", "violet", "honey"), strict=False))


def film(
    path: Path,
    sounds: Sequence[tuple[int, float]],
    pictures: Sequence[tuple[str, float]],
    *,
    fade: float = 0.0,
    start: float = 0.0,
) -> Path:
    """An FLV of tones (Hz, seconds) and loops (name, seconds) that follow each other, as FFmpeg makes it."""
    size = (320, 180)
    loops = [media.make(path.parent, loop.file, media.loop_args(loop, 4, size)) for loop in media.LOOPS]
    of = {loop.name: n for n, loop in enumerate(media.LOOPS)}
    inputs = [word for loop in loops for word in ("-i", str(loop))]
    uses: dict[str, list[str]] = {}
    graph = ""
    for n, (name, seconds) in enumerate(pictures):
        uses.setdefault(name, []).append(f"in{n}")
        dark = f",fade=t=in:d={fade}" if fade and n else ""
        graph += f"[in{n}]trim=duration={seconds},setpts=PTS-STARTPTS{dark}[v{n}];"
    for name, labels in uses.items():
        graph += f"[{of[name]}:v]split={len(labels)}{''.join(f'[{label}]' for label in labels)};"
    graph += "".join(f"[v{n}]" for n in range(len(pictures))) + f"concat=n={len(pictures)}[v];"
    for n, (hertz, seconds) in enumerate(sounds):
        volume = "8dB" if hertz else "-90dB"
        graph += f"sine=frequency={hertz or 440}:sample_rate=44100:duration={seconds},volume={volume}[a{n}];"
    graph += "".join(f"[a{n}]" for n in range(len(sounds))) + f"concat=n={len(sounds)}:v=0:a=1[a]"
    subprocess.run(
        [
            child.find_program("ffmpeg"), "-v", "error", "-nostdin", "-y", *inputs, "-filter_complex", graph,
            "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "60",
            "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "44100",
            "-output_ts_offset", str(start), "-f", "flv", str(path),
        ],
        check=True,
    )  # fmt: skip
    return path


SOUNDS = [(500, 2.0), (700, 1.237), (900, 1.7), (1100, 0.9), (500, 1.5)]
PICTURES = [("coral", 2.1), ("lagoon", 1.3), ("meadow", 1.4), ("violet", 1.2), ("coral", 1.3)]


@pytest.mark.parametrize(("fade", "start"), [(0.0, 0.0), (0.5, 3600.0)], ids=["cuts", "fades, an hour on the air"])
def test_known_changes_are_found_where_they_are(tmp_path: Path, fade: float, start: float) -> None:
    path = film(tmp_path / "film.flv", SOUNDS, PICTURES, fade=fade, start=start)
    sounds, pictures = alignment.heard(path), alignment.seen(path)
    # The muxer shifts both streams alike, so that the encoder's priming has a place before the first sound.
    origin = pictures[0].begin
    assert abs(origin - start * 1000) < 30
    assert [run.tone for run in sounds] == [hertz for hertz, _ in SOUNDS]
    assert [run.loop for run in pictures] == [name for name, _ in PICTURES]
    for run, at in zip(sounds[1:], accumulate(seconds for _, seconds in SOUNDS), strict=False):
        assert abs(run.begin - origin - at * 1000) < 8
    for shown, at in zip(pictures[1:], accumulate(seconds for _, seconds in PICTURES), strict=False):
        assert abs(shown.begin - origin - at * 1000) <= 2
    changes, extra = alignment.match(sounds, pictures, LOOP_OF)
    assert extra == []
    meant = zip(accumulate(s for _, s in PICTURES), accumulate(s for _, s in SOUNDS), strict=True)
    for change, (picture, sound) in zip(changes, list(meant)[:-1], strict=True):
        assert abs(change.offset - (picture - sound) * 1000) < 10


def test_what_is_no_tone_and_what_came_through_mp3(tmp_path: Path) -> None:
    """A silence between two tones, and the smear of a second coding: what counts is when the next tone is heard."""
    path = film(tmp_path / "film.flv", [(500, 1.0), (0, 0.8), (700, 1.0)], [("coral", 2.8)])
    runs = alignment.heard(path)
    assert [run.tone for run in runs] == [500, None, 700]
    assert abs(runs[2].begin - runs[0].begin - 1800) < 40
    coded = [media.make(tmp_path, f"{hertz}.mp3", ["-i", str(alignment.make_tone(tmp_path, hertz, 2)), "-b:a", "64k",
             "-write_xing", "0", "-f", "mp3"]) for hertz in (500, 700)]  # fmt: skip
    one = tmp_path / "both.mp3"
    one.write_bytes(b"".join(file.read_bytes() for file in coded))
    path = tmp_path / "again.flv"
    subprocess.run(
        [child.find_program("ffmpeg"), "-v", "fatal", "-nostdin", "-i", str(one), "-c:a", "aac", "-f", "flv", path],
        check=True,
    )
    runs = alignment.heard(path)
    assert [run.tone for run in runs] == [500, 700]
    # The MP3 file of a tone begins with the encoder's and decoder's delay: 1105 samples, in which there is nothing.
    assert abs(runs[1].begin - coded[0].stat().st_size * 8 / 64 - 23) < 40


def test_a_slate_is_nothing_that_fades_in() -> None:
    dark = [Picture(None, -1)] * 5
    seen = [*(Picture("coral", n) for n in range(4)), *dark, *(Picture("lagoon", n) for n in range(5, 8))]
    assert alignment.entries(seen) == [("coral", 0), ("lagoon", 4)]
    seen = [*(Picture("coral", n) for n in range(4)), *dark * 3, *(Picture("lagoon", n) for n in range(5, 8))]
    assert alignment.entries(seen) == [("coral", 0), (None, 4), ("lagoon", 14)]
    assert alignment.entries([]) == []


def story(steps: Sequence[tuple[int, float]]) -> list[Heard]:
    """Tones, each with how long it lasts (ms)."""
    ends = list(accumulate(length for _, length in steps))
    return [Heard(tone, end - length, end) for (tone, length), end in zip(steps, ends, strict=True)]


def moved(sounds: Sequence[Heard], by: float, lost: Sequence[int] = ()) -> list[Seen]:
    """The pictures of these sounds, all later by so many ms, and some never."""
    shown = [(LOOP_OF[run.tone or 0], run.begin + by) for n, run in enumerate(sounds) if n not in lost]
    return [Seen(loop, begin, begin) for loop, begin in shown]


tones = st.lists(st.tuples(st.sampled_from(list(LOOP_OF)), st.floats(5000, 9000)), min_size=2, max_size=12).map(
    lambda steps: [step for n, step in enumerate(steps) if n == 0 or steps[n - 1][0] != step[0]]
)


@given(tones, st.floats(-900, 900))
def test_a_picture_is_found_as_late_as_it_is(steps: list[tuple[int, float]], by: float) -> None:
    sounds = story(steps)
    changes, extra = alignment.match(sounds, moved(sounds, by), LOOP_OF)
    assert extra == []
    assert len(changes) == len(sounds) - 1
    assert all(abs(change.offset - by) < 0.01 for change in changes)


def test_pictures_late_by_three_tracks() -> None:
    order = [500, 700, 900, 500, 1100, 700, 1300, 900, 500, 1300, 1100, 900]
    sounds = story([(tone, 6000) for tone in order])
    changes, extra = alignment.match(sounds, moved(sounds, 20_000), LOOP_OF)
    assert extra == []
    assert [change.offset for change in changes] == [20_000] * 11


@given(tones, st.data())
def test_a_lost_picture_is_told(steps: list[tuple[int, float]], data: st.DataObject) -> None:
    sounds = story(steps)
    lost = data.draw(st.integers(1, max(1, len(sounds) - 1)))
    changes, _ = alignment.match(sounds, moved(sounds, 100, [lost]), LOOP_OF)
    if len(changes) >= lost:
        assert math.isinf(changes[lost - 1].offset)
        assert all(abs(change.offset - 100) < 0.01 for n, change in enumerate(changes) if n != lost - 1)


def test_a_picture_too_many_is_told() -> None:
    sounds = story([(500, 6000), (700, 6000), (900, 6000)])
    shown = moved(sounds, 0)
    shown.insert(2, Seen("violet", 9000, 12000))
    changes, extra = alignment.match(sounds, shown, LOOP_OF)
    assert [change.offset for change in changes] == [0, 0]
    assert extra == [shown[2]]


def test_the_same_loop_again_is_no_change() -> None:
    sounds = story([(500, 6000), (700, 6000), (900, 6000)])
    loops = {500: "coral", 700: "coral", 900: "lagoon"}
    changes, _ = alignment.match(sounds, [Seen("coral", 0, 12_000), Seen("lagoon", 12_010, 18_000)], loops)
    assert changes == [Change(900, "lagoon", 12_000, 12_010)]


def test_how_long_a_picture_was_wrong() -> None:
    sounds = [Heard(500, 0, 5000), Heard(None, 5000, 9000), Heard(700, 9000, 20_000)]
    right = [Seen("coral", 0, 9000), Seen("lagoon", 9000, 20_000)]
    assert alignment.wrong(sounds, right, LOOP_OF) == 0
    late = [Seen("coral", 0, 9600), Seen(None, 9600, 10_500), Seen("lagoon", 10_500, 20_000)]
    assert alignment.wrong(sounds, late, LOOP_OF) == 1500
    early = [Seen("coral", 0, 4800), Seen("lagoon", 4800, 20_000)]
    assert alignment.wrong(sounds, early, LOOP_OF) == 200


def test_a_capture_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.flv"
    path.write_bytes(b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
    for measure in (alignment.heard, alignment.seen):
        with pytest.raises(RigError):
            measure(path)
